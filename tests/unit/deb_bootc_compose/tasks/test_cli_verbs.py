"""Verbs that need nothing but files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.cli.init import TEMPLATES, find_examples
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


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_every_example_is_a_template(tmp_path: Path, template: str) -> None:
    call("init", tmp_path / "my-box", "--template", template)
    manifest = load_manifest(tmp_path / "my-box")
    example = load_manifest(find_examples() / template)
    release, (spec,) = manifest.compose.release, manifest.specs
    assert (release.name, release.short, release.version) == ("My Box", "MyBox", example.compose.release.version)
    assert (spec.name, spec.variant.ref) == ("my-box", f"my-box/{manifest.compose.suite}/{spec.arch}")
    assert spec.variant.outputs.container is not None
    assert spec.variant.outputs.container.name == "my-box"
    assert "xample" not in manifest.compose.release.model_dump_json()
    if spec.arch == example.specs[0].arch:
        assert spec.variant.packages == example.specs[0].variant.packages
    for build in manifest.compose.builds:
        assert build.source is None or os.access(Path(build.source, "debian/rules"), os.X_OK)


def test_templates_are_listed_and_all_are_there() -> None:
    listed = {line.split()[0] for line in call("init", "--list").splitlines()}
    assert listed == set(TEMPLATES) == {path.name for path in find_examples().iterdir()}


def test_the_derivative_leaves_its_desktop_out(tmp_path: Path) -> None:
    desktop, bare = (load_manifest(find_examples() / "particle", variables={"desktop": d}) for d in ("sway", "none"))
    assert "sway" in desktop.specs[0].variant.packages
    assert "sway" not in bare.specs[0].variant.packages
    assert bare.specs[0].variant.ref == "particle/trixie/amd64/none"
    assert dict(bare.specs[0].variant.os_release)["VERSION_ID"] == "13.1"


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
    assert told["note"].startswith("killed; to go on: deb-bootc-compose resume")


def test_lints_are_listed() -> None:
    names = {lint["name"] for lint in json.loads(call("lint", "--list", "--json"))}
    assert {"kernel", "etc-usretc", "bootc-client"} <= names


def test_the_example_is_a_manifest() -> None:
    example = Path(__file__).resolve().parents[4] / "examples/server"
    manifest = load_manifest(example)
    assert [build.label for build in manifest.compose.builds] == ["debootc-motd", "hostname"]
