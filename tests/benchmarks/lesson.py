"""What the usual lesson does: every md and txt file into Chroma with a bge model, the plain way.

Run as `python lesson.py FOLDER MODEL DATABASE`; prints chunks and seconds, the imports and
the loading of the model left out.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

from langchain_community.document_loaders import TextLoader  # noqa: E402
from langchain_community.embeddings import HuggingFaceEmbeddings  # noqa: E402
from langchain_community.vectorstores import Chroma  # noqa: E402
from langchain_text_splitters import RecursiveCharacterTextSplitter  # noqa: E402


def main(folder: str, model: str, database: str) -> None:
    """Ingest the folder."""
    embeddings = HuggingFaceEmbeddings(model_name=model)
    embeddings.embed_query("warm")
    started = time.perf_counter()
    documents = []
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix in (".md", ".txt"):
            documents += TextLoader(str(path), encoding="utf-8").load()
    chunks = RecursiveCharacterTextSplitter(chunk_size=500, chunk_overlap=150).split_documents(documents)
    Chroma.from_documents(chunks, embeddings, persist_directory=database).persist()
    characters = sum(len(document.page_content) for document in documents)
    print(len(chunks), characters, time.perf_counter() - started)


if __name__ == "__main__":
    main(*sys.argv[1:])
