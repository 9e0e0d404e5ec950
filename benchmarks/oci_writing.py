#!/usr/bin/env python3
"""A finished tree written as an OCI layout: by us in layers, and as one layer by Debian's umoci and buildah.

    oci_writing.py

The tree is that of examples/minimal, which is composed up to its tree if the store does not have it. Peers run in a
tools root in a sandbox; the time is from the tree to a layout on disk. Each is run twice, and the faster counts. Peak
memory is the largest process's (getrusage(2)).
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import BIN, ROOT, print_table, say_start
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.oci.image import ImageConfig, write_layout
from deb_bootc_compose.tree.make import Tree, load_tree
from debcore.command import run
from debroot.bootstrap import tools_root
from debroot.sandbox import ENVIRONMENT, Bind, Sandbox, run_in
from debroot.store import Store

TITLE = "A tree as an OCI layout"
RUNS = 2
#: `umoci insert` takes the root of a user namespace for somebody without rights and wants to change the tree's modes.
#: The tree is at /tree, /out is empty. What is timed is the whole script.
UMOCI = """set -eu
umoci init --layout /out/image
umoci new --image /out/image:tree
tar --create --file=/out/layer.tar --directory=/tree --xattrs --xattrs-include=* --numeric-owner .
umoci raw add-layer --image /out/image:tree /out/layer.tar
"""
BUILDAH = """set -eu
storage="--root /out/storage --runroot /out/running --storage-driver vfs"
container=$(buildah $storage from scratch)
buildah $storage copy --quiet "$container" /tree /
buildah $storage commit --quiet --format oci "$container" oci:/out/image:tree
"""
#: Root inside is root enough, and no file system is mounted for a container that runs nothing.
BUILDAH_ENV = {
    "BUILDAH_ISOLATION": "chroot", "_CONTAINERS_USERNS_CONFIGURED": "done", "HOME": "/out",
    "XDG_RUNTIME_DIR": "/out/run", "TMPDIR": "/out",
}  # fmt: skip


def main() -> None:
    say_start(TITLE)
    store = Store.open()
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as name:
        scratch = Path(name)
        tree = find_tree(store, scratch)
        with store.using(tree.layer):
            rows = [
                measure("ours, zstd", lambda out: write(store, tree, out, "zstd")),
                measure("ours, gzip", lambda out: write(store, tree, out, "gzip")),
                measure("ours, zstd, nothing changed", lambda out: write(store, tree, out, "zstd", scratch / "before")),
                measure("tar and umoci raw add-layer, gzip", lambda out: peer(store, tree, out, "umoci", UMOCI)),
                measure("buildah copy and commit", lambda out: peer(store, tree, out, "buildah", BUILDAH)),
            ]
    print_table(TITLE, ("how", "s", "layers", "MB", "largest process, MiB"), rows)


def find_tree(store: Store, scratch: Path) -> Tree:
    words: list[str | Path] = ["build", ROOT / "examples/minimal", "--target", scratch / "composes", "--json"]
    words += ["--until", "tree"]
    done = json.loads(run([BIN / "deb-bootc-compose", *words]).stdout)
    made = read_results(ComposeDirectory(Path(done["path"])).journal_path)["tree.minimal.amd64"]
    tree = load_tree(store, made["id"], suite=made["suite"])
    if tree is None:
        raise SystemExit("the tree is not in the store")
    write(store, tree, scratch / "before", "zstd")
    return tree


def measure(name: str, call: Callable[[Path], None]) -> tuple[str, ...]:
    """One row. Each run is a process of its own, so that its memory is its own."""
    taken, memory, layers, size = [], 0, 0, 0
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as place:
            out = Path(place, "image")
            began = time.perf_counter()
            child = os.fork()
            if child == 0:
                try:
                    call(out)
                finally:
                    os._exit(0 if out.exists() else 1)
            _, status, used = os.wait4(child, 0)
            taken.append(time.perf_counter() - began)
            if status:
                raise SystemExit(f"{name} failed")
            memory = max(memory, used.ru_maxrss // 1024)
            layers, size = describe(out)
    return name, f"{min(taken):.1f}", str(layers), f"{size / 1e6:.0f}", str(memory)


def write(store: Store, tree: Tree, out: Path, compression: str, previous: Path | None = None) -> None:
    config = ImageConfig(version="1", timestamp=1, compression="gzip" if compression == "gzip" else "zstd")
    write_layout(store, tree, out, config, previous=previous)


def peer(store: Store, tree: Tree, out: Path, package: str, script: str) -> None:
    more = ("netavark",) if package == "buildah" else ()  # which it wants to be there, and does not depend on
    tools = tools_root(store, packages=(package, *more))
    with store.workplace("out") as place, store.throwaway() as upper:
        binds = (Bind(source=tree.root, target="/tree"), Bind(source=place / "out", target="/out", readonly=False))
        env = {**ENVIRONMENT, **(BUILDAH_ENV if package == "buildah" else {})}
        box = Sandbox(lowers=tools.lowers(), upper=upper, binds=binds, env=env)
        run_in(box, ["sh", "-c", script], idmap=store.idmap)
        run_in(Sandbox(lowers=tools.lowers(), binds=binds), ["chmod", "-R", "a+rX", "/out/image"], idmap=store.idmap)
        run(["cp", "-a", "--no-preserve=ownership", place / "out/image", out])


def describe(layout: Path) -> tuple[int, int]:
    """Number and bytes of the layers of the one image of *layout*."""
    (descriptor,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads((layout / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes())
    return len(manifest["layers"]), sum(layer["size"] for layer in manifest["layers"])


if __name__ == "__main__":
    main()
