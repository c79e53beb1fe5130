from __future__ import annotations

from pathlib import Path

import pytest
from contract import check_document

from ingest import ParsedDocument, load
from ingest.errors import TooLargeError
from ingest.options import Limits, LoadOptions

RST = """\
Mooring rules
=============

The deposit is *250 euros*, see
`the fees <http://a.b>`_.

Fees
----

* winter
* **summer**, by the week

.. code-block:: python

   def fee(days):
       return 9 * days

.. include:: secret.txt

======  =====
Berth   Price
======  =====
small   9
large   14
======  =====

停泊费按米计算。
"""
ORG = """\
#+TITLE: 停泊规定
* Fees
The deposit is /250 euros/.
#+INCLUDE: "secret.txt"
** Winter
- small
- large
| Berth | Price |
|-------+-------|
| small |     9 |
#+begin_src sh
echo hi
#+end_src
"""


def read(path: Path, content: str, encoding: str = "utf-8") -> ParsedDocument:
    path.with_name("secret.txt").write_text("nobody's business")
    path.write_bytes(content.encode(encoding))
    document = load(path)
    check_document(document)
    return document


def blocks(document: ParsedDocument) -> list[tuple[str, int, str, list[int]]]:
    return [
        (b.kind.value, b.level, document.text[b.start : b.end], [line for _, line in document.lines_of(b.start, b.end)])
        for b in document.blocks
    ]


def test_restructured_text_has_headings_lists_code_and_tables(tmp_path: Path) -> None:
    document = read(tmp_path / "a.rst", RST)
    assert document.title == "Mooring rules"
    assert blocks(document) == [
        ("heading", 1, "Mooring rules", [1]),
        ("paragraph", 0, "The deposit is 250 euros, see the fees.", [4]),
        ("heading", 2, "Fees", [7]),
        ("list_item", 0, "winter", [10]),
        ("list_item", 0, "summer, by the week", [11]),
        ("code", 0, "def fee(days):\n    return 9 * days", [15, 16]),
        ("table", 0, "| Berth | Price |\n| --- | --- |\n| small | 9 |\n| large | 14 |", [21, 21, 23, 24]),
        ("paragraph", 0, "停泊费按米计算。", [27]),
    ]


def test_org_has_headings_lists_code_and_tables(tmp_path: Path) -> None:
    document = read(tmp_path / "a.org", ORG)
    assert blocks(document) == [
        ("heading", 1, "Fees", [2]),
        ("paragraph", 0, "The deposit is 250 euros.", [3]),
        ("heading", 2, "Winter", [5]),
        ("list_item", 0, "small", [6]),
        ("list_item", 0, "large", [7]),
        ("table", 0, "| Berth | Price |\n| --- | --- |\n| small | 9 |", [8, 8, 10]),
        ("code", 0, "echo hi", [12]),
    ]


@pytest.mark.parametrize("name", ["a.rst", "a.org"])
def test_no_other_file_is_included(tmp_path: Path, name: str) -> None:
    assert "business" not in read(tmp_path / name, RST if name.endswith("rst") else ORG).text


def test_it_is_read_in_the_encoding_that_fits(tmp_path: Path) -> None:
    document = read(tmp_path / "a.rst", "规定\n====\n\n停泊费按米计算，冬季每米六十八元。\n", "gb18030")
    assert document.title == "规定"
    assert document.notes == ("read as gb18030",)


def test_the_limit_on_characters_is_enforced(tmp_path: Path) -> None:
    path = tmp_path / "a.rst"
    path.write_text(RST, encoding="utf-8")
    with pytest.raises(TooLargeError, match=r"^a\.rst: it holds \d+ characters, more than 100; "):
        load(path, LoadOptions(Limits(characters=100)))
