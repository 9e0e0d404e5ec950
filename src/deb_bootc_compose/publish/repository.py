"""An OSTree repository that lasts: composes are pulled into it, clients update from it over HTTP.

Objects come first, then the ref, then the summary: a client sees the old state or the new one, and what is killed is
ended by the next run. Each version keeps a ref of its own (versions/VERSION/REF) for as long as it is kept.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.ostree import Repository, find_ref, init_repo, sign_summary
from deb_bootc_compose.publish.outputs import CommitOutput
from debcore.errors import CommandFailed, Failure
from debcore.openpgp import Signer
from debcore.version import parse_version
from debroot.sandbox import Bind
from debroot.store import Store

Say = Callable[[str], None]

VERSIONS = "versions/"
_TIMESTAMP = re.compile(r"^Date:\s+(?P<date>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Published:
    ref: str
    version: str
    commit: str
    before: str | None  #: what the ref named
    delta: int | None  #: bytes of the static delta from it
    dropped: tuple[str, ...]  #: versions that are no longer kept


@contextmanager
def opened(store: Store, path: Path, *, suite: str) -> Iterator[Repository]:
    """The repository at *path*, made if it is missing, for this process alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path.parent / f".{path.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failure(f"another process publishes into {path}", hint="wait for it, and run this again") from error
        yield init_repo(store, path, suite=suite)
    finally:
        os.close(fd)


def publish_commit(
    repository: Repository, made: CommitOutput, *, keep: int, delta: bool, allow_older: bool, say: Say
) -> Published:
    """Pull *made* and let its ref name it. The summary is left to `finish`.

    Errors: Failure if it is older than what is published and *allow_older* is not said: machines refuse to go back.
    """
    if not (made.repo / "objects").is_dir():
        raise Failure(f"{made.repo} is gone: the compose has no commit to publish any more", hint="compose again")
    before = find_ref(repository, made.ref)
    say(f"{made.ref} {made.version}: pulling {made.commit[:12]}")
    source = Bind(source=made.repo, target="/compose")
    try:
        repository.run("pull-local", "--untrusted", "/compose", made.commit, binds=(source,))
    except CommandFailed as error:
        raise Failure(f"{made.repo} is damaged: {error.output.strip()}", hint="compose again") from error
    goes_back = before is not None and _timestamp(repository, made.commit) < _timestamp(repository, before)
    if goes_back and not allow_older:
        raise Failure(
            f"{made.ref}: {made.version} is older than what is published, and machines refuse to go back",
            hint="--allow-older publishes it all the same",
        )
    size = None
    if delta and before is not None and before != made.commit:
        say(f"{made.ref}: static delta from {before[:12]}")
        repository.run("static-delta", "generate", f"--from={before}", f"--to={made.commit}", "--inline")
        size = _delta_size(repository, before, made.commit)
    repository.sync()
    _set_ref(repository, f"{VERSIONS}{made.version}/{made.ref}", made.commit)
    _set_ref(repository, made.ref, made.commit)
    dropped = _drop_old(repository, made.ref, keep=keep)
    return Published(made.ref, made.version, made.commit, before, size, dropped)


def finish(repository: Repository, signer: Signer | None) -> None:
    """Write the summary, signed if there is a *signer*; then remove what no ref names any more, whoever left it."""
    sign_summary(repository, signer)
    kept = repository.run("refs", "--list", "--revision", readonly=True).decode()
    for name in deltas(repository):
        if not all(commit in kept for commit in name.split("-")):
            repository.run("static-delta", "delete", name)
    repository.run("prune", "--refs-only", "--depth=0")
    sign_summary(repository, signer)  # it lists the deltas


def versions(repository: Repository, ref: str) -> list[str]:
    """Versions of *ref* that the repository keeps, oldest first."""
    names = repository.run("refs", readonly=True).decode().split()
    found = [
        name.removeprefix(VERSIONS).removesuffix(f"/{ref}")
        for name in names
        if name.startswith(VERSIONS) and name.endswith(f"/{ref}")
    ]
    return sorted((one for one in found if "/" not in one), key=parse_version)


def deltas(repository: Repository) -> list[str]:
    """Static deltas, as FROM-TO."""
    lines = repository.run("static-delta", "list", readonly=True).decode().splitlines()
    return [line.strip() for line in lines if re.fullmatch(r"\s*([0-9a-f]{64}-)?[0-9a-f]{64}\s*", line)]


def _drop_old(repository: Repository, ref: str, *, keep: int) -> tuple[str, ...]:
    known = versions(repository, ref)
    named = find_ref(repository, ref)
    old = [one for one in known[:-keep] if find_ref(repository, f"{VERSIONS}{one}/{ref}") != named]
    for version in old:
        repository.run("refs", "--delete", f"{VERSIONS}{version}/{ref}")
    return tuple(old)


def _set_ref(repository: Repository, ref: str, commit: str) -> None:
    repository.run("refs", "--force", f"--create={ref}", commit)


def _timestamp(repository: Repository, commit: str) -> str:
    """Of a commit, in ISO 8601, UTC: sorts as time does."""
    said = repository.run("log", commit, readonly=True)
    found = _TIMESTAMP.search(said.decode("utf-8", "replace"))
    if found is None:
        raise Failure(f"{repository.path}: commit {commit[:12]} has no date")
    return found["date"].strip()


def _delta_size(repository: Repository, before: str, after: str) -> int:
    """Bytes below deltas/, whose names are the commits in base64 without padding, with _ for /."""
    start, end = (
        base64.b64encode(bytes.fromhex(one)).decode().rstrip("=").replace("/", "_") for one in (before, after)
    )
    place = repository.path / "deltas" / start[:2] / f"{start[2:]}-{end}"
    return sum(path.stat().st_size for path in place.iterdir()) if place.is_dir() else 0


def describe(published: Sequence[Published]) -> Iterator[str]:
    for one in published:
        how = "is new" if one.before is None else "was there" if one.before == one.commit else f"over {one.before[:12]}"
        size = f", delta of {one.delta / 1e6:.1f} MB" if one.delta is not None else ""
        gone = f"; dropped {', '.join(one.dropped)}" if one.dropped else ""
        yield f"{one.ref} {one.version} {how}{size}{gone}"
