"""Zip archives of XML (DOCX, PPTX, XLSX, EPUB): opened within limits, decrypted where a password is given.

What a hostile archive might do is bounded here, before any library sees it: entries, sizes, compression, entities.
"""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from collections.abc import Iterator

from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import (
    DamagedDocumentError,
    DocumentTooLargeError,
    EncryptedDocumentError,
    MissingExtraError,
    UnknownFormatError,
)

ZIP_HEAD, OLE_HEAD = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_ENTRIES = 20_000
MAX_UNPACKED = 1 << 30  # bytes
MAX_RATIO = 200  # unpacked to packed bytes, from which a large entry is a bomb
_SMALL = 20 << 20  # bytes of an entry that may be packed as tightly as it likes
_ENTITY = re.compile(rb"<!ENTITY|<!DOCTYPE[^>]*\[", re.IGNORECASE)
_ROOT = re.compile(rb"<[A-Za-z_]")
_HEAD = 1 << 15  # bytes within which declarations stand
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
_XML = (".xml", ".rels", ".opf", ".ncx", ".vml")


def refuse_bomb(name: str, archive: zipfile.ZipFile) -> None:
    """Refuse an archive beyond the limits.

    Raises:
        DocumentTooLargeError: too many entries, too many bytes, or bytes packed more tightly than documents are.
    """
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES:
        raise DocumentTooLargeError(
            f"{name} holds {len(entries):,} entries, the limit is {MAX_ENTRIES:,}.", remedy="Unpack what you need."
        )
    if total > MAX_UNPACKED:
        raise DocumentTooLargeError(
            f"{name} unpacks to {total:,} bytes, the limit is {MAX_UNPACKED:,}.", remedy="Unpack what you need."
        )
    for entry in entries:
        if entry.file_size > _SMALL and entry.file_size > MAX_RATIO * max(1, entry.compress_size):
            ratio = entry.file_size // max(1, entry.compress_size)
            raise DocumentTooLargeError(
                f"{name}: {entry.filename} unpacks to {ratio:,} times its size, the limit is {MAX_RATIO}.",
                remedy="It looks like an attack; leave it.",
            )


@contextlib.contextmanager
def opened_archive(source: Source, password: str | None = None) -> Iterator[zipfile.ZipFile]:
    """The archive, checked against the limits and for entities in its XML.

    Raises:
        EncryptedDocumentError: encrypted, and the password is missing or wrong.
        DamagedDocumentError: not a whole zip archive, or one whose XML declares entities.
        DocumentTooLargeError: see ``refuse_bomb``.
    """
    data: bytes | None = _decrypted(source, password) if source.head.startswith(OLE_HEAD) else None
    file = io.BytesIO(data) if data is not None else source.open()
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DamagedDocumentError(
                f"{source.name} is truncated or damaged: {reason_of(error)}.", remedy="Fetch or export it again."
            ) from error
        with archive:
            refuse_bomb(source.name, archive)
            _refuse_entities(source.name, archive)
            try:
                yield archive
            except (zipfile.BadZipFile, KeyError, EOFError) as error:
                reason = reason_of(error)
                raise DamagedDocumentError(
                    f"{source.name} is damaged: {reason}.", remedy="Fetch or export it again."
                ) from error


def _refuse_entities(name: str, archive: zipfile.ZipFile) -> None:
    """XML that declares entities could stand for any amount of text; no office program writes it."""
    for entry in archive.infolist():
        if entry.flag_bits & 1:
            raise EncryptedDocumentError(f"{name}: {entry.filename} is encrypted.", remedy="Unpack it first.")
        if not entry.filename.lower().endswith(_XML):
            continue
        try:
            with archive.open(entry) as part:
                head = part.read(_HEAD)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise DamagedDocumentError(
                f"{name} is damaged: {entry.filename}: {reason_of(error)}.", remedy="Fetch or export it again."
            ) from error
        except Exception as error:  # zlib.error is a plain Exception
            raise DamagedDocumentError(
                f"{name} is damaged: {entry.filename}: {reason_of(error)}.", remedy="Fetch or export it again."
            ) from error
        head = head.replace(b"\0", b"")  # UTF-16 of plain letters
        if _ENTITY.search(head) or (len(head) >= _HEAD and not _ROOT.search(head)):
            raise DamagedDocumentError(
                f"{name}: {entry.filename} declares entities, or hides where it begins, as no office program does.",
                remedy="It looks like an attack; leave it.",
            )


def is_encrypted_office(data: bytes) -> bool:
    """Whether an old container file contains an encrypted new document, rather than an old one."""
    return data.startswith(OLE_HEAD) and _ENCRYPTED_STREAM in data


def _decrypted(source: Source, password: str | None) -> bytes:
    data = source.read()
    if not is_encrypted_office(data):
        raise UnknownFormatError(
            f"{source.name} is a document of an Office before 2007, which is not read.",
            remedy="Save it in today's format (.docx, .xlsx, .pptx).",
        )
    if password is None:
        raise EncryptedDocumentError(f"{source.name} is encrypted and needs a password.", remedy="Give its password.")
    try:
        import msoffcrypto
    except ImportError as error:
        raise missing_extra(source.name, "msoffcrypto-tool", "office") from error
    plain = io.BytesIO()
    try:
        office = msoffcrypto.OfficeFile(io.BytesIO(data))
        office.load_key(password=password)
        office.decrypt(plain)
    except Exception as error:  # the library has several, for wrong passwords among them
        raise EncryptedDocumentError(
            f"The password given for {source.name} is wrong ({reason_of(error)}).", remedy="Check the password."
        ) from error
    return plain.getvalue()


def missing_extra(name: str, package: str, extra: str) -> MissingExtraError:
    """The error for a document whose reader needs a package that is not installed."""
    return MissingExtraError(
        f"{name} cannot be read: the package {package} is not installed.",
        remedy=f"Install it: pip install 'sharedllm-docs[{extra}]'.",
    )


def sniff_packed(head: bytes, name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether bytes of this name may be a packed document, or an encrypted or old one of the same name."""
    return name.lower().endswith(suffixes) and head.startswith((ZIP_HEAD, OLE_HEAD))
