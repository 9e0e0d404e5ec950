"""Building again what a .buildinfo describes, and the verdict on each package: the same bytes, or not."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pydantic import BaseModel, ConfigDict

from deb_mock.addition import Addition
from deb_mock.buildinfo import Buildinfo
from deb_mock.buildlog import BuildLog
from deb_mock.config import Choice
from deb_mock.dsc import Dsc, check_files, load_dsc
from deb_mock.exact import Exact, Search, search_places
from deb_mock.locked import bring, find_locked, open_locked, supply_by_address
from deb_mock.order import Order
from deb_mock.recorder import LOCK_FILE
from deb_mock.reproduce import Verdict, compare, packages_of
from deb_mock.roots import find_sources, locked_package, make_lock, resolve_build
from deb_mock.source import ArchiveSource, DscSource
from deb_mock.surroundings import STANDARD, Surroundings
from debcore.errors import ConfigError, DepsUnmet, Failure
from debcore.job import Lock, LockedPackage, Result, Status, load_lock
from debcore.path import write_file
from debroot.resolve import Resolution
from debroot.store import Layer, Package, Store

log = logging.getLogger(__name__)

REPORT = "rebuild.json"
#: A base root with more packages beside those of the .buildinfo is not taken: apt and what it needs are fewer.
MAX_SURPLUS = 16
#: Packages that a message names.
NAMED = 12
#: Where the cross compilers of a root came from.
BESIDE, TODAYS = "the lock beside it", "the archive as it is today, chosen by apt"
TOOLCHAIN = (BESIDE, TODAYS)


class Report(BaseModel):
    """rebuild.json."""

    model_config = ConfigDict(frozen=True)

    api: int = 1
    buildinfo: str
    source: str
    version: str
    arch: str
    equal: bool
    artifacts: dict[str, Verdict]
    root: dict[str, int]  #: where the packages of the root came from → how many
    surplus: tuple[str, ...] = ()  #: in the root, and not in the .buildinfo: such as apt
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to rebuild, and where to look."""

    buildinfo: Buildinfo
    path: Path  #: of the .buildinfo
    choice: Choice
    directory: Path  #: for the results
    source: Path | None = None  #: a .dsc; None: look for it
    snapshots: tuple[str, ...] = ()
    offline: bool = False


def run_rebuild(request: Request, store: Store, build_log: BuildLog) -> tuple[Result, Report | None]:
    """Rebuild; the report is None if there was no build to compare. Errors: Failure, before anything is built."""
    from deb_mock.build import run_build

    info, notes = request.buildinfo, list(find_notes(request.buildinfo))
    addition = find_addition(info)
    with TemporaryDirectory(prefix="deb-mock-rebuild-") as scratch:
        dsc = find_dsc(request, store, Path(scratch))
        found = find_cross_root(request, store) if request.choice.is_cross else find_root(request, store)
        lock, origins, surplus = found
        order = Order(
            source=DscSource(dsc), choice=request.choice, directory=request.directory, lock=lock, offline=True,
            surroundings=surroundings_of(info), tree=info.path, addition=addition,
            timeout=request.choice.settings.limits.time,
        )  # fmt: skip
        result = run_build(order, store, build_log)
    if result.status is not Status.BUILT:
        return result, None
    artifacts = compare({file.name: file.digest for file in info.packages}, packages_of(result.outputs))
    equal = all(verdict == "equal" for verdict in artifacts.values())
    if not equal:
        notes += explain(request, store, artifacts)
    if request.choice.is_cross:
        notes += [
            f"a .buildinfo does not name the cross compilers; they are from {where}"
            for where in origins
            if where in TOOLCHAIN
        ]
    unsigned = sum(count for place, count in origins.items() if "no signed index" in place)
    if unsigned:
        notes.append(f"{unsigned} packages of the root are vouched for by the snapshot's address alone")
    report = Report(
        buildinfo=request.path.name, source=info.source, version=info.version, arch=info.build_arch, equal=equal,
        artifacts=artifacts, root=origins, surplus=surplus, notes=tuple(notes),
    )  # fmt: skip
    write_file(request.directory / REPORT, report.model_dump_json(indent=1) + "\n")
    return result, report


