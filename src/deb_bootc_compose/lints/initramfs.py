"""The kernel has an initramfs that can put an OSTree root together, with the tree's configuration (K2, K5)."""

from __future__ import annotations

from collections.abc import Iterator

from deb_bootc_compose.lints.cpio import read_archive
from deb_bootc_compose.lints.model import Lint, Root

CONF = "usr/lib/ostree/prepare-root.conf"
PROGRAM = "usr/lib/ostree/ostree-prepare-root"
UNIT = "ostree-prepare-root.service"
WANTS = tuple(f"{base}/systemd/system/initrd-root-fs.target.wants/{UNIT}" for base in ("etc", "usr/lib"))


def check(root: Root) -> Iterator[str]:
    kernels = sorted((root.path / "usr/lib/modules").glob("*/vmlinuz"))
    if not kernels:
        yield "there is no kernel in /usr/lib/modules"
    for kernel in kernels:
        image = kernel.with_name("initramfs.img")
        shown = f"/{image.relative_to(root.path)}"
        if not image.is_file():
            yield f"{shown} is missing"
            continue
        try:
            inside = read_archive(image, keep=frozenset({CONF}))
        except ValueError as error:
            yield f"{shown}: {error}"
            continue
        yield from (f"{shown}: {problem}" for problem in find_problems(inside, root.read(CONF)))


def find_problems(inside: dict[str, bytes], conf: str | None) -> Iterator[str]:
    """What an initramfs with these files lacks; *conf* is the tree's own prepare-root.conf."""
    for name in (PROGRAM, f"usr/lib/systemd/system/{UNIT}"):
        if name not in inside:
            yield f"{name} is not in it"
    if not any(name in inside for name in WANTS):
        yield f"initrd-root-fs.target does not want {UNIT}"
    if CONF not in inside:
        yield f"{CONF} is not in it"
    elif conf is not None and inside[CONF] != conf.encode():
        yield f"{CONF} in it is not the tree's"


LINT = Lint("initramfs", "fatal", "debian", "the initramfs has ostree-prepare-root and the tree's configuration", check)
