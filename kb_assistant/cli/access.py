"""`kb user` and `kb key`: who may use `kb serve`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kb_assistant.cli.options import JSON, with_options
from kb_assistant.cli.output import print_message, print_outcome

__all__ = ["key", "user"]


@click.group()
def user() -> None:
    """People who may use kb serve, each with a password."""


@user.command("add")
@click.argument("name")
@with_options(JSON)
def add_user(name: str, as_json: bool, home: Path | None) -> None:
    """Add a user, or change a password; it is asked for, or read from stdin."""
    from kb_assistant.settings import home_folder
    from kb_assistant.web.auth.accounts import Accounts

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    Accounts(home_folder(home)).add_user(name, password)
    print_outcome({"user": name}, f"{name} may use kb serve", as_json=as_json)


@user.command("list")
@with_options(JSON)
def list_users(as_json: bool, home: Path | None) -> None:
    """List the users."""
    from kb_assistant.settings import home_folder
    from kb_assistant.web.auth.accounts import Accounts

    names = sorted(Accounts(home_folder(home)).credentials().users)
    print_outcome(names, "\n".join(names) or "no users; kb user add NAME makes one", as_json=as_json)


@user.command("remove")
@click.argument("name")
@with_options(JSON)
def remove_user(name: str, as_json: bool, home: Path | None) -> None:
    """Remove a user, end their sessions, and delete their conversations."""
    from kb_assistant.chats.service import delete_chats_of
    from kb_assistant.settings import home_folder
    from kb_assistant.web.auth.accounts import Accounts

    folder = home_folder(home)
    removed = Accounts(folder).remove_user(name)
    chats = delete_chats_of(removed, folder)  # the next of that name is another person
    done = {"removed": removed, "conversations": chats}
    print_outcome(done, f"removed: {removed}, and their conversations: {chats}", as_json=as_json)


@click.group()
def key() -> None:
    """Keys that let programs use kb serve's API."""


@key.command("add")
@click.argument("name")
@with_options(JSON)
def add_key(name: str, as_json: bool, home: Path | None) -> None:
    """Make a key, and print it this once; only its hash is kept."""
    from kb_assistant.settings import home_folder
    from kb_assistant.web.auth.accounts import Accounts

    made = Accounts(home_folder(home)).add_key(name)
    print_outcome({"name": name, "key": made}, made, as_json=as_json)
    if not as_json:
        print_message("(shown this once; send it as: Authorization: Bearer KEY)")


@key.command("list")
@with_options(JSON)
def list_keys(as_json: bool, home: Path | None) -> None:
    """List the keys' names."""
    from kb_assistant.settings import home_folder
    from kb_assistant.web.auth.accounts import Accounts

    names = sorted(Accounts(home_folder(home)).credentials().keys)
    print_outcome(names, "\n".join(names) or "no keys; kb key add NAME makes one", as_json=as_json)


@key.command("remove")
@click.argument("name")
@with_options(JSON)
def remove_key(name: str, as_json: bool, home: Path | None) -> None:
    """Remove a key; what uses it is turned away at once."""
    from kb_assistant.settings import home_folder
    from kb_assistant.web.auth.accounts import Accounts

    Accounts(home_folder(home)).remove_key(name)
    print_outcome({"removed": name}, f"removed: {name}", as_json=as_json)
