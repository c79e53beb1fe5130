"""Bytes to text: Unicode by its marks or by its form, other encodings by how likely a text they make."""

from __future__ import annotations

import codecs
import re
from contextvars import ContextVar
from dataclasses import dataclass

from ingest.charsets import BROKEN, MODELS, WIDE, Model

__all__ = ["Decoded", "decode", "encodable"]

_MARKS = (  # UTF-32 first: its little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What files declare, and what the encoding is called that holds all of it.
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "latin-1": "cp1252",
    "ascii": "cp1252",
    "euc_jp": "euc-jp",
    "euc_kr": "euc-kr",
}
# Of these, UTF-7 is written by nobody any more, and turns plain words into something else.
_NO_CHARSET = ("unicode_escape", "raw_unicode_escape", "punycode", "idna", "undefined", "unicode-escape", "utf-7")
_SEVEN_BITS = ("iso2022_jp", "iso2022_kr", "hz")
_HIGH = re.compile(rb"[\x80-\xff]")
_UNPAIRED = re.compile("[\ud800-\udfff]")
_SAMPLE_BYTES = 1 << 16
_FILLING_BYTES = 4
# What decodes and is declared is believed unless another reading is this much better.
_BELIEVED_PER_CHARACTER = 2.0
_MOST_BROKEN, _MOST_BROKEN_BYTES = 0.02, 10_000


@dataclass(frozen=True, slots=True)
class Decoded:
    r"""Bytes as text.

    Attributes:
        text: lines ended by "\n", zero characters left out; U+FFFD stands for what could not be read.
        encoding: what it was read as.
        unreadable_bytes: how many bytes are not of that encoding.
    """

    text: str
    encoding: str
    unreadable_bytes: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of it: an encoding that had to be found out, bytes that were lost."""
        if self.unreadable_bytes:
            plural = "s" if self.unreadable_bytes > 1 else ""
            return (f"read as {self.encoding}, {self.unreadable_bytes} unreadable byte{plural}",)
        return () if self.encoding == "utf-8" else (f"read as {self.encoding}",)


def decode(data: bytes, *, declared: str | None = None) -> Decoded:
    """Return the text of `data`, and the encoding it was read in.

    A piece of a character at the very end, where a file was cut, is left out. A broken byte
    here and there is shown as U+FFFD, and counted.

    Args:
        data: the whole file.
        declared: an encoding that the file names itself (an HTML `charset`, say); it is
            tried after Unicode, and believed unless another one makes much more sense.

    Raises:
        UnicodeDecodeError: no encoding fits, so that any text would be a guess.
    """
    declared = _known(declared)
    data = _without_filling(data)
    for encoding in _candidates(data, declared):
        text, broken = _read(data, encoding)
        if broken <= _most_broken(data):
            text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
            return Decoded(text, encoding.removesuffix("-sig"), broken)
    raise UnicodeDecodeError("text", data[:1], 0, 1, "no known encoding fits")


def encodable(text: str) -> str:
    """Return the text with U+FFFD for each half of a surrogate pair, which neither the store nor a page can take."""
    return _UNPAIRED.sub("\ufffd", text)


def _without_filling(data: bytes) -> bytes:
    """Return the data without zeros that fill it up at the end, of which a last wide character keeps its own."""
    end = len(data.rstrip(b"\0"))
    if len(data) - end < _FILLING_BYTES or any(data.startswith(mark) for mark, _ in _MARKS):
        return data
    return data[: end + end % 2]


def _known(declared: str | None) -> str | None:
    """Return the name of a declared encoding, or of the one that holds all of it; `None` for no real one."""
    try:
        name = codecs.lookup(declared or "undefined").name
        b"".decode(name)
    except (LookupError, UnicodeError, ValueError):
        return None
    return None if name in _NO_CHARSET else _SUPERSETS.get(name, name)


def _candidates(data: bytes, declared: str | None) -> list[str]:
    """Return the encodings to try, the likeliest first."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return [encoding]
    if not _HIGH.search(data):
        wide = _wide_latin(data)
        if wide:
            return [wide]
        if declared in _SEVEN_BITS:
            return [declared, "utf-8"]
        return ["iso2022_jp", "utf-8"] if b"\x1b$B" in data else ["utf-8"]
    if _is_utf8(data):
        return [_wide_latin(data) or "utf-8"]
    return _ranked(data, declared)


