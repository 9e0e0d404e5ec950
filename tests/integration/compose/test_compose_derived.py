"""A compose on another compose: only what is above the base is made, and the metadata speaks of both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import read_results
from tests.integration.compose.world import Composer

pytestmark = [pytest.mark.root, pytest.mark.slow]

DERIVED = """\
schema: deb-bootc-compose/1
release: {name: Derived, short: Derived, version: "13"}
compose: {type: test}
suite: trixie
base: {oci: BASE}
packages: [hello]
add-files: [{from: motd, to: /etc/motd}]
variants:
  kiosk:
    arches: [amd64]
    ref: test/trixie/amd64/kiosk
    outputs: {container: {name: test/kiosk, max-layers: 128}}
    tests: [lint]
    lint: {waive: [{rule: bootc-client, reason: updates by OSTree only}]}
"""
KEY = "kiosk.amd64"


def build(composer: Composer, manifest: Path, target: Path, *more: str | Path) -> ComposeDirectory:
    done = composer.call("build", manifest, "--target", target, "--json", *more)
    return ComposeDirectory(Path(json.loads(done.stdout)["path"]))


def test_only_what_is_above_is_made_and_the_metadata_names_both(composer: Composer, tmp_path: Path) -> None:
    below = build(composer, composer.manifest, tmp_path / "below", "--until", "container")
    base = read_results(below.journal_path)["container.server.amd64"]
    manifest = tmp_path / "derived"
    manifest.mkdir()
    (manifest / "compose.yaml").write_text(DERIVED.replace("BASE", f"{below.path / base['path']}"))
    (manifest / "motd").write_text("Derived\n")

    first = build(composer, manifest, tmp_path / "out")
    results = read_results(first.journal_path)
    assert results[f"replay.{KEY}"]["equal"]
    theirs, ours = base["layers"], results[f"container.{KEY}"]["layers"]
    assert [layer["digest"] for layer in ours[: len(theirs)]] == [layer["digest"] for layer in theirs]
    assert sum(layer["size"] for layer in ours[len(theirs) :]) < 5e6
    debs = json.loads((first.metadata / "debs.json").read_text())["payload"]["debs"]["kiosk"]["amd64"]
    origins = {name: one["origin"] for binaries in debs.values() for name, one in binaries.items()}
    assert {origin for name, origin in origins.items() if name.startswith("hello_")} == {"archive"}
    assert {origin for name, origin in origins.items() if name.startswith("ostree_")} == {"base"}
    bill = json.loads((first.metadata / f"{KEY}.cdx.json").read_text())
    assert len(bill["components"]) == len(origins)
    lock = json.loads(first.lock_path.read_text())["variants"][KEY]
    assert lock["derived"]["digest"] == base["digest"]
    assert lock["base"] == []
    assert [package["name"] for package in lock["archive"]] == ["hello"]

    shutil.rmtree(below.path)  # the store has the base
    again = build(composer, manifest, tmp_path / "elsewhere", "--locked", first.lock_path)
    made = read_results(again.journal_path)
    for task in (f"commit.{KEY}", f"container.{KEY}"):
        one = "commit" if task.startswith("commit") else "digest"
        assert made[task][one] == results[task][one]
