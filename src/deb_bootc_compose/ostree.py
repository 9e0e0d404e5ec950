"""OSTree commits of trees: made, signed and checked by the ostree of the tree's own suite, run from a tools root.

A repository is a directory of the id map (root inside writes it; everybody may read it, so a web server can serve it).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deb_bootc_compose import gvariant
from deb_bootc_compose.tree.make import Tree, find_tools
from deb_bootc_compose.tree.outside import run_tools
from debcore.errors import CommandFailed, Failure
from debcore.openpgp import Signer
from debcore.path import write_file
from debroot import owned
from debroot.sandbox import Bind
from debroot.store import Layer, Store

log = logging.getLogger(__name__)

REPO = "/repo"


@dataclass(frozen=True)
class Repository:
    """A repository and what is needed to work on it."""

    store: Store
    tools: Layer
    path: Path

    def run(
        self, *words: str, binds: tuple[Bind, ...] = (), readonly: bool = False, suppress_sync: bool = False
    ) -> bytes:
        """`ostree --repo=… WORDS` and its stdout. Errors: CommandFailed."""
        repo = Bind(source=self.path, target=REPO, readonly=readonly)
        argv = ["ostree", f"--repo={REPO}", *words]
        return run_tools(self.store, self.tools, argv, binds=(repo, *binds), suppress_sync=suppress_sync)

    def sync(self) -> None:
        """Put everything on the disk at once, after work with suppress_sync."""
        run_tools(self.store, self.tools, ["sync", "-f", REPO], binds=[Bind(source=self.path, target=REPO)])

    def write(self, name: str, content: bytes) -> None:
        """Put one file into the repository, whole."""
        repo = Bind(source=self.path, target=REPO, readonly=False)
        script = 'umask 022; cat > "$1.new" && mv "$1.new" "$1"'
        run_tools(self.store, self.tools, ["sh", "-c", script, "sh", f"{REPO}/{name}"], binds=[repo], stdin=content)

    def object_path(self, checksum: str, kind: str) -> Path:
        return self.path / object_name(checksum, kind)


@dataclass(frozen=True)
class Commit:
    """One commit in a repository."""

    checksum: str
    ref: str
    version: str
    parent: str | None
    signed: bool


def object_name(checksum: str, kind: str) -> str:
    """Path of a loose object below the repository."""
    return f"objects/{checksum[:2]}/{checksum[2:]}.{kind}"


def init_repo(
    store: Store,
    path: Path,
    *,
    suite: str,
    mode: Literal["archive", "bare"] = "archive",
    tools: Layer | None = None,
) -> Repository:
    """Open the repository at *path*, made if it is missing. Its parent directory must exist and be the caller's."""
    tools = tools or find_tools(store, suite)
    repository = Repository(store, tools, path)
    if not path.exists():
        owned.make_directories(path.parent, [path.name], store.idmap)
        path.parent.chmod(path.parent.stat().st_mode | 0o055)
    if not (path / "config").exists():
        repository.run("init", f"--mode={mode}")
        if mode == "archive":
            repository.run("config", "set", "archive.zlib-level", "3")
    return repository


def find_ref(repository: Repository, ref: str) -> str | None:
    """The commit that *ref* names, or None."""
    try:
        return repository.run("rev-parse", ref, readonly=True).decode().strip()
    except CommandFailed:
        return None


