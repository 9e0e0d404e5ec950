"""A compose as a graph of tasks. A task's identity is the hash of its inputs; what the journal has with the same
identity is not done again; what does not depend on each other runs at the same time, each task in its own process.
"""

from __future__ import annotations

import graphlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deb_bootc_compose.journal import Journal
from deb_bootc_compose.runner import Ended, Runner
from debcore.errors import Failure

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OnlyIf:
    """What a task is for: a value that one of its needs gives; without it the task is `not applicable`, and why."""

    need: str
    key: str
    reason: str

    @property
    def result(self) -> dict[str, Any]:
        """Of a task that is not applicable."""
        return {"value": {"applicable": False, "reason": self.reason}, "files": []}


@dataclass(frozen=True, kw_only=True)
class Node:
    """One task. `params` and the results of `needs` are its identity; `context` (paths, URLs) is not."""

    id: str  #: file name of its log; unique in the graph
    kind: str  #: which task (deb_bootc_compose.tasks)
    version: int = 1  #: raised when the task's code gives other results for the same inputs
    params: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()  #: must have ended well before, without being an input
    context: Mapping[str, Any] = field(default_factory=dict)
    optional: bool = False  #: its failure leaves the compose incomplete, not doomed
    again: bool = False  #: never taken from the journal (cheap, or its inputs are not all named)
    only_if: OnlyIf | None = None
    part: str = ""  #: what falls as a whole if one of its tasks fails
    gathers: bool = False  #: does with the parts that are whole, and sees nothing of the others


