"""Full system trees from an exact list of packages: mmdebstrap with maintainer scripts, offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from debroot.bootstrap import core_tools
from debroot.install import TREE_HOOK, bootstrap_into
from debroot.store import Package, Store


def make_tree(
    store: Store,
    target: Path,
    packages: Sequence[Package],
    *,
    suite: str,
    arch: str,
    dpkg_options: Sequence[str] = (),
    source_date_epoch: int | None = None,
    log: Path | None = None,
) -> None:
    """Install exactly *packages* (all in the pool, see resolve.fetch) into the empty directory *target*.

    *target* is owned by root inside, as Store.throwaway() gives it. *dpkg_options* are lines of dpkg.cfg(5) without
    the dashes, such as `path-exclude=/usr/share/man/*`. *log* gets what mmdebstrap prints.
    The tree has no apt sources, no /etc/hostname, no /etc/hosts. Errors: CommandFailed, DepsUnmet.
    """
    bootstrap_into(
        store, target, packages, suite=suite, arch=arch, tools=core_tools(store), hook=TREE_HOOK,
        dpkg_options=dpkg_options, source_date_epoch=source_date_epoch, output=log,
    )  # fmt: skip
