"""E-mail (``.eml``): sender, subject and text as a mail program shows them, through the standard library.

Attached files are documents of their own: they are named here, and read on request (``embedded``).
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import EmailMessage, MIMEPart
from typing import Any, ClassVar

from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.decode import looks_like_text
from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.readers.html import html_blocks
from sharedllm_docs.documents.readers.nesting import parse_html
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import DamagedDocumentError

_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_OPENS = re.compile(rb"\A(?:From [^\n]*\n)?(?:[!-9;-~]+:[^\n]*\r?\n(?:[ \t][^\n]*\r?\n)*){2,}")
_KNOWN = re.compile(rb"^(?:From|To|Date|Subject|Message-ID|Received|MIME-Version):", re.IGNORECASE | re.MULTILINE)
_MAX_DEPTH = 8


class _Policy(email.policy.EmailPolicy):
    """Today's rules; a header that the standard library trips over stands for the plainest of its kind.

    Its parser of headers raises errors of every kind for malformed ones, wherever they are looked at.
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
    version = "2"
    suffixes = (".eml",)
    takes = frozenset({"attachments"})

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
        flow = Flow(options.clean)
        left_out = _add_message(flow, message, options.clean, 0)
        names = [name for name, _ in attached(message)]
        issues = [Issue("embedded-files", attachments_message(names))] if names else []
        if left_out:
            told = f"e-mails are forwarded in one another more than {_MAX_DEPTH} deep; deeper ones are left out"
            issues.append(Issue("nested-too-deep", told))
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
    """What to say of files that come along unread."""
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
    for part in message.walk():
        if part.is_multipart() or part.get_content_maintype() == "multipart":
            continue
        name = part.get_filename()
        disposition = part.get_content_disposition()
        if not name and disposition != "attachment":
            continue
        if disposition != "attachment" and part.get_content_maintype() in ("image",):
            continue  # pictures in the text
        try:
            data = part.get_payload(decode=True)
        except (ValueError, LookupError):
            continue
        if isinstance(data, bytes) and data:
            yield str(name or "attachment"), data


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = message.get(name)
    except Exception:  # headers can be malformed in ways the library trips over: one must not cost the whole e-mail
        return ""
    return " ".join(str(value).split()) if value else ""


def _add_message(flow: Flow, message: EmailMessage, clean: bool, depth: int) -> int:
    """Header and text of an e-mail and of those forwarded in it; returns how many are too deep and left out."""
    subject = _header(message, "Subject")
    lines = [f"{name}: {_header(message, name)}" for name in _SHOWN if _header(message, name)]
    flow.add(subject, min(depth + 1, 6))
    flow.add_lines(lines, "header")
    _add_body(flow, message, clean)
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
            left_out += _add_message(flow, inner, clean, depth + 1)
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


def _add_body(flow: Flow, message: EmailMessage, clean: bool) -> None:
    """The text as it is shown: HTML where there is some with words, else plain."""
    try:
        body = message.get_body(preferencelist=("html", "plain"))
    except (KeyError, ValueError, AttributeError):
        body = None
    if body is None:
        return
    text = _content(body)
    if body.get_content_subtype() == "html":
        for block in html_blocks(parse_html(text)[0], clean):
            flow.add(block.text, block.level and min(block.level + 1, 9), block.group)
        return
    for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        flow.add(paragraph)


def _content(part: MIMEPart) -> str:
    try:
        return str(part.get_content())
    except (LookupError, ValueError, KeyError):  # an encoding that does not exist, or bytes that are not in it
        data = part.get_payload(decode=True)
        return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(part.get_payload())
