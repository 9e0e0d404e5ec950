"""Roots from a lock: exactly its packages, by hash, or nothing. apt resolves nothing and no index is read."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from deb_mock.buildlog import BuildLog
from deb_mock.config import Choice
from deb_mock.order import Order
from deb_mock.outcome import translate_install
from deb_mock.recorder import Recorder
from deb_mock.roots import BuildRoot, find_sources
from debcore.errors import CommandFailed, ConfigError, DepsUnmet, Failure
from debcore.job import AptSource, Lock, LockedPackage
from debroot.bootstrap import base_id, core_tools, find_core_tools, make_layer
from debroot.extend import extend_layer, extended_id, plan_packages
from debroot.resolve import Resolution, fetch
from debroot.store import Layer, Package, Store

log = logging.getLogger(__name__)

#: Missing packages that a message names; the rest is a number.
NAMED = 12


class Supply(Protocol):
    """Brings .debs into the pool; what it cannot find stays missing."""

    def __call__(self, packages: Sequence[Package]) -> None: ...


def make_locked_root(order: Order, lock: Lock, store: Store, recorder: Recorder, build_log: BuildLog) -> BuildRoot:
    """The root of a build with a lock. Ends with environment.ready, which carries the lock's own hash."""
    if lock.arch != order.choice.arch:
        raise ConfigError("", f"the lock is for {lock.arch}, not {order.choice.arch}", hint=f"choose -r {lock.preset}")
    supply = None if order.offline else supply_by_address(store, lock, order.choice, extra=order.extra)
    build_log.subsection("Install package build dependencies")
    with recorder.running("root", f"Preparing the locked root: {len(lock.packages)} packages, {lock.sha256[:12]}"):
        try:
            root = open_locked(store, lock, supply=supply)
        except CommandFailed as error:
            build_log.line(error.output)
            raise translate_install(error) from error
        text = f"{root.installed} packages installed" if root.installed else "nothing to install: the layer exists"
        build_log.line(f"I: locked, {lock.sha256}: {len(lock.packages)} packages; {text}")
        recorder.environment_ready(lock, installed=root.installed)
    return root


@dataclass(frozen=True)
class Plan:
    """A lock as layers: the base's packages, and what is then added and removed."""

    base: tuple[Package, ...]
    change: Resolution


def plan_lock(lock: Lock) -> Plan:
    """Pure. Errors: Failure if the lock's two lists do not make a root."""
    added = tuple(_package(p) for p in lock.packages if p.role == "build-dep")
    base = tuple(_package(p) for p in (*(p for p in lock.packages if p.role == "base"), *lock.replaced))
    there = {package.name for package in lock.packages}
    removed = tuple(sorted({package.name for package in lock.replaced} - there))
    plan = Plan(tuple(sorted(base, key=lambda p: (p.name, p.arch))), Resolution(added, {}, removed))
    if len({(p.name, p.arch) for p in base}) != len(base):
        raise Failure("the lock names a package of the base root twice", hint="make a new one: deb-mock lock -o FILE")
    return plan


@dataclass(frozen=True)
class Present:
    """How much of a lock stands: its layers as far as they exist, and the .debs for those that do not."""

    plan: Plan
    base: Layer | None
    layer: Layer | None
    needed: tuple[Package, ...]


def find_locked(store: Store, lock: Lock) -> Present:
    """Errors: Failure if the lock makes no root."""
    plan = plan_lock(lock)
    key = base_id(plan.base, arch=lock.arch)
    base = store.find(key)
    wanted = plan_packages(Layer(key, store.path / "layers" / key, (), plan.base, lock.arch, lock.suite), plan.change)
    if {p.key for p in wanted} != {(p.name, p.version, p.arch, p.sha256) for p in lock.packages}:
        raise Failure("the lock does not make a root", hint="make a new one: deb-mock lock -o FILE")
    layer = store.find(extended_id(key, plan.base, wanted)) if plan.change.packages or plan.change.removed else base
    if base is not None and layer is not None:
        return Present(plan, base, layer, ())
    return Present(plan, base, None, plan.change.packages if base is not None else (*plan.base, *plan.change.packages))


def open_locked(store: Store, lock: Lock, *, supply: Supply | None) -> BuildRoot:
    """The root that *lock* describes. What the pool lacks *supply* brings; None: nothing is fetched.

    Errors: DepsUnmet naming each .deb that is missing and where it can be got; Failure on one with another hash.
    """
    there = find_locked(store, lock)
    base, layer = there.base, there.layer
    bring(store, there.needed, lock, supply)
    if base is None:
        tools = find_core_tools(store, max_age=None)
        base = make_layer(store, there.plan.base, suite=lock.suite, arch=lock.arch, tools=tools)
    if layer is None:
        layer = extend_layer(store, base, there.plan.change)
    return BuildRoot(base=base, layer=layer, lock=lock, installed=len(there.needed))


def check_locked(store: Store, lock: Lock) -> bool:
    """Whether the root of *lock* exists; False: it can be made without a network. Errors: as open_locked's."""
    there = find_locked(store, lock)
    bring(store, there.needed, lock, None)
    return there.layer is not None


def bring(store: Store, packages: Sequence[Package], lock: Lock, supply: Supply | None) -> None:
    """Have all *packages* in the pool, each with its hash."""
    if supply is not None and store.missing(packages):
        supply(store.missing(packages))
    missing = store.missing(packages)
    if missing:
        named = "; ".join(_describe(package) for package in missing[:NAMED])
        more = f"; and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DepsUnmet(f"{len(missing)} packages of the lock are not on this host: {named}{more}", hint=_where(lock))
    for package in packages:
        with store.pool_path(package.sha256).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != package.sha256:
            path = store.pool_path(package.sha256)
            raise Failure(
                f"{package.name} {package.version} has SHA-256 {digest}, the lock says {package.sha256}",
                hint=f"it was changed on this host: remove {path}, and fetch it again without --offline",
            )


def supply_by_address(store: Store, lock: Lock, choice: Choice, *, extra: Sequence[AptSource] = ()) -> Supply:
    """Fetches each .deb from the archive by the path that the lock gives, else from a snapshot by name and version.

    Whatever comes is believed only by its hash.
    """

    def supply(packages: Sequence[Package]) -> None:
        from deb_mock.exact import Exact, Search, search_snapshot

        for uri in [uri for source in find_sources(choice, extra=extra) for uri in source.uris]:
            named = [replace(p, uri=f"{uri.rstrip('/')}/{p.filename}") for p in store.missing(packages) if p.filename]
            try:
                fetch(store, named, tools=core_tools(store) if named else None)
            except Failure as error:
                log.debug("%s: %s", uri, error)
        for snapshot in choice.settings.archive.snapshots:
            wanted = tuple(Exact(p.name, p.version, p.arch) for p in store.missing(packages))
            search = Search(store, lock.arch, wanted)
            search_snapshot(search, snapshot, (), None)
            for said in search.said:
                log.debug("%s", said)

    return supply


def _package(locked: LockedPackage) -> Package:
    return Package(
        name=locked.name, version=locked.version, arch=locked.arch, sha256=locked.sha256, size=locked.size,
        filename=locked.filename, source=locked.source,
    )  # fmt: skip


def _describe(package: Package) -> str:
    return f"{package.name} {package.version} {package.arch} ({package.filename or 'no path known'})"


def _where(lock: Lock) -> str:
    archives = list(dict.fromkeys(release.uri for release in lock.releases))
    places = f" from {', '.join(archives)}" if archives else ""
    return f"fetch them{places} without --offline; archive.snapshots names archives that keep old versions"
