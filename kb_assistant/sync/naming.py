"""Names documents by their paths, each name once in a collection.

A document is named by its path from the folder that the collection mirrors: `leave.md`, `zh/病假.txt`. A file that is
mirrored by itself goes by its file name. Where several folders hold the same path, each new document gets its folder's
name in front: `A/readme.md` and `B/readme.md`; where the folders' names are the same too, as much of their paths as
tells them apart: `x/docs/readme.md` and `y/docs/readme.md`.

A document keeps its name for as long as its file stays where it is under the same folder. Answers that were kept cite
documents by name: if `readme.md` of A became `A/readme.md` because B is mirrored too, those citations would no longer
open; and if the `readme.md` of B took a name that was A's, they would open the wrong file. So adding, changing
or removing one folder renames nothing in another, and prefixes appear only where names clash. Only when a folder is
mirrored around the former one do names follow, since they start from the outer folder then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path

__all__ = ["choose_names", "keeps_name", "relative_name", "root_of"]


def root_of(path: Path, roots: Iterable[Path]) -> Path | None:
    """Return the mirrored folder or file that `path` is, or lies in; None if there is none."""
    return next((root for root in roots if path.is_relative_to(root)), None)


def relative_name(path: Path, root: Path) -> str:
    """Return the path from `root`, with forward slashes; a file that is its own root goes by its name."""
    return path.name if path == root else path.relative_to(root).as_posix()


def keeps_name(name: str, relative: str) -> bool:
    """Return whether a document that is called `name` is still called so, at the path `relative` from its root."""
    return name == relative or name.endswith(f"/{relative}")


def choose_names(
    newcomers: Mapping[Path, Path], roots: Sequence[Path], present: Iterable[tuple[str, str]]
) -> dict[Path, str]:
    """Return a name for each file that has none yet.

    Args:
        newcomers: the files, each with its root.
        roots: all folders and files that the collection mirrors.
        present: the documents that keep their names: (name, path from its root).
    """
    present = list(present)
    taken = {name for name, _ in present}
    holders = Counter(relative for _, relative in present)
    holders.update(relative_name(path, root) for path, root in newcomers.items())
    chosen: dict[Path, str] = {}
    for path in sorted(newcomers):
        relative = relative_name(path, newcomers[path])
        alone = [relative] if holders[relative] == 1 else []
        name = next(name for name in chain(alone, _prefixed(path, newcomers[path], roots)) if name not in taken)
        taken.add(name)
        chosen[path] = name
    return chosen


def _prefixed(path: Path, root: Path, roots: Sequence[Path]) -> Iterator[str]:
    """Yield names with the folder's in front: first the shortest that no other folder shares, numbered ones last."""
    relative = relative_name(path, root)
    own, *others = (_folder(one).parts for one in (root, *roots))
    longest = len(own) - 1  # the first part is the root of the file system
    for length in range(1, longest + 1):
        if all(other == own or other[-length:] != own[-length:] for other in others):
            yield "/".join((*own[-length:], relative))
    prefix = own[-1] if longest else "root"
    yield from (f"{prefix} ({number})/{relative}" for number in count(2))


def _folder(root: Path) -> Path:
    return root.parent if root.is_file() else root
