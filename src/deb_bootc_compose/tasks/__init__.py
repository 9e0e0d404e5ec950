"""What a compose is made of: one file for each kind of task.

A module here has one function, `run_task(task) -> Done`; its name is the kind's with `_` for `-`.
To add one: its file, a line below, a node in `plan.py`, a test.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from deb_bootc_compose.worker import Done, Task

#: In the order in which a compose runs them; the number is raised when the same inputs give other results.
KINDS: Mapping[str, int] = {
    "source": 1,  # a source package, by deb-mock
    "request": 1,  # message 1 to the hub, and the wait for message 5
    "lock": 1,  # exact packages
    "tree": 1,
    "lint": 1,
    "commit": 1,  # OSTree
    "container": 2,  # OCI layout
    "replay": 1,  # the layout imported as bootc would, compared with the commit
    "image": 3,  # disks
    "boot": 2,
    "update": 2,  # from the compose before, over HTTP, and back
    "fallback": 2,  # an update that does not boot
    "bootc-install": 1,  # of the image, by its own bootc
    "bootc-upgrade": 1,  # from the image before, by bootc from a registry, and back
    "metadata": 1,
    "publish": 1,
}


def kinds_from(kind: str | None) -> frozenset[str]:
    """*kind* and those that come after it; none for None."""
    order = list(KINDS)
    return frozenset(order[order.index(kind) :]) if kind else frozenset()


class TaskModule(Protocol):
    def run_task(self, task: Task) -> Done: ...


def load_task(kind: str) -> TaskModule:
    if kind not in KINDS:
        raise KeyError(f"no kind of task: {kind}")
    return cast(TaskModule, importlib.import_module(f"deb_bootc_compose.tasks.{kind.replace('-', '_')}"))
