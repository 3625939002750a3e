"""Markdown: the text as written, its headings as sections, its front matter as text and as metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise

from sharedllm_docs.documents.cleaning import CLEANING_VERSION, clean_text
from sharedllm_docs.documents.document import PAGE_SEPARATOR, Document, Issue, Page, Section
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.decode import decode, looks_like_text
from sharedllm_docs.documents.readers.html_blocks import marked_text
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pictures import Pictures, data_bytes
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.readers.text import split_pages

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_DATA = re.compile(
    r"(?P<uri>data:image/[\w.+-]{1,40}(?:;[\w=-]{1,40}){0,4},[^\s)\"'<>\\]{64,})(?P<rest>[^)>\n]{0,500}[)>])?"
)
_PICTURE = re.compile(r"<img\b[^>]{0,2000}?\bsrc\s*=\s*[\"']?([^\"'\s>]+)", re.IGNORECASE)
_NOT_BREAK = re.compile(r"[^\n]")
_MAX_KEYS, _MAX_DEPTH = 1000, 16  # of nested front matter: aliases may make it endless
_MAX_ALIASES = 10
_MAX_VISITS = 10_000
_MAX_CHARS = 200_000


@dataclass(frozen=True)
class FrontMatter:
    """The front matter before the text of a Markdown file.

    Attributes:
        metadata: its values; nested ones under dotted names (``contact.phone``), lists of plain values as one string.
        text: the lines as written, without the rules around them; "" where there is none.
        body: the text after it.
        issues: one when it is not YAML; it then stays in ``body``, rules included.
    """

    metadata: dict[str, str]
    text: str
    body: str
    issues: list[Issue]


def split_front_matter(text: str) -> FrontMatter:
    """Take the front matter off a Markdown file."""
    match = _FRONT_MATTER.match(text)
    if not match:
        return FrontMatter({}, "", text, [])
    import yaml  # type: ignore[import-untyped,unused-ignore]

    kept: dict[str, str] = {}
    try:
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(match["yaml"] or "", yaml.SafeLoader))
        if aliases > _MAX_ALIASES:  # a few lines of them can stand for any amount of text
            raise ValueError(f"it has {aliases} aliases, more than {_MAX_ALIASES}")
        values = yaml.safe_load(match["yaml"] or "")
        if isinstance(values, dict):
            kept = dict(_within(islice(_flat(values, left=[_MAX_VISITS]), _MAX_KEYS)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: impossible dates and the like
        reason = reason_of(error)
        message = f"the front matter is not valid YAML and stays in the text: {reason}"
        return FrontMatter({}, "", text, [Issue("front-matter-failed", message)])
    if values is None:
        values = {}
    if not isinstance(values, dict):  # a thematic break at the top, not front matter
        return FrontMatter({}, "", text, [])
    return FrontMatter(kept, match["yaml"] or "", text[match.end() :], [])


def _within(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The pairs as valid text, as long as they take no more than ``_MAX_CHARS`` characters."""
    left = _MAX_CHARS
    for name, text in pairs:
        left -= len(name) + len(text)
        if left < 0:
            return
        # an escape such as \\ud83d\\ude00 is one character, written as the two halves of a pair
        yield _joined(name), _joined(text)


