"""Opens a PDF with both libraries, or with the one that can, or opens what can be salvaged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pdf.engine import Engine, EngineError, engine_step
from sharedllm_docs.documents.readers.pdf.pdfium import PdfiumFile
from sharedllm_docs.documents.readers.pdf.pypdf_file import PypdfFile
from sharedllm_docs.documents.readers.pdf.salvage import salvage
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import DamagedDocumentError, EmptyDocumentError, EncryptedDocumentError


@dataclass
class OpenedPdf:
    """The open PDF.

    Attributes:
        engines: in the order in which they are asked for text; all count the same pages.
        structure: the engine that knows outline and labels, if it could open the file.
        issues: what opening it took.
        reasons: why an engine is missing.
        salvaged: whether only the remains of the file were opened.
    """

    engines: list[Engine] = field(default_factory=list)
    structure: PypdfFile | None = None
    issues: list[Issue] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    salvaged: bool = False

    @property
    def count(self) -> int:
        """Pages of the document, as the first engine counts them; 0 without an engine."""
        return self.engines[0].count if self.engines else 0

    def close(self) -> None:
        for engine in self.engines:
            engine.close()


def open_pdf(source: Source, options: ReadOptions) -> OpenedPdf:
    """Open with as many engines as can; the caller closes it.

    Raises:
        EncryptedDocumentError: without the right password.
        EmptyDocumentError: when the document has no pages.
        DamagedDocumentError: when none can be found.
    """
    opened = _try_open(source, options)
    if opened.count and opened.structure is not None:
        return opened
    data = _salvaged(source)
    rebuilt = Source(source.name, len(data), source.sha256, b"", data=data) if data is not None else None
    if opened.count:
        if rebuilt is not None:
            _add_structure(opened, rebuilt)
        return opened
    if rebuilt is not None:
        again = _try_open(rebuilt, options)
        if again.count:
            opened.close()
            message = (
                f"the end of the file is missing or corrupt; searching the rest found {again.count} page(s), "
                "in which letters and spaces may be lost with their fonts"
            )
            return replace(again, salvaged=True, issues=[Issue("salvaged", message), *again.issues])
        again.close()
    opened.close()
    if opened.engines:
        raise EmptyDocumentError(f"{source.name} has no pages.", remedy="Export or fetch it again.")
    raise DamagedDocumentError(
        f"{source.name} is truncated or corrupt: not one page can be found ({'; '.join(opened.reasons)}).",
        remedy="Fetch or export it again.",
    )


def _salvaged(source: Source) -> bytes | None:
    """What ``salvage`` makes of the file; None where it takes too long, too."""
    try:
        with engine_step("salvage"):
            return salvage(source.read())
    except EngineError:
        return None


def _try_open(source: Source, options: ReadOptions) -> OpenedPdf:
    """The engines that open the source, the chosen one first, and why the others do not."""
    opened = OpenedPdf()
    try:
        with engine_step("pdfium"):
            opened.engines.append(PdfiumFile(source, options.password))
    except EngineError as error:
        opened.reasons.append(f"PDFium: {reason_of(error)}")
    try:
        with engine_step("pypdf"):
            opened.structure = PypdfFile(source, options.password)
        opened.engines.append(opened.structure)
    except EngineError as error:
        opened.reasons.append(f"pypdf: {reason_of(error)}")
    except EncryptedDocumentError:
        if not opened.engines:
            raise
        opened.reasons.append("pypdf: it cannot decrypt the file")
    # Where the counts differ, the higher one is right: pypdf passes over pages that are missing, and so renumbers.
    opened.engines.sort(key=lambda engine: (-engine.count, engine.name != options.engine))
    if len({engine.count for engine in opened.engines}) > 1:
        _leave_to_first(opened)
    if opened.count and opened.engines[0].name != options.engine:
        message = f"{opened.engines[0].name} read the text, since {options.engine} cannot: {'; '.join(opened.reasons)}"
        opened.issues.append(Issue("engine-fallback", message))
    return opened


def _add_structure(opened: OpenedPdf, rebuilt: Source) -> None:
    """Add pypdf, which may open what was salvaged where only PDFium opens the file itself."""
    try:
        with engine_step("pypdf"):
            structure = PypdfFile(rebuilt, None)
    except (EngineError, EncryptedDocumentError):
        return  # why pypdf is missing is among the reasons already
    if structure.count == opened.count:
        opened.structure = structure
        opened.engines.append(structure)
    else:
        structure.close()


def _leave_to_first(opened: OpenedPdf) -> None:
    """Close the second engine when it counts other pages: its page numbers would lead to the wrong pages."""
    first, second = opened.engines
    opened.reasons.append(f"{first.name} counts {first.count} pages, {second.name} {second.count}")
    second.close()
    opened.engines.remove(second)
    if opened.structure is second:
        opened.structure = None
