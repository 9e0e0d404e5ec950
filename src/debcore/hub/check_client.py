"""Typed client of checks."""

from __future__ import annotations

from debcore.hub import checks, model
from debcore.hub.client import HubClient


class CheckClient(HubClient):
    def order_checks(self, build: int, ask: checks.CheckAsk) -> model.Build:
        """Errors: HttpFailure 409 if the build has no packages, or no gate to try again."""
        return model.Build.model_validate(self._post(f"/builds/{build}/checks", ask.model_dump(mode="json")))

    def check_log(self, build: int, check: int, name: str, *, offset: int = 0, limit: int = 2**20) -> bytes:
        """Bytes from *offset* of what the check *name* of the order *check* printed."""
        params = {"offset": offset, "limit": limit}
        path = f"{model.PREFIX}/builds/{build}/checks/{check}/{name}/log"
        return self.http.call("GET", path, params=params).body

    def set_checks(self, target: str, plan: checks.CheckPlan | None) -> model.Target:
        """What is checked of the target's builds from now on; None: nothing. Needs a token of scope admin."""
        body = checks.ChecksAsk(plan=plan).model_dump(mode="json")
        answer = self.http.json("PUT", f"{model.PREFIX}/targets/{target}/checks", json=body)
        return model.Target.model_validate(answer)
