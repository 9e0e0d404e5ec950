"""Other formats of the same disk."""

from __future__ import annotations

import logging
from pathlib import Path

from deb_bootc_compose.disk.bench import WORK, open_bench
from debroot.store import Store

log = logging.getLogger(__name__)


def make_qcow2(store: Store, raw: Path, out: Path, *, suite: str = "trixie", arch: str = "amd64") -> None:
    """Write *raw* as a compressed qcow2 image, for qemu 5.1 and newer (zstd). Errors: CommandFailed."""
    log.info("Converting %s to %s", raw.name, out.name)
    with open_bench(store, suite=suite, arch=arch, binds={"/in/disk.raw": raw}) as bench:
        bench.run(
            ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd",
             "/in/disk.raw", f"{WORK}/disk.qcow2"]
        )  # fmt: skip
        bench.take("disk.qcow2", out)
