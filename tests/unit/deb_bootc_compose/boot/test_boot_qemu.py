"""QEMU's command line and the credentials that it hands to the guest."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from deb_bootc_compose.boot.qemu import Machine, console_credentials, firmware, qemu_argv, report_credentials
from deb_bootc_compose.boot.run import find_format, last_lines
from debcore.errors import ConfigError


def words(machine: Machine) -> str:
    return " ".join(qemu_argv(machine))


def test_the_image_is_never_written_to_and_nothing_is_reached() -> None:
    argv = words(Machine(disk="/d.raw", firmware_vars="/v"))
    assert "file=/d.raw,snapshot=on" in argv
    assert "restrict=on" in argv
    assert "hostfwd" not in argv
    assert "tcg,thread=multi" in argv
    assert "kvm" not in argv


def test_secure_boot_needs_its_firmware_and_protected_flash() -> None:
    argv = words(Machine(disk="/d", firmware_vars="/v"))
    assert firmware(True)[0] in argv
    assert "smm=on" in argv
    assert "driver=cfi.pflash01,property=secure,value=on" in argv
    plain = words(Machine(disk="/d", firmware_vars="/v", secure_boot=False))
    assert firmware(False)[0] in plain
    assert "smm=off" in plain
    assert "cfi.pflash01" not in plain


def test_arm64_has_its_own_board_and_firmware() -> None:
    argv = words(Machine(disk="/d", firmware_vars="/v", arch="arm64"))
    assert argv.startswith("qemu-system-aarch64 -machine virt ")
    assert "AAVMF_CODE.ms.fd" in argv
    assert "pflash01" not in argv  # no system management mode to protect it
    with pytest.raises(ConfigError, match="no image of s390x can be booted"):
        words(Machine(disk="/d", firmware_vars="/v", arch="s390x"))


@pytest.mark.parametrize(
    ("head", "found"),
    [(b"QFI\xfb\x00\x00\x00\x03", "qcow2"), (b"KDMV\x03", "vmdk"), (b"conectix", "vpc"), (b"\xeb\x63", "raw")],
)
def test_an_image_is_known_by_how_it_begins(tmp_path: Path, head: bytes, found: str) -> None:
    (tmp_path / "disk").write_bytes(head)
    assert find_format(tmp_path / "disk") == found


def test_ssh_is_forwarded_on_loopback_only() -> None:
    argv = words(Machine(disk="/d", firmware_vars="/v", ssh_port=2222, restrict_network=False, interactive=True))
    assert "hostfwd=tcp:127.0.0.1:2222-:22" in argv
    assert "mon:stdio" in argv


def test_the_report_goes_to_standard_error() -> None:
    argv = qemu_argv(Machine(disk="/d", firmware_vars="/v", report=True))
    assert argv[:4] == ["sh", "-c", 'exec "$@" 3>&2 2>&1', "sh"]
    assert "virtserialport,chardev=report,name=debootc.report" in argv


def test_credentials_are_encoded_whatever_they_hold() -> None:
    secret = b"a,b='c'\n\x00"
    argv = qemu_argv(Machine(disk="/d", firmware_vars="/v", credentials={"ssh.authorized_keys.root": secret}))
    value = argv[-1].removeprefix("type=11,value=io.systemd.credential.binary:ssh.authorized_keys.root=")
    assert base64.b64decode(value) == secret


def test_the_guest_reports_after_its_boot_and_in_emergency_mode() -> None:
    credentials = report_credentials(["dpkg", "sed"], patience=42)
    unit = credentials["systemd.extra-unit.debootc-report.service"].decode()
    assert 'Environment=PATIENCE=42 "PACKAGES=dpkg sed"' in unit
    assert "Type=exec" in unit  # a oneshot would wait for itself: it asks whether the boot has ended
    wanting = {name.partition("unit-dropin.")[2] for name in credentials if "dropin" in name}
    assert wanting == {"basic.target~debootc", "emergency.target~debootc"}


def test_the_end_of_a_console_is_shown_without_its_control_codes(tmp_path: Path) -> None:
    log = tmp_path / "console"
    log.write_bytes(b"\x1b[2J\x1b[01;01HBdsDxe: loading\r\n\xff\nKernel panic\n\n")
    assert last_lines(log, 1).endswith("  Kernel panic")
    assert "\x1b" not in last_lines(log)
    log.write_bytes(b"")
    assert "empty" in last_lines(log)


def test_whoever_holds_the_key_gets_in_as_root_with_a_network() -> None:
    credentials = console_credentials("ssh-ed25519 AAAA throw-away")
    assert credentials["ssh.authorized_keys.root"] == b"ssh-ed25519 AAAA throw-away\n"
    assert b"ExecStart=\nExecStart=ssh-keygen -q -t ed25519" in b"".join(credentials.values())
    assert b"DHCP=yes" in credentials["debootc.network"]
    assert b"99-debootc.network" in credentials["systemd.unit-dropin.systemd-networkd.service~debootc"]
