"""The page in a real browser: a headless Chromium, a real server, a tiny model whose answers are nonsense.

Citations, boxes, streaming, progress and addresses are real. Skipped where Playwright or Chromium is not installed.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("playwright", reason="needs Playwright, of the extra dev")

import pypdfium2
from PIL import Image

from sharedllm_docs import SharedLLM
from sharedllm_docs.serving.http.keys import hashed
from sharedllm_docs.serving.http.links import citation_url
from tests.documents import PICTURE, R_INTRO, drawn_pdf, encrypt, make_pdf, put
from tests.page_browser import CHROMIUM, Browser
from tests.page_server import PageServer, with_options
from tests.serving_helpers import Gate
from tests.tiny_text import tiny_llm, tiny_profile
from tools.page_screenshots import DeadPageError, check_alive

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]
Page = Any
PATIENCE = 60_000  # milliseconds that a test waits for what never comes
LONGEST = 400.0
"""Seconds that a test has with its pages: fewer than pytest gives it, so that it fails and the others are run."""
KEEPER = "The lighthouse keeper writes the weather into a blue book every evening at nine."
LINES = (
    "The heron stands in the river and waits for fish.",
    "Copper melts at a higher temperature than tin does.",
    KEEPER,
    "A sonnet has fourteen lines, most often in iambic pentameter.",
)
BIRDS = make_pdf([[line] for line in LINES])
QUESTION = "What does the lighthouse keeper write into the blue book every evening?"


@pytest.fixture(scope="module")
def llm() -> SharedLLM:
    return tiny_llm(profile=tiny_profile(chunk_tokens=256))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    running = Browser()
    yield running
    running.close()


@pytest.fixture
def server(llm: SharedLLM, tmp_path: Path) -> Iterator[PageServer]:
    running = PageServer(tmp_path / "index", llm)
    yield running
    running.stop()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser of its own; by the end no script has failed and nothing was against the policy."""
    contexts, troubles = [], []

    def opened(url: str, *, beside: Page = None, **options: Any) -> Page:
        context = beside.context if beside else browser.new_context(**{"viewport": WIDE, **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(f"{error}"))
        page.on("console", lambda said: said.type == "error" and troubles.append(said.text))
        page.goto(url)
        return page

    with browser.killed_after(LONGEST):
        yield opened
    for context in contexts:
        browser.close_context(context)
    # a browser logs every request that is refused or not answered; some tests want these
    assert not [trouble for trouble in troubles if not trouble.startswith("Failed to load resource")]


WIDE = {"width": 1400, "height": 900}
TALL = {"width": 1400, "height": 1300}
"""A whole page of paper is in view."""


def send(page: Page, name: str, data: bytes) -> None:
    page.set_input_files("#files", {"name": name, "mimeType": "application/octet-stream", "buffer": data})


def add(page: Page, name: str = "birds.pdf", data: bytes = BIRDS) -> None:
    """Upload a file as a person would, and wait until it can be asked."""
    send(page, name, data)
    page.locator("#list > li", has_text=name).wait_for()


def ask(page: Page, question: str = QUESTION) -> None:
    turns = page.locator(".turn").count()
    page.fill("#question", question)
    page.press("#question", "Enter")
    page.locator(".turn").nth(turns).locator(".tools").wait_for()


def cited(page: Page, number: int = 0) -> None:
    """Click a citation, and wait until its lines are lit."""
    page.locator(".citation").nth(number).click()
    page.locator(f'.mark.now[data-number="{number + 1}"]').first.wait_for()


def comes(page: Page, condition: str, arg: Any = None) -> None:
    """Wait for a condition in JavaScript. (Playwright's own waiting needs ``eval``, which the policy forbids.)"""
    for _look in range(PATIENCE // 50):
        if page.evaluate(condition, arg):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def view(page: Page) -> dict[str, Any]:
    """What a person sees, apart from times."""
    return {
        "question": page.locator(".turn h2").all_inner_texts(),
        "answer": page.locator(".answer").all_inner_texts(),
        "citations": page.locator(".citation").all_inner_texts(),
        "sure": page.locator(".sure").all_inner_texts(),
        "document": page.locator("#viewed").inner_text(),
        "page": page.input_value("#page"),
        "quoted": page.locator("#quoted").inner_text(),
        "lit": page.locator(".sheet .mark").evaluate_all("all => all.map(one => one.style.cssText)"),
        "now": page.locator(".mark.now").evaluate_all("all => all.map(one => one.dataset.number)"),
    }


# -- the main job ---------------------------------------------------------------------------------------------------


def test_upload_ask_click_reload_and_a_shared_link(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    page.get_by_text("Add a file to begin").wait_for()
    add(page)
    ask(page)
    assert KEEPER in page.locator(".citation .quote").all_inner_texts()
    number = page.locator(".citation .quote").all_inner_texts().index(KEEPER)
    cited(page, number)
    seen = view(page)
    assert (seen["document"], seen["page"], seen["now"]) == ("birds.pdf", "3", [str(number + 1)])
    comes(page, "location.hash.length > 100")
    page.wait_for_timeout(500)  # the page that is looked at is written a little later
    page.reload()
    page.locator(".mark.now").first.wait_for()
    assert view(page) == seen
    assert page.locator(".note").count() == 0
    other = tab(page.url)
    other.locator(".mark.now").first.wait_for()
    assert view(other) == seen
    assert "was opened from a link" in other.locator(".note").inner_text()
    page.go_back()
    page.locator("#nothing").wait_for()


def test_a_link_cannot_put_words_into_a_document(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    add(page)
    ask(page)
    comes(page, "location.hash.length > 100")
    packed = page.evaluate(
        """async () => {
          const bytes = Uint8Array.from(atob(location.hash.slice(1).replaceAll("-", "+").replaceAll("_", "/")),
            (char) => char.charCodeAt(0));
          return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).text();
        }"""
    )
    assert "heron stands" not in packed
    assert KEEPER not in packed
    assert json.loads(packed)["t"][0]["q"] == QUESTION


def test_addresses_of_citations_that_the_server_makes_open_the_page_there(
    server: PageServer, tab: Callable[..., Page]
) -> None:
    server.index.add(BIRDS, name="birds.pdf")
    answer = server.index.ask(QUESTION, min_confidence=0.0, relevance_floor=0.0)
    citation = next(one for one in answer.citations if one.quote == KEEPER)
    page = tab(citation_url(server.url, "docs", QUESTION, "the weather", citation))
    page.locator(".mark.now").first.wait_for()
    assert (page.input_value("#page"), page.locator("#quoted").inner_text()) == ("3", f"1 page 3: “{KEEPER}”")
    assert page.locator(".answer").inner_text() == "the weather"


@pytest.mark.parametrize("fragment", ["nonsense", "%%%", "AAAA", "eyJ2IjoxfQ"])
def test_a_link_that_was_cut_off_is_told(server: PageServer, tab: Callable[..., Page], fragment: str) -> None:
    page = tab(f"{server.url}#{fragment}")
    page.get_by_text("The link cannot be read").wait_for()
    add(page)
    ask(page)


def test_a_link_to_a_deleted_document_says_so(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    add(page)
    ask(page)
    cited(page)
    page.wait_for_timeout(500)
    link = page.url
    server.index.remove("birds.pdf")
    other = tab(link)
    other.get_by_text("a document that is no longer in the index").first.wait_for()
    assert other.locator("#viewer").is_hidden()


def test_the_answer_streams_and_can_be_stopped(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    add(page)
    server.index.wait()
    gate = Gate(server.desk)
    try:
        gate.let(6)
        page.fill("#question", QUESTION)
        page.press("#question", "Enter")
        comes(page, "document.querySelector('.answer')?.textContent.length > 0")
        assert page.locator(".turn.waiting").count() == 1
        assert page.locator(".citation").count() > 0
        page.click("#stop")
        page.get_by_text("Stopped.").wait_for()
    finally:
        gate.open()
    assert page.locator("#send").is_enabled()
    page.get_by_role("button", name="Ask again").click()
    page.locator(".tools").wait_for()


def test_marks_of_a_full_answer_open_their_citations(
    server: PageServer, tab: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sharedllm_docs.retrieval import marks
    from sharedllm_docs.retrieval.cite import cite

    monkeypatch.setattr(marks, "support", lambda selection, _sentence: cite(selection, QUESTION, "", 1)[0])
    page = tab(server.url)
    add(page)
    page.select_option("#style", "full")
    ask(page)
    mark = page.locator(".mark-of").first
    assert mark.inner_text() == "[1]"
    assert page.locator(".citation").count() == 1
    mark.click()
    page.locator(".mark.now").first.wait_for()
    seen = view(page)
    page.wait_for_timeout(500)
    page.reload()
    page.locator(".mark.now").first.wait_for()
    assert view(page) == seen
    page.locator(".mark-of").first.wait_for()


def test_follow_ups_send_the_earlier_turns(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    add(page)
    bodies: list[Any] = []
    page.on("request", lambda sent: sent.url.endswith("/api/ask?index=docs") and bodies.append(sent.post_data_json))
    ask(page)
    ask(page, "At what time?")
    assert bodies[0]["conversation"] == []
    first = page.locator(".answer").first.inner_text()
    roles = [(turn["role"], turn["content"].strip()) for turn in bodies[1]["conversation"]]
    assert [role for role, _text in roles] == ["user", "assistant"]
    assert roles[0][1] == QUESTION
    assert roles[1][1][:5] == first[:5]
    page.click("#new")
    ask(page, "Who waits for fish?")
    assert bodies[2]["conversation"] == []


def test_what_the_documents_do_not_say_comes_with_the_nearest_passages(
    llm: SharedLLM, tmp_path: Path, tab: Callable[..., Page]
) -> None:
    running = PageServer(tmp_path / "index", llm, sure=False)
    with_options(running.desk, min_confidence=1.0)
    try:
        page = tab(running.url)
        add(page)
        ask(page)
        assert page.locator(".answer.unsaid").inner_text() == "The document does not say."
        page.get_by_text("Nearest passages").wait_for()
        cited(page)
    finally:
        running.stop()


def test_some_of_several_documents_are_asked(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    add(page)
    add(page, "metals.txt", b"Copper melts at a higher temperature than tin does. Lead is soft.")
    ask(page, "Which metal melts at a higher temperature?")
    places = " ".join(page.locator(".turn").first.locator(".place").all_inner_texts())
    assert "birds.pdf" in places
    assert "metals.txt" in places
    page.get_by_label("Ask birds.pdf").uncheck()
    page.get_by_text("1 of 2 documents are searched.").wait_for()
    ask(page, "Which metal melts at a higher temperature?")
    assert all("metals.txt" in text for text in page.locator(".turn").nth(1).locator(".place").all_inner_texts())
    page.wait_for_timeout(300)
    page.reload()
    page.get_by_text("1 of 2 documents are searched.").wait_for()
    page.click("#all")
    page.get_by_text("All documents are searched.").wait_for()


def test_an_answer_is_copied_and_a_conversation_exported_with_its_citations(
    server: PageServer, tab: Callable[..., Page]
) -> None:
    page = tab(server.url, permissions=["clipboard-read", "clipboard-write"])
    add(page)
    ask(page, "What does *the* lighthouse keeper write?")
    page.get_by_role("button", name="Copy with citations").click()
    page.get_by_text("was copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"“{KEEPER}” (birds.pdf, page 3)" in copied
    page.get_by_role("button", name="Copy citation 1").click()
    with page.expect_download() as saved:
        page.click("#export")
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    assert saved.value.suggested_filename == "conversation.md"
    assert r"## What does \*the\* lighthouse keeper write?" in text
    assert f"birds.pdf, page 3\n   > {KEEPER}" in text
    assert "Confidence: " in text
    page.click("#share")
    page.get_by_text("The link was copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


# -- boxes ----------------------------------------------------------------------------------------------------------


def pixels(page: Page, number: int) -> NDArray[np.int16]:
    """The page of a document as it is seen, [height, width, 3], with nothing lit but the citation that was clicked."""
    page.evaluate(
        """() => {
          const only = new CSSStyleSheet();
          only.replaceSync(".mark:not(.now), .tag, .toast { visibility: hidden }");
          document.adoptedStyleSheets = [only];
        }"""
    )

    sheet = page.locator(f'.sheet[data-page="{number}"][data-drawn]')
    image = Image.open(io.BytesIO(sheet.screenshot())).convert("RGB")
    return np.asarray(image).astype(np.int16)


def lit_of(image: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Where the paper is coloured: of a light colour, and not white or grey."""
    return (image.max(axis=2) - image.min(axis=2) > 30) & (image.max(axis=2) > 150)


def dark_of(image: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Where there is ink."""
    return image.max(axis=2) < 130


def lit_tightly(image: NDArray[np.int16]) -> None:
    """The line that is lit is as large as its ink: it is neither beside its place nor around more than a line."""
    lit, dark = lit_of(image), dark_of(image)
    rows, columns = np.nonzero(lit)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    ink_rows, ink_columns = np.nonzero(dark[box])
    height, width = lit[box].shape
    edge = 0.3 * min(height, width)
    assert ink_rows.min() < edge
    assert ink_rows.max() > height - 1 - edge
    assert ink_columns.min() < edge
    assert ink_columns.max() > width - 1 - edge
    assert max(height, width) > 10 * min(height, width)


def glyph_boxes(data: bytes, number: int, words: str) -> list[tuple[float, float, float, float]]:
    """Left, bottom, right, top of each letter of some words on a page, as PDFium finds them in the file itself."""
    document = pypdfium2.PdfDocument(data)
    text = document[number - 1].get_textpage()
    found = text.search(words).get_next()
    assert found is not None, words
    first, count = found
    letters = [at for at in range(first, first + count) if text.get_text_range(at, 1).strip()]
    return [text.get_charbox(at, loose=False) for at in letters]


def test_lit_lines_are_where_the_letters_are(server: PageServer, tab: Callable[..., Page]) -> None:
    words = "The lighthouse keeper writes the weather", "into a blue book every evening at nine."
    data = make_pdf([[*LINES[:2], "", "", *words, "", "", LINES[3]]])
    page = tab(server.url, device_scale_factor=3, viewport=TALL)
    add(page, "birds.pdf", data)
    ask(page)
    number = next(at for at, text in enumerate(page.locator(".quote").all_inner_texts()) if "blue book" in text)
    cited(page, number)
    image = pixels(page, 1)
    scale = image.shape[1] / 595
    lit, dark = lit_of(image), dark_of(image)
    near = np.zeros_like(lit)
    covered = total = 0
    for line in words:
        for left, bottom, right, top in glyph_boxes(data, 1, line):
            rows = slice(round((842 - top) * scale), round((842 - bottom) * scale) + 1)
            columns = slice(round(left * scale), round(right * scale) + 1)
            covered += int((lit | dark)[rows, columns].sum())
            total += lit[rows, columns].size
            assert dark[rows, columns].any(), "pdf.js draws the letter elsewhere"
            edge = round(4 * scale)
            near[max(0, rows.start - edge) : rows.stop + edge, max(0, columns.start - edge) : columns.stop + edge] = (
                True
            )
    assert covered / total > 0.97
    assert lit.sum() > total
    assert (lit & ~near).sum() == 0


@pytest.mark.parametrize("extra", ["/Rotate 90", "/Rotate 180", "/Rotate 270", "/CropBox [40 300 560 800]"])
def test_lines_are_lit_on_turned_and_cropped_pages(server: PageServer, tab: Callable[..., Page], extra: str) -> None:
    data = drawn_pdf([put(KEEPER, y=700) + put("Nothing is said here of all that.", y=400)], page=extra)
    page = tab(server.url, viewport=TALL, device_scale_factor=3)
    add(page, "turned.pdf", data)
    ask(page)
    cited(page, page.locator(".quote").all_inner_texts().index(KEEPER))
    lit_tightly(pixels(page, 1))


def test_where_pdf_js_fails_the_server_draws_the_pages(server: PageServer, tab: Callable[..., Page]) -> None:
    data = drawn_pdf([put(KEEPER, y=700) + put("Nothing is said here of all that.", y=400)], page="/Rotate 270")
    page = tab(server.url, viewport=TALL, device_scale_factor=3)
    page.route("**/vendor/pdf.min.mjs", lambda route: route.abort())
    add(page, "turned.pdf", data)
    ask(page)
    cited(page, page.locator(".quote").all_inner_texts().index(KEEPER))
    assert page.locator(".sheet img").count() > 0
    lit_tightly(pixels(page, 1))


def test_where_no_file_is_kept_the_text_is_shown(server: PageServer, tab: Callable[..., Page]) -> None:
    server.index.add(BIRDS, name="birds.pdf", keep_source=False)
    page = tab(server.url)
    page.locator("#list > li").wait_for()
    ask(page)
    page.locator(".citation").nth(page.locator(".quote").all_inner_texts().index(KEEPER)).click()
    page.locator("mark.now", has_text=KEEPER).wait_for()


def test_a_citation_over_a_page_break_is_lit_on_both_pages(server: PageServer, tab: Callable[..., Page]) -> None:
    filler = [f"Line {n} tells of fish and rivers and herons." for n in range(20)]
    first = [*filler, "The lighthouse keeper writes the weather every evening"]
    second = ["into a blue book that nobody may open.", *filler]
    page = tab(server.url)
    add(page, "broken.pdf", make_pdf([first, second]))
    ask(page)
    places = page.locator(".citation .place").all_inner_texts()
    cited(page, next(at for at, text in enumerate(places) if "pages 1-2" in text))
    page.locator('.sheet[data-page="2"] .mark.now').first.wait_for(state="attached")
    assert page.locator('.sheet[data-page="1"] .mark.now').count() == 1
    assert page.locator('.sheet[data-page="2"] .mark.now').count() == 1


def test_several_citations_have_several_colours(server: PageServer, tab: Callable[..., Page]) -> None:
    # three passages that are as relevant as each other: each bears the answer, whatever a random model says
    keepers = [KEEPER.replace("The", f"The {which}", 1) for which in ("old", "new", "odd")]
    page = tab(server.url, viewport=TALL)
    add(page, "keepers.pdf", make_pdf([[line for keeper in keepers for line in (keeper, LINES[1], LINES[3])]]))
    ask(page)
    cited(page)
    assert page.locator(".citation").count() == 3
    marks = page.locator(".sheet .mark")
    numbers = marks.evaluate_all("all => all.map(one => one.dataset.number)")
    colours = marks.evaluate_all("all => all.map(one => getComputedStyle(one).backgroundColor)")
    assert set(numbers) == {"1", "2", "3"}
    assert len(set(zip(numbers, colours, strict=True))) == len(set(colours)) == 3
    # and to the eye: the light over each line has a hue of its own
    seen = {number: _colour_under(page, marks.nth(at)) for at, number in enumerate(numbers)}
    pairs = itertools.combinations(seen.values(), 2)
    assert all(np.abs(one - other).max() > 15 for one, other in pairs), seen
    before = page.locator("#quoted").inner_text()
    page.press("#paper", "]")
    comes(page, "before => document.getElementById('quoted').innerText !== before", arg=before)
    page.click("#before")
    comes(page, "before => document.getElementById('quoted').innerText === before", arg=before)


def _colour_under(page: Page, mark: Any) -> NDArray[np.float64]:
    """The colour of most pixels of a lit line, as a screenshot shows it: letters cover fewer than the light does."""
    box = mark.bounding_box()
    held = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")
    colours = held.getcolors(held.width * held.height) or []
    return np.array(max(colours)[1], dtype=float)


def test_a_picture_for_the_docs_never_shows_a_dead_page(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    with pytest.raises(DeadPageError, match=r"no answer; no citation; no line is lit\.$"):
        check_alive(page)
    add(page)
    ask(page)
    cited(page)
    check_alive(page)
    with pytest.raises(DeadPageError, match="a script failed: no such thing"):
        check_alive(page, ["no such thing"])
    page.evaluate("() => document.querySelectorAll('.sheet canvas').forEach(one => { one.width = one.width })")
    with pytest.raises(DeadPageError, match="colours, so it is not drawn"):
        check_alive(page)
    server.stop()
    comes(page, "() => document.getElementById('trouble').innerText !== ''")
    with pytest.raises(DeadPageError, match="The server does not answer"):
        check_alive(page)
    server.start()


# -- documents ------------------------------------------------------------------------------------------------------


def test_eight_hundred_pages_can_be_asked_before_they_are_read(
    server: PageServer, tab: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [[f"Page number {n} tells of the village {n * 7919 % 1000}."] for n in range(1, 801)]
    pages[699].append("The treasure of the pirates is buried below the old oak.")
    monkeypatch.setattr(server.index._reading, "start", lambda *_keys: None)  # reading on comes later
    page = tab(server.url)
    add(page, "villages.pdf", make_pdf(pages))
    page.get_by_text("read 0 of 800 pages; ready for questions").wait_for()
    ask(page, "Where is the treasure of the pirates buried?")
    number = next(at for at, text in enumerate(page.locator(".quote").all_inner_texts()) if "treasure" in text)
    cited(page, number)
    assert page.input_value("#page") == "700"
    assert page.locator(".sheet").count() == 800
    assert page.locator(".sheet canvas").count() < 20
    assert page.locator('.sheet[data-page="700"] .mark.now').is_visible()
    page.fill("#page", "12")
    page.press("#page", "Enter")
    page.locator('.sheet[data-page="12"][data-drawn]').wait_for()
    server.index.read()
    page.locator("#list > li", has_text="800 pages,").wait_for()


def test_progress_is_told_in_pages_with_the_time_left(
    server: PageServer, tab: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sharedllm_docs.serving.http.own.uploads import Uploads

    monkeypatch.setattr(server.index._reading, "start", lambda *_keys: None)
    monkeypatch.setattr(Uploads, "share_read", lambda _self, _info: 0.34)
    monkeypatch.setattr(Uploads, "seconds_left", lambda _self, _info: 130.0)
    page = tab(server.url)
    add(page, "villages.pdf", make_pdf([[f"Page number {n} tells of a village."] for n in range(100)]))
    page.get_by_text("read 34 of 100 pages, about 2 min left; ready for questions").wait_for()
    assert page.locator("#list progress").evaluate("one => one.value") == pytest.approx(0.34)


def test_an_encrypted_file_asks_for_its_password(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    send(page, "secret.pdf", encrypt(BIRDS, "open sesame"))
    page.get_by_role("dialog").get_by_text("secret.pdf needs a password").wait_for()
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Read it").click()
    page.get_by_role("dialog").get_by_text("Wrong password. secret.pdf needs").wait_for()
    page.get_by_label("Password").fill("open sesame")
    page.keyboard.press("Enter")
    page.locator("#list > li", has_text="secret.pdf").wait_for()
    ask(page)
    page.locator(".citation").first.click()
    page.get_by_role("dialog").get_by_text("needs its password to be shown").wait_for()
    page.get_by_label("Password").fill("open sesame")
    page.keyboard.press("Enter")
    page.locator(".mark.now").first.wait_for()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("scan.pdf", make_pdf([[PICTURE]]), "scan.pdf is scanned: its pages are pictures"),
        ("half.pdf", BIRDS[:120], "half.pdf is damaged"),
        ("odd.exe", b"MZ", "odd.exe: files ending in .exe are not taken. The box above lists what is."),
        ("large.txt", b"word " * 50_000, "large.txt has 250 KB; this server takes 100 KB at most"),
        ("long.pdf", make_pdf([["word"]] * 30), "30 pages to read, the limit is 20. Split it"),
        ("none.txt", b"", "none.txt contains no text"),
        ("blank.txt", b" \n", "blank.txt contains no text"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(
    llm: SharedLLM, tmp_path: Path, tab: Callable[..., Page], name: str, data: bytes, said: str
) -> None:
    running = PageServer(tmp_path / "index", llm, max_upload_bytes=100_000, max_upload_pages=20)
    try:
        page = tab(running.url)
        send(page, name, data)
        page.locator("#uploads .failed", has_text=said).wait_for()
        hopeless = name in ("odd.exe", "large.txt", "long.pdf", "none.txt", "blank.txt")
        assert page.get_by_role("button", name="Try again").count() == (0 if hopeless else 1)
        page.get_by_role("button", name="Dismiss").click()
        assert page.locator("#uploads > li").count() == 0
        assert page.locator("#list > li").count() == 0
    finally:
        running.stop()


def test_files_are_dropped_anywhere(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    page.locator("#limits", has_text=".pdf").wait_for()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["The heron waits for fish."], "birds.txt", { type: "text/plain" }));
          data.items.add(new File(["Copper melts later than tin."], "metals.md", { type: "text/markdown" }));
          for (const kind of ["dragover", "drop"]) {
            document.querySelector("#questions").dispatchEvent(
              new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
          }
        }"""
    )
    for name in ("birds.txt", "metals.md"):
        page.locator("#list > li", has_text=name).wait_for()


@pytest.mark.parametrize("name", ["birds.txt", "birds.md", "birds.html"])
def test_formats_without_pages_are_shown_as_text_with_the_quote_lit(
    server: PageServer, tab: Callable[..., Page], name: str
) -> None:
    # letters beyond the first plane take two places in JavaScript's strings and one in Python's
    text = "\n\n".join(["\U0001f426 \U0001d504" * 40, *LINES])
    data = f"<html><body>{''.join(f'<p>{line}</p>' for line in text.split(chr(10)))}</body></html>"
    page = tab(server.url)
    add(page, name, (data if name.endswith("html") else text).encode())
    ask(page)
    number = page.locator(".quote").all_inner_texts().index(KEEPER)
    page.locator(".citation").nth(number).click()
    lit = page.locator("mark.now")
    lit.wait_for()
    assert lit.evaluate("one => [...one.childNodes].at(-1).data") == KEEPER
    assert page.locator("#turning").is_hidden()


EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@pytest.mark.parametrize("name", ["evil.txt", "evil.pdf", "evil.html", "<b onmouseover=alert(1)>evil.md"])
def test_markup_in_documents_and_names_is_shown_as_text(
    server: PageServer, tab: Callable[..., Page], name: str
) -> None:
    said = f"The lighthouse keeper writes {EVIL} into the blue book."
    data = said.encode()
    if name.endswith("pdf"):
        data = make_pdf(
            [["The lighthouse keeper writes", EVIL, "into the blue book."]],
            outline=[(EVIL, 1, 1)],
            info={"Title": "<b>bold</b>"},
        )
    elif name.endswith("html"):
        data = f"<p>{said.replace('<', '&lt;')}</p>".encode()
    page = tab(server.url)
    send(page, name, data)
    page.locator("#list > li").wait_for()
    ask(page, f"What does the lighthouse keeper write? {EVIL}")
    assert "<script>" in page.locator(".quote").first.inner_text() or name.endswith("md")
    page.locator(".citation").first.click()
    page.locator(".mark").first.wait_for()
    page.get_by_role("button", name="Branches").click()
    page.locator(".chunk.taken").first.click()
    page.locator(".node").first.wait_for()
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main script, main b").count() == 0


def test_two_tabs_see_the_same_documents(server: PageServer, tab: Callable[..., Page]) -> None:
    first = tab(server.url)
    second = tab(server.url, beside=first)
    add(first)
    second.locator("#list > li", has_text="birds.pdf").wait_for()
    ask(second)
    cited(second)
    add(second, "metals.txt", b"Copper melts at a higher temperature than tin does.")
    first.locator("#list > li", has_text="metals.txt").wait_for()
    ask(first, "What melts?")
    first.get_by_role("button", name="Delete birds.pdf").click()
    first.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    first.locator("#list > li", has_text="birds.pdf").wait_for(state="detached")
    second.locator("#list > li", has_text="birds.pdf").wait_for(state="detached")
    assert second.locator("#viewer").is_hidden()
    assert [one.name for one in server.index.documents()] == ["metals.txt"]


def test_a_server_that_is_started_again_meanwhile(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    add(page)
    ask(page)
    server.stop()
    page.get_by_text("The server does not answer. Trying again").wait_for()
    page.fill("#question", "Who waits for fish?")
    page.press("#question", "Enter")
    page.locator(".turn .failed").wait_for()
    send(page, "metals.txt", b"Copper melts at a higher temperature than tin does.")
    page.locator("#uploads .failed").wait_for()
    server.start()
    page.locator("#trouble:empty").wait_for(state="attached")
    page.get_by_role("button", name="Ask again").click()
    page.locator(".turn").nth(1).locator(".tools").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.locator("#list > li", has_text="metals.txt").wait_for()
    cited(page)


def test_a_question_that_was_not_answered_is_there_after_reloading(
    server: PageServer, tab: Callable[..., Page]
) -> None:
    page = tab(server.url)
    add(page)
    server.stop()
    page.fill("#question", QUESTION)
    page.press("#question", "Enter")
    page.locator(".turn .failed").wait_for()
    comes(page, "location.hash.length > 50")
    server.start()
    page.reload()
    page.get_by_text("This question was not answered yet.").wait_for()
    page.get_by_role("button", name="Ask again").click()
    page.locator(".tools").wait_for()


def test_a_key_is_asked_for_and_used_everywhere(llm: SharedLLM, tmp_path: Path, tab: Callable[..., Page]) -> None:
    running = PageServer(tmp_path / "index", llm, api_keys=(hashed("the key of this house"),))
    try:
        page = tab(running.url)
        page.get_by_label("API key").fill("a wrong key, and long")
        page.keyboard.press("Enter")
        page.get_by_label("API key").wait_for()
        comes(page, "document.getElementById('dialog-line')?.value === ''")
        page.get_by_label("API key").fill("the key of this house")
        page.keyboard.press("Enter")
        page.locator("#limits", has_text=".pdf").wait_for()
        add(page)
        ask(page)
        cited(page)
        assert "the key of this house" not in page.url
    finally:
        running.stop()


# -- branches -------------------------------------------------------------------------------------------------------


def test_the_strip_and_the_tree_show_what_was_injected(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    filler = [[f"Page {n} tells of rivers, of rain, and of nothing else that matters."] * 30 for n in range(12)]
    filler[7][3] = KEEPER
    add(page, "long.pdf", make_pdf(filler))
    ask(page)
    page.get_by_role("button", name="Branches").click()
    page.locator(".chunk").first.wait_for()
    rows = page.locator(".tools summary").inner_text().split(" rows")[0]
    assert page.locator("#branches-said").inner_text().startswith(f"{rows} rows of ")
    taken = page.locator(".chunk.taken")
    assert 0 < taken.count() < page.locator(".chunk").count()
    taken.first.click()
    page.locator(".node.taken").first.wait_for()
    levels = [page.locator(".level").nth(n).locator(".node").count() for n in range(3)]
    assert levels == [2, 4, 8]
    assert page.locator(".chunk[aria-current]").count() == 1
    page.wait_for_timeout(400)
    page.reload()
    page.locator(".node.taken").first.wait_for()
    page.locator(".chunk.taken").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    comes(page, "document.activeElement.hasAttribute('aria-current')")


# -- looks and access -----------------------------------------------------------------------------------------------


def brightness(page: Page) -> float:
    return float(np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L")).mean())


def test_light_and_dark(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url, color_scheme="light")
    page.locator("#limits", has_text=".pdf").wait_for()
    assert brightness(page) > 180
    page.emulate_media(color_scheme="dark")
    assert brightness(page) < 70
    page.click("#theme")
    assert brightness(page) > 180
    page.reload()
    page.locator("#limits", has_text=".pdf").wait_for()
    assert brightness(page) > 180


@pytest.mark.parametrize("size", [WIDE, {"width": 390, "height": 800}], ids=["wide", "narrow"])
def test_axe_finds_nothing_serious(server: PageServer, tab: Callable[..., Page], size: dict[str, int]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def check(page: Page, state: str) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = axe.run(page).response["violations"]
            bad = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found if one["impact"] in BAD]
            assert not bad, (state, scheme, bad)

    page = tab(server.url, viewport=size)
    page.locator("#limits", has_text=".pdf").wait_for(state="attached")
    check(page, "empty")
    send(page, "secret.pdf", encrypt(BIRDS, "open sesame"))
    page.get_by_role("dialog").get_by_label("Password").wait_for()
    check(page, "dialog")
    page.keyboard.press("Escape")
    page.locator("#uploads .failed").wait_for(state="attached")
    send(page, "birds.pdf", BIRDS)
    send(page, "metals.txt", b"Copper melts.")
    page.locator("#list > li").nth(1).wait_for(state="attached")
    check(page, "documents")
    ask(page)
    check(page, "answer")
    page.get_by_role("button", name="Branches").click()
    page.locator(".chunk.taken").first.click()
    page.locator(".node").first.wait_for()
    page.locator(".sheet[data-drawn]").first.wait_for()
    check(page, "source")
    for pane in ("documents", "questions"):
        if page.locator(f"nav [data-pane={pane}]").is_visible():
            page.click(f"nav [data-pane={pane}]")
            check(page, pane)
    docs = tab(f"{server.url}docs", viewport=size)
    docs.get_by_text("/api/documents/{key}/source").first.wait_for()
    check(docs, "docs")


BAD = ("serious", "critical")


def test_everything_can_be_reached_by_keyboard(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url)
    add(page)
    page.locator("body").click(position={"x": 700, "y": 5})
    page.keyboard.press("/")
    page.keyboard.type(QUESTION)
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("At once, please.")
    page.keyboard.press("Enter")
    page.locator(".tools").wait_for()
    assert "\n" in page.locator(".turn h2").evaluate("one => one.textContent")
    reached = set()
    page.evaluate("document.activeElement.blur()")
    for _press in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.act ?? document.activeElement.id"))
    assert {"choose", "open", "delete", "cite-0", "copy-0", "copy", "branches", "question", "style", "send"} <= reached
    page.locator("[data-act=cite-0]").focus()
    page.keyboard.press("Enter")
    page.locator(".mark.now").first.wait_for()
    assert page.evaluate("document.activeElement.dataset.act") == "cite-0"
    page.keyboard.press("Escape")
    page.locator("#nothing").wait_for()


def test_nothing_is_cut_off_on_a_phone(server: PageServer, tab: Callable[..., Page]) -> None:
    page = tab(server.url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.tap("nav [data-pane=documents]")
    add(page, "a-name-that-is-very-long-and-has-no-spaces-" + "x" * 80 + ".pdf")
    page.tap("nav [data-pane=questions]")
    ask(page)
    for pane in ("documents", "questions"):
        page.tap(f"nav [data-pane={pane}]")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), pane
    page.locator(".citation").first.tap()
    page.locator(".mark.now").first.wait_for()
    assert page.locator(".mark.now").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    link = page.url
    page.wait_for_timeout(500)
    page.goto("about:blank")
    page.goto(page.url if "#" in page.url else link)
    page.locator(".mark.now").first.wait_for()


def test_the_description_of_the_api_is_readable_and_needs_nothing_from_elsewhere(
    server: PageServer, tab: Callable[..., Page]
) -> None:
    page = tab(server.url)
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.goto(f"{server.url}docs")
    page.get_by_text("POST /api/ask", exact=True).wait_for()
    assert page.get_by_text("curl -F file=@report.pdf").count() >= 1
    assert all(url.startswith(server.url) for url in asked)
    assert re.search(r"Answers 200: AnswerView", page.locator("main").inner_text())


@pytest.mark.e2e
def test_the_real_model_answers_on_the_page_and_its_words_are_lit(tmp_path: Path, tab: Callable[..., Page]) -> None:
    running = PageServer(tmp_path / "index", SharedLLM.from_pretrained(), sure=False)
    try:
        running.index.add(R_INTRO, pages="41-45", encode="when-asked")
        page = tab(running.url)
        ask(page, "Which function draws a histogram?")
        assert "hist" in page.locator(".answer").inner_text()
        citation = page.locator(".citation").first
        assert "page 43" in citation.inner_text()
        cited(page)
        assert page.input_value("#page") == "43"
        page.locator(".mark.now").first.scroll_into_view_if_needed()
        image = pixels(page, 43)
        lit = lit_of(image)
        assert lit.any()
        assert dark_of(image)[lit.any(axis=1)].any()
    finally:
        running.stop()
