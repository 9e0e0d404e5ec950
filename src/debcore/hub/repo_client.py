"""Typed client of suites as repositories."""

from __future__ import annotations

from debcore.hub import model, repos
from debcore.hub.client import HubClient


class RepoClient(HubClient):
    """What changes a suite needs a token of scope admin."""

    def settings(self, suite: str) -> repos.SuiteSettings:
        return repos.SuiteSettings.model_validate(self._get(f"/suites/{suite}/settings"))

    def set_settings(self, suite: str, settings: repos.SuiteSettings) -> repos.SuiteSettings:
        """What follows is published by itself."""
        body = settings.model_dump(mode="json")
        answer = self.http.json("PUT", f"{model.PREFIX}/suites/{suite}/settings", json=body)
        return repos.SuiteSettings.model_validate(answer)

    def make_snapshot(self, suite: str, ask: repos.SnapshotAsk) -> repos.Snapshot:
        """The same state is the same snapshot. It is served once `live`."""
        answer = self._post(f"/suites/{suite}/snapshots", ask.model_dump(mode="json"))
        return repos.Snapshot.model_validate(answer)

    def snapshots(self, suite: str) -> list[repos.Snapshot]:
        return [repos.Snapshot.model_validate(one) for one in self._get(f"/suites/{suite}/snapshots")]

    def keys(self, suite: str) -> list[repos.SuiteKey]:
        return [repos.SuiteKey.model_validate(key) for key in self._get(f"/suites/{suite}/keys")]

    def add_key(self, suite: str) -> list[repos.SuiteKey]:
        """The suite is signed by a new key too once the signer has made it."""
        return [repos.SuiteKey.model_validate(key) for key in self._post(f"/suites/{suite}/keys", repeat=False)]

    def retire_key(self, suite: str, fingerprint: str) -> list[repos.SuiteKey]:
        """Errors: HttpFailure 409 if no other key signs."""
        found = self.http.json("DELETE", f"{model.PREFIX}/suites/{suite}/keys/{fingerprint}")
        return [repos.SuiteKey.model_validate(key) for key in found]
