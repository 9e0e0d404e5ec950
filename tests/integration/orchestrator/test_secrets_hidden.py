"""Secrets that a builder has are in no log, no page and no answer of the hub, whatever a tool prints."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from debcore.hub.credential import load_token
from debcore.hub.model import PREFIX, RequestState
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import SuiteSettings
from tests.integration.orchestrator.stack import Stack, ask, client_of
from tests.unit.orchestrator.services.farm import SUITE


def test_what_a_tool_prints_of_secrets_is_starred(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real hub and agent, and a tool that prints its job, the agent's claim, and puts both into lock and result."""
    monkeypatch.setenv("DEBOOTC_DEBUG", "1")
    state = tmp_path / "state"
    started, up = stack.start_ready("up", "--state", state)
    token = load_token(Path(up["token_file"]))
    with client_of(up) as client, RepoClient(up["url"], token) as repo:
        repo.set_settings(SUITE, SuiteSettings(private=True))
        first = ask(client, tmp_path, "hello")
        assert client.wait_request(first.id, 120).state is RequestState.READY
        leaky = ask(client, tmp_path, "leaky")
        assert client.wait_request(leaky.id, 120).state is RequestState.FAILED
        seen = (stack.directory / "runs.seen").read_text()
        relay = re.search(r"http://127\.0\.0\.1:[0-9]+/([0-9a-f]{32})/apt", seen)
        grant = re.search(r'"grant":"([^"]+)"', seen)
        assert relay is not None, "the tool is shown the way to the private suite"
        assert grant is not None
        secrets = {"relay": relay[1], "grant": grant[1], "agent": load_token(state / "agent" / "token")}
        number = leaky.builds[0]
        assert (b"*" * 32 + b"/apt") in client.log(number, "amd64")[0], "its place can be seen"
        build = client.build(number)
        lock = build.arches[0].lock_sha256
        told = [f"/builds/{number}", f"/builds/{number}/why", f"/builds/{number}/events", f"/builds/{number}/amd64/log",
                "/events?limit=1000", "/jobs", "/requests", "/audit", "/agents", f"/blobs/{lock}",
                *(f"/blobs/{one.sha256}" for one in build.arches[0].artifacts)]  # fmt: skip
        login = client.make_login_link().url
    texts = {path: read(up["url"], PREFIX + path, token) for path in told}
    with httpx.Client(base_url=up["url"], follow_redirects=True) as browser:
        browser.post(login).raise_for_status()
        pages = ("/", f"/builds/{number}", f"/builds/{number}/amd64/log", "/events", "/audit", "/queue", "/hosts")
        texts |= {page: browser.get(page).raise_for_status().text for page in pages}
    assert started.stop() == 143
    texts |= {"the hub's log": started.text} | {path.name: path.read_text() for path in state.glob("*.log")}
    assert "agent.log" in texts
    assert any("leaky" in text for text in texts.values())
    found = [(place, name) for place, text in texts.items() for name, secret in secrets.items() if secret in text]
    assert found == []


def read(url: str, path: str, token: str) -> str:
    answer = httpx.get(url + path, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert answer.status_code == 200, (path, answer.text)
    return answer.text
