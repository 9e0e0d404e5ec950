"""Which composes may go, and their removal. What is published, labelled or running never goes by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.directory import COMPOSE_ID, ComposeDirectory, list_composes
from debcore.path import sync_directory
from debroot import owned
from debroot.idmap import IdMap

#: A compose under removal: no command takes it for one, and the next gc ends what a killed one began.
GOING = ".removed-"


@dataclass(frozen=True)
class Policy:
    """How many stay of each release and type of compose, the newest first."""

    keep: int  #: finished ones
    failed: int  #: others that do not run


@dataclass(frozen=True)
class Candidate:
    """What decides about one compose."""

    id: str
    path: Path
    finished: bool
    running: bool
    linked: bool  #: a `latest-` link points to it
    label: str | None


@dataclass(frozen=True)
class Verdict:
    candidate: Candidate
    goes: bool
    why: str


def judge(candidates: Iterable[Candidate], policy: Policy) -> Iterator[Verdict]:
    """*candidates*: oldest first. Pure."""
    seen: dict[tuple[str, bool], int] = {}
    verdicts: list[Verdict] = []
    for one in reversed(list(candidates)):
        match = COMPOSE_ID.fullmatch(one.id)
        kind = f"{match['stem']}{match['type'] or ''}" if match else one.id
        if one.running:
            verdicts.append(Verdict(one, False, "it runs"))
        elif one.linked:
            verdicts.append(Verdict(one, False, "a link names it as the latest"))
        elif one.label:
            verdicts.append(Verdict(one, False, f"it is labelled {one.label}"))
        else:
            number = seen[kind, one.finished] = seen.get((kind, one.finished), 0) + 1
            most, what = (policy.keep, "finished") if one.finished else (policy.failed, "unfinished")
            verdicts.append(Verdict(one, number > most, f"{what}, number {number} of {kind}; {most} are kept"))
    yield from reversed(verdicts)


def find_candidates(target: Path) -> Iterator[Candidate]:
    """Oldest first; one whose STATUS is damaged counts as unfinished."""
    linked = {link.resolve() for link in target.glob("latest-*") if link.is_symlink()}
    for compose in list_composes(target):
        try:
            finished = compose.status().is_final
        except (OSError, ValueError):
            finished = False
        running = not finished and compose.is_running()
        yield Candidate(
            compose.path.name, compose.path, finished, running, compose.path.resolve() in linked, _label(compose)
        )


def _label(compose: ComposeDirectory) -> str | None:
    try:
        found = json.loads(compose.manifest_path.read_bytes())["manifest"]["compose"]["compose"]["label"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it failed before it had a manifest
    return found if isinstance(found, str) else None


def remove_compose(path: Path, ids: IdMap) -> None:
    """Take it out of sight first, so that a removal that is killed leaves nothing that looks like a compose."""
    going = path.with_name(f"{GOING}{path.name}")
    path.rename(going)
    sync_directory(path.parent)
    owned.remove_tree(going, ids)


def remove_leftovers(target: Path, ids: IdMap) -> list[str]:
    """End removals that were killed; the names of their composes."""
    found = sorted(target.glob(f"{GOING}*"))
    for path in found:
        owned.remove_tree(path, ids)
    return [path.name.removeprefix(GOING) for path in found]
