"""Typed client of composes."""

from __future__ import annotations

from debcore.hub import composes as wire
from debcore.hub import model
from debcore.hub.client import HubClient


class ComposeClient(HubClient):
    def put_compose(self, id_: str, ask: wire.ComposeAsk) -> wire.ComposeLine:
        """Say how a compose is now. Errors: HttpFailure 403 if another principal told of it first."""
        answer = self.http.json("PUT", f"{model.PREFIX}/composes/{id_}", json=ask.model_dump(mode="json"), timeout=120)
        return wire.ComposeLine.model_validate(answer)

    def composes(
        self, *, build: int | None = None, before: str | None = None, limit: int = 50
    ) -> list[wire.ComposeLine]:  # fmt: skip
        """Newest first. *build*: those with a package of it; *before*: an id, for the next page."""
        found = self._get("/composes", build=build, before=before, limit=limit)
        return [wire.ComposeLine.model_validate(one) for one in found]

    def compose(self, id_: str) -> wire.ComposeShow:
        return wire.ComposeShow.model_validate(self._get(f"/composes/{id_}"))

    def remove_compose(self, id_: str) -> None:
        """Its packages are no longer kept for it."""
        self.http.call("DELETE", f"{model.PREFIX}/composes/{id_}")