def find_notes(info: Buildinfo) -> Sequence[str]:
    """What keeps a rebuild from being exact, as far as the file itself says."""
    found = []
    if info.path is None:
        found.append(f"the .buildinfo names no build path: {STANDARD.directory} is used")
    if info.tainted_by:
        found.append(f"the first build was tainted: {', '.join(info.tainted_by)[:200]}")
    return found


def find_addition(info: Buildinfo) -> Addition | None:
    """The changelog entry of a binary-only rebuild, word by word. Errors: ConfigError if it is of another version."""
    if info.changelog is None and info.version == info.source_version:
        return None
    lines = [line.removeprefix(" ") for line in (info.changelog or "").split("\n")]
    addition = Addition(entry="\n".join("" if line == "." else line for line in lines))
    if info.changelog is None or addition.version(info.source_version) != info.version:
        raise ConfigError("Binary-Only-Changes", f"is no changelog entry of {info.source} {info.version}")
    return addition


def surroundings_of(info: Buildinfo) -> Surroundings:
    """Path and environment as recorded. What dpkg would have recorded and did not was not set."""
    directory = str(PurePosixPath(info.path).parent) if info.path else STANDARD.directory
    recorded = ("LC_ALL", "TZ", "DEB_BUILD_OPTIONS")
    unset = frozenset(name for name in recorded if name not in info.environment)
    return replace(STANDARD, directory=directory, env=info.environment, unset=unset)


def find_dsc(request: Request, store: Store, scratch: Path) -> Dsc:
    """The source package: named, beside the .buildinfo, in the archive, or in a snapshot.

    Errors: ConfigError if it is another than the .buildinfo says; Failure naming where it was looked for.
    """
    info = request.buildinfo
    name = f"{info.source}_{info.source_version.rpartition(':')[2]}.dsc"
    beside = request.path.absolute().parent / name
    if request.source is not None or beside.is_file():
        return _check_dsc(load_dsc(request.source or beside), info)
    said: list[str] = []
    if not request.offline:
        from deb_mock.pack import fetch_dsc

        wanted = ArchiveSource(info.source, info.source_version)
        try:
            sources = find_sources(request.choice, source=True)
            return _check_dsc(fetch_dsc(store, wanted, sources, scratch), info)
        except Failure as error:
            said.append(str(error))
        for snapshot in request.snapshots:
            try:
                path = _fetch_from(store, snapshot, wanted, name, scratch)
            except Failure as error:
                said.append(str(error))
                continue
            if path is not None:
                return _check_dsc(load_dsc(path), info)
    looked = f"; looked for it: {'; '.join(said)}" if said else ""
    hint = "put it beside the .buildinfo, or name it with --source FILE.dsc"
    raise Failure(f"the source package {name} is not at hand{looked}", hint=hint)


def _fetch_from(store: Store, snapshot: str, source: ArchiveSource, name: str, scratch: Path) -> Path | None:
    """The file *name* of *source* from one of --snapshot. None: its files are others. Errors: Failure."""
    from deb_mock.hub import fetch_hub_source, parse_place
    from deb_mock.snapshot import fetch_source_files

    if (place := parse_place(snapshot)) is not None:
        return fetch_hub_source(store, place, source, scratch)
    names = fetch_source_files(store, snapshot, source.name, source.version or "", scratch)
    return scratch / name if name in names else None


