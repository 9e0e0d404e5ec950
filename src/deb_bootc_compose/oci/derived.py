"""The image of a derivative: the layers of its base byte for byte, and what the tree has otherwise.

Inside the sandbox; standard library only. Source: OCI image-spec 1.1, layer.md, Change Types and Whiteouts.
"""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deb_bootc_compose.oci.content import MOUNT_POINTS, hash_file, read_xattrs
from deb_bootc_compose.tree import files
from debcore.errors import Failure

#: Labels and annotations of the base that speak of the base itself.
OF_ITSELF = ("org.opencontainers.image.", "version")
CREATED_BY = "deb-bootc-compose "


@dataclass(frozen=True)
class Below:
    """The base's image. `layers` as in layers.json."""

    layers: tuple[dict[str, Any], ...]
    history: tuple[dict[str, Any], ...]
    labels: dict[str, str]


NOTHING = Below((), (), {})


@dataclass(frozen=True)
class Change:
    """What a tree has other than the one below: names to be in a layer (None: all), names to be hidden."""

    names: frozenset[str] | None
    hidden: frozenset[str]


def load_base(layout: Path, digest: str) -> Below:
    """The image *digest* of *layout*, whose blobs were checked when it was taken."""
    manifest = _read(layout, digest)
    config = _read(layout, manifest["config"]["digest"])
    history = tuple(one for one in config.get("history", ()) if not one.get("empty_layer"))
    layers = []
    for number, (layer, diff_id) in enumerate(zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)):
        said = history[number].get("created_by", "") if number < len(history) else ""
        name = said.removeprefix(CREATED_BY) if said.startswith(CREATED_BY) else f"{number:02d}"
        layers.append({
            "name": f"base/{name.removeprefix('base/')}", "diff_id": diff_id.removeprefix("sha256:"),
            "digest": layer["digest"].removeprefix("sha256:"), "media_type": layer["mediaType"],
            "size": layer["size"], "reused": True,
        })  # fmt: skip
    labels = {k: v for k, v in (config["config"].get("Labels") or {}).items() if not k.startswith(OF_ITSELF)}
    return Below(tuple(layers), history, labels)


def _read(layout: Path, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes())
    return found


def copy_layers(below: Below, layout: Path, out: Path) -> Iterator[dict[str, Any]]:
    """Put the blobs of the base into *out*. Errors: Failure if one is not its name."""
    for layer in below.layers:
        target = out / "blobs/sha256" / layer["digest"]
        shutil.copyfile(layout / "blobs/sha256" / layer["digest"], target)
        target.chmod(0o644)
        if hash_file(target) != layer["digest"]:
            raise Failure(
                f"the base's layer {layer['name']} is damaged", hint="remove it from the store, compose again"
            )
        yield layer


def compare(tree: Path, below: Path) -> Change:
    """Times do not count: an image has none. All names of a file are named if one of them is."""
    entries = {entry.name: entry for entry in _walk(tree)}
    before = {entry.name: entry for entry in _walk(below)}
    changed = {name for name, entry in entries.items() if name not in before or _differs(entry, before[name])}
    links: dict[tuple[int, int], set[str]] = {}
    for name, entry in entries.items():
        if entry.is_file and entry.stat.st_nlink > 1:
            links.setdefault((entry.stat.st_dev, entry.stat.st_ino), set()).add(name)
    for group in links.values():
        if group & changed:
            changed |= group
    # What became something else is hidden first: a layer cannot turn a directory into a file.
    gone = {name for name in before if name not in entries or before[name].is_dir is not entries[name].is_dir}
    hidden = frozenset(name for name in gone if name.rpartition("/")[0] not in gone)
    return Change(frozenset(changed), hidden)


def _walk(tree: Path) -> Iterator[files.Entry]:
    return (e for e in files.walk(tree) if e.name.split("/")[0] not in MOUNT_POINTS or "/" not in e.name)


def _differs(one: files.Entry, other: files.Entry) -> bool:
    mine, theirs = one.stat, other.stat
    if stat.S_IFMT(mine.st_mode) != stat.S_IFMT(theirs.st_mode):
        return True
    if (mine.st_uid, mine.st_gid) != (theirs.st_uid, theirs.st_gid):
        return True
    if one.is_link:
        return files.read_link(one.path) != files.read_link(other.path)
    if stat.S_IMODE(mine.st_mode) != stat.S_IMODE(theirs.st_mode) or read_xattrs(one.path) != read_xattrs(other.path):
        return True
    return one.is_file and (mine.st_size != theirs.st_size or not files.has_same_bytes(one.path, other.path))
