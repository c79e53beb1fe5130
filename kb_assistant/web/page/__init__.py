"""The page of `kb serve`: a Gradio page with markup and a script of its own.

Gradio provides the queue, the events and the calls from the browser (`gr.HTML` with server
functions). The script in `static/` builds everything shown from data, as text nodes, so
nothing in a document is ever HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from kb_assistant.web.page.answers import PageAnswers
from kb_assistant.web.page.calls import expose
from kb_assistant.web.page.chat import ChatCalls
from kb_assistant.web.page.gradio_app import mount_blocks
from kb_assistant.web.page.passages import PassageCalls
from kb_assistant.web.page.settings import SettingCalls

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kb_assistant.assistant import Assistant
    from kb_assistant.web.running_answers import RunningAnswers

__all__ = ["mount_page"]

_START = """
import("/page/app.js").then(page => page.start(element, {trigger, server, watch, props}));
"""


def mount_page(app: FastAPI, assistant: Assistant, answers: RunningAnswers, host: str) -> FastAPI:
    """Return the web application with the page at its root; the routes it already has come first."""
    return mount_blocks(app, _build_page(assistant, PageAnswers(assistant, answers)), host)


def _build_page(assistant: Assistant, answers: PageAnswers) -> gr.Blocks:
    groups = (ChatCalls(assistant, answers), PassageCalls(assistant), SettingCalls(assistant))
    page = gr.Blocks(title="kb", analytics_enabled=False)
    with page:
        component = gr.HTML(
            {},
            html_template='<div id="kb"></div>',
            js_on_load=_START,
            apply_default_css=False,
            server_functions=[expose(call) for group in groups for call in group.all()],
        )
        # Gradio's queue lets everything through: the engine has its own, which knows how many are ahead.
        component.submit(
            answers.answer,
            None,
            component,
            queue=True,
            concurrency_limit=None,
            show_progress="hidden",
            trigger_mode="multiple",
            api_visibility="private",
        )
    return page
