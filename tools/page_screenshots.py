"""Pictures of the page for the documentation: ``python -m tools.page_screenshots [FOLDER]`` writes ``page*.png``.

With the default model and the example, read anew in a temporary folder. Needs the extra ``dev`` and Chromium. Each
picture is looked at before it is saved: one of a page that does not work is an error (``DeadPageError``).
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from sharedllm_docs import SharedLLM
from tests.page_server import PageServer

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "R-intro.pdf"
QUESTIONS = ("Which function draws a histogram?", "Who wrote the novel Moby Dick?")
PATIENCE = 600_000  # milliseconds: the model may have to read what is asked for


_FEWEST_COLOURS = 8  # of a drawn page: letters have soft edges
_COLOURS = """shown => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [shown.naturalWidth ?? shown.width, shown.naturalHeight ?? shown.height];
  if (!copy.width || !copy.height) return 0;
  const context = copy.getContext("2d");
  context.drawImage(shown, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) colours.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  return colours.size;
}"""


class DeadPageError(RuntimeError):
    """What the picture would show does not work; the message says what."""


def check_alive(page: Any, failures: Sequence[str] = ()) -> None:
    """Check that a page shows an answer, its citations, and the lit lines on a page that is drawn.

    Args:
        page: of Playwright, with a citation open.
        failures: of its scripts, as they were collected.

    Raises:
        DeadPageError: it does not.
    """
    dead = [f"a script failed: {text}" for text in failures]
    dead += [f"it says {text!r}" for text in page.locator("#trouble, .failed").all_inner_texts() if text.strip()]
    dead += [] if any(text.strip() for text in page.locator(".answer").all_inner_texts()) else ["no answer"]
    dead += [] if page.locator(".citation").count() else ["no citation"]
    mark = page.locator(".mark.now")
    if not mark.count() or not mark.first.is_visible():
        dead.append("no line is lit")
    else:
        sheet = mark.first.locator("xpath=ancestor::*[contains(@class, 'sheet')]")
        colours = sheet.locator("canvas, img").first.evaluate(_COLOURS)
        dead += [f"the document's page has {colours} colours, so it is not drawn"] if colours < _FEWEST_COLOURS else []
    if dead:
        raise DeadPageError("The page is not fit for a picture: " + "; ".join(dead) + ".")


def main(folder: Path) -> None:
    """Serve, ask, and take the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        server = PageServer(Path(temporary) / "example", SharedLLM.from_pretrained(), sure=False)
        try:
            with sync_playwright() as running:
                found = shutil.which("chromium") or shutil.which("google-chrome")
                arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
                browser = running.chromium.launch(executable_path=found, args=arguments)
                _pictures(browser, server.url, folder)
                browser.close()
        finally:
            server.stop()


def _pictures(browser: Any, url: str, folder: Path) -> None:
    page = browser.new_page(viewport={"width": 1360, "height": 860}, color_scheme="light")
    page.set_default_timeout(PATIENCE)
    failures = list[str]()
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(url)
    page.set_input_files("#files", EXAMPLE)
    page.locator("#list > li").wait_for()
    for number, question in enumerate(QUESTIONS):
        page.fill("#question", question)
        page.press("#question", "Enter")
        page.locator(".turn").nth(number).locator(".tools").wait_for()
    page.locator(".turn").first.locator(".citation").first.click()
    page.locator(".mark.now").first.wait_for()
    page.locator("#branches > summary").click()
    page.locator(".chunk.taken").first.wait_for()
    page.locator(".turn").first.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    check_alive(page, failures)
    _save(page, folder / "page.png")
    link = page.url
    page.close()
    phone = browser.new_page(
        viewport={"width": 400, "height": 800},
        color_scheme="dark",
        is_mobile=True,
        has_touch=True,
        device_scale_factor=1.5,
    )
    phone.set_default_timeout(PATIENCE)
    phone.on("pageerror", lambda error: failures.append(str(error)))
    phone.goto(link)
    phone.locator(".mark.now").first.wait_for()
    phone.wait_for_timeout(1000)
    check_alive(phone, failures)
    _save(phone, folder / "page-phone.png")


def _save(page: Any, path: Path) -> None:
    """A screenshot in 256 colours: half of the bytes, and nothing is to be seen of it."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, path.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "figures")
