"""Metadata documents. composeinfo and images are productmd's (1.2), which `productmd` loads; the others are ours.

Source: productmd's documentation of composeinfo and images, version 1.2.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deb_bootc_compose.directory import COMPOSE_ID
from deb_bootc_compose.lock import Lock
from deb_bootc_compose.records import origins

#: Stage of a package → what debs.json calls its origin.
ORIGINS = {"derived": "base", "base": "archive", "archive": "archive", "hub": "hub"}

#: productmd knows RPM's names of architectures; Debian's that are among them keep theirs.
ARCH_NAMES: Mapping[str, str] = {"ppc64el": "ppc64le", "armhf": "armhfp", "loong64": "loongarch64"}


#: productmd's (type, format) where our word is another.
IMAGE_TYPES: Mapping[str, tuple[str, str]] = {"vhd": ("vpc", "vhd")}


def arch_name(arch: str) -> str:
    return ARCH_NAMES.get(arch, arch)


def header(kind: str) -> dict[str, str]:
    return {"type": f"productmd.{kind}", "version": "1.2"}


def compose_part(compose_id: str, kind: Mapping[str, Any]) -> dict[str, Any]:
    match = COMPOSE_ID.fullmatch(compose_id)
    if match is None:
        raise ValueError(f"{compose_id!r} is no compose id")
    part = {"id": compose_id, "type": kind["type"], "date": match["date"], "respin": int(match["respin"])}
    return part | ({"label": kind["label"]} if kind["label"] else {})


def composeinfo(
    compose_id: str, release: Mapping[str, Any], kind: Mapping[str, Any], variants: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variant in variants.values():
        uid = title(variant["name"])
        one = found.setdefault(
            uid, {"id": uid, "uid": uid, "name": uid, "type": "variant", "arches": [], "paths": {"images": {}}}
        )
        arch = arch_name(variant["arch"])
        one["arches"].append(arch)
        one["paths"]["images"][arch] = f"{variant['name']}/{variant['arch']}/images"
    full = {
        "internal": False,
        "is_layered": False,
        **{key: release[key] for key in ("name", "short", "version", "type")},
    }
    return {
        "header": header("composeinfo"),
        "payload": {"compose": compose_part(compose_id, kind), "release": full, "variants": found},
    }


def title(name: str) -> str:
    """A variant's id in productmd's grammar: letters and digits."""
    return "".join(part.title() for part in name.split("-"))


def images(
    compose_id: str,
    kind: Mapping[str, Any],
    variants: Mapping[str, Mapping[str, Any]],
    disks: Mapping[str, Sequence[Mapping[str, Any]]],
    containers: Mapping[str, Mapping[str, Any]],
    *,
    mtime: int,
) -> dict[str, Any]:
    """*disks* and *containers* by NAME.ARCH; *mtime* in seconds."""
    found: dict[str, Any] = {}
    for key, variant in variants.items():
        uid, arch = title(variant["name"]), arch_name(variant["arch"])
        entries = []
        for disk in disks.get(key, ()):
            names = IMAGE_TYPES.get(disk["type"], (disk["type"], disk["type"]))
            entries.append(_image(disk["path"], disk["size"], disk["sha256"], names[0], names[1], uid, arch, mtime))
        if key in containers:
            one = containers[key]
            entries.append(
                _image(one["path"], one["size"], one["digest"].removeprefix("sha256:"), "bootable-container",
                       "ociarchive", uid, arch, mtime)
            )  # fmt: skip
        if entries:
            found.setdefault(uid, {})[arch] = entries
    return {"header": header("images"), "payload": {"compose": compose_part(compose_id, kind), "images": found}}


def _image(
    path: str, size: int, sha256: str, kind: str, format_: str, subvariant: str, arch: str, mtime: int
) -> dict[str, Any]:
    return {
        "path": path.removeprefix("compose/"), "mtime": mtime, "size": size, "volume_id": None, "type": kind,
        "format": format_, "arch": arch, "disc_number": 1, "disc_count": 1, "checksums": {"sha256": sha256},
        "implant_md5": None, "bootable": kind != "bootable-container", "subvariant": subvariant,
    }  # fmt: skip


def debs(
    compose_id: str, kind: Mapping[str, Any], lock: Lock, variants: Mapping[str, Mapping[str, Any]],
    installed: Mapping[str, int] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Source package → binary package, for each variant and architecture.

    *installed*: bytes that a package takes once it is installed, by the SHA-256 of its .deb, where it is known.
    """
    sizes = installed or {}
    found: dict[str, Any] = {}
    for key, variant in variants.items():
        stages = {p.key: stage for stage, packages in lock.variants[key].stages.items() for p in packages}
        sources: dict[str, Any] = {}
        for package in lock.variants[key].installed.values():
            source = f"{package.source or package.name}_{package.source_version or package.version}"
            binary = f"{package.name}_{package.version}_{package.arch}"
            sources.setdefault(source, {})[binary] = {
                "sha256": package.sha256, "size": package.size, "origin": ORIGINS[stages[package.key]],
                "installed_size": sizes.get(package.sha256),
            }  # fmt: skip
        found.setdefault(variant["name"], {})[variant["arch"]] = sources
    part = compose_part(compose_id, kind)
    return {"header": {"type": "deb-bootc.debs", "version": "1.0"}, "payload": {"compose": part, "debs": found}}


