"""What a compose directory says of its compose, finished or not. Nothing outside the directory is looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deb_bootc_compose.compare.composes import load_installed_sizes
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import Entry, read_journal
from deb_bootc_compose.lock import Lock, LockedPackage, load_lock
from deb_bootc_compose.records import NAME as RECORDS
from deb_bootc_compose.records import load_records
from deb_bootc_compose.report.timeline import Timeline, make_timeline

#: Kinds that make something; every other kind of a variant's tasks judges what was made.
MAKING = frozenset({"source", "request", "lock", "tree", "commit", "container", "image", "metadata", "publish"})
MAX_ERROR = 4000  #: characters of a task's error that are shown


@dataclass(frozen=True)
class Gate:
    """One test of a variant. `verdict`: passed, failed, left out, not run."""

    name: str
    verdict: str
    seconds: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageRow:
    """One binary package. Sizes in bytes; `installed` is None where its control file was not read."""

    package: LockedPackage
    stage: str  #: derived, base, archive or hub
    installed: int | None
    build: Mapping[str, Any] | None = None  #: of the hub, where its record is known


@dataclass(frozen=True)
class LayerRow:
    name: str
    size: int  #: bytes, compressed
    digest: str


@dataclass(frozen=True)
class VariantFacts:
    """One image; an output is {} if it was not made (yet)."""

    key: str  #: NAME.ARCH
    ref: str
    tree: Mapping[str, Any]
    commit: Mapping[str, Any]
    container: Mapping[str, Any]
    tags: tuple[str, ...]
    disks: tuple[Mapping[str, Any], ...]
    gates: tuple[Gate, ...]
    packages: tuple[PackageRow, ...]
    layers: tuple[LayerRow, ...]


@dataclass(frozen=True)
class ComposeFacts:
    id: str
    status: str
    release: Mapping[str, Any]  #: name, short, version, type
    kind: Mapping[str, Any]  #: type, label
    suite: str
    lock: Lock | None
    variants: tuple[VariantFacts, ...]
    timeline: Timeline
    errors: tuple[tuple[str, str, str], ...]  #: (task, message, hint) of tasks whose last run failed


def load_facts(directory: ComposeDirectory, *, status: str) -> ComposeFacts:
    """Errors: Failure, OSError, or what a damaged document raises (KeyError, TypeError, …)."""
    started = json.loads(directory.manifest_path.read_bytes())
    compose, specs = started["manifest"]["compose"], started["manifest"]["specs"]
    entries = list(read_journal(directory.journal_path))
    last = {entry.data["task"]: entry for entry in entries if entry.type in ("task.finished", "task.failed")}
    lock = load_lock(directory.lock_path) if directory.lock_path.is_file() and "lock" in last else None
    built = load_records(directory.logs / RECORDS)
    installed = dict(load_installed_sizes(directory.metadata / "debs.json"))
    variants = [_variant(directory, spec, started["options"], last, lock, installed, built) for spec in specs]
    return ComposeFacts(
        id=directory.id, status=status, release=compose["release"], kind=compose["compose"], suite=compose["suite"],
        lock=lock, variants=tuple(variants), timeline=make_timeline(entries), errors=tuple(_errors(last)),
    )  # fmt: skip


def _variant(
    directory: ComposeDirectory, spec: Mapping[str, Any], options: Mapping[str, Any], last: Mapping[str, Entry],
    lock: Lock | None, installed: Mapping[str, int], built: Mapping[str, Mapping[str, Any]],
) -> VariantFacts:  # fmt: skip
    key, variant = f"{spec['name']}.{spec['arch']}", spec["variant"]
    gone = key in _value(last.get("publish")).get("left_out", ())  # it failed: what it made is not there any more
    kinds = ("tree", "commit", "container", "image")
    made = {kind: {} if gone else _value(last.get(f"{kind}.{key}")) for kind in kinds}
    container = variant["outputs"]["container"]
    layers = made["container"].get("layers", ())
    return VariantFacts(
        key=key, ref=variant["ref"], tree=made["tree"], commit=made["commit"], container=made["container"],
        tags=_published_tags(directory, made["container"]) if container else (),
        disks=tuple(made["image"].get("images", ())),
        gates=tuple(_gates(directory, key, variant["tests"], options.get("skip", ()), last)),
        packages=tuple(_packages(lock, key, installed, built)),
        layers=tuple(LayerRow(layer["name"], int(layer["size"]), layer["digest"]) for layer in layers),
    )  # fmt: skip


def _value(entry: Entry | None) -> Mapping[str, Any]:
    return entry.data["result"]["value"] if entry is not None and entry.type == "task.finished" else {}


def _published_tags(directory: ComposeDirectory, container: Mapping[str, Any]) -> tuple[str, ...]:
    """As the layout has them: they are set when every gate has passed."""
    path = directory.path / str(container.get("path", "")) / "index.json"
    if not container or not path.is_file():
        return ()
    names = (
        one.get("annotations", {}).get("org.opencontainers.image.ref.name")
        for one in json.loads(path.read_bytes())["manifests"]
    )
    return tuple(name for name in names if name)


def _gates(
    directory: ComposeDirectory, key: str, asked: list[str], skipped: list[str], last: Mapping[str, Entry]
) -> Iterator[Gate]:
    run = {name.removesuffix(f".{key}"): entry for name, entry in last.items() if name.endswith(f".{key}")}
    names = [name for name in run if name not in MAKING]
    asked = ["update" if name == "rollback" else name for name in asked]  # one machine does both
    for name in dict.fromkeys([*names, *asked]):
        entry = run.get(name)
        if entry is None:
            yield Gate(name, "left out" if name in skipped else "not run")
        elif entry.type == "task.failed":
            yield Gate(name, "failed", entry.data["seconds"])
        else:
            verdict = "passed" if _value(entry).get("applicable", True) else "not applicable"
            yield Gate(name, verdict, entry.data["seconds"], {**_value(entry), **_timing(directory, name, key)})


def _timing(directory: ComposeDirectory, gate: str, key: str) -> Mapping[str, Any]:
    """What a gate that boots wrote of its seconds."""
    path = directory.logs / f"{gate}.{key}.json"
    if not path.is_file():
        return {}
    told = json.loads(path.read_bytes())
    timing = told.get("timing") or {}
    if "steps" in told:
        return {step["name"]: f"{step['seconds']:.0f} s" for step in told["steps"]}
    return {f"{name} after": f"{seconds:.0f} s" for name, seconds in timing.items() if seconds is not None}


def _packages(
    lock: Lock | None, key: str, installed: Mapping[str, int], built: Mapping[str, Mapping[str, Any]]
) -> Iterator[PackageRow]:
    if lock is None or key not in lock.variants:
        return
    stages = {p.key: stage for stage, packages in lock.variants[key].stages.items() for p in packages}
    for package in sorted(lock.variants[key].installed.values(), key=lambda p: p.key):
        yield PackageRow(package, stages[package.key], installed.get(package.sha256), built.get(package.sha256))


def _errors(last: Mapping[str, Entry]) -> Iterator[tuple[str, str, str]]:
    for name, entry in last.items():
        if entry.type == "task.failed":
            error = entry.data.get("error", {})
            yield name, str(error.get("message", ""))[:MAX_ERROR], str(error.get("hint", ""))[:MAX_ERROR]
