"""deb-mock on Debian 12's kernel with systemd and control groups of version 2, in a guest: one boot, many questions.

The machine that runs the tests has one kernel and one kind of control groups; what others grant is seen here. The guest
has no network: its packages are those of a lock that the host made.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deb_mock.locked import find_locked
from debcore.job import load_lock
from debroot.store import Store
from tests.conftest import need_program

from . import guest
from .conftest import PRESET, REPOSITORY, Built, Tool, make_native

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(5400)]

#: Seconds for the boot and all that happens in the guest.
PATIENCE = 4800.0

#: Source packages that the guest builds. tiny has a build dependency, which the guest installs into a layer.
SCRIPTS = {
    "tiny": "hello > debian/greeting; cat /proc/self/mountinfo",
    "memory": "echo 'tried: memory'; perl -e 'push @x, q(a) x 1000000 while 1'",
    # no exponential bomb: in emulation that one may burn out, which proves nothing
    "processes": "echo 'tried: processes'; perl -e 'for (1..1000) { my $p = fork; die qq(fork: $!) if !defined $p;"
    " if (!$p) { sleep 100000; exit } } print qq(ESCAPED: 1000 processes\\n)'",
    "time": "echo 'tried: time'; sleep 100000",
    "sleeps": "echo 'tried: to sleep'; sleep 100000",
}

#: Who builds → who must hold the limits of memory and of processes.
HELD = {
    "root": ("init", "rlimit"),
    "root-delegated": ("cgroup2", "cgroup2"),
    "user": ("init", "rlimit"),
    "user-delegated": ("cgroup2", "cgroup2"),
    "user-handed": ("cgroup2", "cgroup2"),
}
everyone = pytest.mark.parametrize("who", HELD)


@dataclass(frozen=True)
class Said:
    """The guest's report."""

    steps: list[dict[str, Any]]
    console: str
    debs: dict[str, str]  #: of tiny, built by the host from the same lock

    def find(self, step: str, **words: str) -> dict[str, Any]:
        wanted = {"step": step, **words}
        found = [line for line in self.steps if wanted.items() <= line.items()]
        assert len(found) == 1, f"{wanted}: {found}; the console ends:\n{self.console[-3000:]}"
        return found[0]


@pytest.fixture(scope="module")
def place(cache_dir: Path) -> Iterator[Path]:
    """On the store's file system, whose layers it links."""
    path = cache_dir / "guest-tests"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def built(tool: Tool, place: Path) -> Built:
    """tiny, built here: its lock and its bytes."""
    made = tool.build(pack(tool, place, "tiny"), place / "here")
    assert made.status == 0, made.said + made.log[-2000:]
    return made


@pytest.fixture(scope="module")
def said(tool: Tool, store_dir: Path, place: Path, built: Built) -> Said:
    """One boot of the guest, and what it reported."""
    need_program("mke2fs")
    store = Store.open(store_dir)
    payload = place / "payload"
    payload.mkdir()
    for name in SCRIPTS:
        dsc = pack(tool, place, name)
        shutil.copytree(dsc.parent, payload / "sources", dirs_exist_ok=True)
    lock = load_lock(built.directory / "lock.json")
    there = find_locked(store, lock)
    assert there.base is not None
    debs = [package.sha256 for package in there.plan.change.packages]
    assert debs, "the guest must have something to install"
    shutil.copy(built.directory / "lock.json", payload)
    shutil.copy(Path(__file__).with_name("inside_guest.py"), payload)
    (payload / "plan.json").write_text(json.dumps({"preset": PRESET, "first_id": store.idmap.first}))
    (payload / "home").mkdir()
    guest.copy_code(REPOSITORY / "src", payload)
    guest.copy_store(store, [*there.base.parents, there.base], debs, payload / "store")
    image = place / "payload.img"
    guest.make_payload(payload, image)
    shutil.rmtree(payload)
    heard = guest.boot(store, image, place, timeout=PATIENCE)
    (place.parent / "guest-console.log").write_text(heard.console)
    (place.parent / "guest-report.jsonl").write_text(heard.report)
    assert guest.END in heard.report, f"after {heard.seconds:.0f} s the console ends:\n{heard.console[-4000:]}"
    steps = [json.loads(line) for line in heard.report.splitlines()]
    assert not [step for step in steps if step.get("step") == "broken"], steps[-2:]
    return Said(steps, heard.console, built.debs())


