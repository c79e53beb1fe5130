"""Documents over HTTP: list, upload, remove, ingest again."""

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
from kb_assistant.web.api.fields import CollectionName, NewCollectionName
from kb_assistant.web.api.jobs import IngestJobs, JobState

if TYPE_CHECKING:
    from kb_assistant.assistant import Assistant

__all__ = ["collection_routes", "document_routes"]

Responses = dict[int | str, dict[str, Any]]

_MAX_FIELDS = 20
_Password = Annotated[str, Field(max_length=1_000)]
_Passwords = Annotated[list[_Password], Field(max_length=10, description="tried on encrypted files; never stored")]


class _AnyText(PathConvertor):
    """A document's name with any characters: `path` itself stops at line breaks."""

    regex = r"[\s\S]*"


register_url_convertor("any", _AnyText())


class UploadOptions(BaseModel):
    """Options of an upload."""

    collection: NewCollectionName | None = None
    replace: bool = Field(False, description="replace uploaded documents of the same names")
    password: _Passwords = []


class CollectionQuery(BaseModel):
    """The collection, in the parameters of the address; the one in the settings if none is given."""

    model_config = ConfigDict(extra="forbid")

    collection: CollectionName | None = None


class IngestRequest(BaseModel):
    """What to ingest again: everything in a collection, or one of the folders that it mirrors."""

    model_config = ConfigDict(extra="forbid")

    collection: CollectionName | None = None
    folder: str | None = Field(None, max_length=1_000, description="the name of a folder, as in /api/collections")
    delete_missing: bool = Field(False, description="delete the documents of a folder that is empty or gone")
    passwords: _Passwords = []


_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
_FORM = {
    "type": "object",
    "properties": {"files": _FILES, **UploadOptions.model_json_schema()["properties"]},
    "required": ["files"],
}
_UPLOAD = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}
_TOO_LARGE: Responses = {413: {"model": ErrorBody, "description": "larger than the settings allow"}}
_BUSY: Responses = {429: {"model": ErrorBody, "description": "too many ingests are running"}}
_WRITING: Responses = {409: {"model": ErrorBody, "description": "another ingest is running; try again when it is done"}}


def document_routes(assistant: Assistant, jobs: IngestJobs) -> APIRouter:
    """Return the routes that list, upload and remove documents."""
    router = APIRouter(tags=["documents"], responses=ERRORS)

    @router.get("/api/sources")
    def sources(query: Annotated[CollectionQuery, Query()]) -> list[dict[str, Any]]:
        """List the documents of a collection with their status; paths are not shown."""
        return [_without_path(assistant, source) for source in sources_json(assistant.sources(query.collection))]

    @router.post("/api/sources", status_code=202, openapi_extra=_UPLOAD, responses={**_TOO_LARGE, **_BUSY})
    async def upload(request: Request) -> JobState:
        """Upload files; they are ingested in the background, and GET /api/ingest/{id} reports the result of each."""
        form = await _form(request, assistant.settings.max_uploads, assistant.settings.max_upload_mb * 1_000_000)
        files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        try:
            options = _options(form)
            if not files:
                raise RequestError(422, "invalid_request", "files: send at least one")
            sent = [Upload(file.filename or "", file.file) for file in files]
        except BaseException:
            await form.close()
            raise

        def work(progress: Any, notify: Any) -> Any:
            try:
                return assistant.upload(
                    sent,
                    collection=options.collection,
                    replacing=options.replace,
                    passwords=options.password,
                    progress=progress,
                    notify=notify,
                )
            finally:
                for file in files:
                    file.file.close()

        return jobs.start(options.collection or assistant.settings.collection, work)

    @router.delete("/api/sources/{name:any}", responses=_WRITING)
    def remove(name: str, query: Annotated[CollectionQuery, Query()]) -> dict[str, list[str]]:
        """Remove a document by its exact name; an upload is deleted, a file in a folder stays and is left out."""
        return {"removed": assistant.remove(name, collection=query.collection, patterns=False, notify=_refuse_to_wait)}

    return router


def collection_routes(assistant: Assistant, jobs: IngestJobs) -> APIRouter:
    """Return the routes that list collections and ingest them again."""
    router = APIRouter(tags=["documents"], responses=ERRORS)

    @router.get("/api/collections")
    def collections() -> list[dict[str, Any]]:
        """List the collections, with the names of the folders that they mirror."""
        return [
            {**listed, "folders": [folder.name for folder in assistant.folders(listed["collection"])]}
            for listed in collections_json(assistant.collections())
        ]

    @router.post("/api/ingest", status_code=202, responses=_BUSY)
    def ingest(body: IngestRequest) -> JobState:
        """Ingest again, in the background, what a collection mirrors; GET /api/ingest/{id} reports the progress."""
        folders = assistant.folders(body.collection)
        chosen = [folder for folder in folders if folder.name == body.folder] if body.folder is not None else []
        if body.folder is not None and not chosen:
            raise UnknownCollectionError(
                f"the collection mirrors no folder {body.folder!r}; GET /api/collections lists them"
            )

        def work(progress: Any, notify: Any) -> Any:
            return assistant.ingest(
                *chosen,
                collection=body.collection,
                delete_missing=body.delete_missing,
                passwords=body.passwords,
                progress=progress,
                notify=notify,
            )

        return jobs.start(body.collection or assistant.settings.collection, work)

    @router.get("/api/ingest/{job_id}")
    def job(job_id: str) -> JobState:
        """Return the progress of an ingest, and in the end the result of each file with the reason."""
        return jobs.state(job_id)

    return router


def _without_path(assistant: Assistant, source: dict[str, Any]) -> dict[str, Any]:
    path = Path(source.pop("path"))
    return {**source, "uploaded": path.parent == assistant.home / UPLOADS}


def _refuse_to_wait(_: str) -> None:
    raise RequestError(409, "busy", "another ingest is running; try again when it is done")


class _Parser(MultiPartParser):
    """Keeps only the beginning of each file in memory, since many files can come at once."""

    spool_max_size = 1 << 16


async def _form(request: Request, max_files: int, max_bytes: int) -> FormData:
    """Read a form whose files are written to disk as they arrive.

    Raises:
        RequestError: it is no form with files, or it is too large.
    """
    too_large = RequestError(413, "too_large", f"the upload is larger than {max_bytes / 1e6:,.0f} MB; send fewer files")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RequestError(422, "invalid_request", "send files as multipart/form-data")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large

    async def counted() -> AsyncGenerator[bytes, None]:
        arrived = 0
        async for piece in request.stream():
            arrived += len(piece)
            if arrived > max_bytes:
                raise too_large
            yield piece

    try:
        async with aclosing(counted()) as stream:
            return await _Parser(request.headers, stream, max_files=max_files, max_fields=_MAX_FIELDS).parse()
    except MultiPartException as error:
        raise RequestError(422, "invalid_request", error.message) from error


def _options(form: FormData) -> UploadOptions:
    texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    given: dict[str, Any] = {name: value for name, value in texts if name in ("collection", "replace")}
    try:
        return UploadOptions(**given, password=[value for name, value in texts if name == "password"])
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
