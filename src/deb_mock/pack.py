"""Making source packages: from a source directory, from the archive, and again with a local version suffix.

A source directory is copied into a throw-away root and cleaned and packed there: its `clean` target is a stranger's
program, and the host lacks its build dependencies.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from debian.deb822 import Deb822

from deb_mock.buildlog import BuildLog
from deb_mock.changelog import Entry
from deb_mock.dsc import Dsc, check_files, load_dsc
from deb_mock.order import Order
from deb_mock.outcome import fail_step
from deb_mock.roots import wish_memory
from deb_mock.source import ArchiveSource, DirectorySource
from deb_mock.step import run_logged
from deb_mock.surroundings import STANDARD
from deb_mock.transfer import write_files_tar, write_tree_tar
from deb_mock.workspace import Workspace, open_workspace
from debcore.errors import BuildFailed, CommandFailed, ConfigError, Failure
from debcore.job import AptSource
from debcore.path import check_file_name, write_file
from debroot.store import Layer, Store

if TYPE_CHECKING:
    from deb_mock.git.export import GitTree
    from deb_mock.plugins.apply import Applied

#: Version suffixes that sort after the archive's version and stay below its next one.
SUFFIX = re.compile(r"[+~][A-Za-z0-9.+~]{1,60}")
#: Who signs the changelog entry of a local rebuild. Fixed, so that equal input gives an equal source package.
REBUILDER = "Local rebuild <root@localhost>"

APPEND = """set -eu
suffix=$1; who=$2; tree=$3
cd "$tree"
source=$(dpkg-parsechangelog -S Source); version=$(dpkg-parsechangelog -S Version)
suite=$(dpkg-parsechangelog -S Distribution); date=$(dpkg-parsechangelog -S Date)
{
    printf '%s (%s%s) %s; urgency=medium\\n\\n' "$source" "$version" "$suffix" "$suite"
    printf '  * Rebuilt without changes, as %s%s.\\n\\n -- %s  %s\\n\\n' "$version" "$suffix" "$who" "$date"
    cat debian/changelog
} > ../changelog.new
cat ../changelog.new > debian/changelog
rm ../changelog.new
cd ..
dpkg-source -b "$tree"
"""


def fetch_dsc(store: Store, source: ArchiveSource, sources: tuple[AptSource, ...], target: Path) -> Dsc:
    """Fetch a source package of the archive into *target*; apt checks that the archive signed its hashes."""
    from debroot.resolve import fetch_source

    name, files = fetch_source(store, sources=sources, name=source.name, version=source.version)
    for file, content in files.items():
        write_file(target / check_file_name(file, where=name), content)
    dsc = load_dsc(target / check_file_name(name, where=source.name))
    check_files(dsc)
    return dsc


@dataclass(frozen=True)
class Tree:
    """An unpacked source that is still to be cleaned and packed; `write` makes a tar of it under `entry.directory`."""

    entry: Entry
    fields: Mapping[str, str]  #: of the source paragraph of debian/control
    architectures: tuple[str, ...]  #: of its binary packages
    orig: Mapping[str, Path]  #: upstream's tarballs by name
    write: Callable[[IO[bytes]], None]

    @property
    def source(self) -> str:
        return self.entry.source

    @property
    def version(self) -> str:
        return self.entry.version


def read_directory(source: DirectorySource) -> Tree:
    """Errors: ConfigError, Failure."""
    fields, architectures = read_control(source.path)
    entry = source.entry
    return Tree(
        entry=entry,
        fields=fields,
        architectures=architectures,
        orig=find_orig_files(source),
        write=lambda stream: write_tree_tar(source.path, entry.directory, stream),
    )


def read_git_tree(found: GitTree) -> Tree:
    """Errors: ConfigError."""
    fields, architectures = parse_control(found.control, where=f"{found.commit[:12]}:debian/control")

    def write(stream: IO[bytes]) -> None:
        with found.tar.open("rb") as file:
            shutil.copyfileobj(file, stream, 1 << 20)

    return Tree(found.entry, fields, architectures, found.orig, write)


def read_control(directory: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Fields of the source paragraph of debian/control, and the architectures of its binary packages."""
    return _split(read_paragraphs(directory))


def parse_control(content: bytes, *, where: str) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """As `read_control`. Errors: ConfigError."""
    return _split(parse_paragraphs(content, where=where))


