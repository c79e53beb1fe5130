"""Tells the full stop of an English abbreviation from the end of a sentence.

The abbreviations are those of pysbd (MIT) with more from contracts, manuals and tables, grouped
by what has to follow for the sentence to go on. pysbd itself takes some sixty times as long.
"""

from __future__ import annotations

import re

__all__ = ["is_abbreviation"]

# The sentence always goes on.
_TITLES = {
    *("Mr", "Mrs", "Ms", "Dr", "Drs", "Prof", "Gov", "Gen", "Col", "Maj", "Capt", "Lt", "Sgt", "Cpl", "Pvt", "Adm"),
    *("Cmdr", "Brig", "Sen", "Sens", "Rep", "Reps", "Rev", "Hon", "Pres", "Supt", "Insp", "Messrs", "Mme", "Mt", "Ft"),
}
_PARTICLES = {"v", "vs", "cf", "viz", "e.g", "i.e", "c/o", "approx", "ca", "esp", "incl", "excl", "pls", "resp"}
# It goes on if a number follows, a letter used as a number, or a small letter.
_REFERENCES = {
    *("no", "nos", "nr", "art", "arts", "sec", "secs", "sect", "para", "paras", "par", "ch", "chap", "cl", "p", "pp"),
    *("fig", "figs", "eq", "eqs", "tab", "vol", "vols", "ed", "eds", "ex", "exh", "app", "apt", "ext", "dept", "div"),
    *("c", "ref", "refs", "reg", "ver", "rev", "sched", "subsec", "subpara", "tel", "op", "cont", "al", "pt"),
    *("max", "min"),
}
_DATES = {
    *("Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec"),
    *("Mon", "Tue", "Tues", "Wed", "Thu", "Thur", "Thurs", "Fri", "Sat", "Sun"),
}
# It goes on if a small letter follows.
_UNITS = {
    *("etc", "in", "ft", "yd", "lb", "lbs", "oz", "hr", "hrs", "mins", "secs", "yr", "yrs", "mo", "mos", "qty", "est"),
    *("avg", "temp", "dist", "assn", "asst", "bldg", "mfg", "misc", "govt", "univ", "hosp", "cir"),
}
# It goes on unless a typical first word follows: "Acme Inc. The" ends, "Acme Inc. Tokyo" does not.
_IN_NAMES = {
    *("Inc", "Corp", "Ltd", "Co", "Cos", "Bros", "Jr", "Sr", "Esq", "Ph.D", "St", "Ave", "Blvd", "Rd", "Hwy", "Cir"),
    *("Ala", "Ariz", "Ark", "Cal", "Calif", "Colo", "Conn", "Del", "Fla", "Ga", "Ill", "Ind", "Kan", "Ky", "La"),
    *("Mass", "Md", "Mich", "Minn", "Mo", "Mont", "Neb", "Nev", "Okla", "Ont", "Ore", "Pa", "Penn", "Que"),
    *("Tenn", "Tex", "Va", "Vt", "Wash", "Wis", "Wyo"),
}
_STARTER = re.compile(
    r"(?:A|An|And|All|Also|Although|As|At|After|Before|Because|Both|But|By|Each|Every|For|From|He|Her"
    r"|Here|His|How|However|I|If|In|It|Its|Many|Most|My|On|Or|Our|She|Since|So|Some|Such|That|The"
    r"|Their|Then|There|These|They|This|Those|Though|Thus|To|We|What|When|Where|While|Who|Why|With|You"
    r"|Your)\b"
)
_WORD = re.compile(r"(?<![\w./])[A-Za-z]+(?:[./][A-Za-z]+)*$")
_INITIALS = re.compile(r"[A-Z](?:\.[A-Z])*")
_HOUR = re.compile(r"[ap]\.m", re.IGNORECASE)
_NUMBER = re.compile(
    r"[\d§#$€£(\[]|[一二三四五六七八九十]|[IVXLC]+\b(?! [a-z])|[B-HJ-Z]\b|A\b(?! (?!and|or|to\b)[a-z])|Nos?\."
)
_AFTER_HOUR = re.compile(r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|[A-Z]{2,4}\b|[A-Z][a-z]+ [Tt]ime\b")
_NEXT_INITIAL = re.compile(r"[A-Z]\.")


def is_abbreviation(before: str, after: str) -> bool:
    """Return whether a full stop ends an abbreviation and no sentence.

    Args:
        before: the text up to the full stop; the last dozen characters will do.
        after: the text behind it and behind the white space that follows.
    """
    found = _WORD.search(before)
    if found is None or not after:
        return False
    word = found[0]
    if word in _TITLES or word.lower() in _PARTICLES:
        return True
    goes_on = after[0].islower() or after[0] in ",;:)"
    if _HOUR.fullmatch(word):
        return goes_on or after[0] in "(-–" or bool(_AFTER_HOUR.match(after))
    is_letter = len(word) == 1 and word.isupper()
    if word in _DATES or (word.lower() in _REFERENCES and not is_letter):
        return goes_on or bool(_NUMBER.match(after))
    if word.lower() in _UNITS and goes_on:
        return True
    if word == "I":
        return bool(_NEXT_INITIAL.match(after))
    if word in _IN_NAMES or _INITIALS.fullmatch(word):
        return not _STARTER.match(after)
    return False
