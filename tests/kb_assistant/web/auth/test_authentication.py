"""With accounts, nobody else can use the server; and nobody at all can read files through it."""

from __future__ import annotations

import http.client
import itertools
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from serving import served

from kb_assistant import Assistant
from kb_assistant.errors import UsageError
from kb_assistant.web.auth.accounts import Accounts
from kb_assistant.web.auth.authentication import Authenticator
from kb_assistant.web.auth.sessions import Sessions, Throttle
from kb_assistant.web.server import serve

PASSWORD = "芝麻开门，芝麻开门"
SECRET = "the zebra quota is 42 per year"


@pytest.fixture
def home(own_home: Path, tmp_path: Path) -> Path:
    (tmp_path / "zebra.md").write_text(f"# Zebra notice\n\n{SECRET.capitalize()}.\n")
    with Assistant.open(own_home) as kb:
        kb.ingest(tmp_path / "zebra.md")
    return own_home


@pytest.fixture
def key(home: Path) -> str:
    """The key of a program; 王芳 is a user."""
    accounts = Accounts(home)
    accounts.add_user("王芳", PASSWORD)
    return accounts.add_key("laptop")


@pytest.fixture
def guarded(key: str, home: Path) -> Iterator[str]:
    assert key
    with served(home) as url:
        yield url


def log_in(
    client: httpx.Client, name: str = "王芳", password: str = PASSWORD, **options: dict[str, str]
) -> httpx.Response:
    return client.post("/login", data={"name": name, "password": password}, **options)  # type: ignore[arg-type]


