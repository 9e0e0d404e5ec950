"""From settings to roots: apt sources, the base layer, the layer with a build's dependencies, and their lock."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from deb_mock.config import Choice
from deb_mock.settings import ExtraSource
from debcore.errors import ConfigError, DepsUnmet
from debcore.job import AptSource, Lock, LockedPackage, LockedRelease
from debroot import bootstrap
from debroot.bootstrap import Recipe
from debroot.memory import Memory
from debroot.resolve import Resolution, resolve
from debroot.sources import armour, find_host_sources
from debroot.store import Layer, Package, Store

#: Seconds within which the indexes are not checked again: making the base root has just done it.
JUST_CHECKED = 60.0


@dataclass(frozen=True)
class BuildRoot:
    """A root for one build: the layer to build on, the base below it, and what apt chose."""

    base: Layer
    layer: Layer
    lock: Lock
    installed: int  #: packages that had to be installed now; 0 if the layer was there


def find_sources(choice: Choice, *, source: bool = False, extra: Sequence[AptSource] = ()) -> tuple[AptSource, ...]:
    """apt sources of *choice*: the configured mirror or the host's, then the extra ones. *source*: deb-src too."""
    archive = choice.settings.archive
    if archive.mirror:
        found = _configured(choice, source=source)
    else:
        found = find_host_sources(choice.suite, security=archive.security, updates=archive.updates, source=source)
        if archive.components != ("main",):
            found = tuple(entry.model_copy(update={"components": archive.components}) for entry in found)
    found = (found[0].model_copy(update={"suites": (*found[0].suites, *archive.suites)}), *found[1:])
    if archive.debug:
        found = (*found, _debug_source(choice, found[0]))
    if not archive.check_valid_until:
        found = tuple(entry.model_copy(update={"check_valid_until": False}) for entry in found)
    return (*found, *(_extra(entry) for entry in archive.extra), *extra)


def _configured(choice: Choice, *, source: bool) -> tuple[AptSource, ...]:
    archive, suite = choice.settings.archive, choice.suite
    keyring = Path(archive.keyring or "/usr/share/keyrings/debian-archive-keyring.gpg")
    types: tuple[str, ...] = ("deb", "deb-src") if source else ("deb",)
    common = {"components": archive.components, "types": types, "signed_by": load_key(keyring)}
    suites = (suite, f"{suite}-updates") if archive.updates else (suite,)
    found = [AptSource.model_validate({"uris": (archive.mirror,), "suites": suites, **common})]
    if archive.security:
        if not archive.security_mirror:
            hint = "name one, or say --set archive.security=false if the suite has no security support"
            raise ConfigError(
                "archive.security_mirror", "archive.mirror is set, but not the security mirror", hint=hint
            )
        security = {"uris": (archive.security_mirror,), "suites": (f"{suite}-security",), **common}
        found.append(AptSource.model_validate(security))
    return tuple(found)


def _debug_source(choice: Choice, main: AptSource) -> AptSource:
    """Where the -dbgsym packages of *main* are. Debian's mirrors have them beside /debian, in /debian-debug."""
    archive = choice.settings.archive
    uris = (archive.debug_mirror,) if archive.debug_mirror else tuple(f"{uri.rstrip('/')}-debug" for uri in main.uris)
    if not archive.debug_mirror and any(not uri.endswith("/debian-debug") for uri in uris):
        hint = "name the archive of the debug packages: --set archive.debug_mirror=URI"
        raise ConfigError("archive.debug_mirror", f"{main.uris[0]} does not end in /debian", hint=hint)
    suites = tuple(f"{suite}-debug" for suite in (choice.suite, *archive.suites))
    return main.model_copy(update={"uris": uris, "suites": suites})


def _extra(entry: ExtraSource) -> AptSource:
    return AptSource(
        uris=entry.uris,
        suites=entry.suites,
        components=entry.components,
        signed_by=load_key(Path(entry.signed_by)) if entry.signed_by else None,
        trusted=entry.trusted,
        pin=entry.pin,
    )


