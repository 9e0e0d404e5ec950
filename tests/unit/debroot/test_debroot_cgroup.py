"""Where control groups may be made, who holds a limit, and what is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from debcore.job import Limits
from debroot import cgroup
from debroot.cgroup import Grant, find_enforcers, find_grant, is_given, limiting, parse_places, prove_enforcers

#: proc_pid_mountinfo(5): id, parent, device, root, mount point, options, optional fields - type, source, more.
V1 = """\
30 24 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
31 24 0:27 /box /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
32 24 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
33 24 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
"""
OWN_V1 = "4:memory:/box/inner\n8:pids:/\n3:cpu,cpuacct:/x\n0::/unified\n"


def test_each_controller_has_its_place() -> None:
    places = parse_places(V1, OWN_V1)
    assert places["pids"] == Path("/sys/fs/cgroup/pids")
    assert places["memory"] == Path("/sys/fs/cgroup/memory/inner"), "relative to what is mounted"
    assert places["cpu"] == places["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct/x")
    assert places[""] == Path("/sys/fs/cgroup/unified/unified")


def test_a_group_above_the_mount_is_none_of_ours() -> None:
    assert "memory" not in parse_places(V1, "4:memory:/elsewhere\n")


def test_a_host_that_grants_nothing(tmp_path: Path) -> None:
    assert find_grant(tmp_path) is None
    (tmp_path / "mountinfo").write_text("")
    (tmp_path / "cgroup").write_text("0::/\n")
    assert find_grant(tmp_path) is None


def test_version_2_is_used_only_where_it_was_delegated(tmp_path: Path) -> None:
    group = tmp_path / "cgroup2" / "scope"
    group.mkdir(parents=True)
    (group.parent / "cgroup.procs").touch()
    for name, text in (("cgroup.procs", ""), ("cgroup.controllers", "cpu memory pids"), ("cgroup.subtree_control", "")):
        (group / name).write_text(text)
    (tmp_path / "mountinfo").write_text(f"1 1 0:1 / {tmp_path}/cgroup2 rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "cgroup").write_text("0::/scope\n")
    assert find_grant(tmp_path) is None
    try:
        os.setxattr(group, "user.delegate", b"1")
    except OSError:
        pytest.fail(f"{tmp_path} has no extended attributes")
    assert find_grant(tmp_path) == Grant(2, {"memory": group, "pids": group})
    (group / "cgroup.controllers").write_text("cpu pids")
    assert find_grant(tmp_path) is None, "memory is not ours to limit"


@pytest.mark.parametrize(
    ("limits", "grant", "found"),
    [
        (Limits(), None, {}),
        (Limits(memory=1, processes=1, disk=1), None, {"memory": "init", "processes": "rlimit", "disk": "init"}),
        (
            Limits(memory=1, processes=1),
            Grant(2, dict.fromkeys(("memory", "pids"), Path("/x"))),
            {"memory": "cgroup2", "processes": "cgroup2"},
        ),
        (Limits(memory=1, processes=1), Grant(1, {"pids": Path("/x")}), {"memory": "init", "processes": "cgroup1"}),
    ],
)
def test_who_holds_a_limit(limits: Limits, grant: Grant | None, found: dict[str, str]) -> None:
    assert find_enforcers(limits, grant) == found


def test_what_is_written_and_what_was_hit(tmp_path: Path) -> None:
    """On a directory that only looks like version 2: the files are made by us, not by a kernel."""
    parent = tmp_path / "scope"
    parent.mkdir()
    (parent / "cgroup.subtree_control").write_text("memory pids")
    grant = Grant(2, dict.fromkeys(("memory", "pids"), parent))
    with limiting(Limits(memory=4096), grant) as group:
        assert group is not None
        (directory,) = set(group.directories.values())
        assert group.entrances == [str(directory / "cgroup.procs")]
        assert group.find_limit_hit() is None
        (directory / "memory.events").write_text("max 3\noom_kill 1\n")
        assert group.find_limit_hit() == "memory"
        (directory / "memory.events").write_text("oom_kill 0\n")
        (directory / "pids.events").write_text("max 7\n")
        assert group.find_limit_hit() == "processes"
        for file in directory.iterdir():
            file.unlink()
    assert not directory.exists()


def test_no_group_is_made_where_no_limit_is_asked_for(tmp_path: Path) -> None:
    with limiting(Limits(disk=5), Grant(1, {"memory": tmp_path})) as group:
        assert group is None
    with limiting(Limits(memory=5), None) as group:
        assert group is None
    with limiting(Limits(memory=5), Grant(1, {"memory": tmp_path / "gone"})) as group:
        assert group is None
    assert not list(tmp_path.iterdir())


def test_groups_of_the_killed_are_collected(tmp_path: Path) -> None:
    stale, kept = tmp_path / "debootc-999999999-aa", tmp_path / "debootc-1-aa"
    stale.mkdir()
    kept.mkdir()
    with limiting(Limits(processes=5), Grant(1, {"pids": tmp_path})):
        assert not stale.exists()
        assert kept.exists()


@pytest.mark.parametrize(
    ("owner", "above", "uid", "given"),
    [
        (1000, 0, 1000, True),
        (1000, 1000, 1000, False),  # what the user's own systemd made below
        (1000, 0, 1001, False),
        (0, 0, 0, False),  # root owns everything
    ],
)
def test_a_subtree_that_was_given_to_a_user_is_his(owner: int, above: int, uid: int, given: bool) -> None:
    assert is_given(owner, above, uid) is given


def test_only_what_could_be_made_is_said_to_hold_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(memory=4096, processes=5)
    monkeypatch.setattr(cgroup, "find_grant", lambda: Grant(1, {"memory": tmp_path, "pids": tmp_path}))
    assert prove_enforcers(limits) == {"memory": "cgroup1", "processes": "cgroup1"}
    monkeypatch.setattr(
        cgroup, "find_grant", lambda: Grant(1, {"memory": tmp_path / "gone", "pids": tmp_path / "gone"})
    )
    assert prove_enforcers(limits) == {"memory": "init", "processes": "rlimit"}
    assert not list(tmp_path.iterdir())


def test_processes_move_out_of_a_group_but_not_out_of_the_root(tmp_path: Path) -> None:
    """Directories that only look like groups: a kernel would empty `cgroup.procs` when they are moved."""
    for name, moved in (("root", False), ("scope", True)):
        group = tmp_path / name
        group.mkdir()
        (group / "cgroup.subtree_control").write_text("")
        (group / "cgroup.procs").write_text("123\n")
        if moved:
            (group / "cgroup.type").write_text("domain\n")
        with limiting(Limits(processes=5), Grant(2, dict.fromkeys(("memory", "pids"), group))) as made:
            assert made is not None
            assert (group / "cgroup.subtree_control").read_text() == "+memory +pids"
        assert (group / cgroup.MAIN / "cgroup.procs").exists() is moved


@pytest.mark.parametrize(("answer", "granted"), [("yes", True), ("no", False), ("", False)])
def test_systemd_is_asked_where_it_leaves_no_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, granted: bool
) -> None:
    """As version 252 for a user's scope. The directory of its service is above, and only that of our own user."""
    manager = tmp_path / f"user@{os.geteuid()}.service"
    group = manager / "app.slice" / "run-1.scope"
    group.mkdir(parents=True)
    for directory in (group, group.parent):
        (directory / "cgroup.procs").touch()
    (group / "cgroup.controllers").write_text("memory pids")
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(
        f'#!/bin/sh\n[ "$*" = "--user show --property=Delegate --value -- run-1.scope" ] && echo {answer}\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    (tmp_path / "mountinfo").write_text(f"1 1 0:1 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    (tmp_path / "cgroup").write_text(f"0::/{group.relative_to(tmp_path)}\n")
    assert (find_grant(tmp_path) is not None) is granted
