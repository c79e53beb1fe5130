"""`kb models pull`: brings a model to this machine, whole and checked or not at all.

The one thing in kb that goes to the network without a server having been set up, and only when it is asked for.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingest import content_hash
from kb_assistant.errors import ModelError, UsageError
from kb_assistant.llms.checkpoints.model_files import RECORD, inspect_model, llama_family, tensor_names
from kb_assistant.models.catalogue import CatalogueEntry, catalogue, find_entry
from kb_assistant.models.download import fetch
from kb_assistant.models.hubs import HUBS, RemoteFile, client_for, list_files
from kb_assistant.models.registry import ModelInfo, check_room, model_folder, model_info, model_lock

__all__ = ["pull_model"]

# Of the folders below only those of sentence-transformers, such as 1_Pooling.
_PLAIN = re.compile(r"(?:\d+_\w+/)?[^/.][^/]*\.(?:json|txt|model|jinja|spm|safetensors)|LICENSE[^/]*")
_OPENVINO = re.compile(r"openvino_\w+\.(?:xml|bin)|[^/.][^/]*\.(?:json|txt|model|jinja)|LICENSE[^/]*")
_CODE = re.compile(r"(?:\w+/)*\w+\.py")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_Progress = Callable[[int, int, str], None]
_Tell = Callable[[str], None]


def pull_model(
    wanted: str,
    folder: Path,
    *,
    origin: str = "hf",
    revision: str | None = None,
    trust_remote_code: bool = False,
    progress: _Progress = lambda done, total, name: None,
    tell: _Tell = lambda message: None,
) -> ModelInfo:
    """Bring a model into `folder`, or check the one that is there against what was recorded when it came.

    What an earlier run had fetched before it was broken off is used.

    Args:
        wanted: a name of the catalogue, or a model's id at a hub; with a folder as origin, the name it gets.
        folder: where models are kept.
        origin: a hub's name, or the folder of a model that was brought by hand.
        revision: a branch, tag or commit at the hub; None for the catalogue's, else the newest.
        trust_remote_code: bring the Python code of a model's folder along, where that is the origin.
        progress: called with (bytes there, bytes in all, the file).
        tell: called with what is worth knowing on the way.

    Raises:
        UsageError: there is no such model in the catalogue, or another one has its name.
        ModelError: the hub cannot be used, the model is refused, damaged, or there is no room for it.
    """
    entry = find_entry(wanted)
    name = entry.name if entry else wanted.rpartition("/")[2]
    if origin not in HUBS and not Path(origin).expanduser().is_dir():
        raise UsageError(f"--from {origin} is neither a hub ({', '.join(HUBS)}) nor a folder; correct it")
    source = _Source.of(wanted, entry, origin, revision)
    target = model_folder(folder, name)
    with model_lock(folder, name):
        if target.exists():
            _check_present(target, source)
            tell(f"{name} is here already, and every file is as it was recorded")
            return model_info(target)
        unfinished = folder / f".{name}.partial"
        unfinished.mkdir(exist_ok=True)
        try:
            # No code comes from a hub, whatever flag is given: nobody has read it.
            with_code = trust_remote_code and origin not in HUBS
            choice = _Choice(name, with_code, entry.pickles if entry else {})
            record = source.bring(unfinished, choice, progress, tell)
            for path in sorted(choice.pickles.keys() & record["files"].keys()):
                choice.check_pickle(path, record["files"].pop(path))  # of what has just been fetched or copied
                tell(f"{path} is the file that is known here; writing its weights anew as safetensors")
                written = _as_safetensors(unfinished / path)
                record["files"][written.name] = content_hash(written)
            _inspect(unfinished, trust_remote_code=trust_remote_code)
            (unfinished / RECORD).write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
            unfinished.rename(target)
        except OSError as error:
            where = error.filename or unfinished
            raise ModelError(f"{where}: {error.strerror or error}; mend that or make room, and run it again") from error
    return model_info(target)


@dataclass(frozen=True)
class _Choice:
    """Which files of a model are taken."""

    name: str
    with_code: bool
    pickles: Mapping[str, str]
    """Weights in a format that can run code, with the SHA-256 by which they are known."""

    def of(self, paths: Iterable[str]) -> list[str]:
        """Return the files that are needed.

        Raises:
            ModelError: there are no weights among them that are safe to load.
        """
        paths = list(paths)
        plain = [path for path in paths if _PLAIN.fullmatch(path) and path != RECORD]
        known = [path for path in paths if path in self.pickles]
        if any(path.endswith(".safetensors") for path in plain):
            known = []
        elif not known:
            plain = [path for path in paths if _OPENVINO.fullmatch(path) and path != RECORD]
            if not any(path.endswith(".xml") for path in plain):
                raise ModelError(_no_weights(self.name, paths))
        code = [path for path in paths if _CODE.fullmatch(path)] if self.with_code else []
        return sorted({*plain, *known, *code})

    def room(self, sizes: Mapping[str, int]) -> int:
        """Return how many bytes these files take at most, by their sizes: a pickle twice, since it is written anew."""
        return sum(size * (2 if path in self.pickles else 1) for path, size in sizes.items())

    def check_pickle(self, path: str, sha256: str) -> None:
        """Check that a pickle is the one that is known, before it is looked into.

        Raises:
            ModelError: it is another file.
        """
        if sha256 != self.pickles[path]:
            raise ModelError(
                f"{path} is not the file that the catalogue knows, and its format can run code; "
                "take another --from or --revision"
            )


class _Source:
    """Where a model comes from."""

    shown: str
    revision: str | None

    @staticmethod
    def of(wanted: str, entry: CatalogueEntry | None, origin: str, revision: str | None) -> _Source:
        if origin not in HUBS:
            if revision:
                raise UsageError("--revision goes with a hub, not with a folder; leave it out")
            return _Folder(Path(origin).expanduser().resolve())
        repo = (entry.hf if origin == "hf" else entry.modelscope) if entry else wanted
        if repo is None:
            raise UsageError(
                f"{wanted} is not at {origin}, as far as is known here; take another --from, or give OWNER/NAME"
            )
        if "/" not in repo:
            names = ", ".join(one.name for one in catalogue())
            raise UsageError(f"no model {wanted!r} in the catalogue; give OWNER/NAME, or one of: {names}")
        pinned = entry.hf_revision if entry and origin == "hf" else None
        return _AtHub(origin, repo, revision or pinned)

    def bring(self, to: Path, choice: _Choice, progress: _Progress, tell: _Tell) -> dict[str, Any]:
        """Put the files into `to`, and return the record of them."""
        raise NotImplementedError


class _AtHub(_Source):
    def __init__(self, hub: str, repo: str, revision: str | None) -> None:
        self._hub, self._repo, self.revision = hub, repo, revision
        address = HUBS[hub].address
        self.shown = f"{address}/{repo}" if hub == "hf" else f"{address}/models/{repo}"

    def bring(self, to: Path, choice: _Choice, progress: _Progress, tell: _Tell) -> dict[str, Any]:
        with client_for(self._hub) as client:
            listing = list_files(client, self._hub, self._repo, self.revision)
            if self.revision is None:
                host = urlsplit(listing.origin).netloc
                tell(f"no revision is pinned: taking what {host} has now ({listing.revision}), and recording it")
            by_path = {file.path: file for file in listing.files}
            # The small ones first: they say whether the rest is wanted.
            files = sorted((by_path[path] for path in choice.of(by_path)), key=lambda file: (file.size, file.path))
            _check_checksums(files)
            for file in files:
                if file.path in choice.pickles and file.sha256:
                    choice.check_pickle(file.path, file.sha256)
            total = sum(file.size for file in files)
            room = choice.room({file.path: file.size for file in files})
            check_room(to, room - sum(file.stat().st_size for file in to.rglob("*") if file.is_file()))
            self._keep_only(to, {file.path for file in files})
            done = 0
            for file in files:

                def advance(more: int, path: str = file.path) -> None:
                    nonlocal done
                    done += more
                    progress(done, total, path)

                fetch(client, file, to / file.path, advance)
                if file.path == "config.json":
                    _check_code(to, choice, listing.origin)
        return _record(to, listing.origin, self.revision or listing.revision, listing.revision, files)

    @staticmethod
    def _keep_only(to: Path, paths: set[str]) -> None:
        """Throw away what an earlier run fetched of another revision."""
        for file in [path for path in to.rglob("*") if path.is_file()]:
            if file.relative_to(to).as_posix().removesuffix(".part") not in paths:
                file.unlink()


class _Folder(_Source):
    revision = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.shown = str(folder)

    def bring(self, to: Path, choice: _Choice, progress: _Progress, tell: _Tell) -> dict[str, Any]:
        found = [path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file()]
        if not choice.pickles.keys() & set(found):  # else it is inspected once they are safetensors
            _inspect(self._folder, trust_remote_code=choice.with_code)
        paths = choice.of(found)
        sizes = {path: (self._folder / path).stat().st_size for path in paths}
        total = sum(sizes.values())
        shutil.rmtree(to)
        to.mkdir()
        check_room(to, choice.room(sizes))
        done = 0
        for path in paths:
            (to / path).parent.mkdir(exist_ok=True, parents=True)
            shutil.copyfile(self._folder / path, to / path)
            done += (to / path).stat().st_size
            progress(done, total, path)
        return {"made_from": self.shown, "files": {path: content_hash(to / path) for path in paths}}


def _as_safetensors(file: Path) -> Path:
    """Write the tensors of a pickle, which has been checked, as safetensors in its place."""
    import torch
    from safetensors.torch import save_file

    tensors = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    target = file.with_name("model.safetensors")
    part = file.with_name(f"{target.name}.part")
    # One that shares its memory with another would be refused, so each gets its own.
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, part, {"format": "pt"})
    part.rename(target)
    file.unlink()
    return target


def _record(to: Path, origin: str, asked: str, revision: str, files: Sequence[RemoteFile]) -> dict[str, Any]:
    hashes = {file.path: file.sha256 or content_hash(to / file.path) for file in files}
    return {"made_from": origin, "asked_revision": asked, "revision": revision, "files": dict(sorted(hashes.items()))}


def _check_present(target: Path, source: _Source) -> None:
    """Check a model that is there already against its record."""
    try:
        record = json.loads((target / RECORD).read_text(encoding="utf-8"))
        origin, files = record["made_from"], dict(record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        origin, files = None, {}
    again = f"kb models remove {target.name}"
    if origin != source.shown:
        whence = f", from {origin}" if origin else ", and was not pulled"
        raise UsageError(f"{target} exists already{whence}; to have another in its place, first: {again}")
    if source.revision not in (None, record.get("revision"), record.get("asked_revision")):
        raise UsageError(f"{target} is of revision {record.get('revision')}; for another one, first: {again}")
    for path, expected in files.items():
        file = target / path
        if not file.is_file() or content_hash(file) != expected:
            raise ModelError(
                f"{file} is not what was pulled: it has changed or is gone; to get it anew, first: {again}"
            )


def _check_checksums(files: Sequence[RemoteFile]) -> None:
    bare = next((file.path for file in files if not (file.sha256 or file.git_sha1)), None)
    if bare:
        raise ModelError(f"the hub gives no checksum for {bare}, so it could not be checked; take another --from")


def _check_code(to: Path, choice: _Choice, shown: str) -> None:
    """Refuse a model that needs code which nobody has agreed to, before its weights are fetched."""
    try:
        config = json.loads((to / "config.json").read_text(encoding="utf-8"))
    except ValueError:
        return  # the inspection at the end says what is wrong with it
    if isinstance(config, dict) and "auto_map" in config and not llama_family(config):
        raise ModelError(
            f"{choice.name} needs Python code of its own, and no code is fetched; bring its folder by hand "
            f"from {shown}, read the .py files, and run: kb models pull {choice.name} --from FOLDER --trust-remote-code"
        )


def _inspect(path: Path, *, trust_remote_code: bool) -> None:
    """Check that a model is whole, as far as can be told without loading it."""
    if any(path.glob("openvino_*.xml")):
        bare = [file.name for file in path.glob("openvino_*.xml") if not file.with_suffix(".bin").is_file()]
        if bare:
            raise ModelError(f"{path} lacks the weights of {bare[0]}; fetch {Path(bare[0]).stem}.bin too")
    elif (path / "modules.json").is_file():
        for file in path.rglob("*.safetensors"):
            tensor_names(file)
    else:
        inspect_model(path, trust_remote_code=trust_remote_code)


def _no_weights(name: str, paths: Sequence[str]) -> str:
    pickle = next((path for path in sorted(paths) if path.endswith(_PICKLES) and not path.startswith("openvino")), None)
    if pickle:
        return (
            f"{name} has its weights only as {pickle}, a format that can run code; only safetensors and OpenVINO are "
            "taken: look for a revision or another model that has them"
        )
    return f"{name} has no weights that kb can load (safetensors or OpenVINO); take another model"
