"""Commands of the user in a throw-away root, or in a named one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from deb_mock.attach import attach
from deb_mock.config import Choice
from deb_mock.plugins.around import root_hooks
from deb_mock.roots import find_sources, install_build, make_base, make_lock, resolve_build, wish_memory
from deb_mock.workspace import Workspace, open_workspace
from debcore.command import Completed
from debcore.job import AptSource, Lock
from debroot.store import Layer, Store

log = logging.getLogger(__name__)

#: Seconds that package lists may be old for a root in which nothing is built.
LOOKING_AROUND = 86400.0


def run_inside(
    choice: Choice,
    argv: Sequence[str],
    *,
    root: bool,
    tty: bool = False,
    build_deps: str | None = None,
    capture: bool = False,
) -> Completed:
    """Run *argv* in a fresh root of *choice* with the caller's streams, or captured; see attach."""
    store = Store.open()
    layer = make_base(store, choice, find_sources(choice), max_age=LOOKING_AROUND)
    if build_deps:
        layer, _ = open_dependencies(store, choice, build_deps)
    with open_workspace(store, layer, memory=wish_memory(choice)) as space:
        say_placed(space, choice)
        with root_hooks(choice, space, shell=tty) as done:
            done.append(attach(space, argv, root=root, tty=tty, capture=capture))
        return done[0]


def say_placed(space: Workspace, choice: Choice) -> None:
    """Where the root lies, if that is not as it was wished."""
    if space.placed.reason:
        level = logging.WARNING if choice.settings.root.tmpfs == "yes" else logging.INFO
        log.log(level, "The root does not lie in memory: %s", space.placed.reason)


def run_in_named(
    name: str | None,
    argv: Sequence[str],
    *,
    preset: str | None,
    arch: str | None,
    options: Sequence[str],
    as_root: bool,
    tty: bool = False,
    capture: bool = False,
) -> Completed:
    """The same in a named root, whose changes stay; it is made if it is missing."""
    from deb_mock.named import choose_root, open_root

    store = Store.open()
    choice, chosen = choose_root(store, name=name, preset=preset, arch=arch, options=options)
    memory = wish_memory(choice)
    with (
        open_root(store, choice, chosen) as root,
        open_workspace(store, root.below, upper=root.upper, memory=memory) as space,
    ):
        say_placed(space, choice)
        with root_hooks(choice, space, shell=tty, name=chosen) as done:
            done.append(attach(space, argv, root=as_root, tty=tty, capture=capture))
        return done[0]


def run_in_failed(argv: Sequence[str], *, root: bool, tty: bool = False, capture: bool = False) -> Completed:
    """The same in the newest kept root of a failed build, where that left it; changes stay."""
    from deb_mock.failed import choose_kept, find_place, open_failed

    store = Store.open()
    kept = choose_kept(store)
    log.info("%s %s, which failed: %s", kept.about["source"], kept.about["version"], kept.about["error"])
    with open_failed(store, kept) as space:
        cwd = find_place(space, kept.about["tree"])
        return attach(space, argv, root=root, tty=tty, cwd=cwd, capture=capture)


def open_dependencies(store: Store, choice: Choice, what: str) -> tuple[Layer, Lock]:
    """The layer with the build dependencies of *what* (as for `deb-mock build`), and its lock."""
    # Only this needs python-debian: a plain `run` starts sooner without it.
    from deb_mock.acquire import acquire
    from deb_mock.source import find_source

    with store.scratch() as scratch:
        fields = acquire(store, find_source(what), choice, scratch).found.fields
    return make_dependencies(store, choice, fields)


def make_dependencies(
    store: Store,
    choice: Choice,
    fields: Mapping[str, str],
    *,
    extra: Sequence[AptSource] = (),
    debs: Sequence[Path] = (),
) -> tuple[Layer, Lock]:
    """The layer with the build dependencies in *fields* of a control file and what plugins want, and its lock.

    *extra*: apt sources beside the preset's; *debs*: packages on this host that come before the archive's.
    """
    from deb_mock.buildtype import TYPES, reduce_for_parts
    from deb_mock.offer import offer_debs
    from deb_mock.plugins.registry import plugin_packages

    sources = find_sources(choice, extra=extra)
    base = make_base(store, choice, sources)
    build = choice.settings.build
    depends, conflicts = reduce_for_parts(fields, TYPES[build.type], arch=choice.host_arch, profiles=build.profiles)
    depends = ", ".join(filter(None, [depends, *plugin_packages(choice)]))
    resolution = resolve_build(store, choice, sources, base, depends, conflicts, debs=offer_debs(store, debs))
    layer, _ = install_build(store, base, resolution)
    return layer, make_lock(choice, base, layer, resolution)
