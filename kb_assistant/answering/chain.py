"""langchain-classic's `RetrievalQA`, from a retriever, an engine and the prompts.

Between finding passages and writing an answer stands the judgement whether the passages
are about the question at all; where they are not, no model is asked.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from langchain_classic.chains.combine_documents.base import BaseCombineDocumentsChain
from langchain_classic.chains.combine_documents.stuff import StuffDocumentsChain
from langchain_classic.chains.llm import LLMChain
from langchain_classic.chains.retrieval_qa.base import RetrievalQA
from langchain_core.callbacks import CallbackManagerForChainRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseLanguageModel
from langchain_core.prompts import StringPromptTemplate
from langchain_core.retrievers import BaseRetriever

from kb_assistant.answering.context import FindSection, fit_to_budget
from kb_assistant.answering.extractive.engine import REACH, ExtractiveChain
from kb_assistant.answering.grounding.entities import codes_in, years_in
from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity
from kb_assistant.answering.relevance.judge import judge_relevance
from kb_assistant.language import language_of
from prompts import LANGUAGES, load_prompt
from vectorstore import Hit, StoreRetriever, as_document, from_documents

__all__ = ["KnowledgeBaseQA", "build_chain", "is_refusal"]


_FENCE = re.compile(r"</(?=\s*(?:passages|资料)\s*>)", re.IGNORECASE)
"""What ends the passages in the prompts; inside a passage it must end nothing."""

_READ_REACH = 20
"""How many neighbouring passages to add on each side when the budget allows."""
_EVERYWHERE = {"zh": "的 是 在 和", "en": "the of and is"}
"""Words that hardly any document of a language is without."""
_PARTS = re.compile(r"[A-Za-z]+|\d+")


class LanguagePrompt(StringPromptTemplate):
    """A prompt in the language of one of its variables."""

    name: str
    decided_by: str

    def format(self, **kwargs: Any) -> str:
        """Return the filled template."""
        language = language_of(kwargs[self.decided_by])
        if "page_content" in kwargs:
            kwargs["page_content"] = _FENCE.sub("< /", kwargs["page_content"])
        for name in ("source", "heading"):  # a line of their own, whatever a document calls itself
            if name in kwargs:
                kwargs[name] = " ".join(_FENCE.sub("< /", kwargs[name]).split())
        return load_prompt(self.name, language).format(refusal=load_prompt("refusal", language), **kwargs)


class KnowledgeBaseQA(RetrievalQA):
    """`RetrievalQA` that refuses what its passages are not about.

    Takes `query`, and optionally `search_query` where what is to be searched for differs (a follow-up with its
    context). Returns `result`, `source_documents`, `relevance` (0 to 1) and `refused`; `citations` are those of
    what writes the answer, None where it gives none; `highlights` are the spans of `result` that it calls the
    answer proper.
    """

    term_weights: Callable[[str], dict[str, float]]
    refuse_below: float
    context_tokens: int
    count_tokens: Callable[[str], int]
    section: FindSection | None = None
    """Finds the neighbours of a passage; None to add none."""
    reach: int = 0
    """How many neighbours on each side to add when the budget allows."""
    holds: Callable[[str], bool] | None = None
    """Whether any document holds one of some words; None where that is not known."""
    similarity: CrossLingualSimilarity | None = None
    """How alike texts of different languages are; None where the vectors know nothing of it."""
    quotes: bool = False
    """Whether it can only quote: what other years say is then no answer. A model may conclude something from it."""
    return_source_documents: bool = True

    @property
    def output_keys(self) -> list[str]:
        """The keys of what it returns."""
        return [*super().output_keys, "relevance", "refused", "citations", "highlights"]

    def _call(self, inputs: dict[str, Any], run_manager: CallbackManagerForChainRun | None = None) -> dict[str, Any]:
        manager = run_manager or CallbackManagerForChainRun.get_noop_manager()
        question = inputs.get("search_query") or inputs[self.input_key]
        weights = self.term_weights(question)
        found = from_documents(self._search(question, weights, manager))
        relevant, hits = judge_relevance(question, weights, found, self.refuse_below, self.similarity)
        asked = inputs[self.input_key]
        elsewhere = self._absent(codes_in(asked)) or (self.quotes and _names_other_years(asked, hits))
        if not hits or relevant < self.refuse_below or elsewhere:
            text, refused, combined = self.refusal(asked), True, {}
        else:
            hits = fit_to_budget(hits, self.context_tokens, self._size, self.section, self.reach)
            given = {"input_documents": [as_document(hit) for hit in hits], "question": question, "weights": weights}
            combined = self.combine_documents_chain.invoke(given, {"callbacks": manager.get_child()})
            text, refused = combined[self.combine_documents_chain.output_key], False
        told = {"relevance": relevant, "refused": refused, "citations": combined.get("citations")}
        told["highlights"] = combined.get("highlights", ())
        return {self.output_key: text, "source_documents": [as_document(hit) for hit in hits], **told}

    def _search(
        self, question: str, weights: dict[str, float], manager: CallbackManagerForChainRun
    ) -> Sequence[Document]:
        """What the retriever finds; the store's own is told the weights, so that it need not count them again."""
        known = {"weights": weights} if isinstance(self.retriever, StoreRetriever) else {}
        return self.retriever.invoke(question, {"callbacks": manager.get_child()}, **known)

    def refusal(self, question: str) -> str:
        """Return what is said, in the question's language, where the documents hold no answer to it.

        And what it names and no document does; or else, where there are documents in the other language, that a
        question which shares no words with them may have its answer there.
        """
        language = language_of(question)
        said = load_prompt("refusal", language)
        if absent := self._absent(codes_in(question)):
            words = ("、" if language == "zh" else ", ").join(absent)
            return f"{said}\n{load_prompt('absent', language).format(words=words)}"
        if self.holds and any(self.holds(words) for other, words in _EVERYWHERE.items() if other != language):
            said += f"\n{load_prompt('other_language', language)}"
        return said

    def _absent(self, codes: Sequence[str]) -> list[str]:
        """Which of the codes no document holds, however it parts them: HT-2024-0871, HT2024 0871."""
        if self.holds is None:
            return []
        forms = {code: ([code.replace("-", "")], code.split("-"), _PARTS.findall(code)) for code in codes}
        return [code for code, ways in forms.items() if not any(all(map(self.holds, way)) for way in ways)]

    def _size(self, hit: Hit) -> int:
        """How many tokens a passage takes in the prompt, with the line above it."""
        return self.count_tokens(f"[{hit.rank}] {hit.source} {hit.heading_path}\n{hit.text}")


