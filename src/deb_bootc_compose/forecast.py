"""What a compose would do, task by task, and why: nothing is run, nothing is asked of archive or hub.

What those say decides what follows. So their answers are taken to be those that the newest compose had, where it asked
the same; what is told then holds if neither has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deb_bootc_compose.directory import ComposeDirectory, list_composes
from deb_bootc_compose.earlier import DEPTH, Earlier
from deb_bootc_compose.earlier import KINDS as REUSABLE
from deb_bootc_compose.graph import Node, identify, is_whole
from deb_bootc_compose.journal import Entry, read_journal
from debcore.errors import Failure

#: `asks`: runs, and is quick where the archive, the hub or the store still have what they had.
Verdict = Literal["runs", "asks", "taken", "done", "left out", "not applicable"]

#: What the kinds look at that are never taken from an earlier compose.
LOOKS_AT = {
    "source": "the source", "request": "the hub", "lock": "the archive", "tree": "the store",
    "metadata": "what the others made", "publish": "what the others made",
}  # fmt: skip


@dataclass(frozen=True)
class Forecast:
    """One task."""

    task: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Past:
    """What a compose beside this one did: its last entry of each task that finished."""

    path: Path
    finished: Mapping[str, Entry]

    def told(self, task: str) -> Mapping[str, Any]:
        """params and inputs of *task*; empty if they are not kept any more."""
        try:
            document: dict[str, Any] = json.loads((self.path / "work/tasks" / task / "input.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return document


@dataclass(frozen=True)
class Pasts:
    """Composes beside this one whose journals can be read, the newest first."""

    composes: tuple[Past, ...]

    def find(self, task: str, identity: str) -> tuple[Past, Entry] | None:
        """The newest that did *task* with these inputs."""
        for past in self.composes:
            entry = past.finished.get(task)
            if entry is not None and entry.data["identity"] == identity:
                return past, entry
        return None

    def newest(self, task: str) -> Past | None:
        """The newest that did *task* and still knows with what."""
        return next((past for past in self.composes if task in past.finished and past.told(task)), None)


def find_pasts(own: ComposeDirectory) -> Pasts:
    found: list[Past] = []
    for compose in reversed(list_composes(own.path.parent)):
        if compose.path != own.path and len(found) < DEPTH:
            with suppress(OSError, Failure):
                entries = [entry for entry in read_journal(compose.journal_path) if entry.type == "task.finished"]
                found.append(Past(compose.path, {entry.data["task"]: entry for entry in entries}))
    return Pasts(tuple(found))


def forecast(
    judged: Iterable[tuple[Node, str]], own: ComposeDirectory, *, anew: Set[str] = frozenset()
) -> Iterator[Forecast]:
    """For each task of `plan.judge_nodes`, in an order in which nothing comes before what it needs.

    *own*: the compose that would go on, or one that is not there yet. *anew*: kinds that are done in any case.
    """
    pasts, earlier = find_pasts(own), Earlier(own)
    entries = list(read_journal(own.journal_path))
    known: dict[str, Mapping[str, Any] | None] = {}
    for node, reason in judged:
        if reason:
            yield Forecast(node.id, "left out", reason)
            continue
        missing = next((need for need in node.needs if known.get(need) is None), None)
        if missing is not None:
            known[node.id] = None
            why = _why_at_all(node, pasts) or f"after {missing}, which runs"
            yield Forecast(node.id, "runs", why)
            continue
        inputs = {need: known[need] or {} for need in node.needs}
        told, known[node.id] = _judge(node, inputs, own, entries, earlier, pasts, anew)
        yield told


def _judge(
    node: Node, inputs: Mapping[str, Mapping[str, Any]], own: ComposeDirectory, entries: list[Entry],
    earlier: Earlier, pasts: Pasts, anew: Set[str],
) -> tuple[Forecast, Mapping[str, Any] | None]:  # fmt: skip
    identity = identify(node, inputs)
    condition = node.only_if
    if condition is not None and not inputs[condition.need].get("value", {}).get(condition.key):
        return Forecast(node.id, "not applicable", condition.reason.removeprefix("not applicable: ")), condition.result
    mine = [entry for entry in entries if entry.data.get("task") == node.id]
    last = next((entry for entry in reversed(mine) if entry.type == "task.finished"), None)
    if node.kind in anew:
        return Forecast(node.id, "runs", "--from asks for it"), None
    if last is not None and last.data["identity"] == identity and not node.again:
        if all(is_whole(own.path, file) for file in last.data["files"]):
            return Forecast(node.id, "done", "in this compose"), last.data["result"]
        return Forecast(node.id, "runs", "files that it made are gone"), None
    if node.kind in REUSABLE:
        found = earlier.find(identity)
        if found is not None:
            return Forecast(node.id, "taken", f"as in {Path(found['path']).name}"), found["result"]
        return Forecast(node.id, "runs", _why_own(mine) or _why_new(node, inputs, pasts)), None
    if (met := pasts.find(node.id, identity)) is None:
        return Forecast(node.id, "runs", _why_own(mine) or _why_new(node, inputs, pasts)), None
    at = f"it looks at {LOOKS_AT[node.kind]}; all that it is told is as in {met[0].path.name}"
    return Forecast(node.id, "asks", at), met[1].data["result"]


def _why_own(mine: list[Entry]) -> str:
    """Why a task of this compose is done again; "" if it was not begun."""
    if not mine:
        return ""
    last = mine[-1]
    if last.type == "task.failed":
        return f"it failed: {str(last.data['error'].get('message', '')).partition(chr(10))[0]}"
    return "it was stopped" if last.type == "task.started" else "its inputs changed"


def _why_new(node: Node, inputs: Mapping[str, Mapping[str, Any]], pasts: Pasts) -> str:
    past = pasts.newest(node.id)
    if past is None:
        return "it was never done here"
    told = past.told(node.id)
    names = _changed_params(node, told)
    names += [need for need in sorted(inputs) if told.get("inputs", {}).get(need) != inputs[need]]
    if not names:
        return f"its result is no longer in {past.path.name}"
    return f"since {past.path.name} these changed: {', '.join(names)}"


def _why_at_all(node: Node, pasts: Pasts) -> str:
    """What of the manifest alone makes it run; "" if that is as it was."""
    past = pasts.newest(node.id)
    names = _changed_params(node, past.told(node.id)) if past is not None else []
    return f"since {past.path.name} these changed: {', '.join(names)}" if past is not None and names else ""


def _changed_params(node: Node, told: Mapping[str, Any]) -> list[str]:
    """Names of parameters, with dots where only a part changed."""
    return sorted(_differing(told.get("params", {}), json.loads(json.dumps(dict(node.params)))))


def _differing(old: Any, new: Any, name: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {*old, *new}:
            yield from _differing(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield name
