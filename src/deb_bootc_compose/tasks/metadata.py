"""What was made, for people and programs: composeinfo and images (productmd loads both), debs, commits, layers, tests,
builds; SBOMs and provenance of each image.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from deb_bootc_compose import metadata, records, sbom
from deb_bootc_compose.lock import Lock, load_lock
from deb_bootc_compose.worker import Done, Task
from debcore.deb import load_control
from debcore.errors import BuildFailed, Failure
from debcore.path import write_file
from debroot.store import Store

log = logging.getLogger(__name__)

GATES = ("boot", "update", "fallback", "bootc-install", "bootc-upgrade")
TESTS = ("lint", "replay", *GATES)


@dataclass(frozen=True)
class Control:
    """What a .deb's control file says; text is whatever its maintainer wrote."""

    installed_size: int | None  #: bytes
    maintainer: str
    homepage: str


def run_task(task: Task) -> Done:
    compose, params = task.compose, task.params
    lock = load_lock(compose.lock_path)
    variants, fallen = standing(task)
    if fallen and not variants:
        raise BuildFailed(f"every variant failed: {', '.join(fallen)}", hint="their logs say why; then resume")
    images = {name: value["images"] for name, value in _of(task, "image").items()}
    containers = _of(task, "container")
    controls = dict(load_controls(Store.open(), lock))
    built = records.load_records(compose.logs / records.NAME)
    documents: dict[str, Any] = {
        "composeinfo.json": metadata.composeinfo(compose.id, params["release"], params["compose"], variants),
        "images.json": metadata.images(
            compose.id, params["compose"], variants, images, containers, mtime=lock.timestamp
        ),
        "debs.json": metadata.debs(compose.id, params["compose"], lock, variants, installed_sizes(controls)),
        "commits.json": metadata.commits(compose.id, params["compose"], lock, _of(task, "commit")),
        "layers.json": metadata.layers(compose.id, params["compose"], containers),
        "tests.json": metadata.tests(
            compose.id, params["compose"], {kind: _of(task, kind) for kind in TESTS}, _records(task)
        ),
        "builds.json": metadata.builds(compose.id, params["compose"], lock, variants, built),
    }
    lock_sha256 = hashlib.sha256(compose.lock_path.read_bytes()).hexdigest()
    for key, variant in variants.items():
        documents |= _bills(task, lock, key, variant, built, controls, lock_sha256)
    for name, document in documents.items():
        write_file(compose.metadata / name, json.dumps(document, indent=4, sort_keys=True) + "\n")
    files = [f"compose/metadata/{name}" for name in documents]
    return Done({"files": sorted(documents)}, tuple(files))


def standing(task: Task) -> tuple[dict[str, Any], list[str]]:
    """Variants that are whole, as they were told; and the names of those that were allowed to fail, and have."""
    told: dict[str, Any] = task.params["variants"]
    fallen = [
        key for key, one in told.items()
        if one.get("failable") and not any(name.endswith(f".{key}") for name in task.inputs)
    ]  # fmt: skip
    return {key: one for key, one in told.items() if key not in fallen}, fallen


def _bills(
    task: Task, lock: Lock, key: str, variant: Mapping[str, Any], built: Mapping[str, Mapping[str, Any]],
    controls: Mapping[str, Control], lock_sha256: str,
) -> dict[str, Any]:  # fmt: skip
    """The SBOMs and the provenance of one variant, by file name."""
    commit = _of(task, "commit").get(key, {})
    container = _of(task, "container").get(key, {})
    disks = _of(task, "image").get(key, {}).get("images", ())
    subject = sbom.Subject(
        key=key, name=container.get("name") or variant["ref"], version=lock.version, suite=lock.suite,
        timestamp=lock.timestamp, lock=lock.content,
        commit=commit.get("commit", ""), digest=container.get("digest", ""),
        disks=tuple((Path(disk["path"]).name, disk["sha256"]) for disk in disks),
    )  # fmt: skip
    components = [
        sbom.Component(package, origin, *_words(controls.get(package.sha256)))
        for package, origin in records.origins(lock, key, built)
    ]
    tool = tool_version()
    hub = lock.hub.model_dump(mode="json") if lock.hub else None
    forms = {
        "cyclonedx": (f"{key}.cdx.json", sbom.cyclonedx(subject, components, tool_version=tool)),
        "spdx": (f"{key}.spdx.json", sbom.spdx(subject, components, tool_version=tool)),
    }
    return {
        **dict(document for form, document in forms.items() if form in variant.get("sbom", forms)),
        f"{key}.provenance.json": sbom.statement(
            subject, components, compose_id=task.compose.id, releases=lock.releases, hub=hub, lock_sha256=lock_sha256,
            tool_version=tool,
        ),
    }  # fmt: skip


def tool_version() -> str:
    """ "0" in a tree that was never installed."""
    try:
        return version("deb-bootc-ecosystem")
    except PackageNotFoundError:
        return "0"


def _words(control: Control | None) -> tuple[str, str]:
    return (control.maintainer, control.homepage) if control else ("", "")


def load_controls(store: Store, lock: Lock) -> Iterator[tuple[str, Control]]:
    """By the SHA-256 of the .deb. One that has left the pool is passed over."""
    debs = {package.sha256 for variant in lock.variants.values() for package in variant.installed.values()}
    for sha256 in sorted(debs):
        path = store.pool_path(sha256)
        try:
            if path.is_file():
                stanza = load_control(path)
                size = stanza.get("Installed-Size", "")
                known = size.isascii() and size.isdigit() and len(size) < 16
                bytes_ = int(size) * 1024 if known else None  # stated in KiB: Policy 5.6.20
                yield sha256, Control(bytes_, stanza.get("Maintainer", ""), stanza.get("Homepage", ""))
        except Failure as error:
            log.warning("%s: %s", path, error)


def installed_sizes(controls: Mapping[str, Control]) -> dict[str, int]:
    return {sha256: one.installed_size for sha256, one in controls.items() if one.installed_size is not None}


def _records(task: Task) -> dict[str, dict[str, Any]]:
    """What the gates wrote down, by test and NAME.ARCH."""
    found: dict[str, dict[str, Any]] = {}
    for kind in GATES:
        for key in _of(task, kind):
            path = task.compose.logs / f"{kind}.{key}.json"
            if path.is_file():
                found.setdefault(kind, {})[key] = json.loads(path.read_bytes())
    return found


def _of(task: Task, kind: str) -> dict[str, Any]:
    """The results of all tasks of *kind*, by NAME.ARCH."""
    prefix = f"{kind}."
    return {name.removeprefix(prefix): value for name, value in task.inputs.items() if name.startswith(prefix)}
