"""Verbs that need nothing but files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.compose import Options, start_compose
from deb_bootc_compose.directory import Status
from deb_bootc_compose.manifest import load_manifest
from debcore.errors import Failure


def call(*argv: str | Path) -> str:
    done = CliRunner().invoke(group, [str(word) for word in argv], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", ["server", "Web 1", "42"])
def test_what_init_writes_is_a_manifest(tmp_path: Path, name: str) -> None:
    call("init", tmp_path / name)
    manifest = load_manifest(tmp_path / name)
    assert manifest.specs[0].variant.outputs.images
    assert json.loads(call("config", tmp_path / name, "--json"))["specs"][0]["arch"] in ("amd64", "arm64")


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    call("init", tmp_path / "server")
    with pytest.raises(Failure, match="exists"):
        CliRunner().invoke(group, ["init", str(tmp_path / "server")], catch_exceptions=False, standalone_mode=False)


def test_status_knows_a_killed_compose(tmp_path: Path) -> None:
    call("init", tmp_path / "server")
    compose = start_compose(load_manifest(tmp_path / "server"), tmp_path / "server/composes", Options())
    assert compose.status() is Status.STARTED
    (told,) = json.loads(call("status", tmp_path / "server", "--json"))
    assert told["status"] == "STARTED"
    (compose.work / "running").touch()
    (told,) = json.loads(call("status", tmp_path / "server", "--json"))
    assert told["note"].startswith("killed; deb-bootc-compose resume")


def test_lints_are_listed() -> None:
    names = {lint["name"] for lint in json.loads(call("lint", "--list", "--json"))}
    assert {"kernel", "etc-usretc", "bootc-client"} <= names


def test_the_example_is_a_manifest() -> None:
    example = Path(__file__).resolve().parents[4] / "examples/server"
    manifest = load_manifest(example)
    assert [build.label for build in manifest.compose.builds] == ["debootc-motd", "hostname"]
