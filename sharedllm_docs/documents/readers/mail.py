"""E-mail (``.eml``): sender, subject and text as a mail program shows them, through the standard library.

Attached files are documents of their own: they are named here, and read on request (``embedded``).
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
from collections.abc import Iterator, Mapping
from email.message import EmailMessage, Message, MIMEPart
from typing import Any, ClassVar
from urllib.parse import unquote

from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.calendar import events
from sharedllm_docs.documents.readers.decode import looks_like_text
from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.readers.html_blocks import See, html_blocks, marked_text, picture_name, picture_source
from sharedllm_docs.documents.readers.nesting import parse_html
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pictures import Pictures
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import DamagedDocumentError

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_OPENS = re.compile(rb"\A(?:From [^\n]*\n)?(?:[!-9;-~]+:[^\n]*\r?\n(?:[ \t][^\n]*\r?\n)*){2,}")
_KNOWN = re.compile(rb"^(?:From|To|Date|Subject|Message-ID|Received|MIME-Version):", re.IGNORECASE | re.MULTILINE)
_REFERENCE = re.compile(r"\bcid:([^\"'>\s)]+)", re.IGNORECASE)
_MAX_DEPTH = 8
_TEXTS = ("text/plain", "text/html", "text/rfc822-headers", "text/x-amp-html", "text/watch-html")
"""Types of parts that are shown as text, or are alternatives of the text."""


class _Policy(email.policy.EmailPolicy):
    """The present e-mail rules; a header that the standard library fails on is replaced by an empty one of its kind.

    Its parser raises errors of many kinds for malformed headers, whenever they are accessed.
    """

    _PLAINEST: ClassVar = {"content-type": "text/plain", "content-disposition": "attachment"}

    def header_fetch_parse(self, name: str, value: Any) -> Any:
        try:
            return super().header_fetch_parse(name, value)
        except RecursionError:
            raise
        except Exception:
            plainest = self._PLAINEST.get(name.lower())
            return self.header_factory(name, plainest) if plainest else str(value)


class MailReader:
    """Single e-mails as mail programs save them."""

    name = "mail"
    version = "5"
    suffixes = (".eml",)
    takes = frozenset({"attachments", "ocr"})

    def sniff(self, head: bytes, name: str) -> bool:
        """Header lines of an e-mail, under its name."""
        return name.lower().endswith(self.suffixes) and looks_like_text(head) and _KNOWN.search(head) is not None

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """One page: the header lines that mail programs show, then the text.

        Raises:
            DamagedDocumentError: it has neither header nor text.
        """
        choose_pages(source.name, 1, options)
        message = parsed(source.read(), source.name)
        flow, pictures = Flow(options.clean), Pictures(options)
        left_out = _add_message(flow, message, options.clean, pictures, 0)
        names = [name for name, _ in attached(message)]
        issues = [Issue("embedded-files", attachments_message(names))] if names else []
        if left_out:
            told = f"e-mails are forwarded in one another more than {_MAX_DEPTH} deep; deeper ones are left out"
            issues.append(Issue("nested-too-deep", told))
        issues += pictures.issues()
        pages, sections = flow.pages()
        if progress is not None:
            progress(1, 1)
        metadata = {
            "title": _header(message, "Subject"),
            "author": _header(message, "From"),
            "date": _header(message, "Date"),
        }
        return make_document(
            self,
            source,
            options,
            pages=pages,
            page_count=1,
            sections=sections,
            issues=issues,
            metadata={key: value for key, value in metadata.items() if value},
        )


def attachments_message(names: list[str]) -> str:
    """The message about attached files that are not read."""
    listed = ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"it holds the file(s) {listed}; attachments=True (--attachments) reads each as a document of its own"


def parsed(data: bytes, name: str) -> EmailMessage:
    """The e-mail.

    Raises:
        DamagedDocumentError: there is none.
    """
    message = email.message_from_bytes(data, policy=_Policy())
    if not isinstance(message, EmailMessage) or not message.keys():
        raise DamagedDocumentError(f"{name} is not an e-mail: it has no header.", remedy="Save it again as .eml.")
    return message


def attached(message: EmailMessage) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the files attached to an e-mail; forwarded e-mails are part of its text."""
    shown = _shown(message)
    for part in message.walk():
        if part.is_multipart() or part.get_content_maintype() == "multipart":
            continue
        if part.get_content_maintype() == "image" and _identity(part) in shown:
            continue
        name = part.get_filename()
        disposition = part.get_content_disposition()
        if not name and disposition != "attachment":
            if part.get_content_type() in _TEXTS or part.get_content_maintype() in ("message", "image"):
                continue  # part of the text
            if (
                part.get_content_type() == "text/calendar"
                and isinstance(part, MIMEPart)
                and any(events(_content(part)))
            ):
                continue  # an invitation, which is read
            name = f"unnamed part ({part.get_content_type()})"
        if disposition != "attachment" and part.get_content_maintype() in ("image",):
            continue  # pictures in the text
        try:
            data = part.get_payload(decode=True)
        except (ValueError, LookupError):
            continue
        if isinstance(data, bytes) and data:
            yield str(name or "attachment"), data