def test_without_a_login_every_route_is_closed(guarded: str) -> None:
    paths = ["/", "/api/sources", "/api/openapi.json", "/v1/models", "/config", "/gradio_api/info", "/theme.css"]
    paths += ["/gradio_api/queue/data?session_hash=x", "/gradio_api/startup-events", "/gradio_api/heartbeat/x"]
    paths += ["/assets/x", "/static/img/logo.svg", "/gradio_api/file=/etc/passwd", "/login/", "/healthz/", "/LOGIN"]
    paths += ["/user", "/gradio_api/token", "/logout", "/manifest.json", "/metrics", "/mcp"]
    for path in paths:
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
            reply = httpx.request(method, guarded + path)
            assert reply.status_code == 401, (method, path)
            assert reply.headers["www-authenticate"] == "Bearer"
            assert SECRET not in reply.text
    assert httpx.get(f"{guarded}/healthz").json() == {"status": "ok"}
    sent = httpx.get(guarded, headers={"Accept": "text/html"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")


def test_a_user_logs_in_and_out(guarded: str) -> None:
    with httpx.Client(base_url=guarded) as client:
        form = client.get("/login", headers={"Accept-Language": "zh-CN"})
        assert "密码" in form.text
        assert "default-src 'none'" in form.headers["content-security-policy"]
        begun = log_in(client)
        assert (begun.status_code, begun.headers["location"]) == (303, "/")
        cookie = begun.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Max-Age=43200", "Path=/"))
        assert "Secure" not in cookie
        assert "Secure" in log_in(client, headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]
        held = begun.cookies["kb_session"]
        client.cookies.clear()
        client.cookies.set("kb_session", held)
        assert client.get("/").status_code == 200
        assert client.get("/api/sources").json()[0]["source"] == "zebra.md"
        assert "退出登录" in client.get("/logout", headers={"Accept-Language": "zh"}).text
        assert client.post("/logout", headers={"Origin": "http://site.example"}).status_code == 403
        assert client.post("/logout").headers["location"] == "/login"
        assert client.get("/api/sources").status_code == 401
        client.cookies.clear()
        client.cookies.set("kb_session", held)  # a copy of it is worth nothing either
        assert client.get("/api/sources").status_code == 401


def test_a_login_from_another_sites_page_is_refused(guarded: str) -> None:
    with httpx.Client(base_url=guarded) as client:
        for origin in ("http://site.example", "null"):
            assert log_in(client, headers={"Origin": origin}).status_code == 403
        assert log_in(client, headers={"Origin": guarded}).status_code == 303


def test_a_session_ends_with_the_password_and_the_account(guarded: str, home: Path) -> None:
    with httpx.Client(base_url=guarded) as client:
        log_in(client)
        assert client.get("/api/sources").status_code == 200
        Accounts(home).add_user("王芳", "another password")
        assert client.get("/api/sources").status_code == 401
        assert log_in(client).status_code == 401
        assert log_in(client, password="another password").status_code == 303
        Accounts(home).remove_user("王芳")
        assert client.get("/api/sources").status_code == 401
        Accounts(home).remove_key("laptop")  # the last account: that lets nobody in
        assert client.get("/api/sources").status_code == 401


def test_a_key_is_for_the_api_only(guarded: str, key: str) -> None:
    asked = openai.OpenAI(base_url=f"{guarded}/v1", api_key=key, max_retries=0)
    question = {"role": "user", "content": "What is the zebra quota?"}
    assert "42" in asked.chat.completions.create(model="kb", messages=[question]).choices[0].message.content  # type: ignore
    bearer = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{guarded}/api/sources", headers=bearer).status_code == 200
    assert httpx.get(guarded, headers=bearer).status_code == 401
    assert httpx.get(f"{guarded}/gradio_api/info", headers=bearer).status_code == 401
    with pytest.raises(openai.AuthenticationError, match="kb key add"):
        openai.OpenAI(base_url=f"{guarded}/v1", api_key="kb-wrong", max_retries=0).models.list()


def test_passwords_cannot_be_tried_fast(guarded: str) -> None:
    with httpx.Client(base_url=guarded) as client:
        replies = [log_in(client, password=f"guess {number}") for number in range(7)]
        assert [reply.status_code for reply in replies[:5]] == [401] * 5
        assert replies[-1].status_code == 429
        assert int(replies[-1].headers["retry-after"]) >= 1
        assert log_in(client, name="nobody").status_code == 401  # another user has not to wait
        large = [("files", ("x", b"x" * 100_000))]
        assert client.post("/login", data={"name": "a"}, files=large).status_code == 413


@pytest.mark.usefixtures("key")
def test_damaged_accounts_let_nobody_in_and_only_the_log_names_the_file(home: Path) -> None:
    with served(home, logged=r"ERROR:.*users\.toml.*") as address:
        assert httpx.get(f"{address}/api/sources").status_code == 401
        (home / "users.toml").write_text("[users")
        reply = httpx.get(f"{address}/api/sources")
        assert reply.status_code == 503
        assert "users.toml" not in reply.text
        (home / "users.toml").unlink()
        assert httpx.get(f"{address}/api/sources").status_code == 401


@pytest.mark.usefixtures("key")
def test_an_unknown_user_takes_as_long_to_refuse(home: Path) -> None:
    accounts = Accounts(home)

    def seconds(name: str) -> float:
        began = time.process_time()
        accounts.check_password(name, "wrong password")
        return time.process_time() - began

    known, unknown = (min(seconds(name) for _ in range(3)) for name in ("王芳", "nobody"))
    assert unknown > known / 2


def test_each_attempt_waits_twice_as_long_as_the_last() -> None:
    throttle = Throttle(free=2, longest_s=0.4)
    assert throttle.admit("a") == throttle.admit("a") == 0.0
    waits = []
    while len(waits) < 3:
        waits.append(throttle.admit("a"))
        assert waits[-1] <= 0.4
        time.sleep(waits[-1])
    assert waits[0] > 0
    assert throttle.admit("b") == 0.0


def test_the_wait_never_exceeds_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=60)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    throttle = Throttle(free=2, longest_s=60)
    assert {throttle.admit("a") for _ in range(1100)} == {0.0}


@pytest.mark.usefixtures("key")
def test_guesses_from_one_address_lock_nobody_out_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)  # on a busy machine a hash can take longer than a wait
    login = Authenticator(Accounts(home), 1, required=True)
    for number in range(20):
        login.try_password(f"nobody {number}", "wrong password", "192.0.2.1")
    for _ in range(600):
        assert login.try_password("王芳", "wrong password", "192.0.2.1")[1] > 0
    assert login.try_password("王芳", "wrong password", "192.0.2.3")[1] == 0
    session, wait_s = login.try_password("王芳", PASSWORD, "192.0.2.2")
    assert (session is not None, wait_s) == (True, 0.0)


@pytest.mark.usefixtures("key")
def test_guesses_from_many_addresses_must_wait_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    login = Authenticator(Accounts(home), 1, required=True)
    login._by_user = Throttle(free=3, longest_s=60)
    waits = [login.try_password("王芳", "wrong password", f"192.0.2.{number}")[1] for number in range(4)]
    assert waits[:3] == [0, 0, 0]
    assert waits[3] > 0


