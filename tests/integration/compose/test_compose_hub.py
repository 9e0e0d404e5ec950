"""Builds through the embedded hub: found again after kill -9, locked as the hub's, and failures with their reasons."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.journal import read_journal
from deb_bootc_compose.lock import load_lock
from deb_bootc_compose.records import NAME as RECORDS
from deb_bootc_compose.records import load_records
from tests.acceptance.world import write_package
from tests.integration.compose.world import MANIFEST, Composer, copy_base

pytestmark = pytest.mark.root

BUILDS = """\
builds:
  - {source: compose-agent}
packages: [compose-agent]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, store_dir: Path) -> Composer:
    directory = tmp_path_factory.mktemp("hub-manifest")
    copy_base(directory)
    (directory / "motd").write_text("x\n")
    (directory / "compose.yaml").write_text(MANIFEST + BUILDS)
    write_package(directory, "compose-agent")
    state = tmp_path_factory.mktemp("hub-state")
    return Composer(directory, {"XDG_STATE_HOME": str(state), "DEBOOTC_HUB_STATE": str(state / "hub")})


def said(compose: ComposeDirectory, task: str) -> str:
    return (compose.logs / f"{task}.log").read_text()


def test_a_compose_killed_while_it_waits_finds_its_build(built: Composer, tmp_path: Path) -> None:
    log = tmp_path / "log"
    target = tmp_path / "out"
    process = built.start("build", built.manifest, "--target", target, "--until", "lock", log=log)
    end = time.monotonic() + 600
    while "asked of a builder" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.wait()
    (path,) = target.glob("Test-13-*")
    compose = ComposeDirectory(path)
    built.call("resume", compose.path)
    assert compose.status() is Status.FINISHED_INCOMPLETE
    done = [e for e in read_journal(compose.journal_path) if e.type == "task.finished" and e.data["task"] == "request"]
    value = done[-1].data["result"]["value"]
    lock = load_lock(compose.lock_path)
    assert lock.hub is not None
    assert lock.hub.request == value["request"]
    assert [package.name for package in lock.variants["server.amd64"].hub] == ["compose-agent"]
    assert "build 2" not in said(compose, "request"), "the build of the killed compose was found"
    (package,) = lock.variants["server.amd64"].hub
    record = load_records(compose.logs / RECORDS)[package.sha256]
    assert (record["build"], record["request"], record["source"]) == (1, lock.hub.request, "compose-agent")
    assert record["buildinfo"]["name"].startswith("compose-agent_")
    assert record["url"] is None, "our own hub has another address the next time"


def hub_process(state: Path) -> int:
    """The one of whose words one is its state directory."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            if b"up" in words and any(os.fsencode(state) in word for word in words):
                return int(entry.parent.name)
    raise AssertionError("no hub runs")


@pytest.mark.slow
def test_a_hub_that_vanishes_is_said_and_resume_finds_another(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, built: Composer
) -> None:
    state = tmp_path_factory.mktemp("vanishing")
    alone = Composer(built.manifest, {"XDG_STATE_HOME": str(state), "DEBOOTC_HUB_STATE": str(state / "hub")})
    log = tmp_path / "log"
    process = alone.start("build", alone.manifest, "--target", tmp_path / "out", "--until", "lock", log=log)
    end = time.monotonic() + 600
    while "asked of a builder" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(hub_process(state / "hub"), signal.SIGKILL)
    assert process.wait(timeout=900) == 6, log.read_text()
    (path,) = (tmp_path / "out").glob("Test-13-*")
    told = log.read_text()
    assert "task request: " in told
    assert "hub" in told.rpartition("task request: ")[2], told
    assert f"resume {path}" in told
    assert "Traceback" not in told
    compose = ComposeDirectory(path)
    assert compose.status() is Status.DOOMED
    alone.call("resume", path)
    assert [one.name for one in load_lock(compose.lock_path).variants["server.amd64"].hub] == ["compose-agent"]


def test_a_package_that_does_not_build_ends_with_its_reason(built: Composer, tmp_path: Path) -> None:
    broken = write_package(built.manifest, "compose-broken", build="echo 'main.c:1: error: never compiles' >&2; false")
    built.write(MANIFEST + BUILDS.replace("compose-agent}", f"{broken.name}}}"))
    try:
        refusal = built.refuse("build", built.manifest, "--target", tmp_path)
    finally:
        built.write(MANIFEST + BUILDS)
    assert refusal.exit_status == 4
    assert "compose-broken 1.0" in refusal.output
    assert "never compiles" in refusal.output
    (path,) = tmp_path.glob("Test-13-*")
    told = json.loads(built.call("status", path, "--json").stdout)
    assert told["status"] == "DOOMED"
