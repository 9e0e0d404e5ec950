"""Compose a compose's own lock once more, from an empty store, and compare what comes out bit by bit.

The manifest is that of the compose, its files are those that it kept; .debs may come from the pool, since the lock
names them by hash. Nothing else is taken from it or from a compose beside it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from deb_bootc_compose.compose import Options, Started, load_started, start_compose
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.lock import Lock, load_lock
from deb_bootc_compose.manifest import Manifest, VariantSpec
from debcore.errors import Failure
from debcore.path import write_file
from debroot import owned
from debroot.bootstrap import find_core_tools
from debroot.store import Package, Store

#: The last task that makes something. What comes after it starts machines, or publishes.
LAST = "image"
#: They judge, and make nothing.
SKIP = ("lint", "replay")
PREFIX = ".verify-"


@dataclass(frozen=True)
class Row:
    """One output of one variant: what it is known by, in the compose and when it was composed again."""

    variant: str
    what: str
    before: str
    after: str

    @property
    def equal(self) -> bool:
        return self.before == self.after


def verify(
    directory: ComposeDirectory, *, compose: Callable[[ComposeDirectory], object], keep: bool = False
) -> list[Row]:
    """*compose* runs what is made ready. *keep*: what it made stays beside the compose, to be looked at.

    Errors: Failure if there is nothing to compare, if the lock's tools are no longer to be had, or composing fails.
    """
    started, lock = load_started(directory), load_lock(directory.lock_path)
    made = dict(outputs(directory))
    if not made:
        raise Failure(f"{directory.id} has made nothing to compare", hint="compose it first")
    place = directory.path.parent / f"{PREFIX}{directory.id}-{os.getpid()}"
    place.mkdir(mode=0o755)
    store = Store.open()
    try:
        manifest = own_manifest(started, directory, place)
        options = Options(
            hub=started.options.hub, token_file=started.options.token_file, hub_state=started.options.hub_state,
            until=LAST, skip=SKIP, previous="none",
        )  # fmt: skip
        link_debs(lock, store, Store.open(place / "store"))
        again = start_compose(manifest, place, options, lock=directory.lock_path)
        with using_store(place / "store"):
            compose(again)
        found = dict(outputs(again))
    finally:
        if not keep:
            owned.remove_tree(place, store.idmap)
    return [Row(*name, value, found.get(name, "nothing")) for name, value in made.items()]


def outputs(compose: ComposeDirectory) -> Iterator[tuple[tuple[str, str], str]]:
    """((NAME.ARCH, what), checksum) of each OSTree commit, container image and raw disk."""
    for task, value in read_results(compose.journal_path).items():
        kind, _, key = task.partition(".")
        if kind == "commit":
            yield (key, "commit"), value["commit"]
        elif kind == "container":
            yield (key, "container"), value["digest"]
        elif kind == "image":
            for image in value["images"]:
                if image["type"] == "raw":
                    yield (key, "raw disk"), f"sha256:{image['sha256']}"


def own_manifest(started: Started, directory: ComposeDirectory, place: Path) -> Manifest:
    """As the compose began: its files, its ledgers. Nobody is notified, and nothing is built."""
    manifest = started.manifest
    compose = manifest.compose.model_copy(update={"builds": (), "notifications": ()})
    return replace(
        manifest, compose=compose, specs=tuple(_own(spec, started, directory, place) for spec in manifest.specs)
    )


def _own(spec: VariantSpec, started: Started, directory: ComposeDirectory, place: Path) -> VariantSpec:
    files = tuple(
        file.model_copy(update={"source": str(directory.work / "files" / started.digests[file.source])})
        for file in spec.variant.add_files
    )
    changes: dict[str, object] = {"add_files": files}
    if (ledger := spec.variant.users.ledger) is not None:
        path = place / f"ids.{spec.name}.{spec.arch}"
        if text := started.digests[ledger]:
            write_file(path, text)
        changes["users"] = spec.variant.users.model_copy(update={"ledger": str(path)})
    return spec.model_copy(update={"variant": spec.variant.model_copy(update=changes)})


def link_debs(lock: Lock, store: Store, empty: Store) -> None:
    """The .debs of the lock and those of the first tools root, where the pool has them whole."""
    wanted = {one.sha256: one.package() for variant in lock.variants.values() for one in variant.installed.values()}
    wanted |= {one.sha256: one.package() for tools in lock.tools.values() for one in tools}
    if (core := find_core_tools(store, max_age=None)) is not None:
        wanted |= {package.sha256: package for package in core.packages}
    for package in wanted.values():
        _link(package, store, empty)


def _link(package: Package, store: Store, empty: Store) -> None:
    source, target = store.pool_path(package.sha256), empty.pool_path(package.sha256)
    if not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)


@contextmanager
def using_store(path: Path) -> Iterator[None]:
    """What runs meanwhile, and the programs that it starts, have the store at *path*."""
    before = os.environ.get("DEBOOTC_STORE")
    os.environ["DEBOOTC_STORE"] = str(path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["DEBOOTC_STORE"]
        else:
            os.environ["DEBOOTC_STORE"] = before
