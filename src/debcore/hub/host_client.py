"""Typed client of builders and the farm, for people who run it."""

from __future__ import annotations

from debcore.hub import hosts as wire
from debcore.hub import model
from debcore.hub.client import HubClient


class HostClient(HubClient):
    """What changes something needs a token of scope admin."""

    def hosts(self) -> list[model.Agent]:
        return [model.Agent.model_validate(agent) for agent in self._get("/agents")]

    def host(self, name: str) -> model.Agent:
        return model.Agent.model_validate(self._get(f"/agents/{name}"))

    def disable(self, name: str, reason: str) -> model.Agent:
        """It gets no new work; what it holds goes on."""
        return self._set(name, "disabled", wire.HostAsk(reason=reason))

    def enable(self, name: str) -> model.Agent:
        """It gets work again; a quarantine ends."""
        return self._set(name, "disabled", wire.HostAsk())

    def set_pool(self, name: str, pool: str) -> model.Agent:
        return self._set(name, "pool", wire.PoolAsk(pool=pool))

    def farm(self) -> wire.Farm:
        return wire.Farm.model_validate(self._get("/farm"))

    def set_maintenance(self, reason: str | None) -> wire.Farm:
        """With *reason* no builder gets new work."""
        body = wire.HostAsk(reason=reason).model_dump(mode="json")
        return wire.Farm.model_validate(self.http.json("PUT", f"{model.PREFIX}/farm/maintenance", json=body))

    def set_trust(self, pool: str, trust: int) -> wire.Farm:
        body = wire.TrustAsk(trust=trust).model_dump(mode="json")
        return wire.Farm.model_validate(self.http.json("PUT", f"{model.PREFIX}/pools/{pool}/trust", json=body))

    def set_requires(self, target: str, requires: wire.Requires | None) -> model.Target:
        """What the target's builds require of their builders from now on."""
        body = wire.RequiresAsk(requires=requires).model_dump(mode="json")
        return model.Target.model_validate(
            self.http.json("PUT", f"{model.PREFIX}/targets/{target}/requires", json=body)
        )

    def _set(self, name: str, what: str, body: wire.HostAsk | wire.PoolAsk) -> model.Agent:
        url = f"{model.PREFIX}/agents/{name}/{what}"
        return model.Agent.model_validate(self.http.json("PUT", url, json=body.model_dump(mode="json")))
