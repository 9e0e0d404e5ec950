"""What layers are, as values: exact packages, roots made of them, and names made of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from debroot.debfile import parse_fields, read_control


@dataclass(frozen=True, kw_only=True)
class Package:
    """One exact .deb."""

    name: str
    version: str
    arch: str
    sha256: str
    size: int = 0  #: bytes
    filename: str = ""  #: the archive's Filename field
    source: str | None = None  #: name of the source package, None if the same
    source_version: str | None = None  #: None if the same
    uri: str | None = None  #: where it can be fetched; None if only the pool has it

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies content: name, version, architecture and hash."""
        return self.name, self.version, self.arch, self.sha256


@dataclass(frozen=True)
class Layer:
    """An immutable root, or what was added to `parents`."""

    id: str
    path: Path  #: the layer's directory in the store; its tree is path/"root"
    parents: tuple[Layer, ...]  #: bottom first; empty for a base
    packages: tuple[Package, ...]  #: everything installed, parents included, sorted
    arch: str
    suite: str

    @property
    def root(self) -> Path:
        return self.path / "root"

    def lowers(self) -> tuple[Path, ...]:
        """For Sandbox.lowers: topmost first."""
        return (self.root, *(parent.root for parent in reversed(self.parents)))


@dataclass(frozen=True)
class StoreEntry:
    """One line of a listing."""

    kind: str  #: layer, root or leftover
    id: str
    suite: str
    arch: str
    size: int  #: bytes of its own tree
    used_at: float  #: seconds since the epoch
    in_use: bool
    packages: int
    parents: tuple[str, ...] = ()  #: ids of the layers that it stands on


def describe_deb(deb: Path, sha256: str) -> Package:
    """What the control file says. Errors: Failure if it is no .deb."""
    fields = parse_fields(read_control(deb))
    source, _, version = fields.get("source", "").partition(" ")
    return Package(
        name=fields["package"],
        version=fields["version"],
        arch=fields["architecture"],
        sha256=sha256,
        size=deb.stat().st_size,
        source=source or None,
        source_version=version.strip("() ") or None,
    )


def layer_id(what: dict[str, Any], packages: Sequence[Package]) -> str:
    """A name made of content: *what* and the sorted list of (name, version, architecture, SHA-256)."""
    content = {**what, "packages": sorted(package.key for package in packages)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
