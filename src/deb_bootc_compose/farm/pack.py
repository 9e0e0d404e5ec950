"""A finished tree as one file: every name, mode, owner, time, link and extended attribute, ids as seen from inside.

tar of a tools root packs and unpacks, inside: what a builder sent is opened where it reaches nothing but the new tree.
"""

from __future__ import annotations

from pathlib import Path

from debcore.errors import CommandFailed, Failure
from debroot.bootstrap import core_tools
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Store

#: tar(1): POSIX headers hold times to the nanosecond and extended attributes.
OPTIONS = ("--format=posix", "--xattrs", "--xattrs-include=*", "--numeric-owner")
TREE, HERE = "/run/tree", "/run/here"


def pack_tree(store: Store, root: Path, into: Path) -> None:
    """Write *root* (of the id map) to *into*, compressed by zstd. Errors: CommandFailed."""
    binds = (Bind(source=root, target=TREE),)
    box = Sandbox(lowers=core_tools(store).lowers(), binds=binds)
    argv = ["tar", "--create", "--file=-", "--directory", TREE, "--sort=name", "--zstd", *OPTIONS, "."]
    with into.open("wb") as file:
        run_in(box, argv, idmap=store.idmap, stdout=file)


def unpack_tree(store: Store, packed: Path, root: Path) -> None:
    """The reverse, into the empty directory *root*, owned by root inside. Errors: Failure if it is no such file."""
    binds = (Bind(source=root, target=TREE, readonly=False),)
    box = Sandbox(lowers=core_tools(store).lowers(), binds=binds)
    argv = ["tar", "--extract", "--file=-", "--directory", TREE, "--zstd", "--same-permissions", *OPTIONS]
    try:
        with packed.open("rb") as file:
            run_in(box, argv, idmap=store.idmap, stdin=file, capture=True)
    except CommandFailed as error:
        raise Failure(
            f"the tree that came from the farm cannot be unpacked: {error}", hint="is the disk full?"
        ) from error