def _identity(part: Message) -> str:
    """A part's Content-ID, by which the text refers to it; "" for none."""
    return str(part.get("Content-ID") or "").strip().strip("<>")


def _shown(message: EmailMessage) -> set[str]:
    """The Content-IDs of the pictures that HTML texts show."""
    found: set[str] = set()
    for part in message.walk():
        if part.get_content_type() == "text/html":
            data = part.get_payload(decode=True)
            text = data.decode("latin-1") if isinstance(data, bytes) else ""
            found.update(unquote(name) for name in _REFERENCE.findall(text))
    return found


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = message.get(name)
    except Exception:  # a malformed header makes the library fail; one must not cost the whole e-mail
        return ""
    return " ".join(str(value).split()) if value else ""


def _delivery_lines(message: EmailMessage) -> Iterator[str]:
    """What a report about the delivery of an e-mail says: header lines in parts of their own."""
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status" and _is_own(message, part) and part.is_multipart():
            for block in part.get_payload():
                if isinstance(block, Message):
                    yield from (f"{name}: {' '.join(str(value).split())}" for name, value in block.items())


def _invitations(message: EmailMessage) -> Iterator[list[str]]:
    """The lines of each event that an e-mail invites to, as mail programs show them."""
    seen: list[list[str]] = []
    for part in message.walk():
        mine = isinstance(part, MIMEPart) and (part is message or _is_own(message, part))
        if part.get_content_type() != "text/calendar" or not mine:
            continue
        for lines in events(_content(part)):
            if lines not in seen:  # the same again as an attached file
                seen.append(lines)
                yield lines


def _add_message(flow: Flow, message: EmailMessage, clean: bool, pictures: Pictures, depth: int) -> int:
    """Header and text of an e-mail and of those forwarded in it; returns how many are too deep and left out."""
    subject = _header(message, "Subject")
    lines = [f"{name}: {_header(message, name)}" for name in _SHOWN if _header(message, name)]
    flow.add(subject, min(depth + 1, 6))
    flow.add_lines(lines, "header")
    _add_body(flow, message, clean, pictures)
    flow.add_lines(list(_delivery_lines(message)), "delivery")
    for lines in _invitations(message):
        flow.add_lines(lines, "invitation")
    left_out = 0
    for part in message.walk():
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload(0) if part.is_multipart() else None
            if not isinstance(inner, EmailMessage) or not (part is message or _is_own(message, part)):
                continue
            if depth >= _MAX_DEPTH:
                left_out += 1
                continue
            flow.add("Forwarded message:")
            left_out += _add_message(flow, inner, clean, pictures, depth + 1)
    return left_out


