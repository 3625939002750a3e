"""CSV, RTF, e-mail and EPUB."""

from __future__ import annotations

import io
import warnings
import zipfile
from email.message import EmailMessage

import pytest

from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.embedded import embedded_files
from sharedllm_docs.errors import (
    DamagedDocumentError,
    DocumentTooLargeError,
    DocumentWarning,
    EncryptedDocumentError,
    UnknownFormatError,
)

# -- CSV


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "Town,Fare\nOln,11\nBrel,9\n"),
        ("a.csv", "Town;Fare\r\nOln;11\r\nBrel;9\r\n"),
        ("a.tsv", "Town\tFare\nOln\t11\nBrel\t9\n"),
        ("a.csv", 'sep=|\n"Town"|"Fare"\n"Oln"|"11"\n"Brel"|"9"\n'),
    ],
)
def test_csv_by_whatever_delimiter(name: str, text: str) -> None:
    lines = read_document(text.encode(), name=name).text.split("\n")
    assert lines[-2:] == ["Oln | Fare: 11", "Brel | Fare: 9"]


def test_csv_quoted_values_and_encodings() -> None:
    text = 'Größe;Ort\n"12;5";"Zürich, Süd"\n'
    assert read_document(text.encode("utf-8-sig"), name="a.csv").text == "Größe | Ort\n12;5 | Ort: Zürich, Süd"


def test_csv_decimal_commas_stay_in_one_cell() -> None:
    assert read_document(b"Ort;Preis\nOln;12,50\nBrel;8,00\n", name="a.csv").text.split("\n")[1] == "Oln | Preis: 12,50"


@pytest.mark.usefixtures("own_process")
def test_csv_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from sharedllm_docs.documents.readers import delimited

    monkeypatch.setattr(delimited, "MAX_CELLS", 100)
    with pytest.raises(DocumentTooLargeError, match="more than 100 values"):
        read_document(b"1,2,3\n" * 200, name="a.csv")


def test_csv_without_end_of_quote_is_damaged() -> None:
    with pytest.raises(DamagedDocumentError, match="cannot be read as CSV"):
        read_document(b'a,b\n"' + b"x" * (2 << 20), name="a.csv")


# -- RTF

RTF = rb"""{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\stylesheet{\s1\outlinelevel0 heading 1;}}
\pard\s1\outlinelevel0 Harbour fees\par\pard The fee is 12 \'80.{\v secret}{\footnote \pard Only in summer.}\par
\trowd\cellx100\cellx200\intbl Boat\cell Tons\cell\row\trowd\intbl Heron\cell 12\cell\row\pard End.\par}"""


def test_rtf_headings_notes_and_tables() -> None:
    pytest.importorskip("striprtf")
    with pytest.warns(DocumentWarning, match="hidden-text"):
        document = read_document(RTF, name="a.rtf")
    assert document.text.split("\n\n") == [
        "Harbour fees",
        "The fee is 12 €. [note: Only in summer.]",
        "Boat | Tons\nHeron | Tons: 12",
        "End.",
    ]
    assert [(one.title, one.level) for one in document.sections] == [("Harbour fees", 1)]


def test_rtf_that_ends_too_early_is_told() -> None:
    pytest.importorskip("striprtf")
    with pytest.warns(DocumentWarning):
        document = read_document(RTF[: RTF.index(b"\\trowd")], name="a.rtf")
    assert "Harbour fees" in document.text
    assert "truncated" in [issue.code for issue in document.issues]


def test_rtf_with_endless_groups_is_bounded() -> None:
    pytest.importorskip("striprtf")
    with pytest.warns(DocumentWarning):
        assert "word" in read_document(b"{\\rtf1 word " + b"{" * 200_000, name="a.rtf").text


# -- e-mail


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Ann <ann@example.org>", "bo@example.org"
    message["Subject"], message["Date"] = "Überfahrt am 3. Mai", "Fri, 01 May 2026 10:00:00 +0000"
    message.set_content("The ferry leaves at 7:40.")
    return message


