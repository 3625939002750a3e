"""Office documents: DOCX, PPTX and XLSX, which are zip archives of XML. In come bytes, out flowing text and issues.

The libraries are the extra ``office``, imported when a document is read.
"""
