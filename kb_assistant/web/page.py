"""The page of `kb serve`: a Gradio chat that streams answers and lists their citations.

Text from documents is shown as plain text, never as Markdown or HTML, so that nothing in
a document can load an image or run a script. Gradio puts messages into the page as HTML
even where Markdown is off, so they are escaped on the way there and back.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from kb_assistant.answer import Answer, Turn
from kb_assistant.conversation import searched_text
from kb_assistant.errors import KbError
from kb_assistant.render import citations_text
from vectorstore import StoreError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kb_assistant.assistant import Assistant

__all__ = ["mount_page"]

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif")
_CSS = """
footer {display: none !important}
.gradio-container {width: 100%; max-width: 52rem !important; margin: auto; padding: 0.75rem !important}
.gradio-container main, .gradio-container .column {width: 100%; min-width: 0 !important}
.message, .message * {overflow-wrap: anywhere}
"""
_WORDS = {
    "en": {
        "hello": "Ask your documents, in Chinese or English.",
        "placeholder": "Your question",
        "ask": "Ask",
        "stop": "Stop",
        "clear": "New conversation",
        "answers": "Answers",
    },
    "zh-CN": {
        "hello": "向你的文档提问，中英文均可。",
        "placeholder": "你的问题",
        "ask": "提问",
        "stop": "停止",
        "clear": "新对话",
        "answers": "回答",
    },
}

Messages = list[dict[str, Any]]


def _build_page(assistant: Assistant, words: gr.I18n) -> gr.Blocks:
    """Return the page over an assistant."""
    page = gr.Blocks(title="kb", analytics_enabled=False)
    with page:
        chat = gr.Chatbot(
            label=words("answers"),
            show_label=False,
            placeholder=_WORDS["zh-CN"]["hello"] + "\n\n" + _WORDS["en"]["hello"],  # Gradio does not translate this one
            render_markdown=False,
            height="78dvh",
            buttons=[],  # its copy button would copy the escaped text
            feedback_options=None,
        )
        with gr.Row():
            question = gr.Textbox(
                show_label=False, placeholder=words("placeholder"), scale=6, container=False, autofocus=True
            )
            ask = gr.Button(words("ask"), variant="primary", scale=1, min_width=64)
        with gr.Row():
            stop = gr.Button(words("stop"), size="sm", min_width=64)
            clear = gr.Button(words("clear"), size="sm", min_width=64)
        history = gr.State(list)

        def respond(text: str, messages: Messages, turns: list[Turn]) -> Iterator[tuple[str, Messages, list[Turn]]]:
            yield from _respond(assistant, text, messages, turns)

        parts = [question, chat, history]
        answering = gr.on([ask.click, question.submit], respond, parts, parts, api_visibility="private")
        stop.click(None, cancels=[answering])
        clear.click(lambda: ([], []), None, [chat, history], cancels=[answering], api_visibility="private")
    return page


def _respond(
    assistant: Assistant, text: str, messages: Messages, turns: list[Turn]
) -> Iterator[tuple[str, Messages, list[Turn]]]:
    """Yield the conversation as the answer to `text` grows; a question that cannot be put stays in its box."""
    if not text.strip():
        yield text, messages, turns
        return
    messages = [*messages, _message("user", text)]
    written, history = "", turns
    try:
        for piece in assistant.stream(text, history=history):
            if isinstance(piece, Answer):
                below = [part for part in (searched_text(piece), citations_text(piece)) if part]
                shown = "\n\n".join([piece.marked(_escaped, _bold), *map(_escaped, below)])
                turns = [*history, piece.turn]
            else:
                written += piece
                shown = _escaped(written)
            yield "", [*messages, {"role": "assistant", "content": shown}], turns
    except (KbError, StoreError) as error:
        yield text, [*messages, _message("assistant", str(error))], turns


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": _escaped(text)}


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _bold(text: str) -> str:
    return f"<strong>{_escaped(text)}</strong>"


def mount_page(app: FastAPI, assistant: Assistant, host: str) -> FastAPI:
    """Return the web application with the page at its root, under whatever routes it has."""
    words = gr.I18n(**_WORDS)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        _build_page(assistant, words),
        path="/",
        server_name=host,
        footer_links=[],
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        theme=gr.themes.Soft(font=_FONTS, font_mono=("ui-monospace", "Consolas", "monospace")),
        css=_CSS,
        i18n=words,
    )
    return mounted
