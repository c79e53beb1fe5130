"""Each user of the page has conversations of their own, whatever is asked for."""

from pathlib import Path
from typing import Any

from browsing import CHROMIUM, OPTIONS, ask, needs_chromium, wait_until_drawn
from paths import SAMPLES
from serving import served

from kb_assistant import Assistant
from kb_assistant.web.auth.accounts import Accounts

PASSWORD = "correct horse 电池 staple"

CALL = """
async ([fn_name, data]) => {
  const component = window.gradio_config.components.find(one => one.type === "html");
  const answer = await fetch("/gradio_api/component_server/", {
    method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({session_hash: "x", component_id: component.id, fn_name, data}),
  });
  return answer.json();
}
"""


def log_in(browser: Any, address: str, name: str) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/login")
    log_in_here(page, name)
    return page


def log_in_here(page: Any, name: str) -> None:
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button").click()
    wait_until_drawn(page)


@needs_chromium
def test_nobody_reads_another_users_conversation(own_home: Path) -> None:
    from playwright.sync_api import sync_playwright

    with Assistant.open() as kb:
        kb.ingest(SAMPLES / "warranty-returns.html")
    accounts = Accounts(own_home)
    for name in ("ann", "王芳"):
        accounts.add_user(name, PASSWORD)
    with served(own_home) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        ann = log_in(browser, address, "ann")
        ask(ann, "How long is the warranty on rechargeable batteries?")
        (chat,) = ann.evaluate(CALL, ["chats", {}])
        wang = log_in(browser, address, "王芳")
        assert wang.evaluate(CALL, ["chats", {}]) == []
        for call in ("open_chat", "export_chat", "delete_chat"):
            assert wang.evaluate(CALL, [call, {"chat_id": chat["id"]}])["error"] == "no_chat"
        assert wang.evaluate(CALL, ["change_settings", {"passages": 1}])["error"] == "usage"
        assert wang.evaluate(CALL, ["open_chat", {"chat_id": "x"}])["error"] == "malformed"
        assert len(ann.evaluate(CALL, ["open_chat", {"chat_id": chat["id"]}])["turns"]) == 1
        wang.get_by_role("tab", name="Settings").click()
        wang.get_by_text("Logged in as 王芳.").wait_for()
        wang.get_by_role("link", name="Log out").click()
        wang.get_by_role("button").click()
        wang.locator("input[name=password]").wait_for()
        wang.go_back()
        wang.go_back()
        wang.locator("input[name=password]").wait_for()  # rather than the page as it was
        assert "王芳" not in wang.content()
        wang.goto(address)
        log_in_here(wang, "王芳")
        wang.context.clear_cookies()
        wang.get_by_role("tab", name="Documents").click()
        wang.locator("input[name=password]").wait_for()  # rather than a list without documents
        ann.context.clear_cookies()
        ann.locator("#kb-chats .chat").click()
        ann.locator("input[name=password]").wait_for()  # a session that has ended leads to the login
        browser.close()
