"""The strongest proof that needs no bootc: import the image as bootc would, and compare with the commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.ostree import Repository
from deb_bootc_compose.tree.outside import call
from debroot.memory import open_scratch
from debroot.sandbox import Bind

#: Bytes that an import writes for each of a packed image: its content once, and its largest layer twice.
SPREAD = 8


@dataclass(frozen=True)
class Comparison:
    """Whether image and commit hold the same tree: names, modes, owners, attributes, content."""

    equal: bool
    differences: tuple[str, ...]  #: at most 50
    layers: int


def replay_import(repository: Repository, layout: Path, commit: str) -> Comparison:
    """Import *layout* into a scratch repository as bootc does, and compare the result with *commit* of *repository*.

    Errors: Failure if the layout is damaged or ostree refuses a layer.
    """
    with open_scratch(repository.store, required=SPREAD * measure_blobs(layout)) as place:
        binds = [
            Bind(source=layout.absolute(), target="/layout"),
            Bind(source=repository.path, target="/repo"),
            Bind(source=place, target="/scratch", readonly=False),
        ]
        arguments = {"commit": commit}
        function = "deb_bootc_compose.oci.importer:replay"
        made = call(repository.store, repository.tools, function, arguments, binds=binds, suppress_sync=True)
    return Comparison(made["equal"], tuple(made["differences"]), made["layers"])


def measure_blobs(layout: Path) -> int:
    """Bytes of all blobs of a layout."""
    return sum(path.stat().st_size for path in (layout / "blobs").glob("*/*"))
