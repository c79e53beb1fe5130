"""Compares texts across languages by meaning, if the embedding model knows both languages.

The range of cosines differs from model to model. So each model is calibrated on twelve questions
with their answers in Chinese and English: 0 is its mean cosine of a question and the answer to
another question, 1 that of a question and its own answer. A model that does not find the answers
in the other language is not used across languages.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from kb_assistant.answering.coefficients import load_coefficients
from kb_assistant.language import language_of

if TYPE_CHECKING:
    from vectorstore import Embedder, Hit

__all__ = [
    "CALIBRATION_PAIRS",
    "CrossLingualSimilarity",
    "cross_lingual_relevance",
    "in_other_language",
    "other_language",
]

CALIBRATION_PAIRS = {
    "zh": (
        ("员工每年有多少天带薪休假？", "每位员工每年享有十五天带薪休假。"),
        ("合同什么时候到期？", "合同于十二月三十一日到期。"),
        ("打印机卡纸怎么办？", "如果卡纸，请打开打印机后盖，把纸抽出来。"),
        ("电池充满电要多久？", "电池四小时就能充满电。"),
        ("这条河流入哪个海？", "这条河注入北海。"),
        ("发生火灾时在哪里集合？", "火警响起时，所有人到停车场集合。"),
        ("发票应当寄给谁？", "发票请寄给财务部。"),
        ("这种药每天吃几次？", "每天服药两次，每次一片，饭后服用。"),
        ("怎样重置密码？", "点击邮件中的链接，即可设置新密码。"),
        ("这首交响曲是谁写的？", "这首交响曲由贝多芬创作。"),
        ("水稻什么时候收割？", "农民九月收割水稻。"),
        ("这座桥有多长？", "大桥全长三百二十米。"),
    ),
    "en": (
        ("How many days of paid vacation do employees have each year?", "Employees get fifteen days of leave a year."),
        ("When does the contract expire?", "The contract ends on 31 December."),
        ("What should I do when paper jams in the printer?", "If paper is stuck, open the printer and pull it out."),
        ("How long does it take to charge the battery?", "The battery is fully charged after four hours."),
        ("Into which sea does the river flow?", "The river empties into the North Sea."),
        ("Where do we gather in case of fire?", "When the fire alarm sounds, everyone meets in the car park."),
        ("To whom should invoices be sent?", "Invoices go to the accounting department."),
        ("How often should this medicine be taken?", "Take one tablet of the medicine twice a day, after meals."),
        ("How can I reset my password?", "To choose a new password, click the link in the e-mail."),
        ("Who wrote the symphony?", "The symphony was composed by Beethoven."),
        ("When is rice harvested?", "Farmers bring in the rice in September."),
        ("How long is the bridge?", "The bridge spans 320 metres."),
    ),
}
"""Questions with their answers, the same in each language and in the same order."""
_FOUND = 0.9
"""The share of the questions whose answer the model must find among all answers in the other language."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """The cosines that become 0 and 1, and the share of the questions whose own answer was the nearest."""

    unrelated: float
    answered: float
    found: float


class CrossLingualSimilarity:
    """Similarity across languages on a scale that is the same for all embedding models."""

    def __init__(self, embedder: Embedder) -> None:
        """Take the embedding model; it is calibrated when it is first needed."""
        self._embedder = embedder
        self._calibrating = threading.Lock()

    def supports(self, language: str, other: str) -> bool:
        """Return whether the model finds answers in `other` to questions in `language`."""
        return self._embedder.weight > 0 and self._scale(language, other).found >= _FOUND

    def scale(self, cosine: float, language: str, other: str) -> float:
        """Return the similarity that a cosine stands for, of a question in `language` and a text in `other`."""
        scale = self._scale(language, other)
        return (cosine - scale.unrelated) / max(scale.answered - scale.unrelated, 1e-6)

    def compare(self, text: str, others: Sequence[str]) -> list[float]:
        """Return the similarity of `text` to each text in the other language; the model embeds them all."""
        language = language_of(text)
        vectors = self._embedder.embed([text, *others])
        return [self.scale(float(cosine), language, other_language(language)) for cosine in vectors[1:] @ vectors[0]]

    def _scale(self, language: str, other: str) -> _Scale:
        with self._calibrating:
            return self._scales[language, other]

    @cached_property
    def _scales(self) -> dict[tuple[str, str], _Scale]:
        questions, answers = {}, {}
        for language, pairs in CALIBRATION_PAIRS.items():
            questions[language] = np.array([self._embedder.embed_query(asked) for asked, _ in pairs], dtype=np.float32)
            answers[language] = self._embedder.embed([answer for _, answer in pairs])
        return {
            (language, other): _scale(questions[language] @ answers[other].T)
            for language in CALIBRATION_PAIRS
            for other in CALIBRATION_PAIRS
        }


def _scale(cosines: np.ndarray) -> _Scale:
    """Return the scale for cosines of shape (questions, answers), where the diagonal is each question's own answer."""
    own = np.eye(len(cosines), dtype=bool)
    found = float((cosines.argmax(axis=1) == np.arange(len(cosines))).mean())
    return _Scale(float(cosines[~own].mean()), float(cosines[own].mean()), found)


def cross_lingual_relevance(question: str, passages: Sequence[Hit], similarity: CrossLingualSimilarity) -> float:
    """Return how likely it is, 0 to 1, that passages in the other language hold the question's answer.

    Uses the largest similarity of a passage to the question; 0 if the model does not know both languages.
    tests/benchmarks/fit_cross_lingual.py fits it on English questions and passages, because no model of both
    languages was available.
    """
    language = language_of(question)
    cosines = [passage.cosine for passage in in_other_language(question, passages)]
    known = [cosine for cosine in cosines if cosine is not None]
    if not known or not similarity.supports(language, other_language(language)):
        return 0.0
    likely = similarity.scale(max(known), language, other_language(language))
    return load_coefficients("cross_lingual").probability({"similarity": likely})


def in_other_language(text: str, passages: Sequence[Hit]) -> list[Hit]:
    """Return the passages that are not in the language of `text`."""
    language = language_of(text)
    return [passage for passage in passages if language_of(passage.text) != language]


def other_language(language: str) -> str:
    """Return "en" for "zh", and "zh" for "en"."""
    return "en" if language == "zh" else "zh"
