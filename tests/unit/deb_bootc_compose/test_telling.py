"""Telling a hub never costs a compose."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_bootc_compose.cli.gc import forget_at_hub
from deb_bootc_compose.directory import Status
from deb_bootc_compose.embedded import HubAddress
from deb_bootc_compose.telling import pin_name, tell_hub
from debcore.errors import Failure
from debcore.http import HttpFailure
from debcore.hub.compose_client import ComposeClient
from debcore.hub.upkeep_client import UpkeepClient
from tests.unit.deb_bootc_compose.report.world import make_compose

AWAY = HubAddress("http://127.0.0.1:1", None)


def no_token() -> HubAddress:
    raise Failure("there is no token")


def test_a_hub_that_cannot_be_told_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    compose = make_compose(tmp_path)
    tell_hub(compose, lambda: None, status=Status.FINISHED)
    assert caplog.records == [], "nobody to tell"
    for find, words in ((lambda: AWAY, "does not answer"), (no_token, "there is no token")):
        caplog.clear()
        tell_hub(compose, find, status=Status.FINISHED)
        (record,) = caplog.records
        assert (record.levelname, words in record.getMessage()) == ("WARNING", True), record.getMessage()
    caplog.clear()
    compose.manifest_path.write_text("{")
    tell_hub(compose, lambda: AWAY, status=Status.DOOMED)
    assert "was not told" in caplog.text


def test_a_compose_that_is_removed_is_forgotten_only_by_a_hub_that_was_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = make_compose(tmp_path)
    forget_at_hub(compose)
    assert caplog.records == [], "it knew no hub"
    text = compose.manifest_path.read_text().replace('"hub": null', '"hub": "http://127.0.0.1:1"', 1)
    compose.manifest_path.write_text(text)
    monkeypatch.setattr("deb_bootc_compose.cli.gc.named_hub", lambda *_args, **_named: AWAY)
    forget_at_hub(compose)
    assert f"deb-orchestrator compose remove {compose.id}" in caplog.text
    caplog.clear()
    removed: list[str] = []

    def remove(_client: object, name: str) -> None:
        removed.append(name)
        if name == compose.id:
            raise HttpFailure(404, "there is no such compose")

    monkeypatch.setattr(ComposeClient, "remove_compose", remove)
    monkeypatch.setattr(UpkeepClient, "remove_pin", remove)
    forget_at_hub(compose)
    assert removed == [compose.id, pin_name(compose)], "the pin goes although the hub was never told of the compose"
    assert pin_name(compose) == f"compose-{compose.id}".lower()
    assert caplog.records == []
