"""Decryption of Office documents with the passwords that the user gives."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ingest.errors import PasswordRequiredError
from ingest.loaders.office.file_kind import Kind, kind_of
from ingest.options import LoadOptions

__all__ = ["decrypted"]

# Excel's fixed password for workbooks that are only protected against changes.
_WITHOUT_ASKING = "VelvetSweatshop"


def decrypted(path: Path, options: LoadOptions) -> BinaryIO | None:
    """Decrypt a document with a password from `options`; `None` if it is not encrypted.

    Raises:
        PasswordRequiredError: no password fits, or the encryption is unknown.
    """
    import msoffcrypto
    from msoffcrypto.exceptions import InvalidKeyError

    with path.open("rb") as stream:
        try:
            document = msoffcrypto.OfficeFile(stream)
            if not document.is_encrypted():
                return None
        except Exception as error:
            if kind_of(path) is not Kind.ENCRYPTED:
                return None  # perhaps broken; the loader will say so
            raise PasswordRequiredError(
                f"{path.name}: it is encrypted in an unknown way; save a copy without the password"
            ) from error
        for password in (*options.passwords, _WITHOUT_ASKING):
            plain = io.BytesIO()
            # A wrong key fails in many ways; the next may fit.
            with suppress(InvalidKeyError, AssertionError, ValueError, struct.error):
                document.load_key(password=password, verify_password=True)
                document.decrypt(plain)
                plain.seek(0)
                return plain
    tried = "it is encrypted, and no password given opens it" if options.passwords else "it is encrypted"
    raise PasswordRequiredError(f"{path.name}: {tried}; give its password with --password, or save a copy without")