def _split(paragraphs: Sequence[Mapping[str, str]]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    source, *binaries = paragraphs
    words = [word for fields in binaries for word in fields.get("Architecture", "").split()]
    return source, tuple(dict.fromkeys(words))


def read_paragraphs(directory: Path) -> list[Mapping[str, str]]:
    """All paragraphs of debian/control: the source's, then the binary packages'. Errors: Failure, ConfigError."""
    path = directory / "debian" / "control"
    if path.is_symlink() or not path.is_file():
        raise Failure(f"{directory} has no debian/control", hint="packages that generate it must do so first")
    with path.open("rb") as file:
        return parse_paragraphs(file.read(8 << 20), where=str(path))


def parse_paragraphs(content: bytes, *, where: str) -> list[Mapping[str, str]]:
    """As `read_paragraphs`. Errors: ConfigError."""
    found = Deb822.iter_paragraphs(content.decode("utf-8", "replace").splitlines(), use_apt_pkg=False)
    paragraphs: list[Mapping[str, str]] = [{str(key): str(value) for key, value in p.items()} for p in found]
    if not paragraphs or "Source" not in paragraphs[0]:
        raise ConfigError(where, "does not begin with a Source paragraph")
    return paragraphs


def find_orig_files(source: DirectorySource) -> dict[str, Path]:
    """Upstream tarballs beside *source*, as dpkg-source looks for them; empty for native packages."""
    upstream = source.entry.upstream_version
    if not upstream:
        return {}
    pattern = re.compile(
        re.escape(f"{source.entry.source}_{upstream}.orig") + r"(?:-[A-Za-z0-9-]+)?\.tar\.(?:gz|xz|bz2|lzma)(?:\.asc)?"
    )
    found = {path.name: path for path in sorted(source.path.parent.iterdir()) if pattern.fullmatch(path.name)}
    if not any(".orig.tar." in name for name in found):
        hint = "put it there, for example with: origtargz"
        raise Failure(f"{source.path.parent} lacks {source.entry.source}_{upstream}.orig.tar.*", hint=hint)
    return found


def pack_tree(
    store: Store, layer: Layer, tree: Tree, target: Path, log: BuildLog, order: Order, plugins: Applied
) -> Dsc:
    """Clean and pack *tree* in a throw-away root of *layer*, with what *plugins* contribute; the source package is
    written to *target*.

    Errors: BuildFailed, with what the log says.
    """
    hardened, memory = order.choice.settings.build.hardened, wish_memory(order.choice)
    surroundings = replace(STANDARD, env=plugins.surround(STANDARD))
    with (
        open_workspace(
            store, layer, limits=order.limits, hardened=hardened, memory=memory, surroundings=surroundings,
            binds=plugins.binds(),
        ) as space,
        plugins.using(space),
    ):  # fmt: skip
        if tree.orig:
            space.put(lambda stream: write_files_tar(tree.orig, stream))
        space.put(tree.write)
        plugins.call("pre_srpm_build")
        line = ["dpkg-buildpackage", "--sanitize-env", "-us", "-uc", "-S", "-d"]
        line += [f"--source-option={option}" for option in order.source_options]
        env = {"DEB_BUILD_OPTIONS": "nocheck"}
        argv = ["sh", "-c", 'umask 022; exec "$@"', "sh", *line]
        log.line(f"Command: {' '.join(line)}")
        _run(order, space, log, argv, f"{space.surroundings.directory}/{tree.entry.directory}", env)
        return take_dsc(space, tree.source, tree.version, target)


def take_dsc(space: Workspace, name: str, version: str, target: Path) -> Dsc:
    """Copy the .dsc of *name* *version* and the files it names out of *space* into *target*, and check them."""
    dsc_name = f"{name}_{version.rpartition(':')[2]}.dsc"
    try:
        space.get([dsc_name], target)
        dsc = load_dsc(target / dsc_name)
        space.get([file.name for file in dsc.files], target)
    except CommandFailed as error:
        raise BuildFailed(f"packing left no {dsc_name}", hint="see the log of the pack stage") from error
    check_files(dsc)
    return dsc


def append_version(store: Store, layer: Layer, dsc: Dsc, suffix: str, target: Path) -> Dsc:
    """*dsc* with a new changelog entry whose version has *suffix*, packed into *target*.

    The entry's date is that of the entry before, so equal input gives equal output. Errors: ConfigError, BuildFailed.
    """
    if not SUFFIX.fullmatch(suffix):
        hint = "it begins with + or ~, as +local1 does"
        raise ConfigError("--append-version", f"{suffix!r} is no version suffix", hint=hint)
    with open_workspace(store, layer) as space:
        space.put(lambda stream: write_files_tar({p.name: p for p in dsc.all_files}, stream))
        tree = f"{dsc.source}-{dsc.upstream_version}"
        try:
            space.run(["dpkg-source", "--no-check", "-x", dsc.name, tree])
            if dsc.upstream_version == dsc.file_version:
                moved = f"{dsc.source}-{dsc.file_version}{suffix}"
                space.run(["mv", tree, moved])
                tree = moved
            space.run(["sh", "-c", APPEND, "sh", suffix, REBUILDER, tree])
        except CommandFailed as error:
            raise BuildFailed(f"{dsc.name} cannot be packed again: {error}", hint=error.output[-400:]) from error
        return take_dsc(space, dsc.source, dsc.version + suffix, target)


def _run(order: Order, space: Workspace, log: BuildLog, argv: list[str], cwd: str, env: Mapping[str, str]) -> None:
    start = log.size
    sandbox = space.sandbox(cwd=cwd, env=env, limited=True)
    limits = order.limits
    ran = run_logged(
        sandbox, argv, log, idmap=space.store.idmap, silence=limits.silence_s, most=limits.log, timeout=order.timeout
    )
    if ran.status != 0:
        from deb_mock.classify import explain, read_lines

        report = explain(read_lines(log.path, start=start), stage="pack")
        raise fail_step(report, limits)


def make_source(store: Store, layer: Layer, tree: Tree, target: Path, order: Order) -> Dsc:
    """`pack_tree` with a log of its own that is gone afterwards."""
    from deb_mock.plugins.apply import Applied

    with store.scratch() as scratch:
        log = BuildLog(scratch / "log")
        try:
            with Applied(order, store, log) as plugins:
                plugins.begin(order, tree.source, tree.version)
                return pack_tree(store, layer, tree, target, log, order, plugins)
        finally:
            log.close()