def _joined(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _flat(value: object, name: str = "", depth: int = 0, *, left: list[int]) -> Iterator[tuple[str, str]]:
    """(dotted name, string) of every value that is not empty, while ``left`` visits last."""
    left[0] -= 1
    if left[0] < 0:
        return
    if isinstance(value, dict):
        inner = [(f"{name}.{key}" if name else str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple, set)) and any(isinstance(one, (dict, list, tuple, set)) for one in value):
        inner = [(f"{name}.{number}", item) for number, item in enumerate(value, start=1)]
    else:
        items = value if isinstance(value, (list, tuple, set)) else [value]
        text = ", ".join(str(item).strip() for item in items if item is not None)
        if text:
            yield name, text
        return
    if depth < _MAX_DEPTH:
        for key, item in inner:
            yield from _flat(item, key, depth + 1, left=left)


def find_headings(pages: Sequence[Page], start: int = 0) -> list[Section]:
    """A section for each heading, ATX or setext, outside code; ``char`` counts in the joined page texts.

    Args:
        pages: of the whole document.
        start: where the first page's Markdown begins, after the front matter.
    """
    from markdown_it import MarkdownIt

    text = PAGE_SEPARATOR.join(page.text for page in pages)
    text = _NOT_BREAK.sub(" ", text[:start]) + text[start:]
    line_starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    page_starts = list(accumulate((len(page.text) + len(PAGE_SEPARATOR) for page in pages), initial=0))
    tokens = MarkdownIt("commonmark").parse(text)
    sections = []
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or opening.map is None or not inline.content.strip():
            continue
        char = line_starts[opening.map[0]]
        index = max(i for i in range(len(pages)) if page_starts[i] <= char)
        title = "".join(child.content or " " for child in inline.children or () if child.type != "html_inline")
        sections.append(Section(" ".join(title.split()), int(opening.tag[1:]), pages[index].number, char))
    return sections


def _with_pictures(text: str, pictures: Pictures) -> str:
    """The text, with embedded pictures replaced by their recognised text; other pictures are noted."""

    def read(match: re.Match[str]) -> str:
        kind = match["uri"].partition(",")[0].partition(";")[0]
        try:
            seen = " ".join(pictures.text(data_bytes(match["uri"]), kind).split())
        except ValueError as error:
            pictures.lost(kind, str(error))
            seen = ""
        return f"{kind}{match['rest'] or ''}" + (f" {marked_text(seen)}" if seen else "")

    for source in _outside(text) if "![" in text or "<img" in text else ():
        pictures.outside(source[:100])
    return _DATA.sub(read, text)


def _outside(text: str) -> Iterator[str]:
    """What pictures are shown outside of code that stand elsewhere."""
    from markdown_it import MarkdownIt

    blocks = MarkdownIt("commonmark").parse(_DATA.sub("", text))
    for token in (inner for block in blocks for inner in (block, *(block.children or ()))):
        if token.type == "image":
            found = [str(token.attrs.get("src", ""))]
        else:
            found = _PICTURE.findall(token.content) if token.type in ("html_inline", "html_block") else []
        yield from (source for source in found if source and source[:5].lower() != "data:")


class MarkdownReader:
    """Markdown stays as it is written (its marks are readable), so that quotes match the source.

    The front matter's lines open page 1, so that they can be asked for; the rules around them go.
    """

    name = "markdown"
    version = f"3+clean{CLEANING_VERSION}"
    suffixes = (".md", ".markdown")
    takes = frozenset({"encoding", "ocr"})

    def sniff(self, head: bytes, name: str) -> bool:
        """Text of a Markdown name; text alone does not show that it is Markdown."""
        return name.lower().endswith(self.suffixes) and looks_like_text(head)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Pages as form feeds say (usually one), sections from the headings.

        Raises:
            DamagedDocumentError: when the bytes are not in ``options.encoding``.
            UnknownFormatError: when they are not text.
        """
        text, issues = decode(source.read(), source.name, options.encoding)
        pictures = Pictures(options)
        front = split_front_matter(_with_pictures(text, pictures))
        texts = split_pages(front.body)
        numbers = choose_pages(source.name, len(texts), options)
        clean = clean_text if options.clean else str
        pages = [Page(number, clean(texts[number - 1])) for number in numbers]
        lines = clean(front.text)
        start = 0
        if lines.strip() and numbers[0] == 1:
            start = len(lines) + 2
            pages[0] = Page(1, f"{lines}\n\n{pages[0].text}" if pages[0].text else lines)
        if progress is not None:
            progress(len(pages), len(pages))
        return make_document(
            self,
            source,
            options,
            pages=pages,
            page_count=len(texts),
            sections=find_headings(pages, start),
            issues=[*issues, *front.issues, *pictures.issues()],
            metadata=front.metadata,
        )
