"""A small tree that passes every lint; tests break one thing each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deb_bootc_compose.lints.kernel_config import WANTED

PREPARE_ROOT = "[composefs]\nenabled = maybe\n\n[sysroot]\nreadonly = true\n"
KERNEL = "6.12.0-test"
DIRECTORIES = (
    "/var/lib", "/var/home", "/var/roothome", "/var/srv", "/var/mnt", "/var/opt", "/var/log", "/var/log/apt",
    "/var/lib/apt", "/var/lib/apt/lists", "/var/lib/apt/lists/partial", "/var/cache", "/var/cache/apt",
    "/var/cache/apt/archives", "/var/cache/apt/archives/partial", "/var/tmp",
)  # fmt: skip
TMPFILES = "".join(f"d {name} {'0700' if name == '/var/roothome' else '0755'} - - -\n" for name in DIRECTORIES)
TMPFILES += "L /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg\n"


def cpio(files: dict[str, bytes]) -> bytes:
    """A newc archive."""
    made = b""
    for number, (name, content) in enumerate([*files.items(), ("TRAILER!!!", b"")], 1):
        fields = (number, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        made += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        made += bytes(-len(made) % 4) + content
        made += bytes(-len(made) % 4)
    return made + bytes(512)


def initramfs(conf: str = PREPARE_ROOT) -> bytes:
    unit = "ostree-prepare-root.service"
    return cpio(
        {
            "usr/lib/ostree/ostree-prepare-root": b"ELF",
            "usr/lib/ostree/prepare-root.conf": conf.encode(),
            f"usr/lib/systemd/system/{unit}": b"[Unit]\n",
            f"usr/lib/systemd/system/initrd-root-fs.target.wants/{unit}": b"",
        }
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Owned by whoever runs the tests, who has a name in it."""
    root = tmp_path / "tree"
    for name in (
        "boot",
        "dev",
        "etc",
        "proc",
        "run",
        "sys",
        "sysroot",
        "tmp",
        "usr/bin",
        "usr/sbin",
        "usr/lib64",
        "var/lib",
        "var/log/apt",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
        "var/tmp",
    ):
        (root / name).mkdir(parents=True)
    (root / "sysroot").chmod(0o755)
    links = {
        "bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "home": "var/home",
        "root": "var/roothome", "srv": "var/srv", "mnt": "var/mnt", "media": "run/media", "ostree": "sysroot/ostree",
        "opt": "var/opt", "var/lib/dpkg": "../../usr/lib/sysimage/dpkg",
    }  # fmt: skip
    for name, target in links.items():
        (root / name).symlink_to(target)
    uid, gid = os.getuid(), os.getgid()
    put = {
        "etc/passwd": f"root:x:0:0::/root:\nme:x:{uid or 1000}:{gid}::/:\nmessagebus:x:990:990::/:\n",
        "etc/group": f"root:x:0:\nme:x:{gid or 1000}:\nmessagebus:x:990:\n",
        "etc/machine-id": "uninitialized\n",
        "usr/bin/bootc": "",
        "usr/lib/sysusers.d/00-ids.conf": f"g me {gid or 1000}\nu me {uid or 1000}:{gid or 1000}\nu messagebus 990\n",
        "usr/lib/sysusers.d/basic.conf": 'u root 0 "Super User" /root\n',
        "usr/lib/tmpfiles.d/var.conf": TMPFILES,
        "etc/default/useradd": "SHELL=/bin/sh\nHOME=/var/home\n",
        "etc/nsswitch.conf": "passwd: files systemd\n",
        "usr/bin/apt-get": "",
        "usr/bin/dracut": "",
        "usr/sbin/xfs_repair": "",
        "usr/lib/dracut/dracut.conf.d/50-image.conf": 'hostonly="no"\nreproducible="yes"\n',
        f"usr/lib/modules/{KERNEL}/config": "".join(f"{option}=m\n" for option in WANTED) + "CONFIG_XFS_FS=y\n",
        "usr/lib/ostree/prepare-root.conf": PREPARE_ROOT,
        "usr/lib/bootc/kargs.d/10.toml": 'kargs = ["quiet"]\nmatch-architectures = ["x86_64"]\n',
        "usr/lib/systemd/system-preset/20-image.preset": "enable ssh.service\ndisable *\n",
        "usr/lib/sysimage/dpkg/status": "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n",
        f"usr/lib/modules/{KERNEL}/vmlinuz": "kernel",
    }
    for name, text in put.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / f"usr/lib/modules/{KERNEL}/initramfs.img").write_bytes(initramfs())
    return root
