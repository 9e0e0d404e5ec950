"""Making roots with mmdebstrap in the sandbox: no network but loopback, a local repository of exactly the .debs."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Literal

from debcore.command import find_program, run
from debcore.errors import HostFailed
from debcore.job import AptSource
from debcore.path import write_file
from debroot.install import bootstrap_into
from debroot.resolve import Resolution, fetch, resolve, resolve_with_host
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.sources import find_host_sources
from debroot.store import Layer, Package, Store, layer_id

log = logging.getLogger(__name__)

Variant = Literal["buildd", "essential", "minbase", "apt"]

#: Version of how roots are made; part of every base layer's key.
RECIPE = 2

#: What each variant asks apt for. Source: mmdebstrap(1), section VARIANTS.
VARIANTS: dict[Variant, tuple[str, ...]] = {
    "essential": ("?essential",),
    "apt": ("?essential", "apt"),
    "minbase": ("?essential", "?priority(required)", "apt"),
    "buildd": ("?essential", "apt", "build-essential"),
}

#: Suite of the root whose apt resolves and whose mmdebstrap bootstraps, and what it has beside apt.
CORE_SUITE = "trixie"
CORE_PACKAGES = ("mmdebstrap", "mount", "ca-certificates", "dpkg-dev", "gpgv", "zstd", "xz-utils")

#: Seconds after which a tools root is resolved anew; it is remade only if its packages have changed.
TOOLS_AGE = 7 * 86400.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a base root is made of. `sources` say where it comes from and are not part of its identity."""

    suite: str
    arch: str
    variant: Variant = "buildd"
    include: tuple[str, ...] = ()
    sources: tuple[AptSource, ...]


def make_base(store: Store, recipe: Recipe, *, max_age: float = 0.0) -> Layer:
    """Resolve, fetch, bootstrap; or the layer that exists. Errors: DepsUnmet, CommandFailed, HostFailed."""
    tools = core_tools(store)
    wanted = (*VARIANTS[recipe.variant], *recipe.include)
    resolution = resolve(
        store, sources=recipe.sources, arch=recipe.arch, install=wanted, max_age=max_age, tools=tools
    )  # fmt: skip
    return make_layer(store, resolution.packages, suite=recipe.suite, arch=recipe.arch, tools=tools)


def base_id(packages: Sequence[Package], *, arch: str) -> str:
    """The name that the base layer of exactly *packages* has, or would have."""
    return layer_id({"recipe": RECIPE, "arch": arch}, packages)


def make_layer(store: Store, packages: Sequence[Package], *, suite: str, arch: str, tools: Layer | None) -> Layer:
    """The base layer of exactly *packages*."""
    key = base_id(packages, arch=arch)
    if (found := store.find(key)) is not None:
        return found
    with store.making(f"layer-{key}"):
        if (found := store.find(key)) is not None:
            return found
        fetch(store, packages, tools=tools)
        log.info("Making a root of %s with %d packages", suite, len(packages))
        with store.workplace("root") as place:
            bootstrap_into(store, place / "root", packages, suite=suite, arch=arch, tools=tools)
            return store.commit_layer(place, Layer(key, place, (), tuple(packages), arch, suite))


def open_root(
    store: Store,
    *,
    sources: Sequence[AptSource],
    suite: str,
    arch: str,
    variant: Variant = "buildd",
    packages: Sequence[str] = (),
    max_age: float = 0.0,
) -> Layer:
    """A root of *suite* with *packages* (apt-get's syntax) on top of the variant's base, cached by content.

    *max_age*: seconds for which the indexes are not checked again. Variants without apt cannot have *packages*.
    """
    started = time.monotonic()
    base = make_base(store, Recipe(suite=suite, arch=arch, variant=variant, sources=tuple(sources)), max_age=max_age)
    if not packages:
        return base
    checked = time.monotonic() - started + 10  # the indexes were checked for the base, and both must see the same
    resolution = resolve(store, sources=sources, arch=arch, base=base, install=packages, max_age=max(max_age, checked))
    return store.extend(base, resolution)


