"""Packages and directories laid over an image for one boot: a second disk, mounted over /usr before anything starts.

Neither the image nor its OSTree deployment changes, and nothing is composed. The kernel is given to QEMU directly, so
that firmware and boot loader cost no time, and neither do udev and systemd in the initramfs (`direct`). Source:
overlayfs of the Linux documentation; systemd-debug-generator(8) for units from credentials; libostree's deployment of
kernels (the checksum is that of kernel and initramfs together).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from deb_bootc_compose.boot.direct import ARGUMENTS, extend_initramfs, unpack_kernel
from deb_bootc_compose.boot.qemu import host_key_credentials
from deb_bootc_compose.disk.bench import open_bench
from deb_bootc_compose.disk.layout import kernel_args, make_identity
from debcore.errors import CommandFailed, ConfigError, Failure
from debroot.sandbox import Bind
from debroot.store import Store

#: How QEMU sees them.
OVERLAY, KERNEL, INITRD = "/machine.overlay", "/machine.kernel", "/machine.initrd"

#: Where a directory of the host may go; the rest of a deployment is state or made at run time.
PLACES = ("usr", "etc")

FILL = r"""
mkdir -m 755 over
for deb in /in/*.deb; do if [ -e "$deb" ]; then dpkg-deb -x "$deb" over; fi; done
for n in bin sbin lib lib32 lib64 libx32; do
    if [ -d over/$n ]; then mkdir -p over/usr/$n; cp -a over/$n/. over/usr/$n/; rm -r over/$n; fi
done
while read -r name place; do
    mkdir -p "over/$place"; cp -a --no-preserve=ownership "/in/$name/." "over/$place/"
done
for n in over/*; do
    case ${n#over/} in usr|etc|'*') ;; *) echo "/${n#over/}" >&2; exit 7 ;; esac
done
truncate -s "$(( $(du -sm over | cut -f1) * 5 / 4 + 16 ))M" disk
mke2fs -q -t ext4 -O ^has_journal -m 0 -d over disk
"""

#: Runs as root in the guest, before tmpfiles looks at /usr. `direct-init` has mounted it before systemd, if it could. A
#: machine that is told not to look for updates (direct.ARGUMENTS) makes users and finds libraries only here.
MOUNT = b"""set -eu
over=/run/debootc-dev
if ! mountpoint -q $over; then
    mkdir -p $over
    mount -o ro /dev/vdb $over
    if [ -d $over/usr ]; then mount -t overlay -o ro,lowerdir=$over/usr:/usr debootc-dev /usr; fi
    if [ -d $over/etc ]; then cp -a $over/etc/. /etc/; fi
    systemctl daemon-reload
fi
if [ -d $over/usr/lib/sysusers.d ]; then systemd-sysusers; fi
if [ -d $over/usr ] && find $over/usr -name '*.so*' | grep -q .; then ldconfig; fi
for unit in $UNITS; do systemctl --no-block restart "$unit"; done
"""

UNIT = """\
[Unit]
Description=What is tried out, over the image
DefaultDependencies=no
After=local-fs.target systemd-sysusers.service
Before=sysinit.target systemd-tmpfiles-setup.service
Conflicts=shutdown.target
ConditionPathExists=!/etc/initrd-release

[Service]
Type=oneshot
RemainAfterExit=yes
ImportCredential=debootc.overlay
Environment="UNITS={units}"
ExecStart=/bin/sh %d/debootc.overlay
"""


@dataclass(frozen=True)
class Kernel:
    """Paths on this host, and the command line."""

    kernel: Path
    initrd: Path
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Override:
    """What is booted otherwise than the image says. `disk`: an ext4 image with usr/ and etc/."""

    disk: Path | None = None
    kernel: Kernel | None = None
    credentials: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def boots(self) -> tuple[str, str, str] | None:
        """For Machine.kernel."""
        return (KERNEL, INITRD, " ".join(self.kernel.arguments)) if self.kernel else None

    def binds(self) -> tuple[Bind, ...]:
        found = [Bind(source=self.disk, target=OVERLAY)] if self.disk else []
        if self.kernel:
            found += [Bind(source=self.kernel.kernel, target=KERNEL), Bind(source=self.kernel.initrd, target=INITRD)]
        return tuple(found)


#: The image as it is.
NOTHING = Override()


def make_override(disk: Path, *, units: Sequence[str] = (), kernel: Kernel | None = None) -> Override:
    """*units* are started once the overlay is there."""
    return Override(
        disk,
        kernel,
        {
            **host_key_credentials(),
            "debootc.overlay": MOUNT,
            "systemd.extra-unit.debootc-dev.service": UNIT.format(units=" ".join(units)).encode(),
            "systemd.unit-dropin.sysinit.target~debootc-dev": b"[Unit]\nWants=debootc-dev.service\n",
        },
    )


def make_overlay(
    store: Store, out: Path, *, debs: Sequence[Path], directories: Sequence[tuple[Path, str]], arch: str = "amd64"
) -> None:
    """Write the file system of an overlay: the files of *debs*, then each of *directories* at its place (absolute).

    Maintainer scripts do not run. Errors: ConfigError for what cannot be read or lies outside /usr and /etc.
    """
    binds: dict[str, Path] = {}
    for number, deb in enumerate(debs):
        if not deb.is_file():
            raise ConfigError("--deb", f"{deb} is no file", hint="name a .deb")
        binds[f"/in/{number:03d}.deb"] = deb
    lines = []
    for number, (directory, place) in enumerate(directories):
        if not directory.is_dir():
            raise ConfigError("--directory", f"{directory} is no directory", hint="--directory DIRECTORY[:/PLACE]")
        binds[f"/in/d{number:03d}"] = directory
        lines.append(f"d{number:03d} {check_place(place)}\n")
    with open_bench(store, suite="trixie", arch=arch, binds=binds) as bench:
        try:
            bench.run(["sh", "-euc", FILL], stdin="".join(lines).encode())
        except CommandFailed as error:
            said = error.output.strip().splitlines()
            if error.exit_status == 7:
                raise ConfigError(
                    "--directory",
                    f"{said[-1]} is not below /usr or /etc",
                    hint="only these two can be laid over an image",
                ) from error
            raise Failure(
                f"the overlay cannot be made: {said[-1] if said else error}", hint="is each .deb whole?"
            ) from error
        bench.take("disk", out)


def check_place(place: str) -> str:
    """*place* without its slash at the front. Errors: ConfigError."""
    path = PurePosixPath(place)
    if not path.is_absolute() or ".." in path.parts or any(c.isspace() for c in place):
        raise ConfigError("--directory", f"{place!r} is no absolute path", hint="such as tree:/usr/share/example")
    if len(path.parts) > 1 and path.parts[1] not in PLACES:
        raise ConfigError("--directory", f"{place} is not below /usr or /etc", hint="the rest is state of the machine")
    return str(path).lstrip("/") or "."


def find_kernel(
    root: Path, kver: str, *, commit: str, kargs: tuple[str, ...], scratch: Path, os_name: str = "debian"
) -> Kernel:
    """The kernel of the first deployment of an image that disk.make_disk made of the tree at *root*.

    It and its initramfs are written to *scratch*, in the forms that start soonest.
    """
    modules = root / "usr/lib/modules" / kver
    kernel, initramfs = (modules / "vmlinuz").read_bytes(), (modules / "initramfs.img").read_bytes()
    chroot = next(path for path in (root / "usr/sbin/chroot", root / "usr/bin/chroot") if path.is_file())  # coreutils
    found = Kernel(
        scratch / "kernel",
        scratch / "initramfs",
        (
            *kernel_args(make_identity(commit), kargs),
            f"ostree=/ostree/boot.1/{os_name}/{hashlib.sha256(kernel + initramfs).hexdigest()}/0",
            *ARGUMENTS,
        ),
    )
    found.kernel.write_bytes(unpack_kernel(kernel))
    found.initrd.write_bytes(extend_initramfs(initramfs, chroot.read_bytes()))
    return found
