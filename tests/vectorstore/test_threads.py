"""Several threads search while the store is written to, as under the page."""

import threading
from pathlib import Path

from vectorstore import HashedEmbeddings, NewChunk, NewSource, Store


def source(number: int, version: int) -> NewSource:
    text = f"Source {number} in version {version} speaks of batteries."
    chunk = NewChunk(text, "", (), None, ((0, 1),), 0, len(text))
    return NewSource(f"{number}.md", f"/docs/{number}.md", str(version), "v1", "ready", None, None, (), (chunk,))


def test_searches_and_writes_at_once(tmp_path: Path) -> None:
    store = Store.open(tmp_path, HashedEmbeddings())
    collection = store.prepare("default")
    store.replace(collection, [source(number, 0) for number in range(20)])
    errors: list[BaseException] = []
    searched = [0]
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            try:
                assert len(store.search("default", "which source speaks of batteries", 20)) == 20
                searched[0] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the main thread shows it
                errors.append(error)
                return

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for version in range(1, 15):
        store.replace(collection, [source(number, version) for number in range(20)])
    done.set()
    for thread in threads:
        thread.join()
    store.close()
    assert not errors, errors[0]
    assert searched[0] > 20
