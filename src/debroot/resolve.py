"""What apt would install, and fetching exactly that. The apt is the tools root's, so all hosts resolve alike."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from debcore.errors import DISK_FULL, Failure, HostFailed, find_full
from debcore.job import AptSource
from debcore.path import inside, write_file
from debroot import aspcud, owned
from debroot.aptconf import make_config
from debroot.auth import find_auth, wrap
from debroot.indexes import ASKS_WHO, CONF, MAKE_ROOM, STATE, Indexes, hash_value, load_proxies, networked
from debroot.offer import newer_than
from debroot.sandbox import Bind, run_in
from debroot.store import Layer, Package, Store

log = logging.getLogger(__name__)

#: URIs of directories of this host.
LOCAL = ("file", "copy")

Build = Literal["full", "any", "all"]


@dataclass(frozen=True)
class Resolution:
    """Exactly these .debs, as of exactly these Release files."""

    packages: tuple[Package, ...]  #: to be installed in addition to the base, sorted by name and architecture
    release_hashes: Mapping[str, str]  #: apt's name of each (In)Release file → its sha256
    removed: tuple[str, ...] = ()  #: names of packages of the base that must go (conflicts)


def resolve(
    store: Store,
    *,
    sources: Sequence[AptSource],
    arch: str,
    base: Layer | None = None,
    install: Sequence[str] = (),
    build_deps: str | None = None,
    build: Build = "full",
    profiles: Sequence[str] = (),
    recommends: bool = False,
    max_age: float = 0.0,
    tools: Layer | None = None,
    debs: Sequence[Package] = (),
    criteria: str | None = None,
    host_arch: str | None = None,
) -> Resolution:
    """What apt would add to *base* (None: to an empty root) for *install* (apt-get's syntax: names, name=version,
    patterns) and the build dependencies in *build_deps* (text of a .dsc or debian/control).

    *debs*: packages of the pool that come before the archive's of the same name; newer ones replace the base's.

    Indexes are checked against the archive unless that happened less than *max_age* seconds ago; if Release files
    and request are the same as before, apt does not run again. *tools*: whose apt; None: the store's core tools root.
    *criteria*: aspcud solves instead of apt, free to take versions that apt's pins do not prefer: apt-cudf(1).
    *host_arch*: the build dependencies are those of a cross build for it.
    Errors: DepsUnmet with apt's words; CommandFailed if the archive cannot be read.
    """
    from debroot.bootstrap import core_tools, tools_root

    if criteria:
        tools = tools_root(store, packages=aspcud.PACKAGES)
    return _resolve(
        store, tools or core_tools(store), sources=tuple(sources), arch=arch, base=base, install=tuple(install),
        build_deps=build_deps, build=build, profiles=tuple(profiles), recommends=recommends, max_age=max_age,
        debs=tuple(debs), criteria=criteria, host_arch=host_arch,
    )  # fmt: skip


def resolve_with_host(store: Store, *, sources: Sequence[AptSource], arch: str, install: Sequence[str]) -> Resolution:
    """The same with the host's apt: for the first tools root only."""
    return _resolve(
        store, None, sources=tuple(sources), arch=arch, base=None, install=tuple(install), build_deps=None,
        build="full", profiles=(), recommends=False, max_age=0,
    )  # fmt: skip


def _resolve(
    store: Store,
    tools: Layer | None,
    *,
    sources: tuple[AptSource, ...],
    arch: str,
    base: Layer | None,
    install: tuple[str, ...],
    build_deps: str | None,
    build: Build,
    profiles: tuple[str, ...],
    recommends: bool,
    max_age: float,
    debs: tuple[Package, ...] = (),
    criteria: str | None = None,
    host_arch: str | None = None,
) -> Resolution:
    if debs and base:
        install = (*install, *newer_than(base, debs))
    request: dict[str, Any] = {
        "base": base.id if base else None, "install": sorted(install), "build_deps": build_deps, "build": build,
        "profiles": sorted(profiles), "recommends": recommends, "apt": tools.id if tools else "host", "version": 2,
    }  # fmt: skip
    if debs:
        request["debs"] = sorted(package.key for package in debs)
    if criteria:
        request["aspcud"] = criteria
    if host_arch:
        request["host_arch"] = host_arch
    with Indexes(store, tools, sources, arch, foreign=host_arch) as indexes:
        indexes.update(max_age)
        hashes = indexes.release_hashes()
        request |= {"releases": hashes, "arch": arch, "sources": indexes.key}
        known = store.path / "resolved" / hash_value(request)
        with suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads(known.read_text())
            os.utime(known)
            return Resolution(tuple(Package(**p) for p in content["packages"]), hashes, tuple(content["removed"]))
        log.info("Resolving %s", _describe(install, build_deps))
        words = [*install]
        command = (
            ["install", *words] if build_deps is None else ["build-dep", *_build_options(build, profiles, host_arch)]
        )
        status = read_status(base) if base else b""
        packages: tuple[Package, ...] = ()
        removed: tuple[str, ...] = ()
        if install and build_deps is not None:
            # build-dep takes no package names, so the two questions become one synthetic control file
            build_deps = add_build_depends(build_deps, install)
        if install or build_deps is not None:
            packages, removed = indexes.solve(
                command, status, build_deps, recommends=recommends, debs=debs, criteria=criteria
            )
            if base is None and not packages:
                raise HostFailed(
                    f"apt found no package for {', '.join(install)}", hint="are its indexes readable inside the root?"
                )
    content = {"packages": [asdict(p) for p in packages], "removed": removed}
    write_file(known, json.dumps(content))
    return Resolution(packages, hashes, removed)


