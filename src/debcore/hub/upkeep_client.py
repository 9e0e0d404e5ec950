"""Typed client of a hub's upkeep."""

from __future__ import annotations

from debcore.hub import model, upkeep
from debcore.hub.client import HubClient


class UpkeepClient(HubClient):
    """Pins need a token of scope client, all else one of scope admin."""

    def retention(self) -> upkeep.Retention:
        return upkeep.Retention.model_validate(self._get("/retention"))

    def set_retention(self, wanted: upkeep.Retention) -> upkeep.Retention:
        body = wanted.model_dump(mode="json")
        return upkeep.Retention.model_validate(self.http.json("PUT", f"{model.PREFIX}/retention", json=body))

    def plan_collection(self) -> upkeep.CollectPlan:
        """What would go and what stays. Takes time with what the hub has: a minute for a million files."""
        answer = self.http.json("GET", f"{model.PREFIX}/gc", timeout=3600)
        return upkeep.CollectPlan.model_validate(answer)

    def collect(self) -> upkeep.CollectJob:
        return upkeep.CollectJob.model_validate(self._post("/gc", repeat=False))

    def collection(self, job: int) -> upkeep.CollectJob:
        return upkeep.CollectJob.model_validate(self._get(f"/gc/{job}"))

    def pins(self) -> list[upkeep.Pin]:
        return [upkeep.Pin.model_validate(one) for one in self._get("/pins")]

    def put_pin(self, name: str, ask: upkeep.PinAsk) -> upkeep.Pin:
        """In place of the pin of this name, if there is one."""
        body = ask.model_dump(mode="json")
        return upkeep.Pin.model_validate(self.http.json("PUT", f"{model.PREFIX}/pins/{name}", json=body))

    def remove_pin(self, name: str) -> None:
        self.http.call("DELETE", f"{model.PREFIX}/pins/{name}")