def load_key(path: Path) -> str:
    """The keyring at *path* as ASCII armour. Errors: ConfigError if it cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), f"keyring cannot be read: {error.strerror}") from error
    if raw.startswith(b"-----BEGIN"):
        return raw.decode("ascii", "replace")
    return armour(raw)


def make_base(store: Store, choice: Choice, sources: Sequence[AptSource], *, max_age: float = 0) -> Layer:
    """The base root of *choice*, made if it is missing.

    *max_age*: seconds for which package lists are not checked again; the setting `archive.max_age` wins.
    """
    root = choice.settings.root
    recipe = Recipe(
        suite=choice.suite, arch=choice.arch, variant=root.variant, include=root.packages, sources=tuple(sources)
    )
    given = choice.settings.archive.max_age
    return bootstrap.make_base(store, recipe, max_age=max_age if given is None else given)


def wish_memory(choice: Choice) -> Memory:
    """What the settings say of throw-away roots in memory."""
    root = choice.settings.root
    return Memory(wish=root.tmpfs, required=root.required_ram_mb << 20, most=root.max_fs_size)


def open_tarball(store: Store, choice: Choice, tarball: Path) -> Layer:
    """The root in *tarball* as the base. Errors: ConfigError."""
    from debroot.tarball import import_tarball

    return import_tarball(store, tarball, arch=choice.arch, suite=choice.suite)


def has_dependencies(store: Store, layer: Layer, depends: str, conflicts: str) -> bool:
    """Whether dpkg-checkbuilddeps of *layer* is content: then no apt is needed, and no archive."""
    from debroot.emulate import find_emulation
    from debroot.sandbox import Sandbox, run_in

    argv = ["dpkg-checkbuilddeps", "-d", depends, "-c", conflicts, "/dev/null"]
    box = Sandbox(lowers=layer.lowers(), emulation=find_emulation(store, layer.arch))
    return run_in(box, argv, idmap=store.idmap, check=False, capture=True).status == 0


def resolve_build(
    store: Store,
    choice: Choice,
    sources: Sequence[AptSource],
    base: Layer,
    depends: str,
    conflicts: str,
    *,
    debs: Sequence[Package] = (),
) -> Resolution:
    """What apt would add to *base* for reduced build dependencies (see buildtype); *debs* of the pool come before the
    archive's packages. Errors: DepsUnmet."""
    control = ["Source: build-dependencies", "Maintainer: nobody <nobody@localhost>", "Standards-Version: 4.7.0"]
    if choice.is_cross:
        depends = ", ".join(word for word in (depends, *cross_packages(choice.host_arch)) if word)
    if depends:
        control.append(f"Build-Depends: {depends}")
    if conflicts:
        control.append(f"Build-Conflicts: {conflicts}")
    control += ["", "Package: build-dependencies", "Architecture: any", "Description: none", ""]
    archive = choice.settings.archive
    resolving = partial(
        resolve,
        store,
        sources=sources,
        arch=choice.arch,
        base=base,
        build_deps="\n".join(control),
        profiles=choice.settings.build.profiles,
        max_age=max(JUST_CHECKED, archive.max_age or 0),
        debs=debs,
    )
    if not choice.is_cross:
        return resolving(criteria=archive.aspcud_criteria if archive.resolver == "aspcud" else None)
    try:
        return resolving(host_arch=choice.host_arch)
    except DepsUnmet as error:
        raise explain_cross(error, choice) from error


def cross_packages(arch: str) -> tuple[str, ...]:
    """What a cross build for *arch* needs beside its build dependencies. Source: sbuild.conf(5), Debian bug 815172."""
    return f"crossbuild-essential-{arch}:native", f"libc-dev:{arch}", f"libstdc++-dev:{arch}"


def explain_cross(error: DepsUnmet, choice: Choice) -> DepsUnmet:
    """*error* with what to do: no cross compiler is a fact of the suite, the rest is the package's Multi-Arch."""
    compiler = cross_packages(choice.host_arch)[0].partition(":")[0]
    qemu = f"build it natively in QEMU: --arch={choice.host_arch}, without --host"
    if re.search(rf"{re.escape(compiler)}\S* .*(not installable|not going to be installed)", str(error)):
        message = f"{choice.suite} has no cross compiler from {choice.arch} to {choice.host_arch} ({compiler})"
        return DepsUnmet(f"{message}: {error}", hint=qemu)
    return DepsUnmet(str(error), hint=f"not every package can be cross-built (Multi-Arch of its dependencies); {qemu}")


def install_build(store: Store, base: Layer, resolution: Resolution) -> tuple[Layer, int]:
    """The layer with exactly *resolution* on *base*, and how many packages were installed for it now."""
    before = {path.name for path in (store.path / "layers").iterdir()}
    layer = store.extend(base, resolution)
    return layer, 0 if layer.id in before else len(resolution.packages)


def make_lock(choice: Choice, base: Layer, layer: Layer, resolution: Resolution) -> Lock:
    """The lock of *layer*: equal for equal roots."""
    in_base = {package.key for package in base.packages}
    there = {package.key for package in layer.packages}
    return Lock(
        preset=choice.preset.name,
        suite=choice.suite,
        arch=choice.arch,
        # packages of a root that somebody else made have no hash
        packages=tuple(locked_package(p, base=p.key in in_base) for p in layer.packages if p.sha256),
        replaced=tuple(locked_package(p, base=True) for p in base.packages if p.key not in there and p.sha256),
        releases=tuple(_release(name, digest) for name, digest in resolution.release_hashes.items()),
    )


def locked_package(package: Package, *, base: bool) -> LockedPackage:
    """*base*: whether it belongs to the base root."""
    return LockedPackage(
        name=package.name,
        version=package.version,
        arch=package.arch,
        sha256=package.sha256,
        size=package.size,
        filename=package.filename,
        source=package.source,
        role="base" if base else "build-dep",
    )


def _release(name: str, digest: str) -> LockedRelease:
    """From apt's name of an index file: the URI without scheme, `/` as `_`, then `_dists_SUITE_InRelease`."""
    path = name.removesuffix("_InRelease").removesuffix("_Release")
    uri, _, suite = path.replace("_", "/").replace("%5f", "_").partition("/dists/")
    return LockedRelease(uri=without_password(f"//{uri}").removeprefix("//"), suite=suite, sha256=digest)


def without_password(uri: str) -> str:
    """*uri* without user and password: it goes into files that are published."""
    parts = urlsplit(uri)
    if parts.hostname and "@" in parts.netloc:
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urlunsplit(parts)


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))
