"""Real packages of Debian, in the state of the archive: what a build must leave."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debcore.command import run
from debcore.job import Lock, Status

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

Builds = Callable[..., Any]
ORDER = ["source", "root", "resolve", "install", "unpack", "build", "results"]


@pytest.mark.parametrize(
    ("name", "debs"),
    [
        ("hostname", ["hostname_", "hostname-dbgsym_"]),
        ("cowsay", ["cowsay_", "cowsay-off_"]),
        ("at", ["at_", "at-dbgsym_"]),
        ("dash", ["dash_", "dash-dbgsym_"]),
        pytest.param(
            "libyaml", ["libyaml-0-2_", "libyaml-0-2-dbgsym_", "libyaml-dev_", "libyaml-doc_"], marks=pytest.mark.slow
        ),
        pytest.param("adduser", ["adduser_"], marks=pytest.mark.slow),  # as cowsay, with tests of its own
    ],
)
def test_a_real_package_builds(builds: Builds, name: str, debs: list[str]) -> None:
    built = builds(name)
    result = built.result
    assert result.status is Status.BUILT
    assert sorted(path.partition("_")[0] + "_" for path in built.debs()) == sorted(debs)
    kinds = {output.kind for output in result.outputs}
    assert kinds >= {"deb", "changes", "buildinfo", "log", "lock"}
    for output in result.outputs:
        assert hashlib.sha256((built.directory / output.path).read_bytes()).hexdigest() == output.sha256
    buildinfo = next(built.directory.glob("*.buildinfo")).read_text()
    assert "Build-Path: /build/reproducible-path/" in buildinfo
    assert "LD_PRELOAD" not in buildinfo


def test_events_tell_the_whole_story_in_order(builds: Builds) -> None:
    built = builds("hostname")
    events = built.events
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    assert [event.data["stage"] for event in events if event.type == "stage.ended"] == ORDER
    assert all(event.data["ok"] for event in events if event.type == "stage.ended")
    types = [event.type for event in events]
    assert types.index("environment.ready") < types.index("build.complete") == len(types) - 1
    assert [stage.name for stage in built.result.stages] == ORDER


def test_the_lock_is_the_root_and_its_hash_is_in_the_event(builds: Builds) -> None:
    built = builds("hostname")
    content = (built.directory / "lock.json").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    ready = built.event("environment.ready")
    assert ready.data["lock_sha256"] == digest == built.result.lock_sha256
    lock = Lock.model_validate_json(content)
    assert ready.data["packages"] == len(lock.packages)
    roles = {package.name: package.role for package in lock.packages}
    assert (roles["dpkg-dev"], roles["debhelper"]) == ("base", "build-dep")
    assert lock.releases
    buildinfo = next(built.directory.glob("*.buildinfo")).read_text()
    installed = dict(re.findall(r"^ ([a-z0-9.+-]+)(?::\w+)? \(= ([^)]+)\)", buildinfo, re.MULTILINE))
    versions = {package.name: package.version for package in lock.packages}
    assert installed
    assert {name: versions.get(name) for name in installed} == installed


def test_the_log_has_sbuilds_sections(builds: Builds) -> None:
    log = builds("hostname").log
    titles = re.findall(r"^\| (\S.*?)  +\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000 \|$", log, re.MULTILINE)
    assert titles == [
        f"hostname {builds('hostname').result.version} (amd64)",
        "Fetch source files",
        "Install package build dependencies",
        "Check architectures",
        "Build environment",
        "Build",
        "Changes",
        "Buildinfo",
        "Package contents",
        "Cleanup",
        "Summary",
    ]
    assert "\nStatus: successful\n" in log
    assert re.search(r"^Command: dpkg-buildpackage --sanitize-env -us -uc -b$", log, re.MULTILINE)
    assert re.search(r"^Finished at \d{4}-\d\d-\d\dT[\d:]+Z$", log, re.MULTILINE)


def test_binary_targets_run_as_root_of_the_sandbox(builds: Builds) -> None:
    built = builds("at")
    deb = next(built.directory.glob("at_*.deb"))
    listing = run(["dpkg-deb", "--contents", deb]).text
    assert re.search(r"^-rws\S+ daemon/daemon +\d+ \S+ \S+ \./usr/bin/at$", listing, re.MULTILINE)
    assert "--root-command=" in built.log


def test_a_second_build_installs_nothing(builds: Builds, tool: Any, sources: Any, tmp_path: Path) -> None:
    first = builds("hostname")
    second = tool.build(sources("hostname"), tmp_path / "again", "--json")
    assert second.status == 0
    ready = second.event("environment.ready")
    assert ready.data["installed"] == 0
    assert "nothing to install" in second.log
    assert (second.debs(), second.result.lock_sha256) == (first.debs(), first.result.lock_sha256)


def test_a_directory_is_packed_inside_and_its_changelog_chooses(native: Any, tool: Any, tmp_path: Path) -> None:
    tree = native(clean="touch cleaned-inside", build="test -e cleaned-inside")
    before = sorted(tree.rglob("*"))
    done = tool.run("build", "--json", cwd=tree)
    assert done.status == 0, done.stderr.decode()
    assert sorted(tree.rglob("*")) == before
    said = done.stderr.decode()
    assert "debian-trixie-amd64 (the changelog says trixie)" in said
    answer = json.loads(done.stdout)
    assert answer["status"] == "built"
    assert Path(answer["directory"]) == tmp_path / "tiny_1.0_amd64"
    assert (tmp_path / "tiny_1.0_amd64" / "tiny_1.0_all.deb").is_file()


def test_the_build_environment_is_fixed(native: Any, tool: Any, tmp_path: Path) -> None:
    command = "umask; id -un; hostname; date +%Z; pwd; cat /proc/1/status | grep ^NSpid; ls /sys/class/net /dev"
    built = tool.build(native(build=command), tmp_path / "out", env={"TZ": "Asia/Tokyo", "LC_ALL": "C"})
    assert built.status == 0, built.said
    for line in ("0022", "sbuild", "UTC", "/build/reproducible-path/tiny-1.0"):
        assert re.search(f"^{line}$", built.log, re.MULTILINE), line
    assert "eth0" not in built.log.partition("Command:")[2]


def test_run_and_lock(tool: Any, native: Any) -> None:
    done = tool.run("run", "-r", "trixie", "--", "sh", "-c", "id -un; cat /etc/debian_version; exit 7")
    assert (done.status, done.text.splitlines()[0]) == (7, "sbuild")
    lock = tool.run("lock", "-r", "trixie", native(), "--json")
    assert lock.status == 0, lock.stderr.decode()
    assert {p.role for p in Lock.model_validate_json(lock.stdout).packages} == {"base"}