def test_a_name_that_is_too_long_is_refused_before_it_is_remembered(guarded: str) -> None:
    with httpx.Client(base_url=guarded) as client:
        assert [log_in(client, name="名" * 65).status_code for _ in range(30)] == [413] * 30
        assert log_in(client).status_code == 303


def test_forged_and_expired_sessions_are_refused() -> None:
    users = {"anna": "hash", "王芳": "other"}
    sessions = Sessions(seconds=60)
    session = sessions.begin("anna", "hash")
    assert sessions.user(session, users) == "anna"
    forged = sessions.begin("王芳", "other").partition(".")[0] + "." + session.partition(".")[2]
    for other in ("", ".", session[:-1], "x" + session, forged, session + "é", Sessions(60).begin("anna", "hash")):
        assert sessions.user(other, users) is None
    assert Sessions(seconds=0).user(session, users) is None
    brief = Sessions(seconds=-1)
    assert brief.user(brief.begin("anna", "hash"), users) is None


def test_other_machines_are_served_only_with_accounts(home: Path) -> None:
    with Assistant.open(home, host="0.0.0.0") as kb, pytest.raises(UsageError, match="kb user add NAME"):
        serve(kb, announce=print)


ESCAPES = [
    "/gradio_api/file={path}",
    "/gradio_api/file={path}?x=1",
    "/gradio_api/file=/../../..{path}",
    "/gradio_api/file=..%2F..%2F..%2F..%2F..%2F..{encoded}",
    "/gradio_api/file=%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e{path}",
    "/gradio_api/file=%252e%252e%252f%252e%252e%252f{path}",
    "/gradio_api/file=/{path}",
    "/gradio_api/file=file://{path}",
    "/gradio_api/file=C:\\Windows\\win.ini",
    "/gradio_api/file=\\\\host\\share\\x",
    "/gradio_api/file/{path}",
    "/gradio_api/file={path}%00.png",
    "/file={path}",
    "/file/{path}",
    "/static/../../../../../../../../..{path}",
    "/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..{encoded}",
    "/assets/../../../../../../../../..{path}",
    "/assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e{path}",
    "/svelte/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..{encoded}",
    "/gradio_api/custom_component/x/client/component/..%2f..%2f..%2f..{encoded}",
    "/gradio_api/proxy=http://127.0.0.1:1/x",
    "/gradio_api/proxy=file://{path}",
    "/gradio_api/stream/x/1/2/..%2f..%2f..{encoded}",
    "/pwa_icon/..%2f..{encoded}",
    "/..{path}",
    "/%2e%2e{path}",
]


def raw(address: str, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """Send a request whose path no client normalises."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)) as connection:
        connection.request(method, path, body=body, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read()


@pytest.mark.parametrize("with_login", [False, True])
def test_no_route_gives_a_file(home: Path, with_login: bool) -> None:
    secrets = [
        home / "catalog.db",
        home / "users.toml",
        home / "kb.toml",
        home.parent / "zebra.md",
        Path("/etc/passwd"),
    ]
    (home / "kb.toml").write_text("port = 7860\n")
    Accounts(home).add_user("王芳", PASSWORD)
    if not with_login:
        (home / "users.toml").rename(home / "users.toml.aside")
    with served(home) as address, httpx.Client(base_url=address) as client:
        cookie = f"kb_session={log_in(client).cookies['kb_session']}" if with_login else ""
        assert client.get("/").status_code == 200
        for secret in [one for one in secrets if one.exists()]:
            beginning = secret.read_bytes()[:12]
            for form in ESCAPES:
                path = form.format(path=secret, encoded=str(secret).replace("/", "%2f"))
                for headers in ({"Cookie": cookie}, {}) if with_login else ({},):
                    status, body = raw(address, "GET", path, headers)
                    assert beginning not in body, path
                    assert b"Traceback" not in body
                    assert status != 200 or b"<!doctype html" in body[:200].lower(), path
        form = b'--b\r\nContent-Disposition: form-data; name="files"; filename="../../x"\r\n\r\nx\r\n--b--\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=b", "Cookie": cookie}
        status, body = raw(address, "POST", "/gradio_api/upload", kind, form)
        assert status == 404
