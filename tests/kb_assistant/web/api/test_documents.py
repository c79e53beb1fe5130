"""Documents over HTTP: uploaded, listed, asked about, removed, ingested again."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from paths import SAMPLES
from serving import served
from starlette.datastructures import UploadFile
from starlette.requests import Request

from kb_assistant import Assistant
from kb_assistant.web.api.documents import _form

SICK = "病假每年八天，须交医院证明。\n"


HAN = re.compile(r"[\u3400-\u9fff]")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "私人文件"
    folder.mkdir()
    (folder / "leave.md").write_text("# Leave\n\nStaff get 15 days of annual leave.\n")
    return folder


@pytest.fixture
def kb(own_home: Path, docs: Path) -> Iterator[httpx.Client]:
    """A client of a server with one folder, and bounds of 1 MB and 3 files."""
    with Assistant.open(own_home) as assistant:
        assistant.ingest(docs)
    (own_home / "kb.toml").write_text("max_upload_mb = 1\nmax_uploads = 3\n")
    with served(own_home) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def finished(client: httpx.Client, reply: httpx.Response) -> Any:
    """The state of an ingest once it is over."""
    assert reply.status_code == 202, reply.text
    job = reply.json()
    while job["state"] in ("waiting", "running"):
        time.sleep(0.1)
        job = client.get(f"/api/ingest/{job['id']}").json()
    return job


def outcomes(job: Any) -> dict[str, str]:
    return {file["source"]: file["status"] for file in job["files"]}


def part(name: str, content: bytes | str) -> tuple[str, tuple[str, bytes]]:
    return "files", (name, content.encode() if isinstance(content, str) else content)


def names(client: httpx.Client) -> list[str]:
    return [one["source"] for one in client.get("/api/sources").json()]


def answer(client: httpx.Client, question: str) -> str:
    return client.post("/api/ask", json={"question": question}).text


def test_an_upload_becomes_a_document_like_any_other(kb: httpx.Client) -> None:
    sent = [
        part("../../病假.txt", SICK),
        part("C:\\docs\\travel.docx", (SAMPLES / "差旅报销.docx").read_bytes()),
        part("tool.exe", "MZ"),
    ]
    job = finished(kb, kb.post("/api/sources", files=sent))
    assert (job["state"], job["done"], job["total"]) == ("done", 2, 2)
    assert outcomes(job) == {"病假.txt": "ready", "travel.docx": "ready", "tool.exe": "unsupported"}
    assert ".exe files cannot be read" in next(one for one in job["files"] if one["source"] == "tool.exe")["notes"][0]
    listed = {one["source"]: one["uploaded"] for one in kb.get("/api/sources").json()}
    assert listed == {"leave.md": False, "travel.docx": True, "病假.txt": True}
    assert "病假每年八天" in answer(kb, "病假每年有几天？")
    assert kb.delete("/api/sources/病假.txt").json() == {"removed": ["病假.txt"]}
    assert names(kb) == ["leave.md", "travel.docx"]
    assert "病假每年八天" not in answer(kb, "病假每年有几天？")


def test_a_document_is_removed_by_its_exact_name_only(kb: httpx.Client) -> None:
    assert kb.delete("/api/sources/*").status_code == 404
    assert kb.delete("/api/sources/leave.m?").status_code == 404
    assert kb.delete("/api/sources/%2A").status_code == 404
    assert names(kb) == ["leave.md"]


def test_a_file_of_the_same_name_is_refused_unless_it_replaces_the_first(kb: httpx.Client) -> None:
    finished(kb, kb.post("/api/sources", files=[part("病假.txt", SICK)]))
    newer = [part("病假.txt", SICK.replace("八", "九"))]
    assert outcomes(finished(kb, kb.post("/api/sources", files=newer))) == {"病假.txt": "refused"}
    job = finished(kb, kb.post("/api/sources", files=newer, data={"replace": "true"}))
    assert (outcomes(job), job["counts"]["updated"]) == ({"病假.txt": "ready"}, 1)
    assert "病假每年九天" in answer(kb, "病假每年有几天？")
    taken = finished(kb, kb.post("/api/sources", files=[part("leave.md", "# Other")], data={"replace": "true"}))
    assert outcomes(taken) == {"leave.md": "refused"}


def test_a_collection_is_named_with_the_files(kb: httpx.Client) -> None:
    finished(kb, kb.post("/api/sources", files=[part("病假.txt", SICK)], data={"collection": "人事"}))
    assert [one["source"] for one in kb.get("/api/sources", params={"collection": "人事"}).json()] == ["病假.txt"]
    listed = {one["collection"]: one["folders"] for one in kb.get("/api/collections").json()}
    assert listed == {"default": ["私人文件"], "人事": []}


def test_uploads_that_are_refused(kb: httpx.Client, own_home: Path) -> None:
    assert kb.post("/api/sources", files=[part("a.md", b"x" * 1_000_001)]).status_code == 413
    streamed = iter([b"x" * 100_000] * 20)
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    assert kb.post("/api/sources", content=streamed, headers=form).status_code in (413, 422)
    assert "Too many files" in kb.post("/api/sources", files=[part(f"{n}.md", "x") for n in range(4)]).text
    assert kb.post("/api/sources", data={"collection": "a"}).status_code == 422
    assert kb.post("/api/sources", files=[("other", b"x")]).status_code == 422
    assert kb.post("/api/sources", files=[part("a.md", "x")], data={"replace": "perhaps"}).status_code == 422
    assert kb.post("/api/sources", files=[part("a.md", "x")], data={"collection": "a\nb"}).status_code == 422
    unnamed = finished(kb, kb.post("/api/sources", files=[part("..", "x")]))
    assert (unnamed["state"], unnamed["error"]) == ("failed", "a file without a name was uploaded; give it one")
    assert kb.get("/api/ingest/unknown").status_code == 404
    assert names(kb) == ["leave.md"]
    assert not any((own_home / "uploads").glob("*"))


def test_folders_are_ingested_again_by_name_only(kb: httpx.Client, docs: Path) -> None:
    (docs / "vpn.md").write_text("# VPN\n\nTokens expire after twelve hours.\n")
    for body in ({}, {"folder": "私人文件"}):
        (docs / "vpn.md").write_text(f"# VPN\n\nTokens expire after twelve hours.\n{body}")
        job = finished(kb, kb.post("/api/ingest", json=body))
        assert outcomes(job) == {"leave.md": "ready", "vpn.md": "ready"}
    for chosen in (str(docs), "/etc", "..", "", "../私人文件"):
        assert kb.post("/api/ingest", json={"folder": chosen}).status_code == 404
    assert kb.post("/api/ingest", json={"path": "/etc"}).status_code == 422
    assert kb.post("/api/ingest", json={"collection": "nowhere"}).status_code == 404
    for path in docs.iterdir():
        path.unlink()
    job = finished(kb, kb.post("/api/ingest", json={}))
    assert job["state"] == "failed"
    assert job["error"].startswith("私人文件 is empty now, but 2 of its documents are in the collection")
    assert finished(kb, kb.post("/api/ingest", json={"delete_missing": True}))["counts"]["deleted"] == 2


def test_no_response_contains_a_path(kb: httpx.Client, docs: Path, own_home: Path) -> None:
    job = finished(kb, kb.post("/api/sources", files=[part("broken.pdf", "no PDF")]))
    assert outcomes(job) == {"broken.pdf": "failed"}
    told = str(job) + kb.get("/api/sources").text + kb.get("/api/collections").text
    assert str(docs.parent) not in told
    assert str(own_home) not in told
    assert "uploads/" not in told


def test_an_upload_that_is_aborted_leaves_no_trace(kb: httpx.Client) -> None:
    """Nor in the log, which `served` checks."""
    head = "POST /api/sources HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n"
    form = 'Content-Type: multipart/form-data; boundary=B\r\n\r\n--B\r\nContent-Disposition: form-data; name="files"; '
    with socket.create_connection((kb.base_url.host, kb.base_url.port or 80)) as client:
        client.sendall(f'{head}{form}filename="a.md"\r\n\r\nhello'.encode())
        time.sleep(0.5)
    time.sleep(0.5)
    assert names(kb) == ["leave.md"]


def test_uploads_are_kept_on_disk_not_in_memory() -> None:
    content = (
        b"--B\r\nContent-Disposition: form-data; name=files; filename=a.md\r\n\r\n" + b"x" * 100_000 + b"\r\n--B--\r\n"
    )

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    headers = [(b"content-type", b"multipart/form-data; boundary=B")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    form = asyncio.run(_form(request, 1, 1_000_000))
    (upload,) = form.getlist("files")
    assert isinstance(upload, UploadFile)
    with upload.file:
        assert upload.file._rolled  # type: ignore[attr-defined]


def test_a_browser_in_chinese_gets_errors_in_chinese(kb: httpx.Client) -> None:
    english = kb.post("/api/ask", json={"question": " "})
    chinese = kb.post("/api/ask", json={"question": " "}, headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert english.status_code == chinese.status_code
    assert chinese.json()["error"]["code"] == english.json()["error"]["code"]
    assert not HAN.search(english.json()["error"]["message"])
    assert HAN.search(chinese.json()["error"]["message"])
