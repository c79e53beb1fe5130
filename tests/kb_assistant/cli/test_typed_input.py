"""Questions as people type them and programs pipe them in."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "leave.md").write_text("# Leave\n\nStaff get 15 days of annual leave.\n")
    (folder / "病假.txt").write_text("病假每年八天，须交医院证明。\n", encoding="utf-8")
    return folder


def test_a_long_question_from_standard_input(kb_process: Callable) -> None:
    run = kb_process("ask", "-", stdin="啊" * 100_000)
    assert (run.code, run.out, run.err.count("\n")) == (2, "", 1)
    assert "100,000 characters long, more than 10,000" in run.err


def test_chat(kb_process: Callable, docs: Path) -> None:
    kb_process("ingest", docs)
    run = kb_process("chat", stdin="How many days of annual leave?\n\nclear\n病假每年几天？\nexit\nnot asked\n")
    assert run.code == 0
    assert "Staff get 15 days" in run.out
    assert "病假每年八天" in run.out
    assert "not asked" not in run.out


@pytest.mark.parametrize("word", ["help", "/help", "HELP", "?"])
def test_help_typed_in_a_chat_lists_its_commands(kb_process: Callable, docs: Path, word: str) -> None:
    kb_process("ingest", docs)
    run = kb_process("chat", stdin=f"{word}\n")
    assert run.code == 0
    assert run.out.startswith("Type a question, or one of these:\n  clear  forget the conversation so far\n")
    assert "leave.md" not in run.out


def test_the_commands_of_a_chat_are_known_in_chinese(kb_process: Callable, docs: Path) -> None:
    kb_process("ingest", docs)
    run = kb_process("chat", stdin="帮助\n清空\n退出\nHow many days of annual leave?\n")
    assert run.out.startswith("请输入问题，或以下命令：\n  清空  忘掉此前的对话（clear）")
    assert "15 days" not in run.out


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-16", "utf-8-sig"])
def test_a_question_is_read_in_the_encoding_that_it_is_piped_in(docs: Path, kb: Callable, encoding: str) -> None:
    kb("ingest", docs)
    for command, piped in ((["ask", "-"], "病假每年几天？"), (["chat"], "病假每年几天？\n病假每年几天？\n")):
        done = subprocess.run(
            [sys.executable, "-m", "kb_assistant", *command],
            input=piped.encode(encoding),
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode().count("病假每年八天，须交医院证明。 [1]") == piped.count("病假")


@pytest.mark.usefixtures("own_home")
def test_a_question_in_no_encoding_is_refused_in_a_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kb_assistant", "ask", "-"],
        input=b"\xff\x80\x81\xfe\x00",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"kb: cannot read standard input: it is in no known encoding; send it as UTF-8\n"


def test_ctrl_c_at_the_prompt_of_a_chat_leaves_it_only_when_pressed_twice(docs: Path, kb: Callable) -> None:
    kb("ingest", docs)
    terminal, end = pty.openpty()
    chat = subprocess.Popen(
        [sys.executable, "-m", "kb_assistant", "chat"], stdin=end, stdout=end, stderr=end, process_group=0
    )
    os.close(end)
    shown = b""

    def read_until(expected: bytes) -> None:
        nonlocal shown
        while expected not in shown:
            assert select.select([terminal], [], [], 60)[0], shown
            shown += os.read(terminal, 4096)
        shown = shown.partition(expected)[2]

    def interrupt() -> None:
        time.sleep(1)  # a signal between the prompt and the read after it is noticed only with the next key
        chat.send_signal(signal.SIGINT)

    try:
        read_until(b"> ")
        interrupt()
        read_until(b"press Ctrl-C again, or type exit, to leave)\r\n> ")
        os.write(terminal, "病假每年几天？\n".encode())
        read_until("病假.txt:1".encode())
        read_until(b"> ")
        interrupt()
        read_until(b"to leave)\r\n> ")
        interrupt()
        assert chat.wait(timeout=30) == 0
    finally:
        chat.kill()
        chat.wait()
        os.close(terminal)
