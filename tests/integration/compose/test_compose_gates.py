"""Two composes with all gates, and a third whose update fails and which therefore publishes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status, list_composes
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.ostree import find_ref, init_repo
from debcore.errors import CommandFailed
from debroot.store import Store
from tests.integration.compose.world import MANIFEST, Composer

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(14400)]

KEY = "server.amd64"
GATES = MANIFEST.replace("tests: [lint]", "tests: [lint, update, rollback, fallback]")
FAILING = "[Service]\nType=oneshot\nExecStart=/bin/false\n"


def compose_of(document: dict[str, Any]) -> ComposeDirectory:
    return ComposeDirectory(Path(document["path"]))


def build(composer: Composer, target: Path, *options: str) -> dict[str, Any]:
    done = composer.call("build", composer.manifest, "--target", target, "--json", *options)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def read_tests(compose: ComposeDirectory) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((compose.metadata / "tests.json").read_text())["payload"]["tests"]
    return found


def test_an_update_passes_its_gates_and_a_bad_one_publishes_nothing(composer: Composer, tmp_path: Path) -> None:
    composer = replace(composer, patience=7200)
    composer.write(GATES)
    target = tmp_path / "composes"
    first = compose_of(build(composer, target))
    assert read_tests(first)["update"][KEY]["reason"] == "not applicable: first compose"
    fallback = read_tests(first)["fallback"][KEY]
    assert fallback["verdict"] == "passed"
    assert all(check["ok"] for check in fallback["record"]["checks"])

    composer.write("Second\n", name="motd")
    second = compose_of(build(composer, target, "--skip", "fallback"))
    assert second.status() is Status.FINISHED_INCOMPLETE
    made = read_results(second.journal_path)[f"commit.{KEY}"]
    seen = read_tests(second)
    assert seen["update"][KEY]["verdict"] == seen["rollback"][KEY]["verdict"] == "passed"
    record = seen["update"][KEY]["record"]
    assert [boot["failed_units"] for boot in record["boots"]] == [[], [], []]
    assert record["after"] == made["commit"]
    commits = json.loads((second.metadata / "commits.json").read_text())["payload"]["commits"][KEY]
    assert commits["parent"]["compose"] == first.id

    # Not by `units: enable`: presets are applied at a first boot, and this machine has had its own.
    units = "/usr/lib/systemd/system"
    files = f"      - {{from: bad.service, to: {units}/bad.service}}\n"
    files += f"      - {{from: wants.conf, to: {units}/multi-user.target.d/bad.conf}}\n"
    bad = GATES.replace("    add-files:\n", f"    add-files:\n{files}")
    composer.write("[Unit]\nWants=bad.service\n", name="wants.conf")
    composer.write(FAILING, name="bad.service")
    composer.write(bad)
    with pytest.raises(CommandFailed) as caught:
        composer.call("build", composer.manifest, "--target", target, "--skip", "fallback")
    assert "new-boots: unit bad.service failed" in caught.value.output
    third = list_composes(target)[-1]
    assert third.status() is Status.DOOMED
    assert str(third.logs / f"console-update.{KEY}.log") in caught.value.output
    assert not (third.output / "SHA256SUMS").exists()
    commit = read_results(third.journal_path)[f"commit.{KEY}"]
    repository = init_repo(Store.open(Path(os.environ["DEBOOTC_STORE"])), third.path / commit["repo"], suite="trixie")
    assert find_ref(repository, commit["ref"]) is None
    assert (target / "latest-Test-13").resolve() == first.path
    refusal = composer.refuse("publish", third.path, "--repo", tmp_path / "www")
    assert "is DOOMED" in refusal.output
    assert not (tmp_path / "www").exists()