def _wide_latin(data: bytes) -> str | None:
    """Return which UTF-16 it is where every other byte is zero, as in Latin text, which is valid UTF-8 as well."""
    sample = data[:4096]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if len(data) % 2 or max(even, odd) <= len(sample) / 4:
        return None
    encoding = "utf-16-be" if even > odd else "utf-16-le"
    return encoding if _decodes(data, encoding) else None


def _is_utf8(data: bytes) -> bool:
    """Return whether it is UTF-8, if need be with a broken byte among many characters that are none in ASCII."""
    if _decodes(data, "utf-8"):
        return True
    text, broken = _read(data, "utf-8")
    return broken <= _most_broken(data) and sum(character > "\x7f" for character in text) >= 10 * broken


def _ranked(data: bytes, declared: str | None) -> list[str]:
    """Return the encodings that make some sense of `data`, the likeliest first."""
    first_high = _HIGH.search(data)
    start = first_high.start() if first_high else 0
    sample = data[max(0, start - 1) : start + _SAMPLE_BYTES]
    whole = start + _SAMPLE_BYTES >= len(data)
    found = [_best(model, sample, whole) for model in MODELS]
    if len(data) % 2 == 0:
        found += [_best(model, data[start & ~1 :][:_SAMPLE_BYTES], whole) for model in WIDE]
    found.sort(key=lambda one: one[0])
    sensible = [one for one in found if one[0] <= one[2].prior + one[2].most * one[1]]
    ranked = [codec for *_, codec in sensible]
    if declared is None:
        return ranked
    mine = next((one for one in found if declared in one[2].codecs), None)
    if mine is None:  # nothing is known of it, so that it is believed where it fits
        return [declared, *ranked] if _decodes(data, declared) else ranked
    cost, foreign, *_ = sensible[0] if sensible else (0.0, 0)
    if not sensible or mine[0] - cost <= _BELIEVED_PER_CHARACTER * foreign:
        return [mine[3], *ranked]
    return ranked


def _best(model: Model, sample: bytes, whole: bool) -> tuple[float, int, Model, str]:
    """Return what a sample costs in a model, how many characters beyond ASCII it has then, and with which codec.

    That is the codec that reads it with the fewest breaks.
    """
    found: list[tuple[float, int, str]] = []
    for codec in model.codecs:
        text, broken = _read(sample, codec, most=len(sample) // 8, tail=not whole)
        foreign = sum(character > "\x7f" for character in text)
        found.append((model.cost(text, codec) + BROKEN * broken, foreign, codec))
        if not broken:
            break
    cost, foreign, codec = min(found)
    return cost, foreign, model, codec


@dataclass
class _Breaks:
    """Counts the bytes that are broken while a text is read."""

    most: int
    tail: bool
    broken: int = 0

    def __call__(self, error: UnicodeError) -> tuple[str, int]:
        """Return what stands for broken bytes and where to go on; none for a character cut at the end."""
        assert isinstance(error, UnicodeDecodeError)
        rest = error.object[error.start : error.start + 5]
        if error.start + len(rest) == len(error.object) and len(rest) < 4 and _is_cut(rest, error.encoding):
            self.broken += 0 if self.tail else len(rest)
            return "", len(error.object)
        self.broken += error.end - error.start
        if self.broken > self.most:
            raise error
        return "\ufffd", error.end


_breaks: ContextVar[_Breaks] = ContextVar("_breaks")
# Codecs call such a function where they break, and go on; to begin anew each time would be quadratic.
codecs.register_error("ingest.breaks", lambda error: _breaks.get()(error))


def _read(data: bytes, codec: str, *, most: int | None = None, tail: bool = False) -> tuple[str, int]:
    """Return the text and how many bytes are broken; no text where they are more than `most`.

    With `tail`, the beginning of a character that the data ends in is not counted.
    """
    breaks = _Breaks(_most_broken(data) if most is None else most, tail)
    token = _breaks.set(breaks)
    try:
        return data.decode(codec, "ingest.breaks"), breaks.broken
    except UnicodeDecodeError:
        return "", breaks.broken
    finally:
        _breaks.reset(token)


def _most_broken(data: bytes) -> int:
    return max(3, min(_MOST_BROKEN_BYTES, int(_MOST_BROKEN * len(data))))


def _is_cut(rest: bytes, codec: str) -> bool:
    """Return whether `rest` is the beginning of a character and no more."""
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        return not decoder.decode(rest)
    except UnicodeError:
        return False


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True
