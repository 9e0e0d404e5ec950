"""Each lack of a host is named with a line to paste."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from debroot import probe
from debroot.idmap import IdMap


@pytest.mark.parametrize(
    ("release", "ok"), [("6.12.1-amd64", True), ("5.12.0", True), ("5.10.0-3", False), ("x", False)]
)
def test_old_kernels(release: str, ok: bool) -> None:
    check = probe.check_kernel(release)
    assert check.ok is ok
    assert bool(check.fix) is not ok


@pytest.mark.parametrize(
    ("switch", "value", "uid", "ok"),
    [
        ("user/max_user_namespaces", "0", 0, False),
        ("kernel/unprivileged_userns_clone", "0", 1000, False),
        ("kernel/unprivileged_userns_clone", "0", 0, True),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", 1000, False),
        ("kernel/apparmor_restrict_unprivileged_userns", "0", 1000, True),
    ],
)
def test_switches_for_user_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str, value: str, uid: int, ok: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    (tmp_path / switch).parent.mkdir()
    (tmp_path / switch).write_text(value + "\n")
    check = probe.check_user_namespaces(tmp_path)
    assert check.ok is ok
    assert ("sysctl" in check.fix) is not ok


def test_a_masked_proc_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    plain = "1 2 0:5 / /proc rw - proc proc rw\n2 1 0:6 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n"
    assert probe.check_proc(plain).ok
    masked = probe.check_proc(plain + "3 1 0:7 / /proc/kcore rw - tmpfs tmpfs rw\n")
    assert not masked.ok
    assert "systempaths=unconfined" in masked.fix


def test_ids_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe.parse_id_map("         0          0 4294967295\n") == [(0, 4294967295)]
    monkeypatch.setattr(probe, "find_idmap", lambda: IdMap(2**32 - 65536))
    check = probe.check_subordinate_ids()
    assert not check.ok
    assert "DEBOOTC_SUBID=" in check.fix


def test_missing_programs_are_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(probe, "find_program", lambda name: None if "map" in name else Path("/x"))
    assert probe.check_programs().fix == "sudo apt install uidmap"


@pytest.mark.parametrize(
    ("root", "systemd", "fix"),
    [
        (False, True, "systemd-run --user --scope -p Delegate=yes deb-mock …"),
        (True, True, "systemd-run --scope -p Delegate=yes deb-mock …"),
        (False, False, "# give it a group of version 2: docs/explanation/isolation.md, Limits"),
    ],
)
def test_who_can_delegate_a_control_group(tmp_path: Path, root: bool, systemd: bool, fix: str) -> None:
    assert probe.suggest_delegation(root=root, systemd=tmp_path if systemd else tmp_path / "none") == fix