def pack(tool: Tool, place: Path, name: str) -> Path:
    """The .dsc of one of SCRIPTS."""
    out = place / "packed" / name
    if not list(out.glob("*.dsc")):
        tree = make_native(place / "trees", name=name, build="sh ./debian/script", fields=["Build-Depends: hello"])
        (tree / "debian/script").write_text(SCRIPTS[name] + "\n")
        done = tool.run("source", tree, "--resultdir", out)
        assert done.status == 0, done.stderr.decode()
    (dsc,) = out.glob("*.dsc")
    return dsc


def test_the_guest_is_what_it_should_be(said: Said) -> None:
    host = said.find("host")
    assert host["release"].startswith("6.1."), host
    assert host["init"] == "systemd"
    assert {"memory", "pids"} <= set(host["controllers"])
    assert all(" - cgroup2 " in line for line in host["mounted"]), host
    assert host["cgroup"].startswith("0::/system.slice/")


@everyone
def test_doctor_says_what_is_granted(said: Said, who: str) -> None:
    step = said.find("doctor", who=who)
    checks = {check["name"]: check for check in json.loads(step["said"])["checks"]}
    bad = [name for name, check in checks.items() if check["required"] and not check["ok"]]
    assert (step["status"], bad) == (6, ["apt source"]), "it has no network, and nothing else to fix"
    assert checks["sandbox"]["ok"]
    group = checks["control groups"]
    if HELD[who][0] == "cgroup2":
        assert (group["ok"], group["detail"]) == (True, "version 2: memory, pids")
    else:
        assert not group["ok"]
        assert group["fix"].startswith("systemd-run --user --scope" if who == "user" else "systemd-run --scope")
    assert "kernel below 6.6" in checks["tmpfs"]["detail"]


@everyone
def test_a_build_from_a_lock_gives_the_same_bytes_as_on_the_host(said: Said, who: str) -> None:
    step = said.find("build", who=who, name="tiny")
    assert step["status"] == 0, step
    outputs = {output["path"]: output["sha256"] for output in step["result"]["outputs"]}
    assert {name: sha for name, sha in outputs.items() if name.endswith(".deb")} == said.debs
    assert step["result"]["enforced"] == {"memory": HELD[who][0], "processes": HELD[who][1]}


@everyone
def test_the_root_is_an_overlay_of_a_user_namespace(said: Said, who: str) -> None:
    log = said.find("build", who=who, name="tiny")["log"]
    assert re.search(r" / / rw,\S+ - overlay overlay rw,lowerdir=\S+,upperdir=\S+,workdir=\S+,userxattr$", log, re.M), (
        log
    )


@everyone
def test_a_memory_hog_is_stopped(said: Said, who: str) -> None:
    step = said.find("build", who=who, name="memory")
    assert "tried: memory" in step["log"]
    assert (step["status"], step["result"]["failure"]["kind"]) == (7, "memory"), step
    assert step["result"]["enforced"]["memory"] == HELD[who][0]
    assert f"I: The limit of memory, {200 << 20}, is held by {HELD[who][0]}" in step["log"]


@everyone
def test_a_fork_bomb_is_stopped(said: Said, who: str) -> None:
    step = said.find("build", who=who, name="processes")
    assert "tried: processes" in step["log"]
    assert "ESCAPED" not in step["log"]
    assert step["result"]["enforced"]["processes"] == HELD[who][1]
    # pids.max is counted by the kernel; what an rlimit refused is read from the log
    assert (step["status"], step["result"]["failure"]["kind"]) == (7, "processes"), step


@pytest.mark.parametrize("who", ["user", "user-delegated"])
def test_time_runs_out(said: Said, who: str) -> None:
    step = said.find("build", who=who, name="time")
    assert "tried: time" in step["log"]
    assert (step["status"], step["result"]["failure"]["kind"]) == (7, "time"), step


@everyone
def test_nothing_is_left(said: Said, who: str) -> None:
    left = said.find("left", who=who)
    assert left["mounts"] == []
    assert left["processes"] == []
    #: a group that was given keeps the child that our processes moved into; systemd removes its scopes
    assert [name for name in left["groups"] if name != "handed/debootc-main"] == []


def test_nothing_survives_a_kill(said: Said) -> None:
    step = said.find("killed")
    assert step["running"], "it was killed before it built"
    assert step["inside"] >= 2, step
    assert step["killed"] >= 1, step
    assert step["gone"], step
    assert (step["processes"], step["mounts"]) == ([], []), step
    after = said.find("after")
    assert after["status"] == 0, after
    assert after["left"] == [], "the next build takes away what the killed one left"
