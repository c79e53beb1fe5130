"""Documents over HTTP: list, upload, remove, read in again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from kb_assistant.errors import UnknownCollectionError
from kb_assistant.serialization import collections_json, sources_json
from kb_assistant.sync.uploads import UPLOADS, Upload
from kb_assistant.web.api.errors import ERRORS, ErrorBody, RequestError
from kb_assistant.web.api.forms import CollectionName, NewCollectionName
from kb_assistant.web.api.jobs import IngestJobs, JobState

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["collection_routes", "document_routes"]

Responses = dict[int | str, dict[str, Any]]

_MOST_FIELDS = 20
_Password = Annotated[str, Field(max_length=1_000)]
_Passwords = Annotated[list[_Password], Field(max_length=10, description="tried on encrypted files; kept nowhere")]


class _AnyText(PathConvertor):
    """A document's name, whatever stands in it: `path` itself takes no line breaks."""

    regex = r"[\s\S]*"


register_url_convertor("any", _AnyText())


class UploadOptions(BaseModel):
    """What comes with uploaded files."""

    collection: NewCollectionName | None = None
    replace: bool = Field(False, description="whether files take the places of uploaded ones that have their names")
    password: _Passwords = []


class IngestRequest(BaseModel):
    """What is to be read in again: all that a collection has, or one of the folders that it mirrors."""

    model_config = ConfigDict(extra="forbid")

    collection: CollectionName | None = None
    folder: str | None = Field(None, max_length=1_000, description="its name, as /api/collections tells it")
    delete_missing: bool = Field(False, description="delete documents even where a whole folder is empty or gone")
    passwords: _Passwords = []


_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
_FORM = {
    "type": "object",
    "properties": {"files": _FILES, **UploadOptions.model_json_schema()["properties"]},
    "required": ["files"],
}
_UPLOAD = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}
_TOO_LARGE: Responses = {413: {"model": ErrorBody, "description": "more than the settings allow at once"}}
_BUSY: Responses = {429: {"model": ErrorBody, "description": "too many ingests are under way"}}
_WRITING: Responses = {
    409: {"model": ErrorBody, "description": "documents are being read in; try again when that is done"}
}


def document_routes(assistant: Assistant, jobs: IngestJobs) -> APIRouter:
    """Return the routes that list, take in and remove documents."""
    router = APIRouter(tags=["documents"], responses=ERRORS)

    @router.get("/api/sources")
    def sources(collection: Annotated[str | None, Query(max_length=200)] = None) -> list[dict[str, Any]]:
        """List the documents of a collection and what became of each; their folders are not told."""
        return [_without_path(assistant, one) for one in sources_json(assistant.sources(collection))]

    @router.post("/api/sources", status_code=202, openapi_extra=_UPLOAD, responses={**_TOO_LARGE, **_BUSY})
    async def upload(request: Request) -> JobState:
        """Take in files; they are read in the background, and GET /api/ingest/{id} tells what becomes of each."""
        form = await _form(request, assistant.settings.max_uploads, assistant.settings.max_upload_mb * 1_000_000)
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        try:
            options = _options(form)
            if not files:
                raise RequestError(422, "invalid_request", "files: at least one is needed")
            sent = [Upload(file.filename or "", file.file) for file in files]
        except BaseException:
            await form.close()
            raise

        def work(progress: Any, waiting: Any) -> Any:
            try:
                return assistant.upload(
                    sent,
                    collection=options.collection,
                    replacing=options.replace,
                    passwords=options.password,
                    progress=progress,
                    waiting=waiting,
                )
            finally:
                for file in files:
                    file.file.close()

        return jobs.start(options.collection or assistant.settings.collection, work)

    @router.delete("/api/sources/{name:any}", responses=_WRITING)
    def remove(name: str, collection: Annotated[str | None, Query(max_length=200)] = None) -> dict[str, list[str]]:
        """Remove a document by its whole name; an uploaded one's file goes, a folder's comes back when it is read."""
        return {"removed": assistant.remove(name, collection=collection, patterns=False, waiting=_not_now)}

    return router


def collection_routes(assistant: Assistant, jobs: IngestJobs) -> APIRouter:
    """Return the routes that list collections and read them in again."""
    router = APIRouter(tags=["documents"], responses=ERRORS)

    @router.get("/api/collections")
    def collections() -> list[dict[str, Any]]:
        """List the collections, with the names of the folders that they mirror."""
        return [
            {**one, "folders": [folder.name for folder in assistant.folders(one["collection"])]}
            for one in collections_json(assistant.collections())
        ]

    @router.post("/api/ingest", status_code=202, responses=_BUSY)
    def ingest(body: IngestRequest) -> JobState:
        """Read in again, in the background, what a collection mirrors; GET /api/ingest/{id} tells how far it is."""
        folders = assistant.folders(body.collection)
        chosen = [folder for folder in folders if folder.name == body.folder] if body.folder is not None else []
        if body.folder is not None and not chosen:
            raise UnknownCollectionError(
                f"the collection mirrors no folder {body.folder!r}; /api/collections lists them"
            )

        def work(progress: Any, waiting: Any) -> Any:
            return assistant.ingest(
                *chosen,
                collection=body.collection,
                delete_missing=body.delete_missing,
                passwords=body.passwords,
                progress=progress,
                waiting=waiting,
            )

        return jobs.start(body.collection or assistant.settings.collection, work)

    @router.get("/api/ingest/{job_id}")
    def job(job_id: str) -> JobState:
        """Tell how far an ingest is, and in the end what became of each file, with the reason."""
        return jobs.state(job_id)

    return router


def _without_path(assistant: Assistant, source: dict[str, Any]) -> dict[str, Any]:
    path = Path(source.pop("path"))
    return {**source, "uploaded": path.parent == assistant.home / UPLOADS}


def _not_now(_: str) -> None:
    raise RequestError(409, "busy", "documents are being read in; try again when that is done")


class _Parser(MultiPartParser):
    """Keeps no more than the beginning of each file in memory: many small ones come at once."""

    spool_max_size = 1 << 16


async def _form(request: Request, most_files: int, most_bytes: int) -> FormData:
    """Read a form with files, which go to the disk as they come.

    Raises:
        RequestError: it is no such form, or larger than it may be.
    """
    too_large = RequestError(413, "too_large", f"more than {most_bytes / 1e6:,.0f} MB at once; send fewer files")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RequestError(422, "invalid_request", "files are sent as multipart/form-data")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes:
        raise too_large

    async def counted() -> AsyncGenerator[bytes, None]:
        arrived = 0
        async for piece in request.stream():
            arrived += len(piece)
            if arrived > most_bytes:
                raise too_large
            yield piece

    try:
        async with aclosing(counted()) as stream:
            return await _Parser(request.headers, stream, max_files=most_files, max_fields=_MOST_FIELDS).parse()
    except MultiPartException as error:
        raise RequestError(422, "invalid_request", error.message) from error


def _options(form: FormData) -> UploadOptions:
    texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    given: dict[str, Any] = {name: value for name, value in texts if name in ("collection", "replace")}
    try:
        return UploadOptions(**given, password=[value for name, value in texts if name == "password"])
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
