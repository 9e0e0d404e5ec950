from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from debcore.errors import Failure


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    called = CliRunner().invoke(group, ["init", str(tmp_path / "server")])
    assert called.exit_code == 0
    return tmp_path / "server"


def explain(key: str, manifest: Path, *words: str) -> str:
    called = CliRunner().invoke(group, ["explain", key, str(manifest), *words])
    if called.exception:
        raise called.exception
    return called.output


def test_a_value_and_where_it_stands(manifest: Path) -> None:
    lines = (manifest / "compose.yaml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if text.startswith("suite:"))
    assert explain("suite", manifest).startswith(f"suite = trixie  [{manifest}/compose.yaml:{line}")


def test_what_is_below_and_defaults(manifest: Path) -> None:
    shown = explain("release", manifest)
    assert [text.split(" = ")[0] for text in shown.splitlines()][:2] == ["release.name", "release.short"]
    assert "updates = True  [default]" in explain("updates", manifest)


def test_the_last_parts_of_a_name(manifest: Path) -> None:
    rows = json.loads(explain("ref", manifest, "--json"))
    assert [row["key"] for row in rows] == ["variants.server.amd64.ref"]
    assert rows[0]["value"] == "server/trixie/amd64"


def test_the_manifest_knows_no_architecture_between_a_variant_and_its_keys(manifest: Path) -> None:
    shown = explain("variants.server.outputs.container", manifest)
    assert "variants.server.amd64.outputs.container.name = server  [" in shown
    assert explain("server.ref", manifest) == explain("ref", manifest)
    with pytest.raises(Failure, match=r"no key 'ref\.server'"):
        explain("ref.server", manifest)


def test_help_shows_its_examples_a_line_each() -> None:
    shown = CliRunner().invoke(group, ["explain", "--help"]).output
    assert "\n  deb-bootc-compose explain release.version\n  deb-bootc-compose explain kargs\n" in shown


def test_a_key_that_is_not_there(manifest: Path) -> None:
    with pytest.raises(Failure, match="no key 'relaese'") as failed:
        explain("relaese", manifest)
    assert failed.value.hint == "did you mean 'release'?"
