from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import chromadb
import pytest
from chromadb.api.shared_system_client import SharedSystemClient
from damage import damage
from paths import ROOT

from vectorstore import (
    Collection,
    Embedder,
    EmbeddingMismatchError,
    Filter,
    HashedEmbeddings,
    NewSource,
    Store,
    StoreError,
    UnknownCollectionError,
    UnknownSourceError,
)

PARTS = 6
"""How many chunks each source has that `WRITER` writes."""

PRELUDE = """
import sys
from pathlib import Path
from vectorstore import HashedEmbeddings, NewChunk, NewSource, Store

def make_source(name, *texts):
    chunks = tuple(NewChunk(text, "", (), None, ((0, 1),), 0, len(text)) for text in texts)
    return NewSource(name, "/documents/" + name, "hash", "1", "ready", None, None, (), chunks)

store = Store.open(Path(sys.argv[1]), HashedEmbeddings())
"""

WRITER = f"""
import random
version = int(sys.argv[2])
collection = store.prepare("docs")
print("ready", flush=True)
while True:
    version += 1
    names = random.sample(["a.md", "b.md", "c.md", "d.md", "e.md"], 2)
    store.replace(collection, [
        make_source(name, *(f"{{name}} version {{version}} part {{part}}" for part in range({PARTS}))) for name in names
    ])
    if version % 5 == 0:
        store.remove(collection, names[:1])
"""

READER = """
for line in sys.stdin:
    print(*(hit.text for hit in store.search("docs", line, 3)), sep="|", flush=True)
"""

HOLDER = """
with store.writing(print):
    print("held", flush=True)
    sys.stdin.readline()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Return what starts another process that has the store open; all are killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start_(code: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PRELUDE + code, str(folder), *arguments]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(subprocess.Popen(command, cwd=ROOT, text=True, encoding="utf-8", **pipes))
        return started[-1]

    yield start_
    for process in started:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def chroma_ids(folder: Path) -> set[int]:
    """All ids in all of Chroma's collections, asked of Chroma itself."""
    SharedSystemClient.clear_system_cache()
    client = chromadb.PersistentClient(str(folder / "chroma"))
    found = [chunk_id for each in client.list_collections() for chunk_id in each.get(include=[])["ids"]]
    client.close()
    return {int(chunk_id) for chunk_id in found}


def lose_a_vector(folder: Path) -> None:
    """Remove one id from Chroma behind the catalogue's back."""
    SharedSystemClient.clear_system_cache()
    client = chromadb.PersistentClient(str(folder / "chroma"))
    (held,) = client.list_collections()
    held.delete(ids=held.get(include=[])["ids"][:1])
    client.close()
    SharedSystemClient.clear_system_cache()


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """What SQLite itself finds in the catalogue."""
    connection = sqlite3.connect(folder / "catalog.db")
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def assert_in_step(folder: Path, collection: Collection) -> None:
    """Catalogue, full text and Chroma hold the same passages, all of them in use, each with its vector."""
    ids = {row[0] for row in rows(folder, "SELECT id FROM passages")}
    assert {row[0] for row in rows(folder, "SELECT passage_id FROM chunks")} == ids
    assert {row[0] for row in rows(folder, f"SELECT rowid FROM fulltext_{collection.id}")} == ids
    assert chroma_ids(folder) == ids
    assert rows(folder, "SELECT 1 FROM chroma_queue") == []
    missing = "SELECT 1 FROM passages WHERE text_hash NOT IN (SELECT text_hash FROM vectors WHERE model = '{}')"
    assert rows(folder, missing.format(collection.embedding)) == []


# Searching


@pytest.mark.parametrize(
    ("question", "source", "words"),
    [
        ("工龄满五年有几天年假？", "制度/年假.md", "每年十七天"),
        ("酒店最多能报销多少钱？", "制度/差旅.docx", "六百元"),
        ("How long is the warranty on rechargeable batteries?", "support/warranty.html", "12 months"),
        ("Which port does remote access use?", "support/vpn.md", "51877"),
        ("员工手册", "制度/年假.md", "年"),
    ],
)
@pytest.mark.usefixtures("handbook")
def test_the_right_passage_comes_first(store: Store, question: str, source: str, words: str) -> None:
    hits = store.search("handbook", question, 5)
    assert hits[0].source == source
    assert words in hits[0].text
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert all(0.0 <= hit.score <= 1.0 and 0.0 <= hit.coverage <= 1.0 for hit in hits)
    assert hits[0].score > 0.3


