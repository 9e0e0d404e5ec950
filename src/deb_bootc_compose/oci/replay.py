"""The strongest proof that needs no bootc: import the image as bootc would, and compare with the commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.ostree import Repository
from deb_bootc_compose.tree.outside import call
from debroot.sandbox import Bind


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
    with repository.store.workplace("scratch") as place:
        binds = [
            Bind(source=layout.absolute(), target="/layout"),
            Bind(source=repository.path, target="/repo"),
            Bind(source=place / "scratch", target="/scratch", readonly=False),
        ]
        arguments = {"commit": commit}
        function = "deb_bootc_compose.oci.importer:replay"
        made = call(repository.store, repository.tools, function, arguments, binds=binds, suppress_sync=True)
    return Comparison(made["equal"], tuple(made["differences"]), made["layers"])