def test_mail_shows_what_a_mail_program_shows() -> None:
    document = read_document(bytes(mail()), name="a.eml")
    assert document.text == (
        "Überfahrt am 3. Mai\n\nFrom: Ann <ann@example.org>\nTo: bo@example.org\n"
        "Date: Fri, 01 May 2026 10:00:00 +0000\n"
        "Subject: Überfahrt am 3. Mai\n\nThe ferry leaves at 7:40."
    )
    assert document.metadata["author"] == "Ann <ann@example.org>"


def test_mail_reads_html_where_there_is_some() -> None:
    message = mail()
    message.add_alternative("<p>The <b>boat</b> leaves.</p><p style='display:none'>track</p>", subtype="html")
    text = read_document(bytes(message), name="a.eml").text
    assert text.endswith("The boat leaves.")
    assert "7:40" not in text


def test_mail_names_its_attachments_and_gives_them_out() -> None:
    message = mail()
    message.add_attachment(b"Fares: 12 crowns.", maintype="text", subtype="plain", filename="fares.txt")
    message.add_attachment(b"again", maintype="text", subtype="plain", filename="../fares.txt")
    with pytest.warns(DocumentWarning, match=r"embedded-files: .*'fares\.txt'"):
        document = read_document(bytes(message), name="a.eml")
    assert "Fares" not in document.text
    files = embedded_files(bytes(message), name="a.eml", options=ReadOptions())
    assert [file.name for file in files] == ["a.eml/fares.txt", "a.eml/fares (2).txt"]
    assert files[0].data == b"Fares: 12 crowns."


def test_a_forwarded_mail_is_part_of_the_text() -> None:
    inner = mail()
    outer = EmailMessage()
    outer["Subject"], outer["From"] = "Fwd", "bo@example.org"
    outer.set_content("See below.")
    outer.add_attachment(inner)
    text = read_document(bytes(outer), name="a.eml").text
    assert text.index("See below.") < text.index("Forwarded message:") < text.index("The ferry leaves at 7:40.")


def test_mail_in_an_encoding_that_does_not_exist() -> None:
    data = b'From: a@example.org\nSubject: x\nContent-Type: text/plain; charset="no-such"\n\nThe caf\xc3\xa9 opens.\n'
    assert "The café opens." in read_document(data, name="a.eml").text


# -- EPUB

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/c.opf"/></rootfiles></container>'
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
    "<dc:title>Tides</dc:title><dc:creator>Ann</dc:creator></metadata><manifest>"
    '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="a" href="a%20one.xhtml" media-type="application/xhtml+xml"/>'
    '<item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>'
    '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
)
NCX = (
    '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Second part</text></navLabel>'
    '<content src="b.xhtml#x"/></navPoint></navMap></ncx>'
)
FIRST = (
    '<?xml version="1.0" encoding="utf-8"?><html xmlns:epub="http://www.idpf.org/2007/ops"><head><title/></head><body>'
    "<h1>One</h1><h2>Water</h2><p>High water at noon.{}</p></body></html>"
)


def epub(first: str = FIRST.format(""), **more: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/c.opf", PACKAGE)
        archive.writestr("OEBPS/toc.ncx", NCX)
        archive.writestr("OEBPS/a one.xhtml", first)
        archive.writestr("OEBPS/b.xhtml", "<html><body><p>Low water at six.</p></body></html>")
        for name, text in more.items():
            archive.writestr(name.replace("__", "/"), text)
    return file.getvalue()


def test_epub_chapters_in_reading_order_with_their_sections() -> None:
    document = read_document(epub(), name="tides.epub")
    assert document.text == "One\n\nWater\n\nHigh water at noon.\n\nSecond part\n\nLow water at six."
    assert document.section_path(document.text.index("High")) == ("One", "Water")
    assert document.section_path(document.text.index("Low")) == ("Second part",)
    assert document.metadata == {"title": "Tides", "author": "Ann"}


def test_epub_printed_pages_where_the_book_marks_them() -> None:
    marked = FIRST.format('<span epub:type="pagebreak" title="7"/> Then the ebb.')
    document = read_document(epub(marked), name="tides.epub")
    assert [(page.number, page.label) for page in document.pages] == [(1, ""), (2, "7")]
    assert document.pages[1].text.startswith("Then the ebb.")
    assert document.page_word == "page"


def test_epub_under_copy_protection_is_told() -> None:
    algorithm = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
    lock = f'<encryption><x:EncryptionMethod xmlns:x="u" Algorithm="{algorithm}"/></encryption>'
    with pytest.raises(EncryptedDocumentError, match="copy protection"):
        read_document(epub(**{"META-INF__encryption.xml": lock}), name="a.epub")


def test_epub_that_is_only_a_zip_archive() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "words")
    with pytest.raises(UnknownFormatError, match="no EPUB"):
        read_document(file.getvalue(), name="a.epub")


