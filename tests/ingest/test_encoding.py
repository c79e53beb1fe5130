from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from legacy_texts import ENCODINGS, TEXTS

from ingest.encoding import Decoded, decode

SIMPLIFIED = [
    "公司实行弹性工作制，核心工作时间为上午十点至下午四点，其余时间由员工与主管商定。每天应工作满八小时。",
    "年休假按在本公司的工龄计算，入职当年按剩余月份折算。当年没有用完的年休假，最多可以结转五天到下一年度。",
    "会议室以海鸟命名，都配有白板和视频会议设备，超过二十人的会议请使用信天翁厅，并提前一天在系统里预订。",
]
TRADITIONAL = [
    "聯合國大會通過並宣布，人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，並應以兄弟關係的精神相對待。",
    "維基百科是一個自由內容、公開編輯且多語言的網路百科全書協作計畫，透過維基技術使得所有人都可以簡單地編寫條目。",
]

simplified = st.lists(st.sampled_from(SIMPLIFIED), min_size=1, max_size=6).map("\n".join)
traditional = st.lists(st.sampled_from(TRADITIONAL), min_size=1, max_size=6).map("\n".join)


@given(text=simplified | traditional, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"]))
@settings(deadline=None, max_examples=60)
def test_chinese_text_is_read_in_unicode_and_gb18030(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == Decoded(text, encoding.removesuffix("-sig"))


@given(text=traditional)
@settings(deadline=None, max_examples=20)
def test_traditional_text_is_read_in_big5(text: str) -> None:
    assert decode(text.encode("big5")) == Decoded(text, "big5")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=200))
def test_any_text_is_read_in_utf8(text: str) -> None:
    assert decode(("\ufeff" + text).encode()).text == text


@pytest.mark.parametrize("encoding", ["gb18030", "big5"])
@pytest.mark.parametrize("shift", [0, 1])
def test_a_long_file_is_read_although_the_sample_ends_inside_a_character(encoding: str, shift: int) -> None:
    text = "x" * shift + "\n".join(TRADITIONAL * 700)
    data = text.encode(encoding)
    assert len(data) > 64 * 1024
    assert decode(data) == Decoded(text, encoding)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["Hamburgers are delicious.\nSo is tea.", "\n".join(SIMPLIFIED) + " WireGuard 51877\n"]
)
def test_utf16_without_a_byte_order_mark(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == Decoded(text, encoding)


@pytest.mark.parametrize("data", [b"before\0after\r\nx", b"before\0after.\r\nx"])
def test_a_stray_zero_byte_does_not_turn_text_into_utf16(data: bytes) -> None:
    assert decode(data) == Decoded(data.decode("ascii").replace("\0", "").replace("\r", ""), "utf-8")


def test_a_zero_byte_at_the_end_does_not_turn_chinese_into_utf16() -> None:
    assert decode("Chang (張毓倫)".encode("big5") + b"\0") == Decoded("Chang (張毓倫)", "big5")
    assert decode("李雷（研发部）1".encode("gb18030") + b"\0") == Decoded("李雷（研发部）1", "gb18030")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16-le", "utf-16-be"])
def test_zeros_that_pad_a_file_are_dropped(encoding: str) -> None:
    text = SIMPLIFIED[0] + "\nab 一"
    assert decode(text.encode(encoding) + bytes(512)) == Decoded(text, encoding)


def test_all_line_ends_become_newlines() -> None:
    assert decode("一\r\n二\r三\n".encode()).text == "一\n二\n三\n"


def test_a_declared_encoding_comes_after_unicode_and_before_guesses() -> None:
    japanese = "こんにちは"
    assert decode(japanese.encode("euc-jp"), declared="euc-jp") == Decoded(japanese, "euc-jp")
    assert decode(SIMPLIFIED[0].encode(), declared="gb2312") == Decoded(SIMPLIFIED[0], "utf-8")


@pytest.mark.parametrize("declared", ["no-such-encoding", "undefined", "hex", "idna", "ascii"])
def test_a_useless_declaration_is_ignored(declared: str) -> None:
    assert decode(SIMPLIFIED[0].encode("gb18030"), declared=declared) == Decoded(SIMPLIFIED[0], "gb18030")


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\xff\xfe\x81\x93\xff\xa0\x00\x01" * 40,
        b"PK\x03\x04\x14\0\0\0\x08\0\x9d\xe2\xff\x81\x00\xff\x8f" * 40,
        bytes(range(256)) * 8,
    ],
)
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        decode(data)


def test_empty_files_are_empty_text() -> None:
    assert decode(b"") == Decoded("", "utf-8")
    assert decode(b"\0" * 64).text == ""


# Broken bytes, and files cut short


@pytest.mark.parametrize("left", [1, 2])
def test_a_file_cut_inside_a_character_is_read_without_it(left: int) -> None:
    data = SIMPLIFIED[0].encode()[: 3 * 20 + left]
    assert decode(data) == Decoded(SIMPLIFIED[0][:20], "utf-8", unreadable_bytes=left)
    assert decode(SIMPLIFIED[0].encode("gb18030")[:41]) == Decoded(SIMPLIFIED[0][:20], "gb18030", unreadable_bytes=1)


