"""What loaders make of a document belongs to a `PARSER_VERSION`: when the one changes, the other has to.

Stores renew their documents only when the number moves. After raising it in
ingest/loaders/dispatch.py, record what comes out now:

    PYTHONPATH=.:tests:tests/ingest python tests/ingest/loaders/test_parser_version.py

The documents need no OCR, no LibreOffice and no pandoc, whose output differs between machines.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import astuple
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from outlook_files import compound_file, integer, listed, narrow, wide
from pdfs import write_pdf

from ingest import LOADERS, PARSER_VERSION, load

RECORDED = Path(__file__).with_name("parsed.json")
WORDS = "停泊费按米计算，冬季每米六十八元。The deposit is 250 euros."
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
HTML = f"""<!doctype html><title>停泊</title><body><nav>menu</nav>
<h1>Berths<br>and fees</h1>
<p>{WORDS} CO<sub>2</sub>
is free.<br>So is water.</p><!-- two
lines --><ul><li>one<li><p>two</p><p>more</p></ul><dl><dt>VHF</dt><dd>12</dd></dl>
<pre>if x:
    go()</pre><table><caption>Fees</caption><tr><th>Berth<th>Price<tr><td>small<td>9<sup>1</sup></table>
<p>• bullet</p><p>{{E}} <math alttext="E=mc^2"></math></p>"""
MARKDOWN = f"""---
title: 规定
---

# One *two*

{WORDS}

- a
  - b

| a | b |
|---|---|
| 1 | 2 |

