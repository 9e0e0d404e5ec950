"""The packages of the tree with the hashes that dpkg forgets: for whoever derives an image from this one."""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.dpkg import DEBS
from deb_bootc_compose.tree.spec import FinishOptions, State


def run(tree: Path, options: FinishOptions, state: State) -> None:
    del options
    files.write(tree, DEBS, state.debs)
