"""Builds langchain-classic's `RetrievalQA` from a retriever, an engine and the prompts.

Between the search and the engine stands a judgement: whether the passages are about the question
at all. If they are not, the chain refuses and asks no model.
"""

from __future__ import annotations

import asyncio
import re
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from langchain_classic.chains.combine_documents.base import BaseCombineDocumentsChain
from langchain_classic.chains.combine_documents.stuff import StuffDocumentsChain
from langchain_classic.chains.llm import LLMChain
from langchain_classic.chains.retrieval_qa.base import RetrievalQA
from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseLanguageModel
from langchain_core.prompts import StringPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import run_in_executor

from kb_assistant.answering.context import FindSection, fit_to_budget
from kb_assistant.answering.extractive.engine import REACH, ExtractiveChain
from kb_assistant.answering.grounding.entities import codes_in, years_in
from kb_assistant.answering.relevance.cross_lingual import CrossLingualSimilarity
from kb_assistant.answering.relevance.judge import judge_relevance
from kb_assistant.answering.stream import StopHandler
from kb_assistant.language import language_of
from prompts import LANGUAGES, load_prompt
from vectorstore import Hit, StoreRetriever, as_document, from_documents

__all__ = ["KnowledgeBaseQA", "build_chain", "is_refusal"]

_FENCE = re.compile(r"</(?=\s*(?:passages|资料)\s*>)", re.IGNORECASE)
"""The mark that ends the passages in the prompts; a passage must not be able to end them itself."""
_MODEL_REACH = 20
"""How many neighbouring passages to add on each side when the budget allows."""
_COMMON_WORDS = {"zh": "的 是 在 和", "en": "the of and is"}
"""Words that nearly every document of a language contains."""
_CODE_PARTS = re.compile(r"[A-Za-z]+|\d+")


class LanguagePrompt(StringPromptTemplate):
    """A prompt in the language of one of its variables."""

    name: str
    language_from: str

    def format(self, **kwargs: Any) -> str:
        """Return the filled template."""
        language = language_of(kwargs[self.language_from])
        if "page_content" in kwargs:
            kwargs["page_content"] = _FENCE.sub("< /", kwargs["page_content"])
        for name in ("source", "heading"):  # each stays one line, whatever a document calls itself
            if name in kwargs:
                kwargs[name] = " ".join(_FENCE.sub("< /", kwargs[name]).split())
        return load_prompt(self.name, language).format(refusal=load_prompt("refusal", language), **kwargs)


