"""QEMU's command line, as a value: firmware, disk, console, and what the guest is told by systemd's credentials.

Credentials reach the guest as SMBIOS strings (type 11), which Debian's kernels show without a module; nothing is
written into the image. Source: systemd.system-credentials(7), smbios-type-11(7), qemu-system-x86_64(1).
arm64 has the generic `virt` machine of qemu-system-aarch64 with AAVMF, whose console is the PL011 ttyAMA0.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from debcore.errors import ConfigError

#: Packages of the tools root that runs QEMU. Bookworm's QEMU 7.2 corrupts multi-threaded emulation: use trixie's.
QEMU_PACKAGES = ("qemu-system-x86", "qemu-utils", "ovmf", "openssh-client", "busybox")
#: By Debian architecture of the machine.
MACHINES = {
    "amd64": QEMU_PACKAGES,
    "arm64": ("qemu-system-arm", "qemu-utils", "qemu-efi-aarch64", "openssh-client", "busybox"),
}
QEMU_SUITE = "trixie"

#: The port that the guest's report is written to: /dev/virtio-ports/NAME in the guest.
REPORT_PORT = "debootc.report"

#: How the guest finds its blank disk: udev's name of the serial number.
BLANK_SERIAL = "debootc-blank"
BLANK = f"/dev/disk/by-id/virtio-{BLANK_SERIAL}"

#: qemu-system-arm comes without iPXE's images for network cards, which qemu-system-x86 depends on.
NO_ROM = ",romfile="

OVMF = "/usr/share/OVMF"
AAVMF = "/usr/share/AAVMF"

DiskFormat = Literal["raw", "qcow2", "vmdk", "vpc"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A throw-away computer. Paths are as QEMU sees them. What the guest writes goes to TMPDIR and ends with QEMU."""

    disk: str  #: the image, only read
    disk_format: DiskFormat = "raw"
    arch: str = "amd64"  #: Debian's name, one of MACHINES
    firmware_vars: str  #: a copy, written to
    report: bool = False  #: the guest's report goes to standard error, and QEMU's own complaints to standard output
    interactive: bool = False  #: the serial line is the terminal, with QEMU's monitor behind Ctrl-A c
    ssh_port: int | None = None  #: on 127.0.0.1 of QEMU's network namespace
    restrict_network: bool = True  #: the guest reaches nothing but its own gateway
    www: str | None = None  #: a directory that the guest sees as http://10.0.2.2/, served on QEMU's loopback
    registry: tuple[str, ...] = ()  #: a server that the guest sees as 10.0.2.2 too: its command, which ends with QEMU
    reboots: bool = False  #: a guest that reboots starts again, on what it wrote; otherwise QEMU ends then
    secure_boot: bool = True
    memory: int = 2048  #: MiB
    cpus: int = 2
    credentials: Mapping[str, bytes] = field(default_factory=dict)
    kernel: tuple[str, str, str] | None = None  #: kernel, initramfs and command line, in the place of firmware and GRUB
    overlay: str | None = None  #: a second disk, raw, only read: /dev/vdb in the guest
    blank: str | None = None  #: a second disk, qcow2, written to and kept: BLANK in the guest


def firmware(secure_boot: bool, arch: str = "amd64") -> tuple[str, str]:
    """The UEFI's code and the template of its variables; with Microsoft's keys enrolled for Secure Boot."""
    if arch == "arm64":
        name = "ms" if secure_boot else "no-secboot"
        return f"{AAVMF}/AAVMF_CODE.{name}.fd", f"{AAVMF}/AAVMF_VARS{'.ms' if secure_boot else ''}.fd"
    suffix = ".ms" if secure_boot else ""
    return f"{OVMF}/OVMF_CODE_4M{suffix}.fd", f"{OVMF}/OVMF_VARS_4M{suffix}.fd"