@pytest.mark.usefixtures("handbook")
def test_no_more_than_asked_for(
    store: Store,
) -> None:
    assert len(store.search("handbook", "年假", 2)) == 2


@pytest.mark.parametrize(
    ("glob", "sources"),
    [
        ("制度/*", {"制度/年假.md", "制度/差旅.docx"}),
        ("*.md", {"制度/年假.md", "support/vpn.md"}),
        ("support/vpn.md", {"support/vpn.md"}),
        ("nothing*", set()),
    ],
)
@pytest.mark.usefixtures("handbook")
def test_only_sources_that_match_are_searched(store: Store, glob: str, sources: set[str]) -> None:
    hits = store.search("handbook", "年假 酒店 batteries WireGuard", 10, only=Filter(source=glob))
    assert {hit.source for hit in hits} == sources


def _at(*when: int) -> int:
    return int(datetime(*when).timestamp()) * 1_000_000_000  # type: ignore[arg-type]


DATED = {
    "a.md": _at(2023, 12, 31, 23, 59, 59),
    "b.PDF": _at(2024, 1, 1),
    "c.pdf": _at(2024, 6, 30, 23, 59, 59),
    "100%pdf": None,
}


@pytest.mark.parametrize(
    ("only", "sources"),
    [
        (Filter(suffixes=(".pdf",)), {"b.PDF", "c.pdf"}),
        (Filter(suffixes=(".pdf", ".md")), {"a.md", "b.PDF", "c.pdf"}),
        (Filter(suffixes=("%pdf",)), {"100%pdf"}),
        (Filter(since=date(2024, 1, 1)), {"b.PDF", "c.pdf"}),
        (Filter(until=date(2023, 12, 31)), {"a.md"}),
        (Filter(until=date(2024, 6, 30)), {"a.md", "b.PDF", "c.pdf"}),
        (Filter(since=date(2024, 1, 2), until=date(2024, 6, 30)), {"c.pdf"}),
        (Filter("?.*", (".pdf",), date(2024, 1, 1), date(2024, 1, 1)), {"b.PDF"}),
        (Filter("a*", (".pdf",)), set()),
        (Filter(), set(DATED)),
    ],
)
def test_only_documents_that_meet_the_filter_are_searched(
    store: Store, source: Callable[..., NewSource], only: Filter, sources: set[str]
) -> None:
    made = [replace(source(name, f"annual leave, {name}"), modified_ns=when) for name, when in DATED.items()]
    store.replace(store.prepare("docs"), made)
    assert {hit.source for hit in store.search("docs", "annual leave", 10, only)} == sources


def test_a_text_in_two_documents_is_found_in_the_one_that_meets_the_filter(
    store: Store, source: Callable[..., NewSource]
) -> None:
    store.replace(store.prepare("docs"), [source("a.md", "annual leave"), source("b.pdf", "annual leave")])
    (hit,) = store.search("docs", "annual leave", 10, Filter(suffixes=(".pdf",)))
    assert hit.source == "b.pdf"


def test_vectors_find_what_a_narrow_filter_leaves(store: Store, source: Callable[..., NewSource]) -> None:
    """However many passages that the filter keeps out are nearer, and although no term is shared."""
    near = [f"kubernetes kubernetes {number}" for number in range(400)]
    store.replace(store.prepare("docs"), [source("near.md", *near), source("far.txt", "kubernetics")])
    assert [hit.text for hit in store.search("docs", "kubernetes", 5, Filter("far*"))] == ["kubernetics"]


def test_a_wide_filter_finds_enough_behind_what_it_keeps_out(store: Store, source: Callable[..., NewSource]) -> None:
    """More passages than are looked at one by one, and the nearest 300 of others."""
    kept_out = [f"kubernetes {number}" for number in range(300)]
    left = [f"kubernetics {number}" for number in range(2100)]
    collection = store.prepare("docs")
    store.replace(collection, [source("out.md", *kept_out), source("left.txt", *left), source("one.txt", "kubernetes")])
    hits = store.search("docs", "kubernetes", 10, Filter(suffixes=(".txt",)))
    assert hits[0].source == "one.txt"
    assert len(hits) == 10
    assert {hit.source for hit in hits[1:]} == {"left.txt"}


@pytest.mark.parametrize("question", ["", "？", "的", "鱼", '" OR * NEAR(', "x" * 5000])
@pytest.mark.usefixtures("handbook")
def test_any_question_can_be_asked(store: Store, question: str) -> None:
    assert all(0.0 <= hit.score <= 1.0 for hit in store.search("handbook", question, 3))


