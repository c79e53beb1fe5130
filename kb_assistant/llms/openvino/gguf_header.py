"""Reads the header of a GGUF file, and checks that the file is complete, without loading it.

OpenVINO GenAI does not check: a truncated file crashes the process or gives nonsense. The package gguf takes 15 s to
read the vocabulary of a Qwen2, which is skipped here. Source of the layout: ggml's docs/gguf.md.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb_assistant.errors import ModelError

__all__ = ["FORMATS", "GgufHeader", "read_gguf_header"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
# Tensor formats that GenAI 2026.4 reads: name, weights per block, bytes per block.
FORMATS = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    8: ("Q8_0", 32, 34),
    12: ("Q4_K", 256, 144),
    14: ("Q6_K", 256, 210),
}


@dataclass(frozen=True)
class GgufHeader:
    """The header: numbers and texts by key, and the lengths of arrays."""

    values: dict[str, Any]
    array_lengths: dict[str, int]

    @property
    def architecture(self) -> str:
        """The family, such as "qwen2"."""
        return str(self.values.get("general.architecture", ""))

    @property
    def context_tokens(self) -> int | None:
        """The model's context length in tokens, if the file records it."""
        length = self.values.get(f"{self.architecture}.context_length")
        return int(length) if length else None


def read_gguf_header(file: Path) -> GgufHeader:
    """Return the header of `file`, after checking that no tensors are missing.

    Raises:
        ModelError: it cannot be read, is not a GGUF file, is truncated, is one of several parts, or has tensors in a
            format that OpenVINO GenAI does not read.
    """
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _HeaderReader(file, content).read()
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}; download it again") from error
    except (struct.error, ValueError, TypeError, ArithmeticError) as error:
        # mmap raises a ValueError for an empty file.
        raise ModelError(f"the model {file} is broken: its header cannot be read; download it again") from error


class _HeaderReader:
    def __init__(self, file: Path, content: mmap.mmap) -> None:
        self._file, self._content, self._at = file, content, 0

    def read(self) -> GgufHeader:
        if self._content[:4] != _MAGIC:
            raise ModelError(f"{self._file} is not a GGUF file; name one, or the folder of a model")
        self._at = 4
        version = self._number("<I")
        if version not in _VERSIONS:
            raise ModelError(
                f"{self._file} has GGUF version {version}, which is not supported; download a newer file of the model"
            )
        tensors, entries = self._number("<Q"), self._number("<Q")
        values: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for _ in range(entries):
            key, kind = self._string(), self._number("<I")
            if kind == _ARRAY:
                lengths[key] = self._pass_array()
            else:
                values[key] = self._string() if kind == _STRING else self._number(_SCALARS.get(kind, ""))
        if values.get("split.count", 1) > 1:
            raise ModelError(
                f"{self._file} is one of {values['split.count']} parts; join them with llama.cpp's "
                "`llama-gguf-split --merge`, or download the model as one file"
            )
        self._check_tensors(tensors, values.get("general.alignment", 32))
        return GgufHeader(values, lengths)

    def _check_tensors(self, count: int, alignment: int) -> None:
        ends = [self._tensor_end() for _ in range(count)]
        expected = -(-self._at // alignment) * alignment + max(ends, default=0)
        if len(self._content) < expected:
            raise ModelError(
                f"{self._file} is truncated: it has {len(self._content):,} of {expected:,} bytes; download it again"
            )

    def _tensor_end(self) -> int:
        name, weights = self._string(), 1
        for _ in range(self._number("<I")):
            weights *= self._number("<Q")
        kind, offset = self._number("<I"), self._number("<Q")
        if kind not in FORMATS:
            known = ", ".join(format_ for format_, _, _ in FORMATS.values())
            raise ModelError(
                f"{self._file} has the tensor {name} in a format that OpenVINO does not read (ggml type {kind}); "
                f"download the model in one of these formats: {known}"
            )
        _, block, size = FORMATS[kind]
        return int(offset + weights // block * size)

    def _number(self, form: str) -> Any:
        if not form:
            raise ValueError("no such type")
        (value,) = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return value

    def _string(self) -> str:
        length = self._number("<Q")
        text = self._content[self._at : self._at + length]
        if len(text) != length:
            raise ValueError("cut short")
        self._at += length
        return text.decode("utf-8", errors="replace")

    def _pass_array(self) -> int:
        kind, length = self._number("<I"), self._number("<Q")
        if kind != _STRING:
            self._at += struct.calcsize(_SCALARS[kind]) * length if kind in _SCALARS else self._number("")
            return int(length)
        for _ in range(length):
            self._at += 8 + struct.unpack_from("<Q", self._content, self._at)[0]
        return int(length)
