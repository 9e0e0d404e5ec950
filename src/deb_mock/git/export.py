"""From a repository to what is packed: one commit's tree as a tar file, and upstream's tarball where one belongs."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from deb_mock.changelog import Entry, parse_changelog
from deb_mock.git.gbp import DEBIAN_BRANCHES, GbpConf, find_orig_trees, parse_gbp_conf
from deb_mock.git.repo import DIRECTORY, HOME, Repository, open_repository, run_bounded
from deb_mock.git.verify import judge_commit
from deb_mock.policy import Demand
from deb_mock.source import GitSource
from deb_mock.workspace import Workspace, open_workspace
from debcore.errors import CommandFailed, ConfigError, LimitHit
from debcore.job import Limits
from debroot.bootstrap import tools_root
from debroot.store import Store

log = logging.getLogger(__name__)

PROGRAMS = ("git", "pristine-tar", "xz-utils", "bzip2")


@dataclass(frozen=True)
class GitTree:
    """A commit, exported; nothing of it was unpacked here."""

    commit: str
    entry: Entry
    control: bytes
    tar: Path  #: of the tree, its files under `entry.directory`
    orig: dict[str, Path]  #: upstream's tarballs by name
    notes: tuple[str, ...]  #: for the log: what was taken from where, and why


def export_commit(
    store: Store, source: GitSource, target: Path, *, demand: Demand, max_size: int | None = None
) -> GitTree:
    """Take the commit that *source* names into *target*. *max_size*: bytes of repository, tree and tarballs.

    Errors: ConfigError or Failure if the repository is not what it must be, HostFailed if it cannot be reached.
    """
    tools = tools_root(store, packages=PROGRAMS)
    with open_workspace(store, tools, limits=Limits(disk=max_size, silence_s=None)) as space:
        log.info("%s %s", "Cloning" if isinstance(source.place, str) else "Reading", source.place)
        repository = open_repository(space, source.place)
        ref, commit = choose_commit(repository, source.ref, where=str(source.place))
        signature = judge_commit(repository, ref, commit, demand, where=f"{source.place}#{ref}")
        return _export(repository, commit, target, notes=(f"{source.place}: {ref} is commit {commit}", signature))


def choose_commit(repository: Repository, ref: str | None, *, where: str) -> tuple[str, str]:
    """(name, commit). Without *ref*: HEAD if it holds a package, or the debian-branch of its gbp.conf, or DEP-14's.

    Errors: ConfigError.
    """
    branches = ", ".join(repository.list_branches()[:12]) or "none"
    if ref is not None:
        names = [f"refs/heads/{ref}", f"refs/tags/{ref}", ref]
        found = next(((name, c) for name in names if (c := repository.find_commit(name))), None)
        if found is None:
            raise ConfigError(where, f"has no branch, tag or commit {ref!r}", hint=f"its branches are {branches}")
        return found
    head = repository.find_commit("HEAD")
    names = list(DEBIAN_BRANCHES)
    if head:
        wanted = _load_conf(repository, head).debian_branch
        names.insert(0, wanted or "HEAD")
        names.insert(1, "HEAD")
    for name in dict.fromkeys(names):
        commit = repository.find_commit(name if name == "HEAD" else f"refs/heads/{name}")
        if commit and repository.read(commit, "debian/changelog", limit=64 << 20) is not None:
            return name, commit
    raise ConfigError(where, "no branch with a Debian package found", hint=f"name it after #; there are {branches}")


def _export(repository: Repository, commit: str, target: Path, *, notes: tuple[str, ...]) -> GitTree:
    where = commit[:12]
    changelog = repository.read(commit, "debian/changelog", limit=64 << 20)
    control = repository.read(commit, "debian/control")
    if changelog is None or control is None:
        missing = "debian/changelog" if changelog is None else "debian/control"
        raise ConfigError(where, f"has no {missing}", hint="name the packaging branch after #")
    conf = _load_conf(repository, commit)
    submodule = repository.find_submodule(commit)
    if submodule or conf.submodules:
        what = f"{submodule} is a submodule" if submodule else "debian/gbp.conf says submodules = true"
        hint = "a source package must hold all it needs: clone it with its submodules, and name the directory"
        raise ConfigError(where, f"{what}, and submodules are not fetched", hint=hint)
    entry = parse_changelog(changelog[: 1 << 20].decode("utf-8", "replace"), where=f"{where}:debian/changelog")
    tar = target / "tree.tar"
    write_archive(repository.space, commit, entry.directory, tar)
    orig, told = _find_orig(repository, commit, entry, conf, target)
    return GitTree(commit, entry, control, tar, orig, (*notes, *told))


def _load_conf(repository: Repository, commit: str) -> GbpConf:
    text = repository.read(commit, "debian/gbp.conf", limit=1 << 16)
    return parse_gbp_conf((text or b"").decode("utf-8", "replace"), where=f"{commit[:12]}:debian/gbp.conf")


def _find_orig(
    repository: Repository, commit: str, entry: Entry, conf: GbpConf, target: Path
) -> tuple[dict[str, Path], tuple[str, ...]]:
    upstream = entry.upstream_version
    format_ = (repository.read(commit, "debian/source/format", limit=4096) or b"1.0").decode("ascii", "replace").strip()
    if format_ == "3.0 (native)" or not upstream:
        return {}, (f"format {format_}, version {entry.version}: native, no upstream tarball",)
    stem = f"{entry.source}_{upstream}.orig"
    if orig := _take_pristine(repository, stem, target):
        return orig, tuple(f"{name}: from the branch pristine-tar" for name in sorted(orig))
    if conf.pristine_tar:
        hint = f"commit it with: pristine-tar commit ../{stem}.tar.gz, or say pristine-tar = False in debian/gbp.conf"
        raise ConfigError(commit[:12], f"the branch pristine-tar has no {stem}.tar.*", hint=hint)
    names = find_orig_trees(conf, upstream)
    tree = next((name for name in names if repository.find_commit(name)), None)
    if tree is None:
        hint = f"tag it {names[0].removeprefix('refs/tags/')}, or keep its tarball in the branch pristine-tar"
        raise ConfigError(commit[:12], f"upstream's {upstream} is not in the repository", hint=hint)
    name = f"{stem}.tar.{conf.compression or 'gz'}"
    write_archive(repository.space, tree, f"{entry.source}-{upstream}", target / name)
    return {name: target / name}, (f"{name}: made of {tree}",)


def _take_pristine(repository: Repository, stem: str, target: Path) -> dict[str, Path]:
    """Tarballs *stem*.tar.* and *stem*-COMPONENT.tar.* that pristine-tar can make again, with their signatures."""
    if not repository.find_commit("refs/heads/pristine-tar"):
        return {}
    listed = repository.git("ls-tree", "--name-only", "--full-tree", "refs/heads/pristine-tar").splitlines()
    pattern = re.compile(re.escape(stem) + r"(?:-[A-Za-z0-9-]+)?\.tar\.(?:gz|xz|bz2)")
    names = sorted(n for line in listed if pattern.fullmatch(n := line.removesuffix(".delta")) and n != line)
    if not any(name.startswith(f"{stem}.tar.") for name in names):
        return {}
    space = repository.space
    for name in names:
        # it knows a bare repository by this variable only
        argv = ["env", f"GIT_DIR={DIRECTORY}", "pristine-tar", "checkout", f"{HOME}/{name}"]
        try:
            run_bounded(space, argv, cwd=DIRECTORY)
        except CommandFailed as error:
            hint = "the delta does not fit upstream's tree in the repository"
            raise ConfigError("pristine-tar", f"{name} cannot be made again: {error}", hint=hint) from error
        if f"{name}.asc" in listed:
            script = 'git --git-dir="$1" cat-file blob "refs/heads/pristine-tar:$2" > "$2"'
            run_bounded(space, ["sh", "-c", script, "sh", DIRECTORY, f"{name}.asc"])
    wanted = [*names, *(f"{name}.asc" for name in names if f"{name}.asc" in listed)]
    return {name: target / name for name in space.get(wanted, target)}


def write_archive(space: Workspace, tree: str, prefix: str, target: Path) -> None:
    """*tree* as a tar file named *target*, compressed as its name says, its files under *prefix*."""
    filters = {".gz": "| gzip -n -9", ".xz": "| xz -6", ".bz2": "| bzip2 -9"}
    script = (
        f'set -o pipefail; git --git-dir={DIRECTORY} archive --format=tar --prefix="$1/" "$2" '
        f'{filters.get(target.suffix, "")} > "$3"'
    )
    try:
        run_bounded(space, ["bash", "-c", script, "bash", prefix, tree, target.name])
        size = int(run_bounded(space, ["stat", "--format=%s", target.name]).text)
        if space.limits.disk is not None and size > space.limits.disk:  # it was there before its disk was looked at
            raise LimitHit(f"{target.name} has {size} bytes")
        space.get([target.name], target.parent)
    except LimitHit as error:
        hint = "raise it with --set source.max_size=20G"
        raise ConfigError(tree, "the tree is larger than source.max_size", hint=hint) from error
    finally:
        run_bounded(space, ["rm", "-f", "--", target.name], check=False)
