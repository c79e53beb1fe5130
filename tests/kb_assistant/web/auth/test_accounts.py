"""`kb user`, `kb key` and the file that they write."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kb_assistant import Assistant
from kb_assistant.chats.store import ChatStore, make_tables
from kb_assistant.errors import SettingsError, UsageError
from kb_assistant.web.auth.accounts import Accounts


@pytest.fixture
def accounts(own_home: Path) -> Accounts:
    return Accounts(own_home)


def test_a_password_is_checked_and_stored_as_a_hash(accounts: Accounts, own_home: Path) -> None:
    accounts.add_user("王芳", "芝麻开门，芝麻开门")
    assert accounts.check_password("王芳", "芝麻开门，芝麻开门")
    assert not accounts.check_password("王芳", "芝麻开门，芝麻关门")
    assert not accounts.check_password("nobody", "芝麻开门，芝麻开门")
    file = own_home / "users.toml"
    assert "芝麻" not in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in own_home.iterdir() if one.suffix == ".new"] == []


def test_one_account_does_not_change_another(accounts: Accounts, own_home: Path) -> None:
    accounts.add_user("anna", "correct horse")
    key = accounts.add_key("laptop")
    Accounts(own_home).add_user("anna", "battery staple")  # another process
    assert accounts.check_password("anna", "battery staple")
    assert not accounts.check_password("anna", "correct horse")
    assert accounts.key_name(key) == "laptop"
    accounts.remove_user("anna")
    assert (dict(accounts.credentials().users), accounts.key_name(key)) == ({}, "laptop")
    accounts.remove_key("laptop")
    assert accounts.key_name(key) is None
    assert not accounts.credentials()


def test_two_keys_differ_and_only_their_hashes_are_kept(accounts: Accounts, own_home: Path) -> None:
    keys = {accounts.add_key("a"), accounts.add_key("b")}
    assert len(keys) == 2
    assert not any(key in (own_home / "users.toml").read_text() for key in keys)
    assert accounts.key_name("kb-" + "x" * 43) is None
    with pytest.raises(UsageError, match="there is a key 'a' already"):
        accounts.add_key("a")


@pytest.mark.parametrize("name", ["", " anna", "key:anna", "a\nb", "re\u202ev", "x" * 65])
def test_names_that_are_not_allowed(accounts: Accounts, name: str) -> None:
    with pytest.raises(UsageError, match="is not allowed; use 1 to 64 printable"):
        accounts.add_user(name, "long enough")
    with pytest.raises(UsageError, match="is not allowed; use 1 to 64 printable"):
        accounts.add_key(name)


def test_names_with_special_characters_are_stored_unchanged(accounts: Accounts, own_home: Path) -> None:
    names = ['a"b', "c\\d", "e = f", "[users]", "王芳 🦒", "#x"]
    for name in names:
        accounts.add_key(name)
    assert set(Accounts(own_home).credentials().keys) == set(names)


def test_a_file_that_cannot_be_used_is_explained(accounts: Accounts, own_home: Path) -> None:
    accounts.add_user("anna", "correct horse")
    file = own_home / "users.toml"
    if os.name != "nt":
        file.chmod(0o644)
        with pytest.raises(SettingsError, match=r"other users of this machine can read .*chmod 600"):
            Accounts(own_home).credentials()
        file.chmod(0o600)
    file.write_text("[users]\nanna = 7\n")
    with pytest.raises(SettingsError, match=r"must hold names and hashes only; correct the file"):
        accounts.credentials()
    file.write_text('[users]\nanna = "md5$x"\n')
    with pytest.raises(SettingsError, match="is damaged"):
        accounts.check_password("anna", "correct horse")


@pytest.mark.skipif(os.name == "nt", reason="it has no such limits")
def test_a_file_that_cannot_be_written_whole_stays_as_it_was(accounts: Accounts, own_home: Path) -> None:
    accounts.add_user("anna", "correct horse")
    before = (own_home / "users.toml").read_bytes()
    lines = [
        "import resource, signal, sys",
        "from pathlib import Path",
        "from kb_assistant.web.auth.accounts import Accounts",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))",
        "Accounts(Path(sys.argv[1])).add_key('laptop')",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines), own_home], capture_output=True, text=True, check=False
    )
    assert "SettingsError: cannot write" in done.stderr
    assert (own_home / "users.toml").read_bytes() == before
    assert not (own_home / "users.toml.new").exists()


def test_the_command_line_adds_lists_and_removes(kb_process: Callable, own_home: Path) -> None:
    added = kb_process("user", "add", "王芳", stdin="芝麻开门，芝麻开门\n")
    assert (added.code, added.out) == (0, "王芳 may use kb serve\n")
    assert Accounts(own_home).check_password("王芳", "芝麻开门，芝麻开门")
    short = kb_process("user", "add", "anna", stdin="short\n")
    assert (short.code, short.out) == (2, "")
    assert short.err == "kb: a password must have 8 to 1,000 characters; choose another\n"
    key = kb_process("key", "add", "laptop", "--json").json()["key"]
    assert Accounts(own_home).key_name(key) == "laptop"
    assert kb_process("user", "list", "--json").json() == ["王芳"]
    assert kb_process("key", "list").out == "laptop\n"
    assert kb_process("user", "remove", "nobody").err == "kb: no user 'nobody'; there are: 王芳\n"
    assert kb_process("user", "remove", "王芳").code == 0
    assert kb_process("key", "remove", "laptop").code == 0
    assert kb_process("key", "list", "--json").json() == []


def test_a_new_user_does_not_get_a_removed_namesakes_conversations(kb_process: Callable, own_home: Path) -> None:
    with Assistant.open(own_home) as kb:
        for name in ("王芳", "anna"):
            Accounts(own_home).add_user(name, "correct horse")
            make_tables(kb.knowledge_base.store.catalog)
            ChatStore(kb.knowledge_base.store.catalog).begin(name, "年假有几天？", "default")
        removed = kb_process("user", "remove", "王芳")
        assert removed.out == "removed: 王芳, and their conversations: 1\n"
        assert kb_process("user", "add", "王芳", stdin="another person\n").code == 0
        assert (kb.chats.list("王芳"), len(kb.chats.list("anna"))) == ([], 1)
    assert kb_process("user", "remove", "anna", "--json").json() == {"removed": "anna", "conversations": 1}