def _check_dsc(dsc: Dsc, info: Buildinfo) -> Dsc:
    if (dsc.source, dsc.version) != (info.source, info.source_version):
        said = f"is {dsc.source} {dsc.version}, the .buildinfo is of {info.source} {info.source_version}"
        raise ConfigError(str(dsc.path), said)
    from hashlib import sha256

    digests = {file.name: file.digest for file in info.files}
    found = sha256(dsc.path.read_bytes()).hexdigest()
    if digests.get(dsc.name, found) != found:
        raise ConfigError(str(dsc.path), f"has SHA-256 {found}, the .buildinfo says {digests[dsc.name]}")
    check_files(dsc)
    return dsc


def find_root(request: Request, store: Store) -> tuple[Lock, dict[str, int], tuple[str, ...]]:
    """The lock of a root with the packages of the .buildinfo, where they came from, and what is in it beside them.

    A root of this host that has them all is taken as it is; else a base root of this host that contradicts none of them
    is extended; else all is made anew. Errors: DepsUnmet naming what cannot be found anywhere.
    """
    info = request.buildinfo
    layer = find_layer(store, info.installed, info.build_arch)
    if layer is not None:
        base = layer.parents[0] if layer.parents else layer
        lock = make_lock(request.choice, base, layer, Resolution((), {}))
        return lock, {"a root of this host": len(info.installed)}, _surplus(layer.packages, info.installed)
    lock, origins = search_root(request, store)
    return lock, origins, _surplus(lock.packages, info.installed)


def search_root(request: Request, store: Store) -> tuple[Lock, dict[str, int]]:
    """The lock of a root that has to be made, and where its packages came from. Errors: DepsUnmet."""
    info = request.buildinfo
    below = find_base(store, info.installed, info.build_arch)
    there = {(package.name, package.version) for package in below}
    # what the base has is not looked for, but for the same package of a cross build's other architecture
    wanted = tuple(e for e in info.installed if e.arch not in ("", info.build_arch) or (e.name, e.version) not in there)
    foreign = request.choice.host_arch if request.choice.is_cross else None
    search = Search(store, info.build_arch, wanted, foreign=foreign)
    log.info("Looking for %d of the %d packages of the build's root", len(search.wanted), len(info.installed))
    sources = None if request.offline else lambda: find_sources(request.choice)
    search_places(search, sources=sources, snapshots=request.snapshots, at=info.built_at)
    if search.missing:
        _refuse(search, request)
    locked = [*(locked_package(package, base=True) for package in below)]
    locked += [locked_package(package, base=not below) for package in search.found.values()]
    lock = Lock(
        preset=request.choice.preset.name, suite=request.choice.suite, arch=info.build_arch,
        packages=tuple(sorted(locked, key=lambda p: (p.name, p.arch))),
    )  # fmt: skip
    origins = {**({"a base root of this host": len(below)} if below else {}), **search.origins}
    return lock, origins


def find_cross_root(request: Request, store: Store) -> tuple[Lock, dict[str, int], tuple[str, ...]]:
    """The same for a cross build, whose .buildinfo does not name the cross compilers.

    They are those of the lock.json beside it, if it is of that root; else apt chooses them, as it would today.
    Errors: DepsUnmet; Failure if nothing may be fetched and there is no such lock.
    """
    info, beside = request.buildinfo, request.path.absolute().parent / LOCK_FILE
    if beside.is_file():
        lock = load_lock(beside)
        if lock.arch == info.build_arch and _has_all(lock, info):
            supply = None if request.offline else supply_by_address(store, lock, request.choice)
            bring(store, find_locked(store, lock).needed, lock, supply)
            return lock, {BESIDE: len(lock.packages)}, ()
        log.warning("%s is not of the root of %s", beside, request.path.name)
    if request.offline:
        hint = f"put the build's {LOCK_FILE} beside the .buildinfo, or leave --offline out"
        raise Failure("a .buildinfo of a cross build does not name the cross compilers", hint=hint)
    lock, origins = search_root(request, store)
    root = open_locked(store, lock, supply=None)
    resolution = resolve_build(store, request.choice, find_sources(request.choice), root.layer, "", "")
    layer = store.extend(root.layer, resolution)
    whole = make_lock(request.choice, root.base, layer, resolution)
    named = {package.name for package in resolution.packages}
    surplus = tuple(name for name in _surplus(whole.packages, info.installed) if name not in named)
    return whole, {**origins, TODAYS: len(resolution.packages)}, surplus


