"""One farm and one browser for all tests of this directory: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from deb_orchestrator.services import importing, sources
from tests.conftest import need_program
from tests.contract.orchestrator.postgres import running_server
from tests.integration.web.browsing import WIDE, Look, Opened, open_context
from tests.integration.web.world import Site, open_site
from tests.unit.orchestrator.services.farm import open_here


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Files are opened in this process, as in the unit tests: that the sealed one works is proven elsewhere."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as after:
        patch.setattr(sources, "open_files", open_here)
        patch.setattr(importing, "open_files", open_here)
        place = tmp_path_factory.mktemp("site")
        database = f"sqlite:///{place}/hub.db"
        if request.param == "postgresql":
            database = after.enter_context(running_server()).make_database()
        yield after.enter_context(open_site(place, database))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = need_program("chromium")
    with sync_playwright() as playwright:
        # Root has no sandbox in Chromium; the pages are ours.
        made = playwright.chromium.launch(executable_path=str(program), args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def open_as(browser: Browser, site: Site) -> Iterator[Callable[..., Opened]]:
    """Opens a context of its own for a session's secret; each must end without a word on its console."""
    opened: list[tuple[BrowserContext, Opened]] = []

    def open_(session: str = "", look: Look = WIDE, url: str = "", **options: object) -> Opened:
        context, made = open_context(browser, url or site.url, session, look, **options)
        opened.append((context, made))
        return made

    yield open_
    for context, made in opened:
        context.close()
        assert made.said == [], "the browser complained"


@pytest.fixture(scope="session")
def shots(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures of all pages go, if DEBOOTC_SHOTS names a place."""
    place = os.environ.get("DEBOOTC_SHOTS")
    if place is None:
        return None
    path = Path(place)
    path.mkdir(parents=True, exist_ok=True)
    return path
