"""Which architectures run here, by whose QEMU, and what a host that cannot is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from debcore.errors import HostFailed
from debroot import bootstrap, emulate, probe
from debroot.emulate import NATIVE, Emulation, find_emulation, find_host_binfmt, has_own_binfmt, load_emulator
from debroot.idmap import IdMap
from debroot.store import Store

RULE = ":qemu-aarch64:M::\\x7fELF:\\xff\\xff:/usr/libexec/qemu-binfmt/aarch64-binfmt-P:OPF"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(bootstrap, "host_arch", lambda: "amd64")
    monkeypatch.setattr(emulate, "HOST_BINFMT", tmp_path / "binfmt")
    return Store(tmp_path, IdMap(100000))


@pytest.mark.parametrize(
    ("release", "own"),
    [("6.7.0", True), ("6.12.1-amd64", True), ("6.6.9", False), ("6.1.0-28-amd64", False), ("", False)],
)
def test_from_6_7_each_namespace_has_its_own(release: str, own: bool) -> None:
    assert has_own_binfmt(release or "unknown") is own


def test_the_hosts_own_architecture_needs_nothing(store: Store) -> None:
    assert find_emulation(store, "amd64") == NATIVE


@pytest.mark.parametrize("able", [True, False])
def test_a_32_bit_sister_runs_natively_where_the_kernel_can(
    store: Store, monkeypatch: pytest.MonkeyPatch, able: bool
) -> None:
    monkeypatch.setattr(emulate, "can_run_32bit", lambda host: able)
    monkeypatch.setattr(emulate, "has_own_binfmt", lambda: False)
    if able:
        assert find_emulation(store, "i386") == Emulation(linux32=True)
    else:
        with pytest.raises(HostFailed, match="binfmt_misc is not mounted"):
            find_emulation(store, "i386")


def test_what_qemu_does_not_emulate_can_be_cross_built(store: Store) -> None:
    with pytest.raises(HostFailed, match="no user emulation") as caught:
        find_emulation(store, "hurd-amd64")
    assert "--host=hurd-amd64" in caught.value.hint


HANDLER = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: {flags}\noffset 0\n"
#: As bookworm's package registers it.
STATIC = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\n"


@pytest.mark.parametrize(
    ("name", "text", "lacks"),
    [
        ("qemu-aarch64", HANDLER.format(flags="POF"), ""),
        ("qemu-aarch64", STATIC, ""),
        ("qemu-aarch64", HANDLER.format(flags="PO"), "without the flag F"),
        ("qemu-aarch64", HANDLER.format(flags="F").replace("enabled", "disabled"), "is disabled"),
        ("qemu-aarch64_be", HANDLER.format(flags="F").replace("aarch64-", "aarch64_be-"), "no interpreter"),
        ("qemu-arm", HANDLER.format(flags="F").replace("aarch64", "arm"), "no interpreter"),
        ("python3.11", "enabled\ninterpreter /usr/bin/python3.11\nflags: \n", "no interpreter"),
    ],
)  # fmt: skip
def test_old_kernels_need_the_hosts_registration_with_flag_f(tmp_path: Path, name: str, text: str, lacks: str) -> None:
    (tmp_path / "status").write_text("enabled")
    (tmp_path / "register").write_text("")
    (tmp_path / name).write_text(text)
    found = find_host_binfmt("aarch64", tmp_path)
    assert lacks in found
    assert bool(found) is bool(lacks)


def test_an_old_host_is_told_what_to_paste(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulate, "has_own_binfmt", lambda: False)
    with pytest.raises(HostFailed, match=r"binfmt_misc is not mounted.*older than 6\.7") as caught:
        find_emulation(store, "arm64")
    assert caught.value.hint.startswith("sudo apt install qemu-user-static")


def test_qemus_own_registration_is_used(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for path in (upper / "usr/bin", lower / "usr/share/qemu/binfmt.d"):
        path.mkdir(parents=True)
    (lower / "usr/share/qemu/binfmt.d/qemu-aarch64.conf").write_text(f"{RULE}\n")
    with pytest.raises(HostFailed, match="damaged"):
        load_emulator((upper, lower), "aarch64")
    (upper / "usr/bin/qemu-aarch64").symlink_to("/bin/sh")  # a link could lead to the host's files
    with pytest.raises(HostFailed, match="damaged"):
        load_emulator((upper, lower), "aarch64")
    (upper / "usr/bin/qemu-aarch64").unlink()
    (upper / "usr/bin/qemu-aarch64").write_text("")
    found = load_emulator((upper, lower), "aarch64")
    assert (found.rule, found.program) == (RULE, upper / "usr/bin/qemu-aarch64")
    with pytest.raises(HostFailed, match="no registration for riscv64"):
        load_emulator((upper, lower), "riscv64")


@pytest.mark.parametrize(("own", "known", "ok"), [(True, True, True), (True, False, False), (False, True, False)])
def test_doctor_says_whether_other_architectures_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, known: bool, ok: bool
) -> None:
    monkeypatch.setattr(emulate, "has_own_binfmt", lambda: own)
    monkeypatch.setattr(emulate, "HOST_BINFMT", tmp_path)
    (tmp_path / "filesystems").write_text("nodev\tbinfmt_misc\n" if known else "nodev\tproc\n")
    check = probe.check_emulation(tmp_path / "filesystems", modules=tmp_path)
    assert (check.ok, bool(check.fix), check.required) == (ok, not ok, False)
