"""Typed client of suites: making them, what they inherit and take, history and going back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from debcore.hub import model, suites
from debcore.hub.client import HubClient


class SuiteClient(HubClient):
    """What changes a suite needs a token of scope admin."""

    def make_suite(self, name: str, ask: suites.SuiteAsk) -> model.Suite:
        """Errors: HttpFailure 409 if it exists with other settings."""
        return model.Suite.model_validate(self._put(f"/suites/{name}", ask))

    def inheritance(self, name: str, *, at: int | None = None) -> suites.Inheritance:
        return suites.Inheritance.model_validate(self._get(f"/suites/{name}/parents", at=at))

    def set_parents(self, name: str, parents: Sequence[str]) -> suites.Inheritance:
        """Errors: HttpFailure 422 on a loop."""
        body = suites.ParentsAsk(parents=tuple(parents))
        return suites.Inheritance.model_validate(self._put(f"/suites/{name}/parents", body))

    def archive(self, name: str) -> suites.Archive:
        """The outside archive below the suite, and those of what it inherits from."""
        return suites.Archive.model_validate(self._get(f"/suites/{name}/archive"))

    def set_archive(self, name: str, archive: suites.Archive) -> suites.Archive:
        """Without sources: none is known from now on."""
        return suites.Archive.model_validate(self._put(f"/suites/{name}/archive", archive))

    def rules(self, name: str, *, at: int | None = None) -> list[suites.Rule]:
        return [suites.Rule.model_validate(rule) for rule in self._get(f"/suites/{name}/rules", at=at)]

    def set_rule(self, name: str, source: str, ask: suites.RuleAsk) -> list[suites.Rule]:
        """*source* `*`: all that no other rule names."""
        found = self._put(f"/suites/{name}/rules/{quote(source, safe='')}", ask)
        return [suites.Rule.model_validate(rule) for rule in found]

    def remove_rule(self, name: str, source: str) -> None:
        self.http.call("DELETE", f"{model.PREFIX}/suites/{name}/rules/{quote(source, safe='')}")

    def content(self, name: str, *, at: int | None = None) -> Iterator[suites.SuiteContent]:
        """The pages of what the suite sees as of event *at*; all are of one event."""
        where: dict[str, int | str] | None = {}
        while where is not None:
            answer = self._get(f"/suites/{name}/packages", at=at, limit=5000, **where)
            page = suites.SuiteContent.model_validate(answer)
            yield page
            at = page.event
            if page.after is not None:
                where = {"after": page.after}
            else:  # a hub that knows offsets only
                where = None if page.next is None else {"offset": page.next}

    def add_package(self, name: str, ask: suites.PackageAsk) -> int:
        """The event from which on the suite has it."""
        return int(self._post(f"/suites/{name}/packages", ask.model_dump(mode="json"))["event"])

    def remove_package(self, name: str, source: str) -> int:
        answer = self.http.json("DELETE", f"{model.PREFIX}/suites/{name}/packages/{quote(source, safe='')}")
        return int(answer["event"])

    def merge(self, name: str, other: str) -> int:
        """*name* takes all that *other* itself holds, at the event that is returned."""
        return int(self._post(f"/suites/{name}/merge", {"suite": other})["event"])

    def plan_rebuild(self, target: str, of: Sequence[str]) -> suites.RebuildPlan:
        """What build-depends on packages of the sources *of*, in levels."""
        return suites.RebuildPlan.model_validate(self._get(f"/targets/{target}/rebuild-plan", of=list(of)))

    def history(self, name: str, *, before: int | None = None, limit: int = 50) -> list[suites.SuiteChange]:
        """Newest first; *before* is an event, for the next page."""
        found = self._get(f"/suites/{name}/history", before=before, limit=limit)
        return [suites.SuiteChange.model_validate(change) for change in found]

    def diff(self, name: str, old: int, new: int | None = None) -> suites.SuiteDiff:
        return suites.SuiteDiff.model_validate(self._get(f"/suites/{name}/diff", old=old, new=new))

    def revert(self, name: str, event: int) -> int:
        """The event from which on the suite is as it was at *event*."""
        return int(self._post(f"/suites/{name}/revert", {"event": event})["event"])

    def _put(self, path: str, body: suites.SuiteAsk | suites.ParentsAsk | suites.RuleAsk | suites.Archive) -> Any:
        return self.http.json("PUT", model.PREFIX + path, json=body.model_dump(mode="json"))