```sh
ls
```
"""
FEED = f"""<?xml version="1.0"?><rss><channel><title>News</title><item><title>Gate</title><link>http://a.b/1</link>
<description>&lt;p&gt;{WORDS}&lt;/p&gt;</description></item><port depth="3">Harrow</port></channel></rss>"""
RECORDS = {"berths": [{"name": "A1", "price": 9.50}, {"name": "A2", "tags": ["x", "y"]}], "note": WORDS}
PASSAGE = {"content": f"{WORDS}\n\n第二段", "link": "http://a.b", "title": "标题"}


def docx_file() -> bytes:
    made = docx.Document()
    made.core_properties.title = "合同"
    made.add_heading("第一章", level=1)
    made.add_paragraph(WORDS)
    made.add_paragraph("bullet", style="List Bullet")
    form = '<w:start w:val="1"/><w:numFmt w:val="chineseCounting"/><w:lvlText w:val="第%1条"/>'
    levels = f'<w:lvl w:ilvl="0">{form}</w:lvl>'
    numbering = made.part.numbering_part.element
    numbering.insert(0, parse_xml(f'<w:abstractNum {W} w:abstractNumId="77">{levels}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {W} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))
    counted = '<w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="77"/></w:numPr></w:pPr>'
    for text in ("甲方付款。", "乙方交货。"):
        item = parse_xml(f"<w:p {W}>{counted}<w:r><w:t>{text}</w:t></w:r></w:p>")
        made.element.body.insert_element_before(item, "w:sectPr")
    table = made.add_table(2, 2)
    for at, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {at}"
    return saved(made.save)


def pptx_file() -> bytes:
    made = pptx.Presentation()
    made.core_properties.title = "Slides"
    for number in (1, 2):
        slide = made.slides.add_slide(made.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = f"first\n{WORDS}"
    slide.notes_slide.notes_text_frame.text = "说明"
    return saved(made.save)


def xlsx_file() -> bytes:
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.title = "价目"
    for row in (["Fees"], ["berth", "price"], ["small", 9.5], [None, 1200]):
        sheet.append(row)
    sheet["B4"].number_format = "#,##0.00"
    sheet.cell(8, 1, WORDS)
    return saved(made.save)


def pdf_file() -> bytes:
    heading = (72, 100, "Mooring rules", "F2", 18)
    lines = [heading, (72, 140, "The deposit is 250 euros for a"), (72, 154, "small boat.")]
    with tempfile.TemporaryDirectory() as folder:
        pages = [lines, [(72, 100, "1. First item"), (72, 120, "2. Second item")]]
        return write_pdf(Path(folder) / "a.pdf", pages, title="规定").read_bytes()


def eml_file() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["Date"] = "通知", "a@b.c", "Mon, 06 May 2024 09:00:00 +0800"
    message.set_content(WORDS, cte="base64")
    message.add_attachment("attached", filename="附件.txt", cte="base64")
    message.set_boundary("=====")
    return message.as_bytes()


def msg_file() -> bytes:
    properties = bytes(32) + integer(0x3FFD, 936)
    tree = {**wide(0x37, "通知"), **narrow(0x1000, WORDS, "gb18030"), "__properties_version1.0": properties}
    attachment = {**wide(0x3707, "a.txt"), "__substg1.0_37010102": b"attached"}
    return compound_file(listed({**tree, "__attach_version1.0_#00000000": attachment}))


def zip_file() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("规定/a.txt", WORDS)
        archive.writestr("b.md", "# B\n\ntext")
        archive.writestr("c.bin", "x")
    return packed.getvalue()


def saved(save: Callable[[io.BytesIO], None]) -> bytes:
    made = io.BytesIO()
    save(made)
    return made.getvalue()


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "a.md": lambda: MARKDOWN.encode(),
    "a.txt": lambda: f"{WORDS}\nline\n\nparagraph".encode("gb18030"),
    "a.html": lambda: HTML.encode(),
    "a.csv": lambda: '名称;价格\n小船;9,50\n"大\n船";14\n'.encode(),
    "a.json": lambda: json.dumps(RECORDS, indent=1).encode(),
    "a.jsonl": lambda: f"{json.dumps(PASSAGE)}\n{json.dumps(RECORDS)}\n".encode(),
    "a.ipynb": lambda: json.dumps({"cells": [{"cell_type": "markdown", "source": ["# One\n", WORDS]}]}).encode(),
    "a.srt": lambda: f"1\n00:00:01,000 --> 00:00:02,500\n{WORDS}\n\n".encode(),
    "a.xml": lambda: FEED.encode(),
    "a.docx": docx_file,
    "a.pptx": pptx_file,
    "a.xlsx": xlsx_file,
    "a.pdf": pdf_file,
    "a.eml": eml_file,
    "a.msg": msg_file,
    "a.zip": zip_file,
}
# Read by programs whose output differs between machines, and with others of the table's loaders.
NOT_RECORDED = {".rtf", ".odt", ".epub", ".rst", ".org", ".doc", ".ppt", ".xls"}


def digest(name: str, folder: Path) -> str:
    path = folder / name
    path.write_bytes(DOCUMENTS[name]())
    document = load(path)
    # Not the notes, which may be put in other words.
    parsed = [document.text, [astuple(block) for block in document.blocks], document.line_marks]
    parsed += [document.title, document.pages, document.incomplete, document.lacks_ocr, document.garbled]
    return hashlib.sha256(json.dumps(parsed).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_output_changes_only_with_the_version(name: str, tmp_path: Path) -> None:
    recorded = json.loads(RECORDED.read_text())
    assert recorded["parser_version"] == PARSER_VERSION, "record what comes out now, as this module says"
    assert digest(name, tmp_path) == recorded["digests"][name], (
        f"{name} is read in another way than by version {PARSER_VERSION}: raise PARSER_VERSION, "
        "so that stores renew their documents, and record what comes out now, as this module says"
    )


def test_every_loader_has_a_document() -> None:
    recorded = {LOADERS[Path(name).suffix] for name in DOCUMENTS}
    pictures = {target for target in LOADERS.values() if target.startswith("pages.image")}
    others = {LOADERS[suffix] for suffix in NOT_RECORDED}
    assert recorded | pictures | others == set(LOADERS.values())


def record() -> None:
    """Write what comes out now; only for a version that has moved, or for documents that are new here."""
    before = json.loads(RECORDED.read_text()) if RECORDED.is_file() else {"parser_version": 0, "digests": {}}
    with tempfile.TemporaryDirectory() as folder:
        digests = {name: digest(name, Path(folder)) for name in DOCUMENTS}
    changed = [name for name, was in before["digests"].items() if digests.get(name, was) != was]
    if changed and before["parser_version"] == PARSER_VERSION:
        raise SystemExit(f"read in another way: {', '.join(changed)}; raise PARSER_VERSION first")
    RECORDED.write_text(json.dumps({"parser_version": PARSER_VERSION, "digests": digests}, indent=2) + "\n")


if __name__ == "__main__":
    record()