@dataclass(frozen=True)
class Outcome:
    """How one task ended. `result` is None if it failed or was left out; `reused`: the journal had it."""

    node: Node
    result: Mapping[str, Any] | None
    seconds: float
    reused: bool = False
    error: str = ""


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def identify(node: Node, inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """SHA-256 over kind, version, parameters and the results of what it needs."""
    parts = {"kind": node.kind, "version": node.version, "params": node.params, "inputs": inputs}
    return hashlib.sha256(canonical(parts)).hexdigest()


def check_graph(nodes: Iterable[Node]) -> dict[str, Node]:
    """Errors: ValueError on a cycle, an unknown need or a name given twice: that is our mistake, not the user's."""
    by_id: dict[str, Node] = {}
    for node in nodes:
        if node.id in by_id:
            raise ValueError(f"two tasks are called {node.id}")
        by_id[node.id] = node
    for node in by_id.values():
        if missing := {*node.needs, *node.after} - set(by_id):
            raise ValueError(f"{node.id} needs {', '.join(missing)}, which is no task")
    graphlib.TopologicalSorter({n.id: {*n.needs, *n.after} for n in by_id.values()}).prepare()
    return by_id


#: What a task needs to know at the time it starts, given itself and its identity.
Prepare = Callable[[Node, str], Mapping[str, Any]]


def _no_context(_node: Node, _identity: str) -> Mapping[str, Any]:
    return {}


class Graph:
    """Runs nodes. *prepare* gives what a task needs to know at the time it starts, such as the hub's URL."""

    def __init__(
        self, nodes: Iterable[Node], *, root: Path, journal: Journal, runner: Runner, jobs: int = 2,
        prepare: Prepare = _no_context,
    ) -> None:  # fmt: skip
        self.nodes = check_graph(nodes)
        self.root = root
        self.journal = journal
        self.runner = runner
        self.jobs = jobs
        self.prepare = prepare
        self.outcomes: dict[str, Outcome] = {}
        self._started: dict[str, tuple[str, float]] = {}  # task: (identity, when)

    def run(self) -> dict[str, Outcome]:
        """Until all is done, or a task failed and those running beside it have ended.

        Errors: Failure of the first task that is not optional; what it says is in the journal too.
        """
        order = graphlib.TopologicalSorter({n.id: {*n.needs, *n.after} for n in self.nodes.values()})
        order.prepare()
        waiting: list[str] = []
        failed: Ended | None = None
        while order.is_active():
            waiting += order.get_ready()
            settled = False
            for name in list(waiting) if failed is None else ():
                if self._settle(self.nodes[name]):
                    order.done(name)
                    settled = True
                elif len(self._started) < self.jobs:
                    self._start(self.nodes[name])
                else:
                    continue
                waiting.remove(name)
            if settled:
                continue
            if not self._started:
                break
            for ended in self.runner.wait():
                if self._finish(ended):
                    order.done(ended.name)
                else:
                    failed = failed or ended
        if failed is not None:
            raise failed.failure(failed.name)
        return self.outcomes

    def _settle(self, node: Node) -> bool:
        """Without running it: left out because an optional input failed, done before, or not applicable."""
        if self._is_cut_off(node):
            self.outcomes[node.id] = Outcome(node, None, 0.0, error="left out: what it needs is missing")
            log.info("%s: left out, because what it needs failed", node.id)
            return True
        result = self._reusable(node)
        if result is None:
            return self._is_not_applicable(node)
        self.outcomes[node.id] = Outcome(node, result, 0.0, reused=True)
        log.info("%s: done before", node.id)
        return True

    def _is_cut_off(self, node: Node) -> bool:
        return not node.gathers and any(self.outcomes[need].result is None for need in node.needs)

    def _is_not_applicable(self, node: Node) -> bool:
        """Then the journal says so, as of a task that ended well."""
        inputs = self._inputs(node)
        condition = node.only_if
        if condition is None or inputs[condition.need].get("value", {}).get(condition.key):
            return False
        identity = identify(node, inputs)
        result = condition.result
        self.journal.append("task.started", task=node.id, identity=identity)
        self.journal.append("task.finished", task=node.id, identity=identity, seconds=0.0, result=result, files=[])
        self.outcomes[node.id] = Outcome(node, result, 0.0)
        log.info("%s: %s", node.id, condition.reason)
        return True

    def _inputs(self, node: Node) -> dict[str, Mapping[str, Any]]:
        broken = self._broken_parts() if node.gathers else ()
        return {need: self.outcomes[need].result or {} for need in node.needs if self.nodes[need].part not in broken}

    def _broken_parts(self) -> set[str]:
        return {one.node.part for one in self.outcomes.values() if one.result is None}

    def _reusable(self, node: Node) -> Mapping[str, Any] | None:
        if node.again:
            return None
        entry = self.journal.find_finished(node.id, identify(node, self._inputs(node)))
        if entry is None or not all(is_whole(self.root, file) for file in entry.data["files"]):
            return None
        result: Mapping[str, Any] = entry.data["result"]
        return result

    def _start(self, node: Node) -> None:
        inputs = self._inputs(node)
        identity = identify(node, inputs)
        context = {**node.context, **self.prepare(node, identity)}
        self.journal.append("task.started", task=node.id, identity=identity)
        log.info("%s: started", node.id)
        self._started[node.id] = identity, time.monotonic()
        self.runner.start(
            node.id,
            {"task": node.id, "kind": node.kind, "identity": identity, "params": dict(node.params),
             "inputs": inputs, "context": context},
        )  # fmt: skip

    def _finish(self, ended: Ended) -> bool:
        node = self.nodes[ended.name]
        identity, since = self._started.pop(ended.name)
        seconds = round(time.monotonic() - since, 2)
        if ended.result is not None:
            files = [describe(self.root, path) for path in ended.result.get("files", [])]
            result = {"value": ended.result.get("value", {}), "files": files}
            self.journal.append(
                "task.finished", task=node.id, identity=identity, seconds=seconds, result=result, files=files
            )
            self.outcomes[node.id] = Outcome(node, result, seconds)
            log.info("%s: done in %s (%d of %d)", node.id, duration(seconds), len(self.outcomes), len(self.nodes))
            return True
        try:
            self.journal.append("task.failed", task=node.id, identity=identity, seconds=seconds, error=ended.error)
        except Failure as error:  # a disk that is full must not hide why the task failed
            log.info("%s: %s", node.id, error)
        self.outcomes[node.id] = Outcome(node, None, seconds, error=ended.message)
        first = ended.message.partition("\n")[0]
        log.info("%s: failed after %s: %s", node.id, duration(seconds), first)
        return node.optional


def describe(root: Path, name: str) -> dict[str, Any]:
    """A file that vouches for the result: its size; a directory only has to be there. Errors: Failure if missing."""
    path = root / name
    if path.is_dir():
        return {"path": name, "size": None}
    if not path.is_file():
        raise Failure(f"{name} was promised by a task and is not there")
    return {"path": name, "size": path.stat().st_size}


def is_whole(root: Path, file: Mapping[str, Any]) -> bool:
    path = root / str(file["path"])
    return path.is_dir() if file["size"] is None else path.is_file() and path.stat().st_size == file["size"]


def duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def timings(outcomes: Mapping[str, Outcome]) -> Iterator[tuple[str, float, str]]:
    """(task, seconds, how) in the order they ended."""
    for name, outcome in outcomes.items():
        how = "done before" if outcome.reused else "done" if outcome.result is not None else "failed"
        yield name, outcome.seconds, how
