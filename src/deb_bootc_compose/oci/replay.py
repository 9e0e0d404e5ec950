"""The strongest proof that needs no bootc: import the image as bootc would, and compare with the commit."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deb_bootc_compose.oci import content, importer, tar
from deb_bootc_compose.ostree import Repository
from deb_bootc_compose.tree.outside import call
from debcore.path import write_file
from debroot.memory import open_scratch
from debroot.sandbox import Bind
from debroot.store import Layer, Store

#: Bytes that an import writes for each of a packed image: its content once, and its largest layer twice.
SPREAD = 8


@dataclass(frozen=True)
class Comparison:
    """Whether image and commit hold the same tree: names, modes, owners, attributes, content."""

    equal: bool
    differences: tuple[str, ...]  #: at most 50
    layers: int
    taken: int = 0  #: of them, what was imported before


def replay_import(repository: Repository, layout: Path, commit: str) -> Comparison:
    """Import *layout* into a scratch repository as bootc does, and compare the result with *commit* of *repository*.

    Errors: Failure if the layout is damaged or ostree refuses a layer.
    """
    kept = Kept(repository.store, repository.tools)
    known = kept.load(digests_of(layout))
    with open_scratch(repository.store, required=SPREAD * measure_blobs(layout)) as place:
        binds = [
            Bind(source=layout.absolute(), target="/layout"),
            Bind(source=repository.path, target="/repo"),
            Bind(source=place, target="/scratch", readonly=False),
        ]
        arguments = {"commit": commit, "known": known}
        function = "deb_bootc_compose.oci.importer:replay"
        made = call(repository.store, repository.tools, function, arguments, binds=binds, suppress_sync=True)
    kept.keep(made["made"])
    return Comparison(made["equal"], tuple(made["differences"]), made["layers"], made["taken"])


@dataclass(frozen=True)
class Kept:
    """What the import of single layers gave, for composes to come: bootc keeps layers that it has imported, too.

    It depends on the layer's bytes, on the ostree of *tools* and on our code alone. What is damaged is not there.
    """

    store: Store
    tools: Layer

    def load(self, digests: Iterable[str]) -> dict[str, Any]:
        found = {}
        for digest in digests:
            with suppress(OSError, ValueError, EOFError, zlib.error):
                path = self._path(digest)
                found[digest] = json.loads(gzip.decompress(path.read_bytes()))
                os.utime(path)  # gc removes what nobody asked for a while
        return found

    def keep(self, made: Mapping[str, Any]) -> None:
        for digest, value in made.items():
            write_file(self._path(digest), gzip.compress(json.dumps(value).encode(), 1, mtime=0))

    def _path(self, digest: str) -> Path:
        code = [Path(str(module.__file__)).read_bytes() for module in (importer, content, tar)]
        key = hashlib.sha256(b"\0".join((digest.encode(), self.tools.id.encode(), *code))).hexdigest()
        return self.store.path / "resolved" / f"layer-{key}"


def digests_of(layout: Path) -> list[str]:
    """Of the layers of the only image of *layout*. Errors: Failure if it is damaged."""
    return [str(layer["digest"]) for layer in importer.load_manifest(layout)[0]["layers"]]


def measure_blobs(layout: Path) -> int:
    """Bytes of all blobs of a layout."""
    return sum(path.stat().st_size for path in (layout / "blobs").glob("*/*"))
