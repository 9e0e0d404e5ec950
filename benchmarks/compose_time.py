#!/usr/bin/env python3
"""examples/server composed four times, by task, and Debian's mkosi with a disk image of the same packages beside it.

    compose_time.py

first        nothing composed before; .debs and tools roots are there if the store has them
again        nothing changed
hub          one package that the hub builds has a new version
archive      one package of the archive more in the tree

Gates that boot are left out on both sides: the lints are ours alone. The largest process is the one with the most
resident memory (getrusage(2)) of all that ran, in MiB.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import BIN, ROOT, print_table, seconds
from benchmarks.mkosi import run_mkosi
from debcore.command import PIPE, spawn

#: What examples/server installs, with mkosi's own boot loader and initrd for ours.
PACKAGES = (
    "systemd-sysv", "dbus", "systemd-boot", "udev", "kmod", "e2fsprogs", "iproute2", "openssh-server",
    "ca-certificates", "linux-image-cloud-amd64", "hostname",
)  # fmt: skip
TESTS = "tests: [lint, boot, update, rollback]"


def main() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as name:
        scratch = Path(name)
        manifest = scratch / "server"
        shutil.copytree(ROOT / "examples/server", manifest)
        edit(manifest / "compose.yaml", TESTS, "tests: [lint]")
        first = timed(manifest, scratch)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        again = timed(manifest, scratch)
        edit(manifest / "debootc-motd/debian/changelog", "debootc-motd (1.0)", "debootc-motd (1.1)", once=True)
        hub = timed(manifest, scratch)
        edit(manifest / "base.tree.yaml", "  - iproute2\n", "  - iproute2\n  - tree\n")
        archive = timed(manifest, scratch)
        runs = (first, again, hub, archive)
        peer = [run_mkosi(PACKAGES, scratch, incremental=incremental) for incremental in (False, True)]
    names = list(dict.fromkeys(task["task"] for _, run in runs for task in run["tasks"]))
    rows: list[tuple[str, ...]] = []
    for task in names:
        found = [next((one for one in run["tasks"] if one["task"] == task), None) for _, run in runs]
        rows.append((task, *(f"{one['seconds']:.1f} ({one['how']})" if one else "–" for one in found)))
    rows.append(("all, wall time", *(f"{took:.1f}" for took, _ in runs)))
    rows.append(("part of the first", *(f"{took / first[0]:.2f}" for took, _ in runs)))
    notes = (
        f"mkosi: {peer[0]:.1f} s for a disk image whose packages are fetched, {peer[1]:.1f} s with `Incremental=yes`. "
        f"Our largest process: {memory} MiB.",
    )
    header = ("task", "first, s", "again", "one package of the hub changed", "one package of the archive more")
    print_table("Compose of examples/server by task", header, rows, notes)


def timed(manifest: Path, scratch: Path) -> tuple[float, dict[str, Any]]:
    """Wall time of one compose, and what it said."""
    said: dict[str, Any] = {}
    return seconds(lambda: said.update(compose(manifest, scratch))), said


def compose(manifest: Path, scratch: Path) -> dict[str, Any]:
    argv = [BIN / "deb-bootc-compose", "build", manifest, "--target", scratch / "composes", "--json"]
    process = spawn([str(word) for word in argv], stdout=PIPE, extra_env={"DEBOOTC_HUB_STATE": str(scratch / "hub")})
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    found: dict[str, Any] = json.loads(output)
    return found


def edit(path: Path, old: str, new: str, *, once: bool = False) -> None:
    text = path.read_text()
    if old not in text:
        raise SystemExit(f"{path} has no {old!r} any more")
    path.write_text(text.replace(old, new, 1 if once else -1))


if __name__ == "__main__":
    main()
