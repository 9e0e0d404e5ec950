"""A binNMU by the real deb-mock: a source of the suite is built anew, with a number and the reason in its changelog."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from debcore.command import run
from tests.integration.orchestrator.stack import PROGRAM, Stack, client_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(900), pytest.mark.slow]

BIN = Path(PROGRAM[0]).parent


def test_a_source_of_the_suite_is_built_anew(stack: Stack, tmp_path: Path, store_dir: Path) -> None:
    os.environ["DEBOOTC_STORE"] = str(store_dir)
    state = tmp_path / "state"
    _up, told = stack.start_ready("up", "--state", state, real=True)
    made = run([BIN / "deb-mock", "source", "hostname", "-r", "debian-trixie-amd64", "--append-version=+hub1",
                "--resultdir", tmp_path, "--json"])  # fmt: skip
    environment = {"DEBOOTC_HUB": told["url"], "DEBOOTC_TOKEN_FILE": told["token_file"]}
    dsc = json.loads(made.text)["dsc"]
    for words in (
        ["build", dsc, "--target", "trixie-local"],
        ["binnmu", "hostname", "-t", "trixie-local", "-m", "Rebuild in a test", "--maintainer", "T <t@example.org>"],
    ):
        done = run([*PROGRAM, *words, "--json"], extra_env=environment, check=False)
        assert done.status == 0, (done.text, (state / "agent.log").read_text())
    with client_of(told) as client:
        newest, first = client.builds()
        assert (newest.source, newest.version, newest.binnmu) == ("hostname", first.version, 1)
        (deb,) = [one for one in newest.arches[0].artifacts if one.kind == "deb" and "dbgsym" not in one.name]
        client.get_blob(deb.sha256, tmp_path / deb.name)
    control = run(["dpkg-deb", "--field", tmp_path / deb.name]).text
    assert f"Version: {first.version}+b1\n" in control
    assert f"Source: hostname ({first.version})\n" in control
    run(["dpkg-deb", "--extract", tmp_path / deb.name, tmp_path / "tree"])
    changelogs = sorted((tmp_path / "tree/usr/share/doc/hostname").glob("changelog*.gz"))
    changelog = "".join(run(["zcat", path]).text for path in changelogs)
    assert "binary-only=yes" in changelog, changelogs
    assert "Rebuild in a test" in changelog
    assert " -- T <t@example.org>" in changelog
