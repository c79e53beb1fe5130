"""Writes Outlook messages for tests."""

from __future__ import annotations

import struct

SECTOR = 512
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
Tree = dict[str, "bytes | Tree"]


def compound_file(tree: Tree) -> bytes:
    """Return an OLE compound file; streams are filled up to the size from which they have sectors of their own."""
    entries: list[list[object]] = []
    sectors: list[bytes] = []
    chain: list[int] = []

    def store(data: bytes) -> int:
        first = len(sectors)
        pieces = [data[at : at + SECTOR].ljust(SECTOR, b"\0") for at in range(0, len(data), SECTOR)]
        sectors.extend(pieces)
        chain.extend([*range(first + 1, first + len(pieces)), END])
        return first

    def add(name: str, content: bytes | Tree, kind: int) -> int:
        index = len(entries)
        entries.append([name, kind, FREE, FREE, 0, 0])
        if isinstance(content, bytes):
            filling = b"\n\0" if name.endswith("001F") else b"\0" if name.startswith("__properties") else b"\n"
            padded = content + filling * 2048 if len(filling) == 2 else content + filling * 4096
            entries[index][4:] = [store(padded), len(padded)]
            return index
        previous = FREE
        for child_name, child in sorted(content.items(), reverse=True):
            number = add(child_name, child, 2 if isinstance(child, bytes) else 1)
            entries[number][2] = previous
            previous = number
        entries[index][3] = previous
        return index

    add("Root Entry", tree, 5)
    directory = b"".join(
        str(name).encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBBIII", 2 * len(str(name)) + 2, kind, 1, FREE, right, child)
        + bytes(36)
        + struct.pack("<IQ", start, size)
        for name, kind, right, child, start, size in entries
    )
    first_directory = store(directory)
    count = -(-(len(sectors) + 4) // (SECTOR // 4))
    first_fat = len(sectors)
    fat = chain + [FAT] * count
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(count * SECTOR, b"\xff")
    places = [*range(first_fat, first_fat + count)] + [FREE] * (109 - count)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack(
        "<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, count, first_directory, 0, 4096, END, 0, END, 0
    )
    return header + struct.pack("<109I", *places) + b"".join(sectors) + table


def wide(number: int, text: str) -> Tree:
    """Return a property that is text in UTF-16."""
    return {f"__substg1.0_{number:04X}001F": text.encode("utf-16-le")}


def narrow(number: int, text: str, encoding: str) -> Tree:
    """Return a property that is text of 8 bits."""
    return {f"__substg1.0_{number:04X}001E": text.encode(encoding)}


def listed(tree: Tree, head: int = 32) -> Tree:
    """Return the tree with lists of the properties that its streams hold, which every message has."""
    known = tree.get("__properties_version1.0", bytes(head))
    assert isinstance(known, bytes)
    made: Tree = {}
    for name, content in tree.items():
        if isinstance(content, dict):
            made[name] = listed(content, 24 if name.endswith("000D") else 8)
        elif name.startswith("__substg1.0_"):
            made[name] = content
            known += struct.pack("<HHIQ", int(name[-4:], 16), int(name[-8:-4], 16), 6, len(content))
    return {**made, "__properties_version1.0": known}


def integer(pid: int, value: int) -> bytes:
    """Return an integer's entry in a list of properties."""
    return struct.pack("<HHIII", 3, pid, 6, value, 0)
