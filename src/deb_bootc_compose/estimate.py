"""How long a compose will still take, by how long its tasks took in earlier ones. Pure, but for `load_past`."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deb_bootc_compose.directory import list_composes
from deb_bootc_compose.graph import Node
from deb_bootc_compose.journal import Entry, read_journal
from debcore.errors import Failure

#: The newest composes that are looked at: what the tasks cost changes with the manifest.
DEPTH = 5


def load_past(target: Path, *, own: Path) -> dict[str, float]:
    """Task → seconds, out of the composes in *target* but for *own*. A damaged journal teaches nothing."""
    journals: list[list[Entry]] = []
    for compose in [one for one in list_composes(target) if one.path != own][-DEPTH:]:
        try:
            journals.append(list(read_journal(compose.journal_path)))
        except (OSError, Failure):
            continue
    return past_durations(journals)


def past_durations(journals: Iterable[Iterable[Entry]]) -> dict[str, float]:
    """The median over *journals* of each task's seconds. A kind alone stands for variants that were never made."""
    seen: dict[str, list[float]] = {}
    for journal in journals:
        last = {e.data["task"]: float(e.data["seconds"]) for e in journal if e.type == "task.finished"}
        for task, seconds in last.items():
            seen.setdefault(task, []).append(seconds)
            if "." in task:
                seen.setdefault(task.partition(".")[0], []).append(seconds)
    return {task: statistics.median(values) for task, values in seen.items()}


def expect(task: str, past: Mapping[str, float]) -> float | None:
    """Seconds that *task* is likely to take; None if nothing like it was ever done."""
    return past.get(task, past.get(task.partition(".")[0]))


def time_left(
    nodes: Sequence[Node], *, done: Iterable[str], running: Mapping[str, float], past: Mapping[str, float], jobs: int
) -> float | None:
    """Seconds until all *nodes* are done, *jobs* at the same time. *running*: task → seconds since its start.

    A task of which nothing is known counts as nothing; None if nothing is known of any that is left.
    """
    finished = set(done)
    left = [node for node in nodes if node.id not in finished]
    if not left or all(expect(node.id, past) is None for node in left):
        return None
    ends = [(max((expect(task, past) or 0.0) - since, 0.0), task) for task, since in running.items()]
    heapq.heapify(ends)
    waiting = [node for node in left if node.id not in running]
    now = 0.0
    while waiting or ends:
        ready = [node for node in waiting if {*node.needs, *node.after} <= finished][: max(jobs - len(ends), 0)]
        for node in ready:
            heapq.heappush(ends, (now + (expect(node.id, past) or 0.0), node.id))
            waiting.remove(node)
        if not ends:
            break  # what waits needs what is not here
        now, task = heapq.heappop(ends)
        finished.add(task)
    return now
