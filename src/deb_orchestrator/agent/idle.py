"""What a builder does while it has nothing to do: it brings the base roots that its jobs used up to date.

Each in a process of its own, at the lowest priority, that ends as soon as there is work: the store takes no harm from
that, and what was fetched by then is kept.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from debcore.command import Process, spawn
from debcore.hub.model import BuildSpec
from debcore.path import write_file

log = logging.getLogger(__name__)

#: Seconds without work before it begins, between two updates of one root, and between looks for work.
QUIET_S = 60.0
EVERY_S = 6 * 3600.0
LOOK_S = 0.25
#: Roots that are kept in mind; the one that was used longest ago is forgotten first.
MOST = 16

Root = tuple[str, str]


class IdleUpdates:
    """*argv*: deb-mock. *is_busy*: whether this agent holds any job. `roots` in *state* outlives the process."""

    def __init__(
        self, argv: Sequence[str], state: Path, is_busy: Callable[[], bool], *, quiet_s: float = QUIET_S,
        every_s: float = EVERY_S,
    ) -> None:  # fmt: skip
        self._argv, self._is_busy, self._quiet_s, self._every_s = tuple(argv), is_busy, quiet_s, every_s
        self._path = state / "roots.json"
        self._log = state / "idle.log"
        self._lock = threading.Lock()
        self._done: dict[Root, float] = {}

    def note(self, spec: BuildSpec) -> None:
        """A job used this root: later ones will, too."""
        root = (spec.job.target.preset, spec.job.target.build_arch or spec.job.target.arch)
        with self._lock:
            roots = [one for one in self._load() if one != root]
            write_file(self._path, json.dumps([root, *roots][:MOST]) + "\n")

    def run(self, stop: threading.Event) -> None:
        """Until *stop*."""
        quiet = 0.0
        while not stop.wait(LOOK_S):
            if self._is_busy():
                quiet = 0.0
                continue
            quiet += LOOK_S
            if quiet >= self._quiet_s and (root := next(self._find_due(), None)) is not None:
                self._done[root] = time.monotonic()
                self._update(root, stop)

    def _find_due(self) -> Iterator[Root]:
        with self._lock:
            roots = self._load()
        for root in roots:
            if root not in self._done or time.monotonic() - self._done[root] >= self._every_s:
                yield root

    def _update(self, root: Root, stop: threading.Event) -> None:
        preset, arch = root
        log.info("nothing to do: bringing the root of %s for %s up to date", preset, arch)
        tether = (sys.executable, "-m", "deb_orchestrator.agent.tether", str(os.getpid()))
        words = ("nice", "-n", "19", *self._argv, "init", "-r", preset, "--arch", arch)
        with self._log.open("wb") as output:
            child = spawn([*tether, *words], stdout=output, stderr=output, new_session=True)
        try:
            while child.poll() is None and not self._is_busy() and not stop.wait(LOOK_S):
                pass
        finally:
            _end(child)
        if child.poll() != 0:
            log.info("the root of %s for %s is as it was (status %s, see %s)", preset, arch, child.poll(), self._log)

    def _load(self) -> list[Root]:
        with suppress(OSError, ValueError, TypeError):
            return [(str(preset), str(arch)) for preset, arch in json.loads(self._path.read_text())]
        return []


def _end(child: Process) -> None:
    if child.poll() is None:
        child.terminate()
        end = time.monotonic() + 10
        while child.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if child.poll() is None:
            child.kill()
    child.wait()
