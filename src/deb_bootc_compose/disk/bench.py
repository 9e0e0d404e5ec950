"""Where the disk is made: a tools root with a scratch directory at /work, everything else read-only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from debcore.command import Completed, run
from debroot.bootstrap import foreign_files, host_arch, tools_root
from debroot.memory import open_scratch
from debroot.sandbox import ENVIRONMENT, Bind, Sandbox, run_in
from debroot.store import Layer, Store

#: Packages of the tools root that makes, checks and converts disks.
DISK_TOOLS = (
    "ostree",
    "gpg",  # libostree runs it to import and check keys
    "e2fsprogs",
    "dosfstools",
    "mtools",
    "fdisk",
    "qemu-utils",
)

#: By Debian architecture: the packages with the signed boot loaders.
LOADER_PACKAGES = {
    "amd64": ("shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed"),
    "arm64": ("shim-signed", "shim-helpers-arm64-signed", "grub-efi-arm64-signed"),
}

WORK = "/work"


@dataclass(frozen=True)
class Bench:
    """One tools root, one scratch directory. `run` is a new sandbox each time; what it leaves is in /work."""

    sandbox: Sandbox
    scratch: Path  #: on the host, seen as /work inside; owned by root inside

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", check: bool = True) -> Completed:
        """Errors: CommandFailed, HostFailed."""
        return run_in(self.sandbox, argv, stdin=stdin, check=check, capture=True)

    def take(self, name: str, out: Path) -> None:
        """Move /work/*name* to *out*, with its holes; *out* appears whole and belongs to the caller."""
        unfinished = out.with_name(f".{out.name}.new")
        try:
            if not self._give(self.scratch / name, unfinished):
                run(["cp", "--sparse=always", "--reflink=auto", self.scratch / name, unfinished])
            unfinished.chmod(0o644)  # QEMU runs under mapped ids and must read it
            unfinished.replace(out)
        finally:
            unfinished.unlink(missing_ok=True)

    def _give(self, source: Path, target: Path) -> bool:
        """Rename and change the owner: only root may, and only within a file system."""
        if os.geteuid() != 0 or source.stat().st_dev != target.parent.stat().st_dev:
            return False
        source.rename(target)
        os.chown(target, 0, 0)
        return True


@contextmanager
def open_bench(
    store: Store, *, suite: str, arch: str, binds: Mapping[str, Path], env: Mapping[str, str] | None = None,
    trees: int = 0,
) -> Iterator[Bench]:  # fmt: skip
    """A bench of *suite*'s tools. *binds*: path inside → path of the host, read-only. The scratch ends with it.

    *trees*: bytes of trees of files and their images that it is for; 0: a few files.
    """
    layer = disk_tools(store, suite=suite, arch=arch)
    place = open_scratch(store, required=trees) if trees else store.throwaway()
    with store.using(layer), place as scratch:
        seen = tuple(Bind(source=source.resolve(), target=target) for target, source in binds.items())
        yield Bench(
            Sandbox(
                lowers=layer.lowers(),
                binds=(Bind(source=scratch, target=WORK, readonly=False), *seen),
                cwd=WORK,
                suppress_sync=True,  # the scratch directory is thrown away: ostree need not wait for the disk
                env={**ENVIRONMENT, "TZ": "UTC", **(env or {})},
            ),
            scratch,
        )


def disk_tools(store: Store, *, suite: str = "trixie", arch: str = "amd64") -> Layer:
    """The tools root that make_disk uses; making it early shows its cost apart."""
    loaders = LOADER_PACKAGES[arch]
    if arch == host_arch():
        return tools_root(store, suite=suite, packages=(*DISK_TOOLS, *loaders))
    own = tools_root(store, suite=suite, packages=DISK_TOOLS)
    return foreign_files(store, own, suite=suite, arch=arch, packages=loaders)
