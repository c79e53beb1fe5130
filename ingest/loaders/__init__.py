"""One loader a family of files; `dispatch` finds it by suffix.

A loader takes a path and `LoadOptions` and returns a `ParsedDocument`. To add a format,
write the loader in a module of its own and add its suffixes to the table in `dispatch`.
"""

from __future__ import annotations

from ingest.loaders.dispatch import LOADERS, PARSER_VERSION, load

__all__ = ["LOADERS", "PARSER_VERSION", "load"]