def resolve_command(
    store: Store,
    command: Sequence[str],
    *,
    sources: Sequence[AptSource],
    arch: str,
    status: bytes,
    marks: bytes = b"",
    debs: Sequence[Package] = (),
    max_age: float = 0.0,
) -> Resolution:
    """What `apt-get *command*` would do in a root with this dpkg *status*, and *debs* of the pool before the archive's.

    Nothing is remembered, as such a root changes. Errors: DepsUnmet, CommandFailed.
    """
    from debroot.bootstrap import core_tools

    with Indexes(store, core_tools(store), tuple(sources), arch) as indexes:
        indexes.update(max_age)
        log.info("Resolving apt-get %s", " ".join(command))
        packages, removed = indexes.solve([*command], status, None, recommends=False, debs=debs, marks=marks)
        return Resolution(packages, indexes.release_hashes(), removed)


def ask_apt(
    store: Store,
    argv: Sequence[str],
    *,
    sources: Sequence[AptSource],
    arch: str,
    status: bytes,
    max_age: float = 0.0,
) -> str:
    """What a program of apt that changes nothing prints for a root with this dpkg *status*. Errors: CommandFailed."""
    from debroot.bootstrap import core_tools

    with Indexes(store, core_tools(store), tuple(sources), arch) as indexes:
        indexes.update(max_age)
        return indexes.run_apt([*argv], status=status).text


def read_status(layer: Layer) -> bytes:
    """dpkg's database of *layer*: the topmost one in its stack. Errors: Failure if there is none."""
    for root in layer.lowers():
        path = inside(root, "var/lib/dpkg/status")
        if path.is_file():
            return path.read_bytes()
    raise Failure(f"layer {layer.id} has no dpkg database", hint="it is no root of Debian")


def fetch(store: Store, packages: Sequence[Package], *, tools: Layer | None = None) -> None:
    """Get what the pool lacks or has damaged; hashes are checked.

    Errors: Failure if no address is known; HostFailed naming the .debs that the archive does not give.
    """
    store.drop_damaged(packages)
    missing = store.missing(packages)
    unknown = [f"{p.name} {p.version}" for p in missing if p.uri is None]
    if unknown:
        raise Failure(f"not in the pool, and no address is known: {', '.join(unknown)}", hint="resolve them again")
    if not missing:
        return
    log.info("Fetching %d packages, %.1f MB", len(missing), sum(p.size for p in missing) / 1e6)
    with store.workplace("incoming") as place:
        files = {f"{p.sha256}.deb": (str(p.uri), p.sha256) for p in missing}
        said = download(store, files, place / "incoming", tools=tools)
        for package in missing:
            deb = place / "incoming" / f"{package.sha256}.deb"
            if deb.is_file() and not deb.is_symlink() and deb.stat().st_size == (package.size or deb.stat().st_size):
                store.add_deb(deb, sha256=package.sha256)  # apt has compared the hash, and leaves what broke off
    left = store.missing(missing)
    if left:
        raise explain_missing(left, of=len(missing), said=said)


def fetch_source(
    store: Store, *, sources: Sequence[AptSource], name: str, version: str | None = None, max_age: float = 0.0
) -> tuple[str, dict[str, bytes]]:
    """A source package of *sources* (their deb-src): (name of its .dsc, {file name: content}), hashes checked.

    Errors: Failure if the archive has no such source or a file cannot be had.
    """
    from debroot.bootstrap import core_tools

    tools = core_tools(store)
    wanted = tuple(source.model_copy(update={"types": ("deb-src",)}) for source in sources)
    with Indexes(store, tools, wanted, "amd64") as indexes:
        indexes.update(max_age)
        found = indexes.find_source(name, version)
    dsc = next((file.name for file in found if file.name.endswith(".dsc")), None)
    if dsc is None:
        raise Failure(f"the archive names no .dsc for {name}")
    log.info("Fetching %s", dsc)
    with store.workplace("incoming") as place:
        files = {file.name: (file.uri, file.sha256) for file in found}
        said = download(store, files, place / "incoming", tools=tools)
        content = {}
        for file in found:
            path = place / "incoming" / file.name
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else None
            if data is None or hashlib.sha256(data).hexdigest() != file.sha256:
                raise Failure(
                    f"{file.name} cannot be fetched: {said}",
                    hint="not every mirror serves every source: set DEBOOTC_MIRROR to another, or give a .dsc",
                )
            content[file.name] = data
    return dsc, content