def test_chunks_without_words_do_no_harm(store: Store, source: Callable[..., NewSource]) -> None:
    collection = store.prepare("docs")
    store.replace(collection, [source("a.md", "。。。", "鱼", "年假十二天")])
    assert store.search("docs", "年假几天", 1)[0].text == "年假十二天"
    assert store.search("docs", "鱼", 1)[0].text == "鱼"


@pytest.mark.usefixtures("handbook")
def test_rare_terms_of_a_question_weigh_more(
    store: Store,
) -> None:
    weights = store.term_weights("handbook", "年假与zebra")
    assert weights["zebra"] == max(weights.values()) > weights["年"]


def test_nothing_ingested_and_unknown_collections(store: Store) -> None:
    with pytest.raises(StoreError, match="nothing has been ingested yet; run: kb ingest FOLDER"):
        store.search("docs", "年假", 3)
    store.prepare("docs")
    assert store.search("docs", "年假", 3) == []
    with pytest.raises(UnknownCollectionError, match="no collection 'others'; there are: docs"):
        store.search("others", "年假", 3)


# Changing


def test_what_is_removed_is_nowhere(store: Store, handbook: Collection, folder: Path) -> None:
    store.remove(handbook, ["制度/年假.md", "support/vpn.md"])
    assert {row[0] for row in rows(folder, "SELECT name FROM sources")} == {"制度/差旅.docx", "support/warranty.html"}
    assert rows(folder, "SELECT 1 FROM passages WHERE text LIKE '%年休假%' OR text LIKE '%WireGuard%'") == []
    assert rows(folder, f"SELECT 1 FROM fulltext_{handbook.id} WHERE fulltext_{handbook.id} MATCH 'wireguard'") == []
    assert rows(folder, "SELECT count(*) FROM vectors") == [(4,)]
    assert_in_step(folder, handbook)
    assert {hit.source for hit in store.search("handbook", "年休假 WireGuard", 9)} <= {
        "制度/差旅.docx",
        "support/warranty.html",
    }
    with pytest.raises(UnknownSourceError, match=r"no source 'support/vpn\.md'"):
        store.remove(handbook, ["support/vpn.md"])


def test_a_source_that_changes_is_found_by_its_new_text_only(
    store: Store, handbook: Collection, folder: Path, source: Callable[..., NewSource]
) -> None:
    store.replace(handbook, [source("support/vpn.md", "Remote access uses OpenVPN on TCP port 443.")])
    assert "OpenVPN" in store.search("handbook", "port for remote access", 1)[0].text
    assert not any("WireGuard" in hit.text for hit in store.search("handbook", "WireGuard", 9))
    assert_in_step(folder, handbook)


def test_a_renamed_source_keeps_its_vectors_and_is_found_under_its_new_name_only(
    store: Store, handbook: Collection, embedder: Embedder, folder: Path
) -> None:
    embedded = list(embedder.embedded)
    before = {row[0] for row in rows(folder, "SELECT id FROM chunks")}
    (vpn,) = [info for info in store.catalog.sources(handbook.id) if info.name == "support/vpn.md"]
    store.catalog.rename_sources(handbook.id, [(vpn.id, "隧道/tunnel.md", "/documents/tunnel.md")])
    assert store.search("handbook", "tunnel", 1)[0].source == "隧道/tunnel.md"
    assert store.search("handbook", "WireGuard", 1)[0].source == "隧道/tunnel.md"
    assert rows(folder, f"SELECT 1 FROM fulltext_{handbook.id} WHERE fulltext_{handbook.id} MATCH 'vpn'") == []
    store.prepare("handbook")
    assert embedder.embedded == embedded
    assert {row[0] for row in rows(folder, "SELECT id FROM chunks")} == before
    assert_in_step(folder, handbook)


def test_the_same_text_is_never_embedded_twice(
    store: Store, handbook: Collection, embedder: Embedder, source: Callable[..., NewSource]
) -> None:
    seen = embedder.embedded
    assert len(seen) == len(set(seen)) == 7
    assert store.replace(handbook, [source("copy.md", "Keep the receipt.", "Keep the receipt.", "新的一段")]) == 1
    assert store.replace(store.prepare("another"), [source("copy.md", "Keep the receipt.")]) == 0
    assert store.replace(handbook, [source("copy.md", "Keep the receipt.", "再新的一段")]) == 1
    assert len(seen) == len(set(seen)) == 9


