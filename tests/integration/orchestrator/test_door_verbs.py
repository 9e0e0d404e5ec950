"""The verbs of ways in and out, as people type them: words for people, one document for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from debcore.command import run
from debcore.hub.credential import load_token
from debcore.hub.door_client import DoorClient
from tests.integration.orchestrator.stack import PROGRAM, Stack, wait_for
from tests.unit.orchestrator.services.farm import SUITE


def test_the_verbs_of_the_doors(stack: Stack, tmp_path: Path) -> None:
    _, up = stack.start_ready("hub", "--state", tmp_path / "state", "--port", "0")
    env = {"DEBOOTC_HUB": up["url"], "DEBOOTC_TOKEN_FILE": up["token_file"]}

    def say(*words: str) -> str:
        return run([*PROGRAM, *words], extra_env=env).text

    def ask(*words: str) -> Any:
        return json.loads(say(*words, "--json"))

    with DoorClient(up["url"], load_token(Path(up["token_file"]))) as client:
        client.ensure_target(SUITE, "debian-trixie")
        assert say("webhook", "add", "ci", "http://127.0.0.1:1/hook", "--type", "target.", "--after", "0").startswith(
            "whsec_"
        )
        wait_for(lambda: bool(client.deliveries("ci")), why="a delivery")
    assert [one["name"] for one in ask("webhook", "list")] == ["ci"]
    assert {one["webhook"] for one in ask("webhook", "deliveries", "ci", "--state", "pending")} == {"ci"}
    assert "DELIVERY" in say("webhook", "deliveries", "ci")
    assert say("webhook", "replay", "ci") == "0 to be sent again\n"
    assert ask("webhook", "remove", "ci") == {"removed": "ci"}

    assert ask("access", "grant", SUITE, "alice", "manager") == [{"principal": "alice", "role": "manager"}]
    assert "alice" in say("access", "list", SUITE)
    assert ask("access", "revoke", SUITE, "alice") == []
    assert say("access", "apt", SUITE, "web").startswith(f"machine {up['url']}/apt/ login web password ")
    assert [one["name"] for one in ask("access", "apt-list", SUITE)] == ["web"]
    assert ask("access", "apt-revoke", SUITE, "web") == {"revoked": "web"}
    assert ask("repo", "set", SUITE, "--private")["private"] is True

    url = f"file://{tmp_path}/nowhere"
    assert say("trigger", "add", "hello", url, "-t", SUITE).startswith(f"{up['url']}/hook/")
    assert "has no branch debian/latest" in say("trigger", "run", "--once")
    assert "has no branch" in ask("trigger", "list")[0]["error"]
    assert ask("trigger", "remove", "hello") == {"removed": "hello"}

    assert [one["action"] for one in ask("audit", "--action", "trigger.")] == ["trigger.remove", "trigger.add"]
    assert "suite.role" in say("audit", "--who", "operator", "--subject", SUITE)
