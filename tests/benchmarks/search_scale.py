"""The figures of docs/search.md: how long a search takes among 10,000 to a million passages, and what it finds.

Run with `python tests/benchmarks/search_scale.py 10000 100000`. Of what `scale_corpus` makes, up to
--questions of each set are asked. Vectors are made for sizes up to --dense only; a million take hours.
A store that is in --folder already is asked and not built.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from scale_corpus import Asked, paragraphs, passages, questions
from sqlalchemy import insert

from vectorstore import Collection, HashedEmbeddings, NewChunk, NewSource, Store, query_terms, schema, terms
from vectorstore.fulltext import FullTextIndex
from vectorstore.passages import Passages
from vectorstore.records import text_hash

T = TypeVar("T")

_NAME = "docs"
_PASSAGES_A_SOURCE = 50


class KnownQuestions(HashedEmbeddings):
    """The built-in vectors, those of the questions made beforehand: searches are timed without them."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        """Embed the questions."""
        self._known = {one.text: super(KnownQuestions, self).embed_query(one.text) for one in asked}

    def embed_query(self, text: str) -> list[float]:
        """Return the vector made beforehand."""
        return self._known[text]


def main() -> None:
    """Build, ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="+", help="passages beside those that the questions are about")
    parser.add_argument("--questions", type=int, default=75, help="of each of the four sets")
    parser.add_argument("--dense", type=int, default=100_000, help="largest size that vectors are made for")
    parser.add_argument("--folder", type=Path, help="where stores are kept; else they are thrown away")
    parser.add_argument("--exhaustive", action="store_true", help="also rank by all terms, however frequent")
    options = parser.parse_args()
    asked = questions(options.questions)
    with tempfile.TemporaryDirectory() as temporary:
        for size in options.sizes:
            folder = (options.folder or Path(temporary)) / str(size)
            measure(folder, size, asked, dense=size <= options.dense, exhaustive=options.exhaustive)


def measure(folder: Path, size: int, asked: Sequence[Asked], *, dense: bool, exhaustive: bool) -> None:
    """Print the figures of one size."""
    built = (folder / "catalog.db").exists()
    store = Store.open(folder, KnownQuestions(asked))
    if not built:
        started = time.perf_counter()
        build(store, size, dense=dense)
        print(f"{size:,} passages: built in {time.perf_counter() - started:.0f} s", flush=True)
    collection = store.catalog.collection(_NAME)

    indexes = {"full text": FullTextIndex(collection.id)}
    if exhaustive:
        indexes["full text, all terms"] = FullTextIndex(collection.id, most_postings=1 << 62)
    for what, index in indexes.items():
        found = timed(f"{size:,} {what}", partial(_full_text, store, index), asked)
        show_recall(store, collection, asked, found)
    if dense:
        timed(f"{size:,} vectors", lambda one: store.search_vectors(_NAME, one.text, 50), asked)
    whole = "whole search" if dense else "whole search, no vectors"
    timed(f"{size:,} {whole}", lambda one: store.search(_NAME, one.text, 10), asked)
    store.close()


def _full_text(store: Store, index: FullTextIndex, one: Asked) -> list[int]:
    with store.catalog.transaction() as connection:
        return [found for found, _ in index.search(connection, query_terms(one.text), 50)]


def build(store: Store, size: int, *, dense: bool) -> None:
    """Store the paragraphs and `size` passages."""
    collection = store.prepare(_NAME)
    texts = chain(([one] for one in paragraphs()), passages(size))
    if not dense:
        _fill_tables(store, collection, texts)
        return
    for number, batch in enumerate(_batches(texts, _PASSAGES_A_SOURCE)):
        store.replace(collection, [_source(number, [_text(one) for one in batch])])


def _fill_tables(store: Store, collection: Collection, passages: Iterable[list[str]]) -> None:
    """Write what `Store.replace` would, without vectors, in few statements; the terms of a sentence are found once."""
    index = FullTextIndex(collection.id)
    analysed: dict[str, str] = {}
    with store.catalog.transaction() as connection:
        last = 0
        for number, batch in enumerate(_batches(passages, 1000)):
            source = _source(number, [_text(one) for one in batch])
            row = {name: getattr(source, name) for name in NewSource.__dataclass_fields__ if name != "chunks"}
            connection.execute(insert(schema.sources), {"id": number, "collection_id": collection.id, **row})
            ids = range(last + 1, last + 1 + len(batch))
            last = ids[-1]
            texts = [
                {"id": i, "collection_id": collection.id, "text_hash": text_hash(c.text), "context": "", "text": c.text}
                for i, c in zip(ids, source.chunks, strict=True)
            ]
            connection.execute(insert(schema.passages).prefix_with("OR IGNORE"), texts)
            stored = {"source_id": number, "heading": (), "lines": ((0, 1),)}
            stored.update(position=0, repeated=0, char_start=0, char_end=0)
            connection.execute(insert(schema.chunks), [{"id": i, "passage_id": i, **stored} for i in ids])
            analysed.update((one, " ".join(terms(one))) for one in {*chain(*batch)} - analysed.keys())
            connection.exec_driver_sql(
                f"INSERT INTO fulltext_{collection.id} (rowid, name, heading, body) VALUES (?, ?, '', ?)",
                [(i, f"manual {number:06} md", " ".join(analysed[one] for one in batch[i - ids[0]])) for i in ids],
            )
        index.recount(connection)


def _text(sentences: Sequence[str]) -> str:
    return " ".join(sentences)


def _source(number: int, texts: Sequence[str]) -> NewSource:
    name = f"manuals/{number:06}.md"
    chunks = tuple(NewChunk(text, "", (), None, ((0, 1),), 0, len(text)) for text in texts)
    return NewSource(name, f"/{name}", "", "", "ready", None, None, (), chunks)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def timed(what: str, function: Callable[[Asked], T], asked: Sequence[Asked]) -> list[T]:
    """Ask everything, the first question twice, print milliseconds, and return what came.

    The CPU's milliseconds are this process's own, so that they tell what else the machine was doing.
    """
    function(asked[0])
    wall, cpu, results = [], [], []
    for one in asked:
        started = time.perf_counter(), time.process_time()
        results.append(function(one))
        wall.append(1e3 * (time.perf_counter() - started[0]))
        cpu.append(1e3 * (time.process_time() - started[1]))
    figures = (
        f"{name} p50 {np.percentile(one, 50):6.1f} p95 {np.percentile(one, 95):6.1f}"
        for name, one in (("ms", wall), ("CPU ms", cpu))
    )
    print(f"{what:<36} {'   '.join(figures)}   most {max(wall):6.1f}", flush=True)
    return results


def show_recall(store: Store, collection: Collection, asked: Sequence[Asked], found: Sequence[Sequence[int]]) -> None:
    """Print for each set how often the paragraph that answers is the first, and among the first ten."""
    at_1, at_10 = defaultdict(list), defaultdict(list)
    for one, ids in zip(asked, found, strict=True):
        with store.catalog.transaction() as connection:
            chunks = Passages(collection.id).find(connection, ids[:10])
        texts = [chunks[passage_id].text for passage_id in ids[:10]]
        at_1[one.name].append(texts[:1] == [one.gold])
        at_10[one.name].append(one.gold in texts)
    print("  recall@1 / @10: ", end="")
    print(", ".join(f"{name} {np.mean(at_1[name]):.3f} / {np.mean(at_10[name]):.3f}" for name in at_1), flush=True)


if __name__ == "__main__":
    main()