def download(
    store: Store,
    files: Mapping[str, tuple[str, str]],
    directory: Path,
    *,
    tools: Layer | None,
) -> str:
    """Get *files* (name → URI and sha256) into *directory*, which root inside owns; what apt said about the others.

    A single file may have "" for its hash: the caller checks what came.
    """
    local = {Path(unquote(urlsplit(u).path)).parent for u, _ in files.values() if urlsplit(u).scheme in LOCAL}
    with store.scratch() as conf:
        (conf / "none").mkdir()
        text = make_config(arch="amd64", conf=CONF, state=STATE, status="/dev/null", proxies=load_proxies())
        (conf / "apt.conf").write_text(text)
        owned.show_all(conf)
        binds = (Bind(source=conf, target=CONF), Bind(source=directory, target=STATE, readonly=False))
        words, auth = [], find_auth(uri for uri, _ in files.values())
        for name, (uri, digest) in files.items():
            # file: would leave a link where copy: makes a file
            words += [re.sub(r"^file:", "copy:", uri), f"{STATE}/{name}", *([f"SHA256:{digest}"] if digest else [])]
        done = run_in(
            networked(tools, (*binds, *(Bind(source=path, target=str(path)) for path in local))),
            wrap(["/usr/lib/apt/apt-helper", "-q", "download-file", *words], auth),
            idmap=store.idmap, stdin=auth or None, capture=True, check=False,
        )  # fmt: skip
    return explain_helper((done.stderr or done.stdout).decode("utf-8", "replace")) if done.status else ""


def explain_helper(said: str) -> str:
    """The lines of apt-helper that say why, else its last ones."""
    lines = [line.strip() for line in said.strip().splitlines()]
    telling = [line for line in lines if line.startswith("E:") or any(words in line for words in REASONS)]
    return " ".join(dict.fromkeys(telling[-4:] or lines[-3:]))


#: What apt's methods say when a file does not come.
REASONS = (
    "Hash Sum mismatch",
    "unexpected size",
    "401  Unauthorized",
    "404",
    "File not found",
    "Connection",
    *DISK_FULL,
    "timed out",
    "resolve",
)


#: A status of HTTP, and no digits of a hash.
NOT_THERE = re.compile(r"(?<!\w)404\s")
#: Packages that a message names.
NAMED = 20


def explain_missing(left: Sequence[Package], *, of: int, said: str) -> HostFailed:
    """Which packages did not come, of so many that were asked for, and what to do. *said*: apt-helper's words."""
    names = ", ".join(f"{p.name} {p.version} ({p.arch})" for p in left[:NAMED])
    names += f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    hosts = ", ".join(dict.fromkeys(urlsplit(p.uri or "").hostname or "the archive" for p in left))
    if find_full(said) or not (NOT_THERE.search(said) or "not found" in said.lower()):
        return HostFailed(f"{len(left)} packages cannot be fetched: {names}: {said}", hint=explain_download(said))
    message = f"{hosts} does not serve {len(left)} of {of} packages that its index names: {names}"
    archs = sorted({p.arch for p in left} - {"all"})
    whole = f"a mirror that carries {', '.join(archs)} in full" if archs else "another mirror"
    hint = f"if the archive has just changed, try again; else name {whole}: DEBOOTC_MIRROR=URI, or archive.mirror"
    return HostFailed(message, hint=f"{hint}; what came is kept")


def explain_download(said: str) -> str:
    """What to do when a file cannot be had."""
    if "Hash Sum mismatch" in said or "Hashes of" in said or "unexpected size" in said:
        return "the mirror serves other bytes than its index says, and none were kept; DEBOOTC_MIRROR names another"
    if find_full(said):
        return MAKE_ROOM
    if "401  Unauthorized" in said:
        return ASKS_WHO
    return "check the network and the source's address, then try again: what came is kept"


def add_build_depends(control: str, names: Sequence[str]) -> str:
    """*control* (a .dsc or debian/control) with more Build-Depends in its source stanza; `name=version` works too."""
    extra = ", ".join(f"{n.split('=')[0]} (= {n.split('=', 1)[1]})" if "=" in n else n for n in names)
    pattern = re.compile(r"^(Build-Depends:)([ \t]*)", re.M | re.I)
    if pattern.search(control):
        return pattern.sub(lambda m: f"{m[1]} {extra}, ", control, count=1)
    return re.sub(r"^((?:Source|Package):.*)$", rf"\1\nBuild-Depends: {extra}", control, count=1, flags=re.M)


def _build_options(build: Build, profiles: Sequence[str], host_arch: str | None) -> list[str]:
    options = {"full": [], "any": ["--arch-only"], "all": ["--indep-only"]}[build]
    options += [f"--host-architecture={host_arch}"] if host_arch else []
    return [*options, *([f"--build-profiles={','.join(profiles)}"] if profiles else [])]


def _describe(install: Sequence[str], build_deps: str | None) -> str:
    what = [" ".join(install[:6]) + (" …" if len(install) > 6 else "")] if install else []
    return " and ".join([*what, *(["build dependencies"] if build_deps is not None else [])])
