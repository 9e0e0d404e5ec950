"""Logs in a real browser: the tail follows what comes, resumes by offset, and 200 MB hurt nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.integration.web.browsing import PATIENCE, Opened
from tests.integration.web.world import ADMIN, Site, give_log

Open = Callable[..., Opened]
LINE = b"gcc -O2 -g -fstack-protector-strong -Wformat -c source/file%07d.c -o object/file%07d.o\n"
MIB = 2**20


def lines(first: int, count: int) -> bytes:
    return b"".join(LINE % (n, n) for n in range(first, first + count))


def held(page: Page) -> int:
    """Characters of the log on the page."""
    return int(page.evaluate("document.getElementById('log').textContent.length"))


def wait_for_text(page: Page, text: str) -> None:
    page.wait_for_function("text => document.getElementById('log').textContent.includes(text)", arg=text)


def test_the_tail_follows_resumes_and_keeps_the_last_part_only(site: Site, open_as: Open) -> None:
    """One log that grows: by lines, by parts of letters, while nobody looks, and by more than is ever shown."""
    opened = open_as(site.session(ADMIN))
    offset = site.log(0, "the beginning ü\n".encode())
    asked: list[int] = []
    opened.page.on("request", lambda one: asked.extend(int(n) for n in re.findall(r"tail\?offset=(\d+)", one.url)))
    page = opened.go(f"/builds/{site.builds['live']}")
    wait_for_text(page, "the beginning ü")
    letter = "→".encode()
    offset = site.log(offset, b"half a letter: " + letter[:1])
    wait_for_text(page, "half a letter: ")
    offset = site.log(offset, letter[1:] + b" \x1b[31mred\x1b[0m </pre><script>alert(1)</script>\n")
    wait_for_text(page, "half a letter: → red </pre><script>alert(1)</script>")
    assert page.locator("#log > *").count() == 0, "it is text"
    assert asked == sorted(asked), "each asks for what comes after the one before"
    assert asked[0] == len("the beginning ü\n".encode()), "what the page had is not asked for again"
    assert page.locator("#log-state").inner_text() == "live"
    assert page.locator("#log").text_content().startswith("the beginning")  # type: ignore[union-attr]
    count = 0
    for _ in range(8):  # 1.8 MB in all
        offset, count = site.log(offset, lines(count, 2_600)), count + 2_600
        wait_for_text(page, f"file{count - 1:07}.o")
    assert MIB // 2 < held(page) <= MIB, "the end is kept"
    offset, count = site.log(offset, lines(count, 11_000)), count + 11_000
    wait_for_text(page, f"file{count - 1:07}.o")
    assert held(page) == MIB // 4, "of what came at once the end is fetched"
    begin, end = (int(n) for n in re.findall(r"\d+", page.locator("#log-range").inner_text()))
    assert (begin, end) == (offset - MIB // 4, offset), "and the page says what it shows"
    assert "the beginning" not in page.locator("#log").text_content()  # type: ignore[operator]
    assert page.evaluate("(b => b.scrollHeight - b.scrollTop - b.clientHeight)(document.getElementById('log'))") < 60
    page.evaluate("document.getElementById('log').scrollTop = 0")
    offset = site.log(offset, b"something more\n")
    wait_for_text(page, "something more")
    assert page.evaluate("document.getElementById('log').scrollTop") == 0, "who reads above is left in peace"


def test_a_reader_without_script_pages_through_a_live_log(site: Site, open_as: Open) -> None:
    page = open_as(site.session(ADMIN), java_script_enabled=False).go(f"/builds/{site.builds['live']}")
    assert "something more" in page.locator("#log").inner_text()
    page.get_by_role("link", name="Start").click()
    assert page.locator("#log").inner_text().startswith("the beginning ü")
    page.get_by_role("link", name="Later").click()
    second = page.locator("#log").inner_text()
    assert second.startswith("gcc "), "windows begin with a whole line"
    page.get_by_role("link", name="Earlier").click()
    assert page.locator("#log").inner_text().startswith("the beginning")
    page.get_by_role("link", name="End").click()
    assert "something more" in page.locator("#log").inner_text()


@pytest.fixture(scope="session")
def big(site: Site, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Bytes of a complete log, of lines and of one line of 20 MB."""
    path = tmp_path_factory.mktemp("log") / "log"
    with path.open("wb") as file:
        piece = lines(0, 11_000)
        while file.tell() < 180 * MIB:
            file.write(piece)
        file.write(b"x" * 20 * MIB + b"\nthe very end\n")
    size = path.stat().st_size
    give_log(site, site.builds["big"], path)
    path.unlink()
    return size


def test_a_log_of_200_mb_does_not_hurt_the_browser(site: Site, open_as: Open, big: int) -> None:
    opened = open_as(site.session(ADMIN))
    got: list[int] = []
    opened.page.on("response", lambda answer: got.append(int(answer.headers.get("content-length", "0"))))
    page = opened.go(f"/builds/{site.builds['big']}")
    assert page.locator("#log-state").inner_text() == "complete"
    text = page.locator("#log").text_content() or ""
    assert text.endswith("x\nthe very end\n")
    assert len(text) <= 256 * 1024
    page.get_by_role("link", name="Start").click()
    assert (page.locator("#log").text_content() or "").startswith("gcc -O2")
    page.goto(f"{site.url}/builds/{site.builds['big']}?at={big - 10 * MIB}")
    assert set((page.locator("#log").text_content() or "").strip()) == {"x"}, "in the midst of a line without end"
    page.goto(f"{site.url}/builds/{site.builds['big']}?at={big * 2}")
    assert page.locator("#log").text_content() == ""
    assert sum(got) < 4 * MIB, "of 200 MB some windows came"
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    assert heap < 64 * MIB


def test_the_whole_is_saved_and_comes_in_ranges(site: Site, open_as: Open, big: int, tmp_path: Path) -> None:
    opened = open_as(site.session(ADMIN))
    page = opened.go(f"/builds/{site.builds['big']}")
    with page.expect_download(timeout=PATIENCE) as coming:
        page.get_by_role("link", name="Save the whole log").click()
    saved = tmp_path / "saved"
    coming.value.save_as(saved)
    assert coming.value.suggested_filename == f"{site.builds['big']}-amd64.log"
    assert saved.stat().st_size == big
    answer = opened.page.request.get(
        f"{site.url}/builds/{site.builds['big']}/amd64/log", headers={"Range": f"bytes={big - 13}-"}
    )
    assert (answer.status, answer.body()) == (206, b"the very end\n")
    tail = opened.page.request.get(f"{site.url}/builds/{site.builds['big']}/amd64/tail?offset=5")
    assert len(tail.body()) == 256 * 1024
    assert int(tail.headers["x-log-offset"]) == big - 256 * 1024
    assert (tail.headers["x-log-complete"], tail.headers["x-log-size"]) == ("1", str(big))