@pytest.mark.parametrize("broken", [b"\xff", b"\xe4\xb8", b"\xc0\xaf", b"\xed\xa0\x80"])
def test_a_few_broken_bytes_among_chinese_are_counted(broken: bytes) -> None:
    one, other = SIMPLIFIED[0], SIMPLIFIED[1]
    decoded = decode(one.encode() + broken + other.encode())
    assert decoded.encoding == "utf-8"
    assert decoded.unreadable_bytes == len(broken)
    assert decoded.text.replace("\ufffd", "") == one + other
    assert "\ufffd" in decoded.text
    assert decoded.notes[0].startswith(f"read as utf-8, {len(broken)} unreadable byte")


def test_broken_bytes_in_other_encodings_are_counted_too() -> None:
    data = "\n".join(SIMPLIFIED * 3).encode("gb18030")
    decoded = decode(data[:100] + b"\xff" + data[100:])
    assert (decoded.encoding, decoded.unreadable_bytes) == ("gb18030", 1)
    assert decoded.text.replace("\ufffd", "") == "\n".join(SIMPLIFIED * 3)


def test_notes_name_encodings_other_than_utf8() -> None:
    assert decode(SIMPLIFIED[0].encode()).notes == ()
    assert decode(SIMPLIFIED[0].encode("gb18030")).notes == ("read as gb18030",)


# Eight-bit encodings


LEGACY = [(language, encoding) for language, encodings in ENCODINGS.items() for encoding in encodings]


def lines_in(language: str, encoding: str) -> list[str]:
    """The lines that have characters beyond ASCII, without the characters that the encoding lacks."""
    lines = (line.encode(encoding, "ignore").decode(encoding) for line in TEXTS[language].split("\n"))
    return [line for line in lines if not line.isascii()]


@pytest.mark.parametrize(("language", "encoding"), LEGACY)
def test_a_line_in_an_eight_bit_encoding_is_enough(language: str, encoding: str) -> None:
    lines = lines_in(language, encoding)
    assert [decode(line.encode(encoding)).text for line in lines] == lines


@pytest.mark.parametrize(("language", "encoding"), LEGACY)
@pytest.mark.parametrize("count", [3, 10, 20, 3000])
def test_many_lines_in_an_eight_bit_encoding(language: str, encoding: str, count: int) -> None:
    lines = lines_in(language, encoding)
    text = "\n".join((lines * count)[:count])
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Subject öäü Subject", "cp1252"),
        ("Bauteil;Länge;Toleranz\nWelle W1;11,5 mm;±0,01 mm\n", "cp1252"),
        ("S-101,0 to 100 °C,±1.5 %,1 m²\n", "cp1252"),
        ("Größe in µm: ½", "cp1252"),
        ("ПРИКАЗ № 5 ОБ ОТПУСКАХ\nОтпуск даётся раз в год.", "cp1251"),
    ],
)
def test_signs_and_a_few_umlauts_are_not_taken_for_another_script(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(("language", "encoding"), LEGACY)
def test_a_declared_code_page_is_believed_for_a_few_words(language: str, encoding: str) -> None:
    for line in lines_in(language, encoding):
        words = " ".join(line.split()[:2])
        assert decode(words.encode(encoding), declared=encoding).text == words


def test_a_declared_code_page_is_believed_where_another_is_likelier() -> None:
    czech = TEXTS["czech"].encode("iso8859-2")
    assert decode(czech).encoding == "iso8859-2"
    assert decode(czech, declared="windows-1252") == Decoded(czech.decode("cp1252"), "cp1252")
    assert decode("öäü".encode("cp1252"), declared="cp1251") == Decoded("цдь", "cp1251")


# Short texts, and wrong declarations


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("请假须提前三天申请", "gb18030"),
        ("栖居丛林的缅甸蟒", "gb18030"),
        ("會議室已經預訂了", "big5"),
        ("這份報告還沒有寫完", "gb18030"),
        ("会議は午後三時からです", "shift_jis"),
        ("①番の㈱という会社", "cp932"),
        ("会議は午後三時からです", "euc-jp"),
        ("회의는 오후 세 시에 시작합니다", "euc-kr"),
        ("naïve café à la crème", "cp1252"),
        ("Größe: 5 m² – für Ærøskøbing", "cp1252"),
        ("Встреча начнётся в три часа", "cp1251"),
        ("会议室都配有白板", "utf-16-le"),
        ("会议室都配有白板", "utf-16-be"),
    ],
)
def test_a_few_words_are_enough(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == Decoded(text, encoding)


@pytest.mark.parametrize(
    "declared", ["iso-8859-1", "windows-1252", "windows-1251", "iso-8859-2", "big5", "shift_jis", "euc-kr"]
)
def test_a_wrong_declaration_is_not_believed(declared: str) -> None:
    assert decode(SIMPLIFIED[0].encode("gb18030"), declared=declared) == Decoded(SIMPLIFIED[0], "gb18030")


def test_a_declared_encoding_means_its_superset() -> None:
    assert decode("镕基，朱".encode("gbk"), declared="gb2312") == Decoded("镕基，朱", "gb18030")
    assert decode("“quoted”".encode("cp1252"), declared="iso-8859-1") == Decoded("“quoted”", "cp1252")


def test_seven_bit_encodings_are_recognised_by_declaration_or_escapes() -> None:
    assert decode("こんにちは".encode("iso2022_jp")) == Decoded("こんにちは", "iso2022_jp")
    assert decode("你好".encode("hz"), declared="hz-gb-2312") == Decoded("你好", "hz")
    assert decode(b"plain ~{words", declared="us-ascii") == Decoded("plain ~{words", "utf-8")


def test_utf7_is_not_believed() -> None:
    assert decode(b"1 +2AA- 2", declared="utf-7") == Decoded("1 +2AA- 2", "utf-8")
