"""Other formats of the same disk, made by qemu-img and compared with the raw image sector by sector."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.disk.bench import WORK, Bench, open_bench
from debcore.errors import BuildFailed
from debroot.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """How qemu-img writes a format. Source: qemu-img(1), qemu-block-drivers(7)."""

    driver: str
    options: tuple[str, ...]
    what_for: str
    has_check: bool  #: whether `qemu-img check` knows the format


#: By the manifest's word, which is the file's suffix too.
FORMATS: Mapping[str, Format] = {
    # qemu 5.1 and newer read zstd clusters.
    "qcow2": Format("qcow2", ("-c", "-o", "compression_type=zstd"), "compressed, for QEMU and clouds", True),
    "vmdk": Format("vmdk", ("-o", "subformat=streamOptimized"), "compressed, for VMware and OVF", True),
    # force_size: the size of the disk stays what it is, else it is rounded to a geometry of cylinders and heads.
    "vhd": Format("vpc", ("-o", "subformat=dynamic,force_size=on"), "for Hyper-V and Azure", False),
}


def make_image(store: Store, raw: Path, out: Path, kind: str, *, suite: str = "trixie", arch: str = "amd64") -> None:
    """Write *raw* as *kind*, one of FORMATS, to *out*.

    Errors: CommandFailed; BuildFailed if what was written does not hold the same disk.
    """
    log.info("Converting %s to %s", raw.name, out.name)
    made = f"{WORK}/disk.{kind}"
    with open_bench(store, suite=suite, arch=arch, binds={"/in/disk.raw": raw}) as bench:
        bench.run(convert_argv(kind, "/in/disk.raw", made))
        if problems := check_image(bench, kind, "/in/disk.raw", made, size=raw.stat().st_size):
            raise BuildFailed(
                f"{out.name} is not sound: {'; '.join(problems)}", hint="compose again; the host's disk may be bad"
            )
        bench.take(f"disk.{kind}", out)


def make_qcow2(store: Store, raw: Path, out: Path, *, suite: str = "trixie", arch: str = "amd64") -> None:
    make_image(store, raw, out, "qcow2", suite=suite, arch=arch)


def convert_argv(kind: str, raw: str, out: str) -> list[str]:
    wanted = FORMATS[kind]
    return ["qemu-img", "convert", "-f", "raw", "-O", wanted.driver, *wanted.options, raw, out]


def check_image(bench: Bench, kind: str, raw: str, image: str, *, size: int) -> list[str]:
    """What is wrong with *image*: its structure, the size of its disk in bytes, its content against *raw*."""
    wanted = FORMATS[kind]
    problems = []
    if wanted.has_check:
        done = bench.run(["qemu-img", "check", "-f", wanted.driver, image], check=False)
        if done.status != 0:
            problems.append(f"qemu-img check: {(done.text + done.stderr.decode('utf-8', 'replace')).strip()}")
    told = bench.run(["qemu-img", "info", "-f", wanted.driver, "--output=json", image], check=False)
    virtual = json.loads(told.text).get("virtual-size") if told.status == 0 else None
    if virtual != size:
        problems.append(f"its disk has {virtual} bytes, not {size}")
    same = bench.run(["qemu-img", "compare", "-f", "raw", "-F", wanted.driver, raw, image], check=False)
    if same.status != 0:
        problems.append((same.text + same.stderr.decode("utf-8", "replace")).strip())
    return problems
