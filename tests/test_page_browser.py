"""The browser of the page's tests cannot hang: whatever becomes of Chromium, the next test has a new one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

pytest.importorskip("playwright", reason="needs Playwright, of the extra dev")

from playwright.sync_api import Error

from tests.page_browser import CHROMIUM, Browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or not hasattr(os, "killpg"), reason="needs Chromium and process groups"),
]
ENDLESS = "() => { while (true) {} }"


@pytest.fixture
def browser() -> Iterator[Browser]:
    made = Browser(closing=1.0)
    yield made
    made.close()


def signalled(browser: Browser, number: int, kind: str) -> None:
    """Send a signal to those of Chromium's processes whose command line holds a word."""
    for process in psutil.process_iter(["cmdline"]):
        if os.getpgid(process.pid) == browser.chromium and kind in " ".join(process.info["cmdline"] or ()):
            os.kill(process.pid, number)


def all_stand_still(browser: Browser, _page: Any) -> None:
    assert browser.chromium
    os.killpg(browser.chromium, signal.SIGSTOP)


def the_page_stands_still(browser: Browser, _page: Any) -> None:
    signalled(browser, signal.SIGSTOP, "--type=renderer")


def the_page_crashes(browser: Browser, _page: Any) -> None:
    signalled(browser, signal.SIGKILL, "--type=renderer")


def chromium_is_killed(browser: Browser, _page: Any) -> None:
    assert browser.chromium
    os.kill(browser.chromium, signal.SIGKILL)


def the_driver_is_killed(browser: Browser, _page: Any) -> None:
    assert browser.driver
    os.kill(browser.driver, signal.SIGKILL)


def a_script_never_ends(browser: Browser, page: Any) -> None:
    with pytest.raises(Error), browser.killed_after(1.0):
        page.evaluate(ENDLESS)


def nothing_happens(_browser: Browser, _page: Any) -> None:
    """As after a test that failed for another reason."""


@pytest.mark.parametrize(
    "trouble",
    [
        all_stand_still,
        the_page_stands_still,
        the_page_crashes,
        chromium_is_killed,
        the_driver_is_killed,
        a_script_never_ends,
        nothing_happens,
    ],
)
def test_it_closes_and_the_next_test_has_a_browser(browser: Browser, trouble: Callable[[Browser, Any], None]) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_content("<p>one</p>")
    trouble(browser, page)
    browser.close_context(context)
    again = browser.new_context()
    page = again.new_page()
    page.set_content("<p>two</p>")
    assert page.inner_text("p") == "two"
    browser.close_context(again)


def test_nothing_of_it_is_left(browser: Browser) -> None:
    browser.new_context().new_page()
    group = browser.chromium
    all_stand_still(browser, None)
    browser.close()
    left = [one for one in psutil.process_iter(["status"]) if _group_of(one) == group]
    assert all(one.info["status"] == psutil.STATUS_ZOMBIE for one in left)


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None
