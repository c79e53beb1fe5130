"""The page of `kb serve`: a Gradio page whose markup and script are its own.

Gradio brings the queue, the events and the calls from the browser (`gr.HTML` with server
functions). What is shown is built in the browser by `static/`, from data, as text nodes:
nothing of a document is ever HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from kb_assistant.web.page.calls import called
from kb_assistant.web.page.chat import Answering, ChatCalls
from kb_assistant.web.page.gradio_app import mount_blocks
from kb_assistant.web.page.passages import PassageCalls
from kb_assistant.web.page.settings import SettingCalls

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import UnderWay

__all__ = ["mount_page"]

_START = """
import("/page/app.js").then(page => page.start(element, {trigger, server, watch, props}));
"""


def _build_page(assistant: Assistant, answering: Answering) -> gr.Blocks:
    """Return the page over an assistant."""
    rooms = (ChatCalls(assistant, answering), PassageCalls(assistant), SettingCalls(assistant))
    page = gr.Blocks(title="kb", analytics_enabled=False)
    with page:
        shown = gr.HTML(
            {},
            html_template='<div id="kb"></div>',
            js_on_load=_START,
            apply_default_css=False,
            server_functions=[called(call) for room in rooms for call in room.all()],
        )
        # The engine has a queue of its own, which tells how many are ahead; Gradio's lets all through.
        shown.submit(
            answering.answer,
            None,
            shown,
            queue=True,
            concurrency_limit=None,
            show_progress="hidden",
            trigger_mode="multiple",
            api_visibility="private",
        )
    return page


def mount_page(app: FastAPI, assistant: Assistant, under_way: UnderWay, host: str) -> FastAPI:
    """Return the web application with the page at its root, under whatever routes it has."""
    page = _build_page(assistant, Answering(assistant, under_way))
    return mount_blocks(app, page, host)