def commit(
    repository: Repository,
    tree: Tree,
    *,
    ref: str,
    version: str,
    timestamp: int,
    parent: str | None = None,
    signer: Signer | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Commit:
    """Commit *tree* with /etc as /usr/etc, bootable, and sign it. The ref then names it.

    *timestamp* (seconds since the epoch) and *parent* come from the lock: the same input gives the same checksum.
    The parent need not be in the repository. Errors: Failure if the ref is malformed.
    """
    words = [
        "commit",
        f"--branch={ref}",
        f"--subject={version}",
        f"--timestamp=@{timestamp}",
        "--bootable",
        "--fsync=false",
    ]
    words += [f"--parent={parent or 'none'}", f"--add-metadata-string=version={version}"]
    words += [f"--add-metadata-string={key}={value}" for key, value in sorted((metadata or {}).items())]
    # /etc goes in as /usr/etc without moving it: left out of the tree, and added again below another directory
    words += ["--tree=dir=/tree", "--tree=dir=/run/moved", "--skip-list=/run/skip"]
    with repository.store.workplace("moved") as place:
        skip = place / "skip"
        write_file(skip, "/etc\n")
        binds = (
            Bind(source=tree.root, target="/tree"),
            Bind(source=place / "moved", target="/run/moved", readonly=False),
            Bind(source=tree.root / "etc", target="/run/moved/usr/etc"),
            Bind(source=skip, target="/run/skip"),
        )
        try:
            checksum = repository.run(*words, binds=binds, suppress_sync=True).decode().strip()
        except CommandFailed as error:
            raise Failure(
                f"ostree cannot commit {ref}: {error.output.strip()}", hint="see the log of the commit"
            ) from error
    repository.sync()
    if signer is not None:
        sign_commit(repository, checksum, signer)
    return Commit(checksum, ref, version, parent, signer is not None)


def sign_commit(repository: Repository, checksum: str, signer: Signer) -> None:
    """Add a detached OpenPGP signature of the commit object; one that is there already is kept."""
    if repository.object_path(checksum, "commitmeta").exists():
        log.debug("commit %s is signed already", checksum)
        return
    content = repository.object_path(checksum, "commit").read_bytes()
    signature = signer.sign_detached(content, armor=False)
    repository.write(object_name(checksum, "commitmeta"), gvariant.signatures_metadata([signature]))


def sign_summary(repository: Repository, signer: Signer | None, *, update: bool = True) -> None:
    """Write the summary anew (*update*), and its signature beside it. Clients ask for both to see all refs at once."""
    if update:
        repository.run("summary", "--update")
    if signer is not None:
        signature = signer.sign_detached((repository.path / "summary").read_bytes(), armor=False)
        repository.write("summary.sig", gvariant.signatures_metadata([signature]))


def fsck(repository: Repository) -> None:
    """Check every object. Errors: Failure with ostree's words."""
    try:
        repository.run("fsck", "--quiet", readonly=True)
    except CommandFailed as error:
        raise Failure(
            f"{repository.path} is damaged: {error.output.strip()}", hint="remove it and compose again"
        ) from error


def verify(repository: Repository, ref: str, key: str) -> str:
    """Pull *ref* (or a commit) into an empty repository with gpg-verify and only *key* (armoured), as a machine would.

    If there is a signed summary, it is verified as well. Returns the commit.
    Errors: Failure if the commit or the summary is not signed by the key.
    """
    summary = str((repository.path / "summary.sig").exists()).lower()
    script = (
        "set -e; ostree --repo=/run/r init --mode=bare-user-only >&2\n"
        'ostree --repo=/run/r remote add --set=gpg-verify=true --set=gpg-verify-summary="$2"'
        " --gpg-import=/run/key o file:///repo >&2\n"
        'ostree --repo=/run/r pull --commit-metadata-only o "$1" >&2\n'
        'ostree --repo=/run/r rev-parse "o:$1" 2>/dev/null || ostree --repo=/run/r rev-parse "$1"\n'
    )
    with repository.store.workplace() as place:
        write_file(place / "key", key)
        binds = (Bind(source=repository.path, target=REPO), Bind(source=place / "key", target="/run/key"))
        try:
            out = run_tools(repository.store, repository.tools, ["sh", "-c", script, "sh", ref, summary], binds=binds)
        except CommandFailed as error:
            raise Failure(
                f"{ref} does not verify: {error.output.strip()}", hint="was it signed with this key?"
            ) from error
    return out.decode().strip()


def root_checksums(repository: Repository, commit: str) -> tuple[str, str]:
    """(content, metadata) checksums of the root directory: equal for equal trees, whatever their commits say."""
    words = repository.run("ls", "-C", "-d", commit, "/", readonly=True).decode().split()
    return words[-3], words[-2]