def build_chain(
    retriever: BaseRetriever,
    engine: BaseLanguageModel[str] | None,
    *,
    term_weights: Callable[[str], dict[str, float]],
    refuse_below: float,
    context_tokens: int,
    section: FindSection | None = None,
    holds: Callable[[str], bool] | None = None,
    similarity: CrossLingualSimilarity | None = None,
) -> KnowledgeBaseQA:
    """Return the chain that answers from `retriever` with `engine`, or without one by extraction.

    Args:
        retriever: any LangChain retriever; see `vectorstore.from_documents` for what its documents must say.
        engine: any LangChain language model; None for the extractive engine.
        term_weights: a question's terms, each with how much it says.
        refuse_below: least `relevance`, 0 to 1, at which an answer is tried.
        context_tokens: how many of the engine's tokens the passages may take; extraction is given all.
        section: finds the neighbours of a passage, which are added when the budget allows.
        holds: whether any document holds one of some words; what a question names and none holds is refused.
        similarity: how alike texts of different languages are, so that a question finds its answer in the other one.
    """
    if engine is None:
        combine: BaseCombineDocumentsChain = ExtractiveChain(section=section, similarity=similarity)
    else:
        combine = _stuffing(engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RetrievalQA is deprecated; it is what users plug into
        return KnowledgeBaseQA(
            retriever=retriever,
            combine_documents_chain=combine,
            term_weights=term_weights,
            refuse_below=refuse_below,
            context_tokens=context_tokens,
            count_tokens=engine.get_num_tokens if engine else lambda text: 0,
            section=section,
            reach=_READ_REACH if engine else REACH,
            holds=holds,
            similarity=similarity,
            quotes=engine is None,
        )


def _stuffing(engine: BaseLanguageModel[str]) -> StuffDocumentsChain:
    answer = LanguagePrompt(name="answer", decided_by="question", input_variables=["context", "question"])
    passage = LanguagePrompt(
        name="passage",
        decided_by="page_content",
        input_variables=["number", "source", "heading", "page_content"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        return StuffDocumentsChain(
            llm_chain=LLMChain(llm=engine, prompt=answer),
            document_prompt=passage,
            document_variable_name="context",
            document_separator="\n\n",
        )


def _names_other_years(question: str, hits: Sequence[Hit]) -> bool:
    """Whether a question names years, none of the passages names them, and the best passage names others."""
    asked = years_in(question)
    if not asked or not hits:
        return False
    first, *others = (years_in(f"{hit.source} {hit.title or ''} {hit.text}") for hit in hits)
    return bool(first) and asked.isdisjoint(first.union(*others))


def is_refusal(text: str) -> bool:
    """Return whether a model answered with the sentence that it was told to refuse with."""
    return any(text.strip().startswith(load_prompt("refusal", language)[:-1]) for language in LANGUAGES)
