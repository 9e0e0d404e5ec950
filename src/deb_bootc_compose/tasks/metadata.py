"""What was made, for people and programs: composeinfo, images (productmd loads both), debs, layers, tests."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from deb_bootc_compose import metadata
from deb_bootc_compose.lock import Lock, load_lock
from deb_bootc_compose.worker import Done, Task
from debcore.deb import load_control
from debcore.errors import Failure
from debcore.path import write_file
from debroot.store import Store

log = logging.getLogger(__name__)


def run_task(task: Task) -> Done:
    compose, params = task.compose, task.params
    lock = load_lock(compose.lock_path)
    variants: dict[str, Any] = params["variants"]
    images = {name: value["images"] for name, value in _of(task, "image").items()}
    containers = _of(task, "container")
    documents: dict[str, Any] = {
        "composeinfo.json": metadata.composeinfo(compose.id, params["release"], params["compose"], variants),
        "images.json": metadata.images(
            compose.id, params["compose"], variants, images, containers, mtime=lock.timestamp
        ),
        "debs.json": metadata.debs(
            compose.id, params["compose"], lock, variants, dict(installed_sizes(Store.open(), lock))
        ),
        "layers.json": metadata.layers(compose.id, params["compose"], containers),
        "tests.json": metadata.tests(
            compose.id, params["compose"], {kind: _of(task, kind) for kind in ("lint", "replay", "boot")}
        ),
    }
    for name, document in documents.items():
        write_file(compose.metadata / name, json.dumps(document, indent=4, sort_keys=True) + "\n")
    files = [f"compose/metadata/{name}" for name in documents]
    return Done({"files": sorted(documents)}, tuple(files))


def installed_sizes(store: Store, lock: Lock) -> Iterator[tuple[str, int]]:
    """SHA-256 of a .deb → bytes (Installed-Size, which is in KiB). A .deb that has left the pool is passed over."""
    debs = {package.sha256 for variant in lock.variants.values() for package in variant.installed.values()}
    for sha256 in sorted(debs):
        path = store.pool_path(sha256)
        try:
            stated = load_control(path).get("Installed-Size", "") if path.is_file() else ""
        except Failure as error:
            log.warning("%s: %s", path, error)
            continue
        if stated.isascii() and stated.isdigit() and len(stated) < 16:
            yield sha256, int(stated) * 1024


def _of(task: Task, kind: str) -> dict[str, Any]:
    """The results of all tasks of *kind*, by NAME.ARCH."""
    prefix = f"{kind}."
    return {name.removeprefix(prefix): value for name, value in task.inputs.items() if name.startswith(prefix)}
