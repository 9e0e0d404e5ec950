"""Where overlayfs cannot do what is asked: the same on a full copy of what lies below.

With `userxattr` a directory of a lower layer cannot be renamed (EXDEV), and a store on another overlay or on NFS can
hold no upper directory at all. A copy uses reflinks where the disk has them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from debcore.errors import CommandFailed, HostFailed
from debcore.path import write_file
from debroot import owned
from debroot.emulate import NATIVE, Emulation, find_emulation
from debroot.idmap import IdMap
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.upper import find_uppers

if TYPE_CHECKING:
    from debroot.store import Layer, Package, Store

log = logging.getLogger(__name__)

#: strerror(EXDEV), as programs print it in the C locale.
CROSS_DEVICE = "Invalid cross-device link"

#: Files that a sandbox covers with its own, which a copy made in one would hold.
COVERED = ("etc/hosts", "etc/hostname", "etc/resolv.conf")

#: File beside a copy with the bytes that it had at first.
SIZE = "size"

COPY = "/tmp/copy"  # noqa: S108 -- inside the sandbox


def add_packages(
    store: Store,
    below: Layer,
    place: Path,
    packages: Sequence[Package],
    removed: Sequence[str] = (),
    *,
    command: Sequence[str] | None = None,
) -> tuple[Layer, ...]:
    """Install on *below*; the changes are `root` of the workplace *place* (made with `root` and `work`).

    Returns the layers that this root stands on: none if it had to become a whole copy. *command*: as install_on.
    Errors: CommandFailed.
    """
    from debroot.install import install_on

    if find_uppers(store) == "disk":
        try:
            install_on(store, below, place / "root", packages, removed, command=command)
        except CommandFailed as error:
            if CROSS_DEVICE not in error.output:
                raise
            log.info("Overlayfs cannot rename a directory of a lower layer: installing again on a full copy")
            owned.remove_names(place, ["root", "work"], store.idmap)
            owned.make_directories(place, ["root", "work"], store.idmap)
        else:
            return (*below.parents, below)
    copy_tree(below.lowers(), place / "root", store.idmap, emulation=find_emulation(store, below.arch))
    install_on(store, below, place / "root", packages, removed, flat=True, command=command)
    return ()


def copy_tree(lowers: Sequence[Path], target: Path, idmap: IdMap, *, emulation: Emulation = NATIVE) -> None:
    """What *lowers* (topmost first) show together, into the empty directory *target*. Errors: HostFailed."""
    try:
        if len(lowers) == 1:
            owned.copy_content(lowers[0], target, idmap)
            return
        bind = Bind(source=target, target=COPY, readonly=False)
        box = Sandbox(lowers=tuple(lowers), tmpfs=("/tmp",), binds=(bind,), emulation=emulation)  # noqa: S108
        script = f"set -e; cp -a -x --reflink=auto /. {COPY}/; cd {COPY}; for f in {' '.join(COVERED)}; do"
        script += ' [ ! -f "$f" ] || [ -L "$f" ] || : > "$f"; done'
        run_in(box, ["sh", "-c", script], idmap=idmap, capture=True)
    except CommandFailed as error:
        hint = "make room, or point DEBOOTC_STORE to a larger disk"
        raise HostFailed(f"a root cannot be copied: {error}", hint=hint) from error


@contextmanager
def copied(sandbox: Sandbox, store_path: Path, idmap: IdMap) -> Iterator[tuple[Path, int]]:
    """A whole copy of the sandbox's lowers in place of its overlay, and the bytes that it had at first; it lives as
    long as the upper, if there is one."""
    from debroot.store import Store

    store = Store.open(store_path, idmap=idmap)
    if sandbox.upper is None:
        with store.workplace("copy") as place:
            copy_tree(sandbox.lowers, place / "copy", idmap, emulation=sandbox.emulation)
            yield place / "copy", owned.measure_tree(place / "copy", idmap)
        return
    place = sandbox.upper.parent
    if not (place / "copy").exists():
        owned.remove_names(place, ["copying"], idmap)  # of a command that was killed
        owned.make_directories(place, ["copying"], idmap)
        copy_tree(sandbox.lowers, place / "copying", idmap, emulation=sandbox.emulation)
        (place / "copying").rename(place / "copy")
    if not (place / SIZE).exists():
        write_file(place / SIZE, str(owned.measure_tree(place / "copy", idmap)))
    yield place / "copy", int((place / SIZE).read_text())