def _has_all(lock: Lock, info: Buildinfo) -> bool:
    def keys(native: str, packages: Sequence[LockedPackage]) -> set[tuple[str, str, str]]:
        return {(p.name, p.version, "" if p.arch in (native, "all") else p.arch) for p in packages}

    wanted = {(e.name, e.version, "" if e.arch == info.build_arch else e.arch) for e in info.installed}
    return wanted <= keys(info.build_arch, lock.packages)


def _surplus(packages: Sequence[Package | LockedPackage], wanted: Sequence[Exact]) -> tuple[str, ...]:
    named = {(exact.name, exact.version) for exact in wanted}
    return tuple(p.name for p in packages if (p.name, p.version) not in named)


def find_layer(store: Store, wanted: Sequence[Exact], arch: str) -> Layer | None:
    """The layer that has all of *wanted*, and beside them nothing but packages of its base root, such as apt."""
    names = {(exact.name, exact.version) for exact in wanted}
    fits = []
    for layer in _layers(store, arch):
        base = layer.parents[0] if layer.parents else layer
        keys = {(p.name, p.version) for p in layer.packages}
        if names <= keys and keys - names <= {(p.name, p.version) for p in base.packages}:
            fits.append(layer)
    return min(fits, key=lambda layer: (len(layer.packages), layer.id), default=None)


def find_base(store: Store, wanted: Sequence[Exact], arch: str) -> tuple[Package, ...]:
    """The packages of the base root that has most of *wanted*, none of them in another version, and little beside
    them; empty if there is none."""
    versions = {exact.name: exact.version for exact in wanted}
    fits = []
    for layer in _layers(store, arch):
        surplus = [p for p in layer.packages if p.name not in versions]
        contradicts = any(versions.get(p.name, p.version) != p.version for p in layer.packages)
        if not layer.parents and not contradicts and len(surplus) <= MAX_SURPLUS:
            fits.append((len(layer.packages) - len(surplus), layer))
    return max(fits, key=lambda fit: (fit[0], fit[1].id))[1].packages if fits else ()


def _layers(store: Store, arch: str) -> Iterator[Layer]:
    for path in (store.path / "layers").glob("*/meta.json"):
        layer = store.find(path.parent.name)
        if layer is not None and layer.arch == arch:
            yield layer


def _refuse(search: Search, request: Request) -> None:
    missing = search.missing
    named = ", ".join(str(exact) for exact in missing[:NAMED])
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    said = "".join(f"\n  {line}" for line in dict.fromkeys(search.said))
    hint = (
        "look elsewhere: --snapshot=URL names an archive that keeps old versions; -r names the suite it was built for"
    )
    if request.offline:
        hint = "nothing was fetched, because of --offline"
    raise DepsUnmet(f"{len(missing)} of {len(search.wanted)} packages were not found: {named}{more}{said}", hint=hint)


def explain(request: Request, store: Store, artifacts: Mapping[str, Verdict]) -> Sequence[str]:
    """What differs, if the first build's packages lie beside the .buildinfo."""
    from deb_mock.diffoscope import explain_differences

    beside = request.path.absolute().parent
    names = [name for name, verdict in artifacts.items() if verdict == "differs" and (beside / name).is_file()]
    if not names:
        return ["put the first build's packages beside the .buildinfo to see what differs"]
    try:
        lines, _ = explain_differences(store, names, beside, request.directory, request.directory)
    except Failure as error:
        return [f"diffoscope did not run: {error}"]
    return [f"differs: {line}" for line in lines]