def test_text_under_another_heading_is_another_text(store: Store, source: Callable[..., NewSource]) -> None:
    collection = store.prepare("docs")
    made = [source("a.md", "十二天", heading=("年假",)), source("b.md", "十二天", heading=("婚假",))]
    assert store.replace(collection, made) == 2
    assert store.search("docs", "婚假几天", 1)[0].source == "b.md"


# Keeping Chroma in step


@pytest.mark.usefixtures("handbook")
def test_a_deleted_chroma_is_rebuilt_without_embedding(
    store: Store, embedder: Embedder, folder: Path, open_store: Callable[..., Store]
) -> None:
    embedded = list(embedder.embedded)
    store.close()
    shutil.rmtree(folder / "chroma")
    again = open_store(embedder)
    assert again.search("handbook", "WireGuard", 1)[0].source == "support/vpn.md", "full text still finds it"
    assert {what: sound for what, sound, _ in again.check()}["collection handbook"] is False
    collection = again.prepare("handbook")
    assert all(sound for _, sound, _ in again.check())
    assert embedder.embedded == embedded
    assert_in_step(folder, collection)


def test_what_a_killed_writer_left_undone_needs_no_more_than_an_ingest(
    store: Store, handbook: Collection, folder: Path
) -> None:
    store.catalog.remove_sources(handbook.id, ["制度/年假.md"])  # Chroma is not told yet
    (_, (_, sound, detail)) = store.check()
    assert (sound, detail.endswith("5 in full text, 7 vectors; run kb ingest")) == (False, True)
    store.prepare("handbook")
    assert all(sound for _, sound, _ in store.check())
    assert_in_step(folder, handbook)


@pytest.mark.usefixtures("handbook")
def test_vectors_that_are_lost_need_a_new_chroma(
    store: Store, embedder: Embedder, folder: Path, open_store: Callable[..., Store]
) -> None:
    store.close()
    lose_a_vector(folder)
    again = open_store(embedder)
    assert again.check()[1][2].endswith(f"7 in full text, 6 vectors; delete {folder / 'chroma'} and run kb ingest")
    again.prepare("handbook")
    assert not again.check()[1][1]
    again.close()
    shutil.rmtree(folder / "chroma")
    anew = open_store(embedder)
    assert anew.check()[1][2].endswith("7 in full text, 0 vectors; run kb ingest")
    anew.prepare("handbook")
    assert anew.check()[1][1]


def test_a_catalogue_from_an_older_copy_is_brought_in_step(
    store: Store,
    handbook: Collection,
    embedder: Embedder,
    folder: Path,
    tmp_path: Path,
    open_store: Callable[..., Store],
    source: Callable[..., NewSource],
) -> None:
    store.close()
    shutil.copyfile(folder / "catalog.db", tmp_path / "copy.db")
    again = open_store(embedder)
    again.replace(handbook, [source("later.md", "这是后来加的", "这也是后来加的")])
    again.close()
    for path in folder.glob("catalog.db*"):
        path.unlink()
    shutil.copyfile(tmp_path / "copy.db", folder / "catalog.db")
    restored = open_store(embedder)
    restored.prepare("handbook")
    assert all(sound for _, sound, _ in restored.check())
    assert_in_step(folder, handbook)


@pytest.mark.usefixtures("handbook")
def test_another_model_is_refused_until_the_collection_is_embedded_anew(
    store: Store,
    folder: Path,
    other_embedder: Embedder,
    open_store: Callable[..., Store],
) -> None:
    other = open_store(other_embedder)
    with pytest.raises(EmbeddingMismatchError, match="embedded with counting-1, and counting-2 is set; run kb ingest"):
        other.search("handbook", "年假", 3)
    assert "not with the model that is set" in other.check()[1][2]
    collection = other.prepare("handbook")
    assert collection.embedding == "counting-2"
    assert len(other_embedder.embedded) == 7
    assert other.search("handbook", "工龄满五年有几天年假？", 1)[0].source == "制度/年假.md"
    assert_in_step(folder, collection)
    with pytest.raises(EmbeddingMismatchError):
        store.search("handbook", "年假", 3)


@pytest.mark.usefixtures("store", "handbook")
def test_what_is_removed_under_one_model_is_not_kept_under_the_former(
    embedder: Embedder,
    other_embedder: Embedder,
    folder: Path,
    open_store: Callable[..., Store],
) -> None:
    other = open_store(other_embedder)
    other.remove(other.prepare("handbook"), ["制度/年假.md"])
    other.close()
    again = open_store(embedder)
    collection = again.prepare("handbook")
    assert len(embedder.embedded) == 7, "those that stayed still have their vectors"
    assert all(sound for _, sound, _ in again.check())
    assert_in_step(folder, collection)


