"""Debian 13's mkosi in a root of its own: an image of the same packages as examples/server, as a whole command.

It makes another kind of image (systemd-boot and an initrd of its own, no OSTree, no container image, no lints): what
is compared is how long a person waits for a disk image that boots.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from debroot.aptconf import make_sources
from debroot.bootstrap import tools_root
from debroot.idmap import IdMap
from debroot.sandbox import Bind, Sandbox, start_in
from debroot.sources import find_host_sources
from debroot.store import Store

TOOLS = (
    "mkosi", "systemd-boot", "systemd-repart", "systemd-ukify", "systemd-sysv", "udev", "mtools", "dosfstools",
    "e2fsprogs", "debian-archive-keyring", "cpio", "kmod", "zstd", "uidmap", "ca-certificates", "openssl", "fdisk",
)  # fmt: skip
CONFIG = """[Distribution]
Distribution=debian
Release=trixie
Architecture=x86-64
[Output]
Format=disk
OutputDirectory=/srv/out
[Content]
Bootable=yes
Bootloader=systemd-boot
Packages={packages}
[Build]
Incremental={incremental}
CacheDirectory=/srv/cache
PackageCacheDirectory=/srv/packages
WorkspaceDirectory=/srv/work
"""
#: The first run fetches what apt needs and is not counted; then two whole ones and, if incremental, one on its cache.
SCRIPT = """set -eu
mkdir -p /srv/image/mkosi.sandbox/etc/apt/sources.list.d /srv/out /srv/cache /srv/packages /srv/work /srv/home
cp /in/mirror.sources /srv/image/mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources
cp /in/$1.conf /srv/image/mkosi.conf
cd /srv/image
export HOME=/srv/home
mkosi --force build
echo "ready: mkosi" # what follows is timed
mkosi --force build
echo "done: mkosi"
"""


@dataclass(frozen=True)
class Peer:
    """Seconds of one build, and the largest process (MiB)."""

    seconds: float
    memory: int


def run_mkosi(packages: Sequence[str], scratch: Path, *, incremental: bool) -> Peer:
    """A build whose packages are fetched; *incremental*: whose base tree is cached too. In a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            os.write(writer, str(_run(packages, scratch, incremental=incremental)).encode())
        except SystemExit as failed:
            print(failed, file=sys.stderr, flush=True)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    _, _, used = os.wait4(child, 0)
    if not said:
        raise SystemExit("mkosi failed")
    return Peer(float(said), used.ru_maxrss // 1024)


def _run(packages: Sequence[str], scratch: Path, *, incremental: bool) -> float:
    """Seconds."""
    store = Store.open()
    tools = tools_root(store, packages=TOOLS)
    inputs = scratch / "mkosi"
    inputs.mkdir(exist_ok=True)
    name = "incremental" if incremental else "whole"
    config = CONFIG.format(packages=",".join(packages), incremental="yes" if incremental else "no")
    for path, text in (
        (inputs / f"{name}.conf", config),
        (inputs / "mirror.sources", make_sources(find_host_sources("trixie"))),
    ):
        path.write_text(text)
        path.chmod(0o644)
    inputs.chmod(0o755)
    binds = (Bind(source=inputs, target="/in"), Bind(source=Path("/sys"), target="/sys"))
    with store.throwaway() as upper:
        box = Sandbox(lowers=tools.lowers(), upper=upper, binds=binds, network="host")
        ids = IdMap(store.idmap.first, 2 * store.idmap.count)
        reader, writer = os.pipe()
        began = took = 0.0
        lines = []
        with start_in(box, ["sh", "-c", SCRIPT, "sh", name], idmap=ids, stdout=writer, stderr=writer) as running:
            os.close(writer)
            with os.fdopen(reader, errors="replace") as log:
                for line in log:
                    lines.append(line)
                    if line.startswith("ready: mkosi"):
                        began = time.perf_counter()
                    elif line.startswith("done: mkosi"):
                        took = time.perf_counter() - began
            status = running.wait()
    if status or not took:
        raise SystemExit("mkosi failed:\n" + "".join(lines[-40:]))
    return took