def _is_own(message: EmailMessage, part: object) -> bool:
    """Whether ``part`` belongs to this e-mail and not to one forwarded in it."""
    stack: list[object] = [message]
    while stack:
        at = stack.pop()
        for child in (
            at.iter_parts() if isinstance(at, EmailMessage) and at.get_content_maintype() == "multipart" else ()
        ):
            if child is part:
                return True
            stack.append(child)
    return False


def _add_body(flow: Flow, message: EmailMessage, clean: bool, pictures: Pictures) -> None:
    """The text as it is shown: HTML if it contains words, else plain text; then pictures that are shown beside it."""
    shown = _pictures_of(message)
    seen: set[str] = set()
    _add_text(flow, message, clean, lambda tag: _see(tag, shown, pictures, seen))
    for identity, (name, data) in shown.items():
        if identity not in seen:
            flow.add(marked_text(pictures.text(data, name)))


def _pictures_of(message: EmailMessage) -> dict[str, tuple[str, bytes]]:
    """(name, bytes) of the pictures that are shown with an e-mail's text, by their Content-ID or number."""
    found: dict[str, tuple[str, bytes]] = {}
    referred = _shown(message)
    for number, part in enumerate(message.walk()):
        if part.get_content_maintype() != "image" or not _is_own(message, part):
            continue
        identity = _identity(part)
        if part.get_content_disposition() == "attachment" and identity not in referred:
            continue
        with contextlib.suppress(ValueError, LookupError):
            data = part.get_payload(decode=True)
            if isinstance(data, bytes):
                name = str(part.get_filename() or identity or f"picture {number}")
                found[identity or str(number)] = name, data
    return found


def _see(tag: Any, shown: Mapping[str, tuple[str, bytes]], pictures: Pictures, seen: set[str]) -> str:
    """Text of a picture in the HTML text of an e-mail; ``seen`` takes its identity."""
    source = picture_source(tag)
    if source[:4].lower() != "cid:":
        return pictures.shown_by(tag)
    identity = unquote(source[4:])
    found = shown.get(identity)
    seen.add(identity)
    if found is None:
        pictures.lost(picture_name(tag, source[:100]), "it is not in the e-mail")
        return ""
    return pictures.text(found[1], found[0])


def _add_text(flow: Flow, message: EmailMessage, clean: bool, see: See) -> None:
    """The parts that mail programs show one below the other, such as text before and after an attached file."""
    for number, body in enumerate(_bodies(message)):
        if number and body.get_filename():
            continue  # an attached file, which is reported as one
        text = _content(body)
        if body.get_content_subtype() == "html":
            for block in html_blocks(parse_html(text)[0], clean, see):
                flow.add(block.text, block.level and min(block.level + 1, 9), block.group)
            continue
        for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
            flow.add(paragraph)


def _bodies(part: Message) -> list[MIMEPart]:
    """The texts that are shown of a part, in order; of alternatives one, HTML first if it has words."""
    kind = part.get_content_type()
    if not isinstance(part, MIMEPart) or part.is_attachment():
        return []
    if part.get_content_maintype() == "multipart":
        found = [bodies for child in part.iter_parts() if (bodies := _bodies(child))]
        if kind == "multipart/alternative":
            found.sort(key=lambda bodies: (not _is_html(bodies) or not _has_words(bodies), _is_html(bodies)))
            found = found[:1]
        return [body for bodies in found for body in bodies]
    return [part] if kind in ("text/plain", "text/html", "text/rfc822-headers") else []


def _is_html(bodies: list[MIMEPart]) -> bool:
    return any(body.get_content_subtype() == "html" for body in bodies)


def _has_words(bodies: list[MIMEPart]) -> bool:
    """Whether an alternative shows anything: words, or a picture."""
    for body in bodies:
        blocks = html_blocks(parse_html(_content(body))[0], clean=True, see=lambda tag: "picture")
        if any(character.isalnum() for block in blocks for character in block.text):
            return True
    return False


def _content(part: MIMEPart) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError, KeyError):  # an encoding that does not exist, or bytes that are not in it
        data = part.get_payload(decode=True)
        return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(part.get_payload())
