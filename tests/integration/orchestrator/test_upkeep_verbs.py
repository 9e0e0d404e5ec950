"""The verbs of upkeep, as people type them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from debcore.command import run
from debcore.errors import CommandFailed
from debcore.hub.credential import load_token
from debcore.hub.upkeep_client import UpkeepClient
from tests.integration.orchestrator.stack import PROGRAM, Stack
from tests.unit.orchestrator.services.farm import SUITE


def test_the_verbs_of_upkeep(stack: Stack, tmp_path: Path) -> None:
    _, up = stack.start_ready("hub", "--state", tmp_path / "state", "--port", "0")
    env = {"DEBOOTC_HUB": up["url"], "DEBOOTC_TOKEN_FILE": up["token_file"]}

    def say(*words: str | Path) -> str:
        return run([*PROGRAM, *words], extra_env=env).text

    def ask(*words: str | Path) -> Any:
        return json.loads(say(*words, "--json"))

    file = tmp_path / "hello.deb"
    file.write_bytes(b"a package")
    with UpkeepClient(up["url"], load_token(Path(up["token_file"]))) as client:
        client.ensure_target(SUITE, "debian-trixie")
        sha256 = client.put_blob(file)
    lock = tmp_path / "lock.json"
    package = {"name": "hello", "version": "1", "arch": "amd64", "sha256": sha256}
    lock.write_text(json.dumps({"variants": {"base.amd64": {"hub": [package, package | {"sha256": "0" * 64}]}}}))
    assert say("pin", "add", "image", "--lock", lock) == "image: 1 files are kept; 1 others are not the hub's\n"
    assert [(one["name"], one["files"], one["size"]) for one in ask("pin", "list")] == [("image", 1, 9)]
    assert "image" in say("pin", "list")
    assert f"{sha256}  " not in say("gc", "--dry-run")
    plan = ask("gc", "--dry-run")
    assert {one["sha256"]: one["why"] for one in plan["listed"]}[sha256] == "pin image"
    assert "pin image" in say("gc", "--dry-run", "--all")
    assert ask("gc")["removed"] == {"files": 0, "size": 0}
    assert "removed  0 files" in say("gc")
    assert ask("pin", "remove", "image") == {"removed": "image"}
    assert ask("retention", "--scratch", "3", "--snapshots", "30", "--no-automatic")["snapshots"] == 30
    shown = say("retention", "--snapshots", "never")
    assert "for ever" in shown
    assert "3 days" in shown
    assert "only when it is told" in shown
    for wrong in (("retention", "--scratch", "-1"), ("pin", "remove", "image"), ("retention", "--snapshots", "soon")):
        with pytest.raises(CommandFailed):
            say(*wrong)