class KnowledgeBaseQA(RetrievalQA):
    """`RetrievalQA` that refuses when its passages are not about the question.

    Takes `query`, and optionally `search_query` to search for other words (a follow-up with its context).
    Returns `result`, `source_documents`, `relevance` (0 to 1), `refused`, `citations` (None where the engine gives
    none) and `highlights` (the spans of `result` that are the answer proper).
    """

    term_weights: Callable[[str], dict[str, float]]
    """Weighs a question's terms by how rare they are."""
    refuse_below: float
    """The least relevance, 0 to 1, at which the engine is asked."""
    context_tokens: int
    """How many tokens the passages may take."""
    count_tokens: Callable[[str], int]
    section: FindSection | None = None
    """Finds the neighbours of a passage; None to add none."""
    reach: int = 0
    """How many neighbours on each side to add when the budget allows."""
    holds: Callable[[str], bool] | None = None
    """Whether any document contains one of some words; None where that is not known."""
    similarity: CrossLingualSimilarity | None = None
    """Compares texts across languages; None where the embedding model cannot."""
    extractive: bool = False
    """Whether the engine only quotes: then passages about other years hold no answer. A model may infer from them."""
    explain_empty: Callable[[str], str | None] | None = None
    """Says in a language ("zh" or "en") why there was nothing to search; None if there was something."""
    return_source_documents: bool = True

    @property
    def output_keys(self) -> list[str]:
        """The keys of the result."""
        return [*super().output_keys, "relevance", "refused", "citations", "highlights"]

    def _call(self, inputs: dict[str, Any], run_manager: CallbackManagerForChainRun | None = None) -> dict[str, Any]:
        manager = run_manager or CallbackManagerForChainRun.get_noop_manager()
        question = inputs[self.input_key]
        searched = inputs.get("search_query") or question
        weights = self.term_weights(searched)
        found = from_documents(self._search(searched, weights, manager))
        relevance, hits = judge_relevance(searched, weights, found, self.refuse_below, self.similarity)
        combined: dict[str, Any] = {}
        refused = not hits or relevance < self.refuse_below or self._asks_for_others(question, hits)
        if refused:
            text = self.refusal(question, hits)
        else:
            hits = fit_to_budget(hits, self.context_tokens, self._size, self.section, self.reach)
            given = {"input_documents": [as_document(hit) for hit in hits], "question": searched, "weights": weights}
            combined = self.combine_documents_chain.invoke(given, {"callbacks": manager.get_child()})
            text = combined[self.combine_documents_chain.output_key]
        return {
            self.output_key: text,
            "source_documents": [as_document(hit) for hit in hits],
            "relevance": relevance,
            "refused": refused,
            "citations": combined.get("citations"),
            "highlights": combined.get("highlights", ()),
        }

    async def _acall(
        self, inputs: dict[str, Any], run_manager: AsyncCallbackManagerForChainRun | None = None
    ) -> dict[str, Any]:
        """Run `_call` in a thread, since engine and store are synchronous; cancelling stops the engine at a token."""
        manager = (run_manager or AsyncCallbackManagerForChainRun.get_noop_manager()).get_sync()
        cancelled = threading.Event()
        manager.inheritable_handlers = [*manager.inheritable_handlers, StopHandler(cancelled)]
        try:
            return await run_in_executor(None, self._call, inputs, manager)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def _search(
        self, question: str, weights: dict[str, float], manager: CallbackManagerForChainRun
    ) -> Sequence[Document]:
        """Run the retriever; the store's own takes the weights, which saves it from working them out again."""
        known = {"weights": weights} if isinstance(self.retriever, StoreRetriever) else {}
        return self.retriever.invoke(question, {"callbacks": manager.get_child()}, **known)

    def _asks_for_others(self, question: str, hits: Sequence[Hit]) -> bool:
        """Whether a question names a code that no document contains, or years that the passages do not speak of."""
        return bool(self._missing_codes(question)) or (self.extractive and _name_other_years(question, hits))

    def refusal(self, question: str, hits: Sequence[Hit]) -> str:
        """Return the text of a refusal in the question's language, with its reason where one is known.

        Reasons: there was nothing to search; the question names codes that no document contains; there are
        documents in the other language, which may hold the answer without sharing a word with the question.
        """
        language = language_of(question)
        if not hits and self.explain_empty and (reason := self.explain_empty(language)):
            return reason
        text = load_prompt("refusal", language)
        if missing := self._missing_codes(question):
            words = ("、" if language == "zh" else ", ").join(missing)
            return f"{text}\n{load_prompt('missing_codes', language).format(words=words)}"
        if self.holds and any(self.holds(words) for other, words in _COMMON_WORDS.items() if other != language):
            text += f"\n{load_prompt('other_language', language)}"
        return text

    def _missing_codes(self, question: str) -> list[str]:
        """Return the codes in a question that no document contains in any spelling: HT-2024-0871, HT2024 0871."""
        if self.holds is None:
            return []
        missing = []
        for code in codes_in(question):
            spellings = [code.replace("-", "")], code.split("-"), _CODE_PARTS.findall(code)
            if not any(all(map(self.holds, parts)) for parts in spellings):
                missing.append(code)
        return missing

    def _size(self, hit: Hit) -> int:
        """Count the tokens that a passage takes in the prompt, with the line above it."""
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
    explain_empty: Callable[[str], str | None] | None = None,
) -> KnowledgeBaseQA:
    """Return the chain that answers from `retriever` with `engine`, or by extraction without an engine.

    Args:
        retriever: any LangChain retriever; `vectorstore.from_documents` says what its documents need.
        engine: any LangChain language model; None for the extractive engine.
        term_weights: see `KnowledgeBaseQA`, as for the other arguments.
        refuse_below: the least relevance, 0 to 1, at which the engine is asked.
        context_tokens: how many of the engine's tokens the passages may take; extraction ignores it.
        section: finds the neighbours of a passage, which are added when the budget allows.
        holds: whether any document contains one of some words.
        similarity: compares texts across languages.
        explain_empty: says why there was nothing to search.
    """
    if engine is None:
        combine: BaseCombineDocumentsChain = ExtractiveChain(section=section, similarity=similarity)
    else:
        combine = _stuffing(engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RetrievalQA is deprecated, but it is what users build on
        return KnowledgeBaseQA(
            retriever=retriever,
            combine_documents_chain=combine,
            term_weights=term_weights,
            refuse_below=refuse_below,
            context_tokens=context_tokens,
            count_tokens=engine.get_num_tokens if engine else lambda text: 0,
            section=section,
            reach=_MODEL_REACH if engine else REACH,
            holds=holds,
            similarity=similarity,
            extractive=engine is None,
            explain_empty=explain_empty,
        )


def _stuffing(engine: BaseLanguageModel[str]) -> StuffDocumentsChain:
    answer = LanguagePrompt(name="answer", language_from="question", input_variables=["context", "question"])
    passage = LanguagePrompt(
        name="passage",
        language_from="page_content",
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


def _name_other_years(question: str, hits: Sequence[Hit]) -> bool:
    """Whether a question names years, none of the passages names them, and the best passage names others."""
    asked = years_in(question)
    if not asked or not hits:
        return False
    first, *others = (years_in(f"{hit.source} {hit.title or ''} {hit.text}") for hit in hits)
    return bool(first) and asked.isdisjoint(first.union(*others))


def is_refusal(text: str) -> bool:
    """Return whether a model answered with the sentence that it was told to refuse with."""
    return any(text.strip().startswith(load_prompt("refusal", language)[:-1]) for language in LANGUAGES)