# Files that are broken


def test_a_broken_catalogue_is_told_in_one_line(tmp_path: Path, open_store: Callable[..., Store]) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "catalog.db").write_bytes(b"garbage " * 500)
    with pytest.raises(StoreError, match=r"^cannot open the catalogue .*catalog\.db: .+; restore it") as caught:
        open_store(HashedEmbeddings())
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("handbook")
def test_a_check_names_a_damaged_catalogue_and_what_to_do(
    store: Store,
    embedder: Embedder,
    folder: Path,
    open_store: Callable[..., Store],
    source: Callable[..., NewSource],
) -> None:
    assert [sound for _, sound, _ in store.check()] == [True, True]
    store.close()
    damage(folder / "catalog.db")
    damaged = open_store(embedder)
    ((what, sound, detail),) = damaged.check()
    assert (what, sound) == ("catalogue", False)
    assert "malformed" in detail
    assert f"move {folder / 'catalog.db'}* away and ingest their folders again" in detail
    with pytest.raises(StoreError, match=r"^cannot use the catalogue"):
        damaged.search("handbook", "年假", 1)
    damaged.close()
    for path in folder.glob("catalog.db*"):
        path.unlink()
    again = open_store(embedder)
    collection = again.prepare("handbook")
    again.replace(collection, [source("a.md", "年假十二天")])
    assert all(sound for _, sound, _ in again.check())
    assert_in_step(folder, collection)


# Several processes


def test_another_process_finds_what_was_written_since(
    start: Start, open_store: Callable[..., Store], source: Callable[..., NewSource]
) -> None:
    store = open_store(HashedEmbeddings())
    collection = store.prepare("docs")
    store.replace(collection, [source("a.md", "Bananas are yellow.")])
    reader = start(READER)
    tell(reader, "bananas")
    assert told(reader) == "Bananas are yellow."
    # "Bananarama" shares no word with the question: only vectors lead to it.
    store.replace(collection, [source("b.md", "Bananarama sings."), source("a.md", "Cherries are red.")])
    tell(reader, "bananas")
    assert told(reader).split("|")[0] == "Bananarama sings."
    store.remove(collection, ["b.md"])
    tell(reader, "bananas cherries")
    assert told(reader) == "Cherries are red."


def test_a_second_writer_waits_and_says_for_whom(folder: Path, start: Start, open_store: Callable[..., Store]) -> None:
    store = open_store(HashedEmbeddings())
    holder = start(HOLDER)
    assert told(holder) == "held"
    messages: list[str] = []

    def waiting(message: str) -> None:
        messages.append(message)
        tell(holder, "go on")

    with store.writing(waiting):
        assert holder.wait(timeout=10) == 0
        assert (folder / "writer.pid").read_text() == str(os.getpid())
    assert messages == [f"another kb (process {holder.pid}) is writing to {folder}; waiting for it"]


def test_a_writer_that_was_killed_holds_up_no_one(start: Start, folder: Path, open_store: Callable[..., Store]) -> None:
    store = open_store(HashedEmbeddings())
    holder = start(HOLDER)
    assert told(holder) == "held"
    holder.kill()
    holder.wait()
    messages: list[str] = []
    with store.writing(messages.append):
        assert messages == []
    assert not (folder / "writer.pid").exists()


def test_a_writer_killed_at_any_moment_leaves_no_source_half_there(
    folder: Path, start: Start, open_store: Callable[..., Store]
) -> None:
    draw = random.Random(20250617)
    written = 0
    for attempt in range(5):
        writer = start(WRITER, str(attempt * 1000))
        assert told(writer) == "ready"
        time.sleep(draw.uniform(0.02, 0.5))
        writer.kill()
        writer.wait()
        store = open_store(HashedEmbeddings())
        collection = store.prepare("docs")
        assert all(sound for _, sound, _ in store.check())
        store.close()
        assert_in_step(folder, collection)
        query = (
            "SELECT name, text FROM sources JOIN chunks ON source_id = sources.id "
            "JOIN passages ON passage_id = passages.id ORDER BY name, position"
        )
        found: dict[str, list[str]] = {}
        for name, text in rows(folder, query):
            found.setdefault(str(name), []).append(str(text))
        for name, texts in found.items():
            version = texts[0].split()[2]
            assert texts == [f"{name} version {version} part {part}" for part in range(PARTS)]
            written = max(written, int(version))
        assert {name for (name,) in rows(folder, "SELECT name FROM sources")} == set(found)
    assert written > 0
