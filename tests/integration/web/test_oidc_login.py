"""A person logs in by a real OpenID provider, which is a process of its own, in a real browser and into a real hub."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from debcore.command import spawn
from tests.integration.orchestrator.stack import Stack
from tests.integration.web.browsing import WIDE, open_context
from tests.integration.web.world import wait_for

ALICE = {"sub": "alice", "email": "alice@example.org", "email_verified": True, "groups": ["farm", "dd"]}
MALLORY = {"sub": "mallory", "email": "mallory@example.org", "email_verified": True, "groups": []}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    try:
        yield stack
    finally:
        stack.end()


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[str]:
    """oidc-provider-mock, on a port of the kernel's choosing: it says which."""
    said = tmp_path / "provider.log"
    users = [word for user in (ALICE, MALLORY) for word in ("--user-claims", json.dumps(user))]
    with said.open("wb") as output:
        process = spawn(
            [sys.executable, "-m", "oidc_provider_mock", "--host", "127.0.0.1", "--port", "0", "--require-nonce",
             *users],
            stdout=output, stderr=output,
        )  # fmt: skip
    found = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
    try:
        wait_for(lambda: process.poll() is not None or found.search(said.read_text()) is not None)
        match = found.search(said.read_text())
        assert match is not None, said.read_text()
        yield match[1]
    finally:
        process.terminate()
        process.wait(60)


def test_a_person_logs_in_by_the_provider_and_out(stack: Stack, issuer: str, browser: Browser, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("it is one\n")
    secret.chmod(0o600)
    _hub, document = stack.start_ready(
        "hub", "--state", tmp_path / "hub", "--port", "0", "--oidc-issuer", issuer, "--oidc-client-id", "farm",
        "--oidc-client-secret-file", secret, "--oidc-map", "groups=farm:admin", "--oidc-map", "groups=dd:client",
    )  # fmt: skip
    context, opened = open_context(browser, document["url"], "", WIDE)
    page = opened.page
    page.goto(f"{document['url']}/queue?state=running")
    page.get_by_role("link", name="Log in with 127.0.0.1").click()
    page.locator("input[name=sub]").fill("alice")
    page.get_by_role("button", name="Authorize").first.click()
    page.wait_for_url("**/queue?state=running")
    assert page.get_by_role("button", name="Log out oidc:alice@example.org").count() == 1
    cookie = next(one for one in context.cookies() if one["name"] == "debootc_session")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert not [one for one in context.cookies() if one["name"] == "debootc_oidc"]
    page.goto(f"{document['url']}/audit")
    assert "session.begin" in page.locator("tbody").inner_text()
    assert issuer in page.locator("tbody").inner_text()
    page.get_by_role("button", name=re.compile("Log out")).click()
    page.get_by_role("heading", name="Please log in").wait_for()
    page.get_by_role("link", name="Log in with 127.0.0.1").click()
    page.locator("input[name=sub]").fill("mallory")
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_role("heading", name=re.compile("may not use this hub")).wait_for()
    page.goto(f"{document['url']}/oidc/login")
    page.get_by_role("button", name="Deny").first.click()
    page.get_by_text("let nobody in").wait_for()
    context.close()
    ours = [line for line in opened.said if line.startswith(document["url"])]
    assert [line for line in ours if "401" not in line and "403" not in line] == []