def tools_root(store: Store, *, suite: str = CORE_SUITE, packages: Sequence[str] = ()) -> Layer:
    """A root with programs of *suite* for the host's own architecture, from the host's mirror.

    Use: `run_in(Sandbox(lowers=tools_root(store, packages=["skopeo"]).lowers(), binds=…), ["skopeo", …])`.
    Its packages are looked up anew once a week.
    """
    if not packages and suite == CORE_SUITE:
        return core_tools(store)
    name = _tools_name(suite, packages)
    if (found := _find_tools(store, name)) is not None:
        return found
    sources = find_host_sources(suite)
    layer = open_root(store, sources=sources, suite=suite, arch=host_arch(), variant="apt", packages=packages)
    _remember_tools(store, name, layer)
    return layer


def foreign_files(store: Store, below: Layer, *, suite: str, arch: str, packages: Sequence[str]) -> Layer:
    """*below* with the files of *packages* of another architecture unpacked over it: data for its programs to read.

    Nothing is installed or run: of what apt names only the packages asked for are taken. Looked up anew once a week.
    Errors: DepsUnmet, Failure.
    """
    name = _tools_name(f"{suite}-{arch}-{below.id[:12]}", packages)
    if (found := _find_tools(store, name)) is not None:
        return found
    resolution = resolve(store, sources=find_host_sources(suite), arch=arch, install=packages, max_age=TOOLS_AGE)
    chosen = tuple(package for package in resolution.packages if package.name in packages)
    fetch(store, chosen)
    key = layer_id({"unpacked": RECIPE, "arch": arch, "below": below.id}, chosen)
    with store.making(f"layer-{key}"):
        if (found := store.find(key)) is None:
            with store.workplace("root") as place:
                binds = [Bind(source=place / "root", target="/run/out", readonly=False)]
                binds += [Bind(source=store.pool_path(p.sha256), target=f"/run/debs/{p.sha256}") for p in chosen]
                script = 'umask 022; for deb in /run/debs/*; do dpkg-deb -x "$deb" /run/out || exit 1; done'
                box = Sandbox(lowers=core_tools(store).lowers(), binds=tuple(binds))
                run_in(box, ["sh", "-c", script], idmap=store.idmap, capture=True)
                merged = tuple(sorted({*below.packages, *chosen}, key=lambda package: package.key))
                layer = Layer(key, place, (*below.parents, below), merged, below.arch, suite)
                found = store.commit_layer(place, layer)
    _remember_tools(store, name, found)
    return found


def core_tools(store: Store) -> Layer:
    """The root whose apt resolves and whose mmdebstrap bootstraps: the only one that the host's own apt makes."""
    if (found := find_core_tools(store)) is not None:
        return found
    for program, package in (("apt-get", "apt"), ("mmdebstrap", "mmdebstrap")):
        if find_program(program) is None:
            raise HostFailed(f"{program} is not installed", hint=f"sudo apt install {package}")
    arch = host_arch()
    with store.making("tools-core"):
        if (found := find_core_tools(store)) is not None:
            return found
        log.info("Making the tools root (once)")
        wanted = (*VARIANTS["apt"], *CORE_PACKAGES)
        sources = find_host_sources(CORE_SUITE)
        resolution: Resolution = resolve_with_host(store, sources=sources, arch=arch, install=wanted)
        layer = make_layer(store, resolution.packages, suite=CORE_SUITE, arch=arch, tools=None)
        _remember_tools(store, _tools_name(CORE_SUITE, CORE_PACKAGES), layer)
        return layer


def find_core_tools(store: Store, *, max_age: float | None = TOOLS_AGE) -> Layer | None:
    """*max_age* in seconds; None: any, for work without a network."""
    return _find_tools(store, _tools_name(CORE_SUITE, CORE_PACKAGES), max_age)


@cache
def host_arch() -> str:
    """dpkg's name of this machine's architecture."""
    return run(["dpkg", "--print-architecture"]).text.strip()


def _tools_name(suite: str, packages: Sequence[str]) -> str:
    content = json.dumps([RECIPE, *sorted(packages)])
    return f"{suite}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _find_tools(store: Store, name: str, max_age: float | None = TOOLS_AGE) -> Layer | None:
    with suppress(OSError, ValueError, KeyError):
        note = json.loads((store.path / "resolved" / f"tools-{name}").read_text())
        if max_age is None or 0 <= time.time() - note["at"] < max_age:
            return store.find(note["layer"])
    return None


def _remember_tools(store: Store, name: str, layer: Layer) -> None:
    write_file(store.path / "resolved" / f"tools-{name}", json.dumps({"at": time.time(), "layer": layer.id}))