def test_epub_cut_off_is_damaged() -> None:
    with pytest.raises(DamagedDocumentError):
        read_document(epub()[:300], name="a.epub")


@pytest.mark.parametrize(
    ("rtf", "shown"),
    [
        (r"Yield 250{\super 3} tonnes", "Yield 250³ tonnes"),
        (r"Yield 250\super 3\nosupersub  tonnes", "Yield 250³ tonnes"),
        (r"Pay {\strike 80} 75", "Pay [deleted: 80] 75"),
        (r"the 5{\super th} of May", "the 5th of May"),
    ],
)
def test_rtf_raised_digits_and_struck_out_text(rtf: str, shown: str) -> None:
    assert read_document(rf"{{\rtf1\ansi {rtf}\par}}".encode(), name="a.rtf").text == shown


def test_rtf_headers_and_footers_are_told() -> None:
    data = rb"{\rtf1\ansi{\header Port authority\par}{\footerf Page \chpgn\par}\headery720 Text\par}"
    document = read_document(data, name="a.rtf")
    assert document.text == "Text"
    assert [(one.code, one.message) for one in document.issues] == [
        ("running-lines", "2 header(s) and footer(s) are left out")
    ]


# -- what stands beside the main text


def mail_of(*parts: tuple[str, str, str], kind: str = "mixed") -> EmailMessage:
    """An e-mail of parts (subtype, text, file name)."""
    made = EmailMessage()
    made["From"], made["Subject"] = "ann@example.org", "Rent"
    made.make_mixed() if kind == "mixed" else made.make_alternative()
    for subtype, text, name in parts:
        one = EmailMessage()
        one.set_content(text, subtype=subtype)
        if name:
            one.add_header("Content-Disposition", "attachment", filename=name)
        made.attach(one)
    return made


def test_mail_shows_all_its_texts_in_order() -> None:
    made = mail_of(
        ("plain", "Before the plan.", ""), ("html", "<p>Behind it.</p>", ""), ("plain", "The list's foot.", "")
    )
    text = read_document(made.as_bytes(), name="a.eml").text
    assert text.endswith("Before the plan.\n\nBehind it.\n\nThe list's foot.")


def test_mail_shows_one_of_several_alternatives() -> None:
    two = [("plain", "Rent 1,240 EUR.", ""), ("html", "<p>Rent <b>1,240</b> EUR!</p>", "")]
    assert read_document(mail_of(*two, kind="alternative").as_bytes(), name="a.eml").text.endswith("Rent 1,240 EUR!")
    empty = [two[0], ("html", "<style>p{}</style><p> </p>", "")]
    assert read_document(mail_of(*empty, kind="alternative").as_bytes(), name="a.eml").text.endswith("Rent 1,240 EUR.")
    inner = mail_of(*two, kind="alternative")
    outer = mail_of(("plain", "Dear all,", ""))
    outer.attach(inner)
    assert read_document(outer.as_bytes(), name="a.eml").text.endswith("Dear all,\n\nRent 1,240 EUR!")