def builds(
    compose_id: str, kind: Mapping[str, Any], lock: Lock, variants: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Where each .deb comes from: its build in the hub (null: not known), or the archive's Release files."""
    found: dict[str, Any] = {}
    for key, variant in variants.items():
        found.setdefault(variant["name"], {})[variant["arch"]] = {
            f"{package.name}_{package.version}_{package.arch}": {"sha256": package.sha256, **origin}
            for package, origin in origins(lock, key, records)
        }
    hub = lock.hub.model_dump(mode="json") if lock.hub else None
    part = compose_part(compose_id, kind)
    payload = {"compose": part, "hub": hub, "releases": lock.releases, "builds": found}
    return {"header": {"type": "deb-bootc.builds", "version": "1.0"}, "payload": payload}


def layers(compose_id: str, kind: Mapping[str, Any], containers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found = {
        key: {"digest": value["digest"], "path": value["path"], "layers": value["layers"]}
        for key, value in containers.items()
    }
    part = compose_part(compose_id, kind)
    return {"header": {"type": "deb-bootc.layers", "version": "1.0"}, "payload": {"compose": part, "layers": found}}


def tests(
    compose_id: str,
    kind: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """A test that did not pass has stopped the compose; one that is not here was not asked for, or skipped.

    *results* and *records* (what a gate saw: steps, checks, boots) by test and NAME.ARCH. `rollback` is a part of what
    `update` does, with a verdict of its own.
    """
    found: dict[str, dict[str, Any]] = {}
    for test, by_key in results.items():
        found[test] = {}
        for key, value in by_key.items():
            verdict = {"verdict": "passed" if value.get("applicable", True) else "not applicable", **value}
            record = records.get(test, {}).get(key)
            found[test][key] = verdict | ({"record": record} if record is not None else {})
            if test == "update" and value.get("rollback", False):
                found.setdefault("rollback", {})[key] = {"verdict": "passed", "record": "update"}
    part = compose_part(compose_id, kind)
    return {"header": {"type": "deb-bootc.tests", "version": "1.0"}, "payload": {"compose": part, "tests": found}}


def commits(
    compose_id: str, kind: Mapping[str, Any], lock: Lock, made: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The OSTree commit of each variant, and what it follows: machines that have that one update to this one."""
    parents = lock.parents or {}
    names = ("commit", "ref", "version", "key")
    found = {
        key: {name: value[name] for name in names}
        | {"parent": parents[key].model_dump(mode="json") if key in parents else None, "lock": lock.content}
        for key, value in made.items()
    }
    part = compose_part(compose_id, kind)
    return {"header": {"type": "deb-bootc.commits", "version": "1.0"}, "payload": {"compose": part, "commits": found}}


def checksums(root: Path, *, leave_out: Sequence[str], known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(path below *root*, SHA-256) of every file, sorted; directories called *leave_out* check themselves.

    *known*: hashes that were taken when the files were made, by path: large ones are not read again.
    """
    paths: list[Path] = []
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in leave_out)
        paths += [Path(directory, name) for name in files if name != "SHA256SUMS"]
    for path in sorted(paths):
        name = str(path.relative_to(root))
        if name in known:
            yield name, known[name]
            continue
        with path.open("rb") as file:
            yield name, hashlib.file_digest(file, "sha256").hexdigest()
