#!/usr/bin/env python3
"""examples/server composed five times, by task, and Debian's mkosi with a disk image of the same packages beside it.

    compose_time.py

empty        an empty store but for the .debs: tools roots, the builds' roots and package lists are made and fetched
first        nothing composed before; .debs, tools roots and the builds' roots are there
again        nothing changed
hub          one package that the hub builds has a new version
archive      one package of the archive more in the tree

The store is one of its own. After the first compose one more is made with a changed package, so that the root is there
in which the hub builds once its own packages are in it; then trees and their stages are removed. Gates that boot are
left out on both sides: the lints are ours alone. The largest process is the one with the most resident memory
(getrusage(2)) of all that ran, in MiB. The download of an update is what a machine with the image of the first compose
lacks of the layers of the later one; of an image of one layer it is all of it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import BIN, ROOT, print_table, say_start
from benchmarks.mkosi import Peer, run_mkosi
from debcore.command import PIPE, spawn
from debroot.store import Store, default_path

TITLE = "Compose of examples/server by task"
#: What examples/server installs, with mkosi's own boot loader and initrd for ours.
PACKAGES = (
    "systemd-sysv", "dbus", "systemd-boot", "udev", "kmod", "e2fsprogs", "iproute2", "openssh-server",
    "ca-certificates", "linux-image-cloud-amd64", "hostname",
)  # fmt: skip
TESTS = "tests: [lint, boot, update, rollback]"
#: Layers that a compose makes, those on top first.
STAGES = ("tree-", "hub-", "archive-", "base-")
#: What composes keep of layers that were imported, and of trees that were finished.
NOTES = ("layer-*", "finished-*")


@dataclass(frozen=True)
class Run:
    """One compose: wall time, what it said, its largest process (MiB)."""

    seconds: float
    said: Mapping[str, Any]
    memory: int

    def layers(self) -> dict[str, int]:
        """Digest → bytes, of its container image."""
        (image,) = (one for name, one in self.said["outputs"].items() if name.startswith("container."))
        return {layer["digest"]: layer["size"] for layer in image["layers"]}


def main() -> None:
    say_start(TITLE)
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as name:
        scratch = Path(name)
        manifest = scratch / "server"
        shutil.copytree(ROOT / "examples/server", manifest)
        edit(manifest / "compose.yaml", TESTS, "tests: [lint]")
        make_store(scratch / "store")
        empty = compose(manifest, scratch, "warm")
        bump(manifest, "1.0", "1.0.1")
        compose(manifest, scratch, "warm")
        bump(manifest, "1.0.1", "1.0")
        forget_trees(scratch / "store")
        first = compose(manifest, scratch, "cold")
        again = compose(manifest, scratch, "cold")
        bump(manifest, "1.0", "1.1")
        hub = compose(manifest, scratch, "cold")
        edit(manifest / "base.tree.yaml", "  - iproute2\n", "  - iproute2\n  - tree\n")
        archive = compose(manifest, scratch, "cold")
        peers = [run_mkosi(PACKAGES, scratch, incremental=incremental) for incremental in (False, True)]
    print_runs((empty, first, again, hub, archive), peers)


def print_runs(runs: tuple[Run, ...], peers: list[Peer]) -> None:
    empty, first, *later = runs
    rows: list[tuple[str, ...]] = []
    for task in dict.fromkeys(task["task"] for run in runs for task in run.said["tasks"]):
        found = [next((one for one in run.said["tasks"] if one["task"] == task), None) for run in runs]
        rows.append((task, *(f"{one['seconds']:.1f} ({one['how']})" if one else "–" for one in found)))
    rows.append(("all, wall time", *(f"{run.seconds:.1f}" for run in runs)))
    rows.append(("part of that on an empty store", *(f"{run.seconds / empty.seconds:.2f}" for run in runs)))
    rows.append(("part of the first", *(f"{run.seconds / first.seconds:.2f}" for run in runs)))
    rows.append(("largest process, MiB", *(str(run.memory) for run in runs)))
    old = first.layers()
    new = [sum(size for digest, size in run.layers().items() if digest not in old) for run in later]
    rows.append(("download since the first, MB", "–", "–", *(f"{size / 1e6:.1f}" for size in new)))
    rows.append(("the same, one layer", "–", "–", *(f"{sum(run.layers().values()) / 1e6:.1f}" for run in later)))
    plain, cached = peers
    notes = (
        f"mkosi, a disk image whose packages are fetched: {plain.seconds:.1f} s, largest process {plain.memory} MiB; "
        f"with `Incremental=yes` {cached.seconds:.1f} s, {cached.memory} MiB.",
    )
    header = ("task", "empty, s", "first", "again", "one package of the hub changed", "one package of the archive more")
    print_table(TITLE, header, rows, notes)


def make_store(path: Path) -> None:
    """Empty but for the .debs of the store at hand."""
    pool = default_path() / "pool"
    Store.open(path)
    for deb in pool.glob("??/*"):
        target = path / "pool" / deb.relative_to(pool)
        target.parent.mkdir(exist_ok=True)
        try:
            target.hardlink_to(deb)
        except OSError:  # another file system
            shutil.copyfile(deb, target)


def forget_trees(path: Path) -> None:
    store = Store.open(path)
    for prefix in STAGES:
        for entry in store.list():
            if entry.kind == "layer" and entry.id.startswith(prefix):
                store.remove(entry.id)
    for name in NOTES:
        for note in (path / "resolved").glob(name):
            note.unlink()
    store.release()


def compose(manifest: Path, scratch: Path, name: str) -> Run:
    """Composes and hub state of one *name* go on from each other."""
    argv = [BIN / "deb-bootc-compose", "build", manifest, "--target", scratch / f"composes-{name}", "--json"]
    env = {"DEBOOTC_HUB_STATE": str(scratch / f"hub-{name}"), "DEBOOTC_STORE": str(scratch / "store")}
    began = time.perf_counter()
    process = spawn([str(word) for word in argv], stdout=PIPE, extra_env=env)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    if status:
        raise SystemExit(f"the compose failed: {os.waitstatus_to_exitcode(status)}")
    return Run(took, json.loads(output), used.ru_maxrss // 1024)


def bump(manifest: Path, old: str, new: str) -> None:
    edit(manifest / "debootc-motd/debian/changelog", f"debootc-motd ({old})", f"debootc-motd ({new})", once=True)


def edit(path: Path, old: str, new: str, *, once: bool = False) -> None:
    text = path.read_text()
    if old not in text:
        raise SystemExit(f"{path} has no {old!r} any more")
    path.write_text(text.replace(old, new, 1 if once else -1))


if __name__ == "__main__":
    main()
