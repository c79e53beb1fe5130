from __future__ import annotations

import base64
import struct
import zipfile
from datetime import UTC, datetime
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import pytest
from contract import check_document
from outlook_files import Tree, compound_file, integer, listed, narrow, wide

from ingest import BlockKind, ParsedDocument, load
from ingest.errors import NoTextError, PasswordRequiredError, TooLargeError, UnreadableError
from ingest.options import Limits, LoadOptions

CHINESE = "各位同事：\n\n下周一起实行弹性工作制，\n请提前安排。"


def letter(path: Path, *, subject: str = "弹性工作制", body: str = CHINESE) -> tuple[EmailMessage, Path]:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "王五 <wang@example.com>"
    message["To"] = "all@example.com"
    message["Date"] = "Mon, 06 May 2024 09:00:00 +0800"
    message.set_content(body)
    return message, path


def saved(message: EmailMessage, path: Path) -> ParsedDocument:
    path.write_bytes(message.as_bytes())
    document = load(path)
    check_document(document)
    return document


def texts(document: ParsedDocument) -> list[tuple[str, int, str]]:
    return [(b.kind.value, b.level, document.text[b.start : b.end]) for b in document.blocks]


def test_a_message_is_its_subject_headers_and_text(tmp_path: Path) -> None:
    document = saved(*letter(tmp_path / "a.eml"))
    assert document.title == "弹性工作制"
    assert texts(document) == [
        ("heading", 1, "弹性工作制"),
        (
            "paragraph",
            0,
            "From: 王五 <wang@example.com>\nTo: all@example.com\nDate: Mon, 06 May 2024 09:00:00 +0800",
        ),
        ("paragraph", 0, "各位同事："),
        ("paragraph", 0, "下周一起实行弹性工作制，\n请提前安排。"),
    ]
    last = document.blocks[-1]
    assert [line for _, line in document.lines_of(last.start, last.end)] == [3, 4]


@pytest.mark.parametrize("declared", ["gb2312", "us-ascii", "iso-8859-1", "no-such-charset", ""])
@pytest.mark.parametrize("transfer", ["8bit", "base64", "quoted-printable"])
def test_text_is_read_whatever_its_charset_is_called(tmp_path: Path, declared: str, transfer: str) -> None:
    data = "请镕基先审阅附件里的合同，再转给财务部。".encode("gb18030")
    if transfer == "base64":
        data = base64.encodebytes(data)
    elif transfer == "quoted-printable":
        data = "".join(f"={byte:02X}" for byte in data).encode()
    charset = f'; charset="{declared}"' if declared else ""
    path = tmp_path / "a.eml"
    path.write_bytes(
        f"Subject: x\r\nContent-Type: text/plain{charset}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n".encode()
        + data
    )
    assert "请镕基先审阅附件里的合同，再转给财务部。" in load(path).text


@pytest.mark.parametrize(
    "subject",
    [
        "年度预算".encode("gb18030"),
        "年度预算".encode(),
        b"=?gb2312?B?" + base64.b64encode("年度预算".encode("gb18030")) + b"?=",
        # A character cut in two.
        b"=?utf-8?B?" + base64.b64encode("年度".encode()[:4]) + b"?= =?utf-8?B?"
        + base64.b64encode("年度".encode()[4:] + "预算".encode()) + b"?=",
        b"=?x-unknown?B?" + base64.b64encode("年度预算".encode("gb18030")) + b"?=",
    ],
)  # fmt: skip
def test_subjects_are_read_however_they_are_written(tmp_path: Path, subject: bytes) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(b"From: a@b.c\nSubject: " + subject + b"\n\ntext")
    assert load(path).title == "年度预算"


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        (rb"\ud800 =?utf-8?Q?hello?=", r"\ud800 hello"),
        (rb"C:\u5e74 =?utf-8?Q?hello?=", r"C:\u5e74 hello"),
        ("年度 =?utf-8?Q?hello?= é".encode(), "年度 hello é"),
        ("年度 =?utf-8?Q?hello?=".encode("gb18030"), "年度 hello"),
        (b"=?utf-7?Q?1 +2AA- 2?=", "1 +2AA- 2"),
    ],
)
def test_unencoded_parts_of_a_subject_are_kept(tmp_path: Path, subject: bytes, title: str) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(b"From: a@b.c\nSubject: " + subject + b"\n\ntext")
    assert load(path).title == title


def test_plain_text_is_preferred_to_html(tmp_path: Path) -> None:
    message, path = letter(tmp_path / "a.eml", body="plain words")
    message.add_alternative("<p>html words</p>", subtype="html")
    document = saved(message, path)
    assert "plain words" in document.text
    assert "html words" not in document.text


def test_html_is_read_where_there_is_no_plain_text(tmp_path: Path) -> None:
    message, path = letter(tmp_path / "a.eml", body="\n")
    message.add_alternative(
        "<h2>通知</h2><p>放假<b>三天</b></p><table><tr><td>a<td>b<tr><td>c<td>d</table>", subtype="html"
    )
    document = saved(message, path)
    assert texts(document)[2:] == [
        ("heading", 3, "通知"),
        ("paragraph", 0, "放假三天"),
        ("table", 0, "| a | b |\n| --- | --- |\n| c | d |"),
    ]


