"""Typed client of jobs, packages and history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from debcore.hub import records as wire
from debcore.hub.client import HubClient

#: Rows of one answer.
PAGE = 500


class RecordClient(HubClient):
    def tasks(self, *, before: int | None = None, limit: int = 50, **wanted: str | None) -> list[wire.Task]:
        """Newest first. *wanted*: state (or `open`), kind, arch, owner, agent; *before* is a job's number."""
        found = self._get("/jobs", before=before, limit=limit, **wanted)
        return [wire.Task.model_validate(one) for one in found]

    def task(self, job: int) -> wire.TaskShow:
        return wire.TaskShow.model_validate(self._get(f"/jobs/{job}"))

    def packages(self, *, part: str = "", suite: str | None = None) -> Iterator[wire.PackageLine]:
        """All of them, by name."""
        after = ""
        while True:
            found = self._get("/packages", part=part, suite=suite, after=after, limit=PAGE)
            yield from (page := [wire.PackageLine.model_validate(one) for one in found])
            if len(page) < PAGE:
                return
            after = page[-1].source

    def package(self, name: str) -> wire.Package:
        return wire.Package.model_validate(self._get(f"/packages/{quote(name, safe='')}"))

    def search(self, words: str) -> wire.Found:
        return wire.Found.model_validate(self._get("/search", q=words))

    def history_of(self, *, before: int | None = None, limit: int = 50, **wanted: str | None) -> Iterator[wire.Change]:
        """Newest first, at most *limit*. *wanted*: suite, package, target, host, who."""
        left = limit
        while left:
            params: dict[str, Any] = {"before": before, "limit": left, **wanted}
            page = wire.History.model_validate(self._get("/history", **params))
            yield from page.changes
            left -= len(page.changes)
            if page.older is None:
                return
            before = page.older
