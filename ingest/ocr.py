"""Reads text in pictures with RapidOCR: PP-OCRv4 for Chinese and English on ONNX Runtime.

RapidOCR is an optional extra that brings its models along, so that nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["INSTALL_HINT", "OcrLine", "as_rows", "ocr_available", "read_picture"]

INSTALL_HINT = 'pip install -c constraints.txt -e ".[ocr]"'

_LONGEST_SIDE = 4000
"""Pixels; larger pictures are scaled down."""
_SHORT_SIDE = 1000
"""Pixels; smaller pictures have small letters, and are scaled up."""
_MOST_DETECTION_PIXELS = 1_800_000
_BORDER = 16
"""Pixels of white added around the picture: letters at its very edge are not found."""
_NOISE = 0.3
_WORD_GAP = 0.2
"""The least gap between two words, as a part of the line's height."""
_LOWEST_CONFIDENCE = 0.6
_SURE = 0.8
"""Below this mean confidence the picture is also tried upside down."""


@dataclass(frozen=True, slots=True)
class OcrLine:
    """One piece of text in a picture.

    Attributes:
        text: the characters.
        box: left, top, right and bottom in pixels.
        confidence: from 0 to 1.
    """

    text: str
    box: tuple[float, float, float, float]
    confidence: float


def ocr_available() -> bool:
    """Return whether the extra is installed."""
    return importlib.util.find_spec("rapidocr_onnxruntime") is not None


def read_picture(image: Image) -> list[OcrLine]:
    """Return the legible text in a picture, row by row.

    A picture that reads badly is also tried upside down, or turned to either side if its text
    runs sideways. Boxes refer to the picture as it was turned.
    """
    image = _prepare(image)
    lines = _recognise(image)
    if lines and (_score(lines) < _SURE or _is_sideways(lines)):
        for angle in (90, 270) if _is_sideways(lines) else (180,):
            turned = _recognise(image.rotate(angle, expand=True))
            if not _is_sideways(turned) and (_is_sideways(lines) or _score(turned) > _score(lines) + 0.05):
                lines = turned
    return [line for row in as_rows([line for line in lines if line.confidence >= _LOWEST_CONFIDENCE]) for line in row]


def _is_sideways(lines: Sequence[OcrLine]) -> bool:
    tall = sum(len(line.text) for line in lines if line.box[3] - line.box[1] > 1.5 * (line.box[2] - line.box[0]))
    return tall > 0.6 * sum(len(line.text) for line in lines)


def as_rows(lines: Sequence[OcrLine]) -> list[list[OcrLine]]:
    """Group pieces of text into rows, from top to bottom, each row from left to right."""
    rows: list[list[OcrLine]] = []
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3]):
        middle = (line.box[1] + line.box[3]) / 2
        if rows and any(other.box[1] < middle < other.box[3] for other in rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.box[0]) for row in rows]


def _score(lines: Sequence[OcrLine]) -> float:
    """Return the mean confidence weighted by length; 0 without text."""
    letters = sum(len(line.text) for line in lines)
    return sum(line.confidence * len(line.text) for line in lines) / letters if letters else 0.0


def _prepare(image: Image) -> Image:
    import PIL.Image
    import PIL.ImageOps

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        image = PIL.Image.new("RGB", layered.size, "white")
        image.paste(layered, mask=layered.getchannel("A"))
    elif image.mode != "RGB":
        image = image.convert("RGB")
    longest = max(image.size)
    scale = _LONGEST_SIDE / longest if longest > _LONGEST_SIDE else min(2.0, max(1.0, _SHORT_SIDE / longest))
    if scale != 1.0:
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    return PIL.ImageOps.expand(image, border=_BORDER, fill="white")


def _recognise(image: Image) -> list[OcrLine]:
    import numpy as np

    engine = _engine()
    pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
    # RapidOCR's steps one by one: lines are found in a smaller copy, which bounds memory, but read in
    # the full picture. Its classifier of upside-down lines is left out: each line would read well,
    # but they would come in the wrong order.
    scale = min(1.0, (_MOST_DETECTION_PIXELS / (image.width * image.height)) ** 0.5)
    small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    boxes, _ = engine.text_det(np.ascontiguousarray(np.asarray(small)[:, :, ::-1]))
    if boxes is None or not len(boxes):
        return []
    boxes = np.asarray(boxes, dtype=np.float32) * np.float32(1 / scale)
    crops = engine.get_crop_img_list(pixels, boxes)
    found, _ = engine.text_rec(crops, return_word_box=True)
    lines = []
    for corners, crop, (text, confidence, places) in zip(boxes.tolist(), crops, found, strict=True):
        xs, ys = [point[0] for point in corners], [point[1] for point in corners]
        if text.strip() and confidence >= _NOISE:
            text = _with_spaces(text, places, crop).strip()
            lines.append(OcrLine(text, (min(xs), min(ys), max(xs), max(ys)), float(confidence)))
    return lines


def _with_spaces(text: str, places: Sequence[Any], crop: Any) -> str:
    """Return a line with the spaces between words, most of which the model drops.

    `places` is what the model gives: the number of steps it cut the line into, the letters in
    groups, and the step of each letter.
    """
    steps = places[0] if places else 0
    letters = [letter for group in places[1] for letter in group] if steps else []
    centres = [(step + 0.5) / steps for group in places[2] for step in group] if steps else []
    if "".join(letters) != text or len(centres) != len(letters):
        return text
    gaps = _gaps(crop)
    spaced = ""
    for number, letter in enumerate(letters):
        before = letters[number - 1] if number else " "
        # Not between digits: a 1 has wide gaps on both sides.
        alphabetic = max(before, letter) < "\u2e80" and " " not in (before, letter) and not (before + letter).isdigit()
        if alphabetic and any(centres[number - 1] < gap < centres[number] for gap in gaps):
            spaced += " "
        spaced += letter
    return spaced


def _gaps(crop: Any) -> list[float]:
    """Return the places of the gaps between the words of a line, as parts of its width."""
    import numpy as np

    grey = crop.mean(axis=2)
    paper = np.median(grey)
    depth = np.abs(grey - paper).max()
    inked = (np.abs(grey - paper) > 0.35 * depth).any(axis=0).nonzero()[0]
    steps = np.diff(inked)
    wide = steps[steps > 1]
    if depth < 30 or not len(wide):
        return []
    least = max(_WORD_GAP * crop.shape[0], 2.0 * float(np.median(wide)))
    return [float(inked[at] + steps[at] / 2) / crop.shape[1] for at in (steps >= least).nonzero()[0]]


@lru_cache(maxsize=1)
def _engine() -> Any:
    from rapidocr_onnxruntime import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    logging.getLogger("OrtInferSession").setLevel(logging.CRITICAL)
    threads = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
    return RapidOCR(intra_op_num_threads=threads, inter_op_num_threads=1, det_limit_type="max", rec_batch_num=2)
