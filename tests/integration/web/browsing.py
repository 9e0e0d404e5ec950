"""A browser's window on the hub, and what it complained about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

#: What nothing here may take. Milliseconds; a fact that does not come by then is wrong, not slow.
PATIENCE = 120_000


@dataclass(frozen=True)
class Look:
    """How the window is. Pixels."""

    width: int = 1280
    height: int = 900
    scheme: Literal["light", "dark"] = "light"


WIDE, WIDE_DARK = Look(), Look(scheme="dark")
PHONE, PHONE_DARK = Look(360, 740), Look(320, 640, "dark")
LOOKS = {"wide": WIDE, "wide-dark": WIDE_DARK, "phone": PHONE, "phone-dark": PHONE_DARK}


@dataclass
class Opened:
    """`said`: errors and warnings: of scripts, of the content policy, of files that do not come."""

    page: Page
    url: str
    said: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        return self.page

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{self.page.url}: {message.text}")

    def note_failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # what is left behind by going on to another page
            self.said.append(f"{request.url}: {request.failure}")


def open_context(browser: Browser, url: str, session: str, look: Look, **options: Any) -> tuple[BrowserContext, Opened]:
    context = browser.new_context(
        viewport={"width": look.width, "height": look.height}, color_scheme=look.scheme, **options
    )
    context.set_default_timeout(PATIENCE)
    if session:
        context.add_cookies([{"name": "debootc_session", "value": session, "url": url, "sameSite": "Strict"}])
    page = context.new_page()
    opened = Opened(page, url)
    page.on("console", opened.note)
    page.on("pageerror", lambda error: opened.said.append(str(error)))
    page.on("requestfailed", opened.note_failed)
    return context, opened
