from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from contract import check_document

from ingest import ParsedDocument, load
from ingest.errors import NoTextError, TooLargeError, UnreadableError
from ingest.options import Limits, LoadOptions


def read(path: Path, content: str | bytes) -> ParsedDocument:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    document = load(path)
    check_document(document)
    return document


def texts(document: ParsedDocument) -> list[tuple[str, int, str, int]]:
    return [
        (b.kind.value, b.level, document.text[b.start : b.end], document.lines_of(b.start, b.end)[0][1])
        for b in document.blocks
    ]


def test_prose_has_headings_and_paragraphs_with_their_lines(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.xml",
        """<?xml version="1.0" encoding="UTF-8"?>
<book><title>手册</title>
 <chapter id="1"><title>第一章</title>
  <para>这是一段，<emph>强调</emph>之后。
  第二行&nbsp;&mdash; 在这里。</para>
  <!-- a remark -->
  <section><title>小节</title><para>短。</para></section>
 </chapter>
</book>""",
    )
    assert document.title == "手册"
    assert texts(document) == [
        ("heading", 1, "手册", 2),
        ("heading", 2, "第一章", 3),
        ("paragraph", 0, "这是一段，强调之后。\n第二行 — 在这里。", 4),
        ("heading", 3, "小节", 7),
        ("paragraph", 0, "短。", 7),
    ]
    assert [line for _, line in document.lines_of(document.blocks[2].start, document.blocks[2].end)] == [4, 5]


def test_data_becomes_names_and_values(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.xml",
        """<config xmlns:x="urn:x">
<x:host id="7">a.b</x:host>
<port>80</port>
<user name="王五" age="3"/>
<none/>
<user name="赵六"/>
</config>""",
    )
    assert texts(document) == [("paragraph", 0, "host: a.b\nport: 80\nuser: name=王五, age=3\nuser: name=赵六", 2)]


def test_the_items_of_a_feed_show_their_html(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.xml",
        """<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>博客</title>
<item><title>一 &amp; 二</title><link>http://a.b/1</link><pubDate>2024</pubDate>
<description>开头…</description>
<content:encoded><![CDATA[<p>开头一段。</p>
<h2>小标题</h2><p>第二段。</p><script>code()</script>]]></content:encoded></item>
<item><title>转义</title><description>&lt;p&gt;转义的段落&lt;/p&gt;</description></item>
</channel></rss>""",
    )
    assert texts(document) == [
        ("heading", 1, "博客", 1),
        ("heading", 2, "一 & 二", 2),
        ("paragraph", 0, "pubDate: 2024", 2),
        ("paragraph", 0, "开头一段。", 4),
        ("heading", 3, "小标题", 5),
        ("paragraph", 0, "第二段。", 5),
        ("heading", 2, "转义", 6),
        ("paragraph", 0, "转义的段落", 6),
    ]
    assert [block.link for block in document.blocks][1:4] == ["http://a.b/1", None, "http://a.b/1"]


def test_an_atom_entry_in_xhtml_is_read(tmp_path: Path) -> None:
    document = read(
        tmp_path / "a.xml",
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>T</title><link href="http://a.b/1"/>\n'
        '<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>一</p><p>二</p></div></content></entry></feed>',
    )
    assert [words for _, _, words, _ in texts(document)] == ["T", "一", "二"]


def test_xhtml_is_read_as_html(tmp_path: Path) -> None:
    page = '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title></head><body>\n<p>一</p></body></html>'
    document = read(tmp_path / "a.xml", page)
    assert (document.title, document.text) == ("T", "一")
    assert document.line_marks[0] == (0, 3)


@pytest.mark.parametrize("declared", ["gb2312", "GBK", "utf-8", "iso-8859-1", "no-such", ""])
def test_text_is_read_whatever_is_declared(tmp_path: Path, declared: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    words = "请镕基先审阅合同，再转给财务部门存档。"
    document = read(tmp_path / "a.xml", f"{declaration}<a><p>{words}</p></a>".encode("gb18030"))
    assert document.text == words
    assert document.notes == ("read as gb18030",)


def test_big5_and_utf16_are_read(tmp_path: Path) -> None:
    words = "會議室已經預訂了，請準時出席。"
    content = f'<?xml version="1.0" encoding="big5"?><a><p>{words}</p></a>'
    assert read(tmp_path / "a.xml", content.encode("big5")).text == words
    assert read(tmp_path / "b.xml", content.replace("big5", "utf-16").encode("utf-16")).text == words


# Entities


def entity_bomb(levels: int) -> str:
    entities = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, levels))
    last = f"&l{levels - 1};"
    return f'<!DOCTYPE l [<!ENTITY l0 "lol">{entities}]><l><p>the words stand here {last}</p><q a="{last}"/></l>'


@pytest.mark.parametrize(
    "content",
    [
        entity_bomb(4),
        entity_bomb(10),
        entity_bomb(40),
        f'<!DOCTYPE l [<!ENTITY a "{"x" * 100_000}">]><l><p>{"&a;" * 20_000}</p><q a="{"&a;" * 20_000}"/></l>',
        '<!DOCTYPE l [<!ENTITY a "&b;"><!ENTITY b "&a;">]><l><p>words &a;</p></l>',
    ],
)
def test_entity_bombs_are_harmless(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    started = monotonic()
    with suppress(UnreadableError):
        document = load(path)
        assert len(document.text) < 200_000
        assert document.incomplete
    assert monotonic() - started < 10


@pytest.mark.parametrize(
    "declarations",
    [
        '<!ENTITY x SYSTEM "{}">',
        '<!ENTITY % p SYSTEM "{}"> %p; <!ENTITY x "y">',
        '<!ENTITY x PUBLIC "any" "{}">',
    ],
)
def test_files_that_entities_name_are_not_opened(tmp_path: Path, declarations: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret words")
    document = read(
        tmp_path / "a.xml",
        f"<!DOCTYPE a [{declarations.format(secret.as_uri())}]><a><p>before &x; after</p></a>",
    )
    assert "secret" not in document.text
    assert "before" in document.text
    assert document.incomplete


def test_a_dtd_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.dtd").write_text('<!ENTITY x "from the dtd">')
    document = read(tmp_path / "a.xml", f'<!DOCTYPE a SYSTEM "{(tmp_path / "a.dtd").as_uri()}"><a><p>words</p></a>')
    assert document.text == "words"


# What is broken


def test_broken_xml_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    document = read(tmp_path / "a.xml", "<a><p>first words</p>\n<p>second words</a>")
    assert "first words" in document.text
    assert "second words" in document.text
    assert document.incomplete
    assert document.notes[0].startswith("broken at line 2, column ")


def test_control_characters_do_not_stop_it(tmp_path: Path) -> None:
    assert read(tmp_path / "a.xml", "<a><p>one\x0btwo</p></a>").text == "one two"


@pytest.mark.parametrize("content", ["just text", "<" * 50, "<a>" * 5000 + "x" + "</a>" * 5000])
def test_invalid_xml_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    with pytest.raises(UnreadableError, match=r"^a\.xml: "):
        load(path)


@pytest.mark.parametrize("content", ["", " \n", "<a/>", "<a><b> </b></a>"])
def test_xml_without_text_holds_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    with pytest.raises(NoTextError, match=r"^a\.xml: "):
        load(path)


def test_characters_are_counted_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<a>" + f"<s><p>{'word ' * 80}</p></s>" * 10 + "</a>")
    with pytest.raises(TooLargeError, match=r"^a\.xml: it holds more than 1,000 characters"):
        load(path, LoadOptions(Limits(characters=1000)))
