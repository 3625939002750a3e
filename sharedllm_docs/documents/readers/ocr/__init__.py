"""Text recognition (OCR): pictures of text become lines with word boxes and confidence.

In comes a picture as an array, out comes ``Recognised``. ``engines`` finds what is installed: RapidOCR (the extra
``ocr``, whose wheel contains its models) or the program ``tesseract``. Knows nothing of PDF files.
"""

from sharedllm_docs.documents.readers.ocr import engines
from sharedllm_docs.documents.readers.ocr.engines import Engine
from sharedllm_docs.documents.readers.ocr.recognised import Line, Recognised, Word

REMEDY = "Install sharedllm-docs[ocr] (or the program tesseract), and it is recognised."

__all__ = ["REMEDY", "Engine", "Line", "Recognised", "Word", "engines"]