def test_attachments_are_read_by_their_own_loaders(tmp_path: Path) -> None:
    message, path = letter(tmp_path / "a.eml")
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("内.txt", "压缩的话")
    message.add_attachment("# 条款\n\n甲方\n".encode(), maintype="text", subtype="markdown", filename="合同.md")
    message.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="a.zip")
    message.add_attachment(b"x", maintype="video", subtype="mp4", filename="film.mp4")
    message.add_attachment(b"{", maintype="application", subtype="json", filename="bad.json")
    document = saved(message, path)
    named = [(level, words) for kind, level, words in texts(document) if kind == "heading"]
    assert named == [(1, "弹性工作制"), (2, "合同.md"), (3, "条款"), (2, "a.zip"), (3, "内.txt")]
    failed, others = document.notes
    assert failed.startswith("1 of its attachments could not be read: bad.json (not JSON")
    assert others == "1 of its attachments skipped, format not supported: film.mp4"
    assert document.incomplete


@pytest.mark.parametrize("raw", ["合同.txt".encode("gb18030"), "合同.txt".encode()])
def test_attachment_names_are_read_without_any_encoding(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(
        b'Subject: x\nContent-Type: multipart/mixed; boundary="b"\n\n--b\n\nbody\n--b\nContent-Type: '
        b'application/octet-stream; name="' + raw + b'"\nContent-Disposition: attachment; filename="' + raw
        + b'"\n\nattached words\n--b--\n'
    )  # fmt: skip
    document = load(path)
    assert ("heading", 2, "合同.txt") in texts(document)
    assert "attached words" in document.text


def test_a_message_in_a_message_is_read_with_its_attachments(tmp_path: Path) -> None:
    inner, _ = letter(tmp_path, subject="转发的信", body="里面的话")
    inner.add_attachment("最里面", filename="n.txt")
    message, path = letter(tmp_path / "a.eml")
    message.add_attachment(inner)
    document = saved(message, path)
    named = [(level, words) for kind, level, words in texts(document) if kind == "heading"]
    assert named == [(1, "弹性工作制"), (2, "转发的信"), (3, "转发的信"), (4, "n.txt")]
    assert "最里面" in document.text


def test_messages_nested_very_deeply_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(b"Subject: s\nContent-Type: message/rfc822\n\n" * 3000 + b"end")
    with pytest.raises(UnreadableError, match=r"^a\.eml: "):
        load(path)


def test_too_many_attachments_are_refused(tmp_path: Path) -> None:
    message, path = letter(tmp_path / "a.eml")
    for i in range(12):
        message.add_attachment("x", filename=f"{i}.txt")
    path.write_bytes(message.as_bytes())
    with pytest.raises(TooLargeError, match="it holds 12 attachments, more than 10"):
        load(path, LoadOptions(Limits(members=10)))


def test_a_message_saved_as_utf16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(f"From: a@b.c\r\nSubject: 通知\r\n\r\n{CHINESE}".encode("utf-16"))
    document = load(path)
    assert document.title == "通知"
    assert "弹性工作制" in document.text


def test_an_encrypted_message_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(b"Subject: s\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIIB")
    with pytest.raises(PasswordRequiredError, match=r"^a\.eml: it is encrypted; "):
        load(path)


def test_an_empty_message_holds_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(b"  \r\n\r\n  ")
    with pytest.raises(NoTextError, match=r"^a\.eml: "):
        load(path)
    path.write_bytes(b"MIME-Version: 1.0\n\n")
    with pytest.raises(NoTextError, match=r"^a\.eml: "):
        load(path)


@pytest.mark.parametrize(
    "content", [b"only some text\nwithout headers", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"PK\x03\x04"]
)
def test_an_invalid_message_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.eml"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"^a\.eml: "):
        load(path)


# Outlook's own


def outlook(path: Path, tree: Tree) -> ParsedDocument:
    path.write_bytes(compound_file(listed(tree)))
    document = load(path)
    check_document(document)
    return document


def test_a_message_of_outlook_is_its_subject_headers_and_text(tmp_path: Path) -> None:
    since_1601 = datetime(2024, 5, 6, 1, 0, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)
    sent = struct.pack("<HHIQ", 0x40, 0x39, 6, int(since_1601.total_seconds()) * 10_000_000)
    recipient = {**wide(0x3001, "李四"), **wide(0x39FE, "li@example.com")}
    recipient["__properties_version1.0"] = bytes(8) + integer(0x0C15, 1)
    document = outlook(
        tmp_path / "a.msg",
        {
            **wide(0x37, "弹性工作制"),
            **wide(0x0C1A, "王五"),
            **wide(0x5D01, "wang@example.com"),
            **wide(0x1000, CHINESE.replace("\n", "\r\n")),
            "__properties_version1.0": bytes(32) + sent,
            "__recip_version1.0_#00000000": recipient,
        },
    )
    assert document.title == "弹性工作制"
    assert texts(document) == [
        ("heading", 1, "弹性工作制"),
        ("paragraph", 0, "From: 王五 <wang@example.com>\nTo: 李四 <li@example.com>\nDate: 2024-05-06 01:00 UTC"),
        ("paragraph", 0, "各位同事："),
        ("paragraph", 0, "下周一起实行弹性工作制，\n请提前安排。"),
    ]


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-8"])
def test_eight_bit_text_is_decoded_by_its_content(tmp_path: Path, encoding: str) -> None:
    words = "會議室已經預訂了，請準時出席。" if encoding == "big5" else "会议室已经预订了，请准时出席。"
    document = outlook(tmp_path / "a.msg", {**narrow(0x37, words, encoding), **narrow(0x1000, words * 3, encoding)})
    assert document.title == words


@pytest.mark.parametrize(
    ("codepage", "encoding", "words"),
    [
        (1253, "cp1253", "Η συνάντηση μεταφέρθηκε για την Πέμπτη."),
        (1255, "cp1255", "הפגישה נדחתה ליום חמישי."),
        (28592, "iso8859-2", "Zażółć gęślą jaźń"),
        (20866, "koi8-r", "Совещание перенесено на четверг."),
        (1200, "gb18030", "会议室已经预订了，请准时出席。"),
        (99999, "gb18030", "会议室已经预订了，请准时出席。"),
    ],
)
def test_a_declared_code_page_is_believed_where_it_fits(
    tmp_path: Path, codepage: int, encoding: str, words: str
) -> None:
    recipient = {**narrow(0x3001, words, encoding), "__properties_version1.0": bytes(8) + integer(0x0C15, 1)}
    document = outlook(
        tmp_path / "a.msg",
        {
            **narrow(0x37, words, encoding),
            **narrow(0x1000, words, encoding),
            "__properties_version1.0": bytes(32) + integer(0x3FFD, codepage),
            "__recip_version1.0_#00000000": recipient,
        },
    )
    assert document.title == words
    assert texts(document)[1:] == [("paragraph", 0, f"To: {words}"), ("paragraph", 0, words)]


def test_streams_that_are_together_too_large_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.msg"
    path.write_bytes(compound_file(listed({**wide(0x37, "s"), **wide(0x1000, "text")})))
    with pytest.raises(TooLargeError, match=r"^a\.msg: it unpacks to more than"):
        load(path, LoadOptions(Limits(unpacked_bytes=10_000)))


def test_attachments_and_messages_inside_are_read(tmp_path: Path) -> None:
    inner: Tree = {**wide(0x37, "转发的信"), **wide(0x1000, "里面的话"), "__properties_version1.0": bytes(24)}
    document = outlook(
        tmp_path / "a.msg",
        {
            **wide(0x37, "外"),
            **wide(0x1000, "外面的话"),
            "__attach_version1.0_#00000000": {**wide(0x3707, "合同.txt"), "__substg1.0_37010102": "甲方乙方".encode()},
            "__attach_version1.0_#00000001": {**wide(0x3001, "转发"), "__substg1.0_3701000D": inner},
            "__attach_version1.0_#00000002": {**wide(0x3707, "x.mp4"), "__substg1.0_37010102": b"x"},
        },
    )
    named = [(level, words) for kind, level, words in texts(document) if kind == "heading"]
    assert named == [(1, "外"), (2, "合同.txt"), (2, "转发"), (3, "转发的信")]
    assert "里面的话" in document.text
    assert document.notes == ("1 of its attachments skipped, format not supported: x.mp4",)


def test_html_and_rtf_bodies_are_read(tmp_path: Path) -> None:
    page = "<p>网页的话</p>".encode("gb18030")
    document = outlook(tmp_path / "h.msg", {**wide(0x37, "h"), "__substg1.0_10130102": page})
    assert document.blocks[-1].kind is BlockKind.PARAGRAPH
    assert "网页的话" in document.text
    rtf = rb"{\rtf1\ansi\ansicpg936 \'b9\'ab\'cb\'be rules\par}"
    plain = struct.pack("<IIII", len(rtf) + 12, len(rtf), 0x414C454D, 0) + rtf
    assert "公司 rules" in outlook(tmp_path / "r.msg", {**wide(0x37, "r"), "__substg1.0_10090102": plain}).text


def test_compressed_rtf_is_unpacked(tmp_path: Path) -> None:
    # The example of [MS-OXRTFCP]: "{\rtf1\ansi\ansicpg1252\pard hello world}".
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    document = outlook(tmp_path / "r.msg", {**wide(0x37, "r"), "__substg1.0_10090102": packed})
    assert "hello world" in document.text


@pytest.mark.parametrize("content", [b"", b"Subject: x\n\ntext", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)])
def test_an_invalid_outlook_message_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.msg"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=r"^a\.msg: "):
        load(path)
