"""Typed client of suites as repositories."""

from __future__ import annotations

import logging
import time

from debcore.aptrepo.paths import RELEASE_SUITE
from debcore.errors import Failure, HostFailed
from debcore.hub import model, repos
from debcore.hub.client import HubClient

log = logging.getLogger(__name__)

SIGNED_WITHIN, LOOK = 180.0, 0.5  #: seconds, for the hub's signer; between two looks


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

    def make_live_snapshot(self, suite: str, ask: repos.SnapshotAsk) -> repos.Snapshot:
        """The same, served by now. Errors: HostFailed if nobody signs it; Failure for a name that is no suite's."""
        snapshot = self.make_snapshot(suite, ask)
        if not RELEASE_SUITE.fullmatch(snapshot.name):
            raise Failure(f"the hub calls a snapshot {snapshot.name[:80]!r}")
        end = time.monotonic() + SIGNED_WITHIN
        if not snapshot.live:
            log.info("Waiting for the signature of %s", snapshot.name)
        while not snapshot.live:
            if time.monotonic() >= end:
                said = f"{snapshot.name} was not signed within {SIGNED_WITHIN:g} s"
                raise HostFailed(said, hint="does the hub's signer run?")
            time.sleep(LOOK)
            snapshot = next((one for one in self.snapshots(suite) if one.name == snapshot.name), snapshot)
        return snapshot

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