def qemu_argv(machine: Machine) -> list[str]:
    """The command. Always emulation: nested KVM is there and broken on too many hosts to be the default."""
    code, _ = firmware(machine.secure_boot, machine.arch)
    serves = machine.www is not None or machine.registry
    netdev = "user,id=net0" + (",restrict=on" if machine.restrict_network and not serves else "")
    if machine.ssh_port is not None:
        netdev += f",hostfwd=tcp:127.0.0.1:{machine.ssh_port}-:22"
    argv = [
        *board(machine), "-nodefaults", "-no-user-config", "-display", "none",
        *(() if machine.reboots else ("-no-reboot",)),
        "-accel", "tcg,thread=multi", "-smp", str(machine.cpus), "-m", str(machine.memory),
        *_firmware_words(machine, code),
        "-drive", f"if=virtio,format={machine.disk_format},file={machine.disk},snapshot=on",
        "-netdev", netdev, "-device", f"virtio-net-pci,netdev=net0{NO_ROM if machine.arch == 'arm64' else ''}",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip
    if machine.overlay is not None:
        argv += ["-drive", f"if=virtio,format=raw,file={machine.overlay},readonly=on"]
    if machine.blank is not None:
        argv += ["-drive", f"if=none,id=blank,format=qcow2,file={machine.blank}"]
        argv += ["-device", f"virtio-blk-pci,drive=blank,serial={BLANK_SERIAL}"]
    if machine.secure_boot and machine.arch == "amd64" and machine.kernel is None:
        argv += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
    if machine.interactive:
        argv += ["-serial", "mon:stdio"]
    else:
        argv += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    if machine.report:
        argv = ["sh", "-c", 'exec "$@" 3>&2 2>&1', "sh", *argv]
        argv += [
            "-add-fd", "fd=3,set=1,opaque=report",
            "-chardev", "file,id=report,path=/dev/fdset/1",
            "-device", "virtio-serial-pci", "-device", f"virtserialport,chardev=report,name={REPORT_PORT}",
        ]  # fmt: skip
    if machine.www is not None:
        # In a network of its own, so that the guest reaches this port and nothing else. It ends with the sandbox.
        serve = f'busybox httpd -p 127.0.0.1:80 -h {machine.www} < /dev/null > /dev/null 2>&1; exec "$@"'
        argv = ["sh", "-c", serve, "sh", *argv]
    if machine.registry:
        # What it says goes to the console's log.
        words = " ".join(shlex.quote(word) for word in machine.registry)
        argv = ["sh", "-c", f'{words} < /dev/null 2>&1 & exec "$@"', "sh", *argv]
    for name, value in machine.credentials.items():
        encoded = base64.b64encode(value).decode()
        argv += ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={encoded}"]
    return argv


def board(machine: Machine) -> list[str]:
    """QEMU's program with board and processor. Errors: ConfigError for an architecture without a machine."""
    if machine.arch == "amd64" and machine.kernel is not None:
        # For one try: no controllers without a device, and no processor features that only make work in an emulator.
        return ["qemu-system-x86_64", "-machine", "q35,smm=off,sata=off,smbus=off", "-cpu", "max,la57=off,svm=off"]
    if machine.arch == "amd64":
        return ["qemu-system-x86_64", "-machine", f"q35,smm={'on' if machine.secure_boot else 'off'}", "-cpu", "max"]
    check_machine(machine.arch)
    # Pointer authentication as the architecture specifies it costs an emulator more than all the rest.
    return ["qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on"]


def check_machine(arch: str) -> None:
    """Errors: ConfigError if there is no machine of *arch* to boot images in."""
    if arch not in MACHINES:
        raise ConfigError(
            "tests",
            f"no image of {arch} can be booted here",
            hint=f"machines: {', '.join(MACHINES)}; leave it out with --skip boot",
        )


def _firmware_words(machine: Machine, code: str) -> tuple[str, ...]:
    if machine.kernel is not None:
        kernel, initrd, arguments = machine.kernel
        return "-kernel", kernel, "-initrd", initrd, "-append", arguments
    return (
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
        "-drive", f"if=pflash,unit=1,format=raw,file={machine.firmware_vars}",
    )  # fmt: skip


def report_credentials(
    packages: Sequence[str],
    *,
    patience: int,
    script: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Credentials that make the guest answer the questions of `probe`, at each boot, when it has ended.

    *patience*: seconds after which the guest reports even if its boot has not ended. The unit is wanted by
    basic.target and by emergency.target, so that a half-dead system still says what is wrong. *script*: run in the
    place of `probe`, with *environment*, once /var is mounted; it finds `probe` as debootc.probe in its
    CREDENTIALS_DIRECTORY, beside *files*.
    """
    more = {**(files or {}), **({"debootc.script": script} if script is not None else {})}
    words = " ".join(f'"{name}={value}"' for name, value in (environment or {}).items())
    main = "debootc.probe" if script is None else "debootc.script"
    unit = f"""\
[Unit]
Description=Report of this boot to the host
DefaultDependencies=no
{"" if script is None else "After=local-fs.target"}
Conflicts=shutdown.target
Before=shutdown.target
ConditionPathExists=!/etc/initrd-release

[Service]
Type=exec
{"".join(f"ImportCredential={name}{chr(10)}" for name in ("debootc.probe", *more))}\
Environment=PATIENCE={patience} "PACKAGES={" ".join(packages)}" {words}
ExecStart=/bin/sh %d/{main}
StandardOutput=file:/dev/virtio-ports/{REPORT_PORT}
StandardError=journal
"""
    wants = b"[Unit]\nWants=debootc-report.service\n"
    return {
        "debootc.probe": Path(__file__).with_name("probe").read_bytes(),
        **more,
        "systemd.extra-unit.debootc-report.service": unit.encode(),
        "systemd.unit-dropin.basic.target~debootc": wants,
        "systemd.unit-dropin.emergency.target~debootc": wants,
    }


def console_credentials(public_key: str) -> dict[str, bytes]:
    """Credentials that let the owner of *public_key* (one line of authorized_keys) in as root by ssh, soon."""
    return {
        "ssh.authorized_keys.root": f"{public_key}\n".encode(), **host_key_credentials(), **network_credentials()
    }  # fmt: skip


def host_key_credentials() -> dict[str, bytes]:
    """Credentials that leave a first boot of Debian's sshd one host key, the cheap one.

    An emulated machine makes the RSA key of sshd-keygen.service in many seconds, for which ssh waits.
    """
    drop_in = """\
[Service]
ExecStart=
ExecStart=ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
"""
    return {"systemd.unit-dropin.sshd-keygen.service~debootc": drop_in.encode()}


def network_credentials() -> dict[str, bytes]:
    """Credentials that bring up the guest's network.

    An image may leave its network to the machine it meets; this one gets DHCP on Ethernet from systemd-networkd, after
    whatever the image says itself.
    """
    drop_in = """\
[Service]
ImportCredential=debootc.network
ExecStartPre=+/bin/sh -c 'install -Dm644 "$$CREDENTIALS_DIRECTORY/debootc.network" "$$0"' \\
 /run/systemd/network/99-debootc.network
"""
    return {
        "debootc.network": b"[Match]\nType=ether\n\n[Network]\nDHCP=yes\n",
        "systemd.unit-dropin.systemd-networkd.service~debootc": drop_in.encode(),
    }
