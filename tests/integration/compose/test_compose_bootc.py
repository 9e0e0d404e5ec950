"""Composes whose image has a bootc: it installs, upgrades and goes back in machines, and where it fails so do they.

Debian has no bootc, and no real one was run here: the package is made by this test, its program is `bootc-double`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status, list_composes
from deb_bootc_compose.journal import read_results
from debcore.command import run
from debroot.sources import find_host_sources
from tests.integration.compose.test_compose_mirror import Mirror
from tests.integration.compose.test_compose_mirror import mirror as mirror
from tests.integration.compose.world import MANIFEST, Composer

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(14400)]

KEY = "server.amd64"
INDEX = "main/binary-amd64/Packages"


def publish(mirror: Mirror, place: Path, version: str, *, broken: bool = False) -> None:
    """A suite with one package, bootc."""
    root = place / f"bootc-{version}"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr/bin").mkdir(parents=True)
    program = root / "usr/bin/bootc"
    program.write_bytes(Path(__file__).with_name("bootc-double").read_bytes())
    program.chmod(0o755)
    if broken:
        (root / "usr/share/bootc").mkdir(parents=True)
        (root / "usr/share/bootc/broken").touch()
    fields = {
        "Package": "bootc", "Version": version, "Architecture": "all", "Maintainer": "Nobody <nobody@example.org>",
        "Depends": "skopeo, ostree, fdisk, e2fsprogs, zstd", "Description": "stands for bootc in tests",
    }  # fmt: skip
    (root / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    run(["dpkg-deb", "--root-owner-group", "-b", root, place / f"{version}.deb"])
    deb = (place / f"{version}.deb").read_bytes()
    name = f"pool/bootc_{version}_all.deb"
    told = {**fields, "Filename": name, "Size": len(deb), "SHA256": hashlib.sha256(deb).hexdigest()}
    packages = "".join(f"{key}: {value}\n" for key, value in told.items()).encode()
    release = (
        "Origin: ours\nSuite: stable\nCodename: stable\nArchitectures: all amd64\nComponents: main\n"
        "Date: Fri, 27 Nov 2026 10:00:00 UTC\nSHA256:\n"
        f" {hashlib.sha256(packages).hexdigest()} {len(packages)} {INDEX}\n"
    )
    mirror.files |= {
        name: deb, f"dists/stable/{INDEX}": packages, "dists/stable/Release": release.encode()
    }  # fmt: skip


def manifest_of(mirror: Mirror, tests: str, *, images: bool = True) -> str:
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    debian = {"name": "debian", "uris": find_host_sources("trixie")[0].uris, "suites": ["trixie"], "signed-by": keyring}
    ours = {"name": "ours", "uris": [mirror.url], "suites": ["stable"], "trusted": True}
    sources = "".join(f"  - {json.dumps(one)}\n" for one in (debian, ours))
    text = MANIFEST.replace("tests: [lint]", f"tests: [{tests}]")
    text = text.replace("    lint: {waive: [{rule: bootc-client, reason: updates by OSTree only}]}\n", "")
    text = text if images else text.replace("      images: [{type: raw}]\n", "")
    return f"{text}security: none\nsources:\n{sources}packages: [bootc]\n"


def build(composer: Composer, target: Path, *options: str) -> ComposeDirectory:
    done = composer.call("build", composer.manifest, "--target", target, "--json", *options)
    return ComposeDirectory(Path(json.loads(done.stdout)["path"]))


def read_tests(compose: ComposeDirectory) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((compose.metadata / "tests.json").read_text())["payload"]["tests"]
    return {name: verdicts[KEY] for name, verdicts in found.items() if verdicts}


def test_bootc_installs_upgrades_and_goes_back(composer: Composer, mirror: Mirror, tmp_path: Path) -> None:
    composer, target = replace(composer, patience=7200), tmp_path / "composes"
    publish(mirror, tmp_path, "1")
    composer.write(manifest_of(mirror, "lint, boot, update"))
    first = build(composer, target)
    assert first.status() is Status.FINISHED
    seen = read_tests(first)
    assert seen["bootc-install"]["verdict"] == "passed"
    record = seen["bootc-install"]["record"]
    assert [boot["failed_units"] for boot in record["boots"]] == [[], []]
    assert [step["name"] for step in record["steps"]] == ["boot 1", "install", "boot 2"]
    assert record["after"] == read_results(first.journal_path)[f"container.{KEY}"]["digest"]
    assert seen["bootc-upgrade"]["reason"] == "not applicable: first compose"

    composer.write("Second\n", name="motd")
    composer.write(manifest_of(mirror, "lint, update, rollback", images=False))
    second = build(composer, target, "--skip", "update")
    seen = read_tests(second)
    assert seen["bootc-upgrade"]["verdict"] == "passed"
    record = seen["bootc-upgrade"]["record"]
    assert [boot["failed_units"] for boot in record["boots"]] == [[], [], [], []]
    assert [step["name"] for step in record["steps"]] == [
        "boot 1", "install", "boot 2", "upgrade", "boot 3", "rollback", "boot 4",
    ]  # fmt: skip
    digests = [read_results(one.journal_path)[f"container.{KEY}"]["digest"] for one in (first, second)]
    assert [record["before"], record["after"]] == digests


def test_a_bootc_that_fails_publishes_nothing(composer: Composer, mirror: Mirror, tmp_path: Path) -> None:
    composer, target = replace(composer, patience=7200), tmp_path / "composes"
    publish(mirror, tmp_path, "2", broken=True)
    composer.write(manifest_of(mirror, "lint, boot"))
    refused = composer.refuse("build", composer.manifest, "--target", target, "--skip", "boot")
    assert "the bootc-install gate: install: error: Installing to disk: it is broken on purpose" in refused.output
    (doomed,) = list_composes(target)
    assert doomed.status() is Status.DOOMED
    assert str(doomed.logs / f"console-bootc-install.{KEY}.log") in refused.output
    assert not (doomed.output / "SHA256SUMS").exists()
    assert not list(target.glob("latest-*"))