def test_mail_names_parts_without_a_name() -> None:
    made = mail_of(("plain", "See the plan.", ""), ("calendar", "BEGIN:VCALENDAR", ""))
    with pytest.warns(DocumentWarning, match=r"'unnamed part \(text/calendar\)'"):
        document = read_document(made.as_bytes(), name="a.eml")
    assert [one.code for one in document.issues] == ["embedded-files"]
    assert len(embedded_files(made.as_bytes(), name="a.eml", options=ReadOptions())) == 1


def test_a_report_of_delivery_says_why_an_e_mail_came_back() -> None:
    raw = (
        "From: post@example.org\nSubject: Undelivered\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nYour e-mail came back.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; a.example\n\n"
        "Final-Recipient: rfc822; bob@example.org\nDiagnostic-Code: smtp; 550 no such user\n"
        "--b\nContent-Type: text/rfc822-headers\n\nSubject: Rent for May\n--b--\n"
    )
    text = read_document(raw.encode(), name="a.eml").text
    assert all(one in text for one in ("Your e-mail came back.", "550 no such user", "Subject: Rent for May"))


def epub_with(spine: str, **files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml", '<container><rootfiles><rootfile full-path="p.opf"/></rootfiles></container>'
        )
        archive.writestr("p.opf", f"<package>{spine}</package>")
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return file.getvalue()


def test_epub_pages_that_are_drawings_are_read_and_other_chapters_told() -> None:
    kinds = {"a.xhtml": "application/xhtml+xml", "b.svg": "image/svg+xml", "c.mp4": "video/mp4"}
    items = "".join(f'<item id="{name[0]}" href="{name}" media-type="{kind}"/>' for name, kind in kinds.items())
    spine = "".join(f'<itemref idref="{one}"/>' for one in "abcd")
    data = epub_with(
        f"<manifest>{items}</manifest><spine>{spine}</spine>",
        a_xhtml=b"<html><body><p>Text.</p></body></html>",
        b_svg=b"<svg><text>Harbour plan</text></svg>",
    )
    with pytest.warns(DocumentWarning, match="chapter"):
        document = read_document(data, name="a.epub")
    assert document.text == "Text.\n\nPicture: Harbour plan"
    assert [one.code for one in document.issues] == ["chapter-missing"] * 2
    assert "video/mp4" in document.issues[0].message


INVITATION = """BEGIN:VCALENDAR
BEGIN:VTIMEZONE
TZID:Europe/Oslo
END:VTIMEZONE
BEGIN:VEVENT
SUMMARY:Berth review
DTSTART;TZID=Europe/Oslo:20240312T140000
DTEND:20240312T143000Z
RRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=4
LOCATION:Room 4\\, Harbour House
DESCRIPTION:Agenda:\\n1. Fees of the
  north quay
ORGANIZER;CN="Grey, Ann":mailto:ann@example.org
ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:bob@example.org
BEGIN:VALARM
DESCRIPTION:REMINDER
END:VALARM
END:VEVENT
END:VCALENDAR
"""


@pytest.mark.parametrize("kind", ["alternative", "attached", "whole"])
def test_an_invitation_says_what_when_and_where(kind: str) -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "Ann <ann@example.org>", "Invitation"
    if kind == "whole":
        message.set_content(INVITATION, subtype="calendar")
    else:
        message.set_content("Please come.")
        message.add_alternative("<p>Please come.", subtype="html")
        message.add_alternative(INVITATION, subtype="calendar")
    if kind == "attached":  # as well, as many programs do
        message.make_mixed()
        message.add_attachment(INVITATION.encode(), "text", "calendar", filename="invite.ics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = read_document(message.as_bytes(), name="a.eml").text
    assert text.count("Event: Berth review") == 1
    assert "Starts: 2024-03-12 14:00 (Europe/Oslo)\nEnds: 2024-03-12 14:30 UTC" in text
    assert "Repeats: weekly, on TU, 4 times\nPlace: Room 4, Harbour House" in text
    assert "Organizer: Grey, Ann <ann@example.org>\nAttendee: bob@example.org" in text
    assert "Description: Agenda:\n1. Fees of the north quay" in text
    assert "REMINDER" not in text
