"""Making source packages, and other suites."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debcore.job import Status

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


def test_a_version_suffix_gives_the_same_source_each_time(
    sources: Callable[[str], Path], tool: Any, tmp_path: Path
) -> None:
    answers = []
    for name in ("one", "two"):
        done = tool.run(
            "source", "-r", "trixie", sources("hostname"), "--append-version=+local1",
            "--resultdir", tmp_path / name, "--json",
        )  # fmt: skip
        assert done.status == 0, done.stderr.decode()
        answers.append(json.loads(done.stdout))
    first, second = answers
    assert first["version"].endswith("+local1")
    assert Path(first["dsc"]).is_file()
    assert [(f["size"], f["sha256"]) for f in first["files"]] == [(f["size"], f["sha256"]) for f in second["files"]]
    assert first["files"][-1]["path"] == first["dsc"]


def test_a_package_that_the_archive_lacks(tool: Any) -> None:
    done = tool.run("build", "-r", "trixie", "no-such-source-package")
    assert done.status == 3
    assert "no-such-source-package" in done.stderr.decode()
    assert not Path("no-such-source-package_amd64").exists()


def test_a_clean_target_that_fails_is_the_packages_fault(native: Any, tool: Any, tmp_path: Path) -> None:
    built = tool.build(native(clean="echo cannot clean; false"), tmp_path / "out")
    assert (built.status, built.result.failure.stage) == (4, "pack")


@pytest.mark.slow  # a base root of each suite, half a minute each
@pytest.mark.parametrize("suite", ["bookworm", "forky", "sid"])
def test_other_suites(native: Any, tool: Any, tmp_path: Path, suite: str) -> None:
    tree = native(suite={"sid": "UNRELEASED"}.get(suite, suite), build="cat /etc/debian_version")
    frozen = ("--set", "archive.check_valid_until=false")  # the mirror of the machine may be a snapshot
    done = tool.run("build", tree, "--resultdir", tmp_path / "out", "--json", *frozen)
    assert done.status == 0, done.stderr.decode()
    assert json.loads(done.stdout)["status"] == Status.BUILT
    assert f"debian-{suite}-amd64 (the changelog says" in done.stderr.decode()
