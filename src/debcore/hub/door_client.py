"""Typed client of the ways into a hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from debcore.hub import doors, model
from debcore.hub.client import HubClient


class DoorClient(HubClient):
    """Uploads and who may make them. What changes something needs a token of scope admin."""

    def add_uploader(self, ask: doors.UploaderAsk) -> doors.Uploader:
        """The only answer that has the secret."""
        return doors.Uploader.model_validate(self._post("/uploaders", ask.model_dump(mode="json"), repeat=False))

    def uploaders(self) -> list[doors.Uploader]:
        return [doors.Uploader.model_validate(one) for one in self._get("/uploaders")]

    def revoke_uploader(self, name: str) -> None:
        """At once. Errors: HttpFailure 404."""
        self.http.call("DELETE", f"{model.PREFIX}/uploaders/{name}")

    def uploads(
        self, *, name: str | None = None, target: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[doors.Upload]:
        """Newest first; *name* is a .changes file's, *before* an upload's id."""
        found = self._get("/uploads", name=name, target=target, before=before, limit=limit)
        return [doors.Upload.model_validate(one) for one in found]

    def upload(self, id_: int) -> doors.Upload:
        return doors.Upload.model_validate(self._get(f"/uploads/{id_}"))

    def distributions(self, target: str) -> tuple[str, ...]:
        return doors.Distributions.model_validate(self._get(f"/targets/{target}/distributions")).names

    def set_distributions(self, target: str, names: Sequence[str]) -> tuple[str, ...]:
        body = doors.Distributions(names=tuple(names)).model_dump(mode="json")
        answer = self.http.json("PUT", f"{model.PREFIX}/targets/{target}/distributions", json=body)
        return doors.Distributions.model_validate(answer).names

    def add_webhook(self, ask: doors.WebhookAsk) -> doors.Webhook:
        """The only answer that has the secret. Errors: HttpFailure 409 if the name is taken."""
        return doors.Webhook.model_validate(self._post("/webhooks", ask.model_dump(mode="json"), repeat=False))

    def webhooks(self) -> list[doors.Webhook]:
        return [doors.Webhook.model_validate(one) for one in self._get("/webhooks")]

    def remove_webhook(self, name: str) -> None:
        self.http.call("DELETE", f"{model.PREFIX}/webhooks/{name}")

    def deliveries(
        self, webhook: str, *, state: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[doors.Delivery]:
        """Newest first; *before* is a delivery's id."""
        found = self._get(f"/webhooks/{webhook}/deliveries", state=state, before=before, limit=limit)
        return [doors.Delivery.model_validate(one) for one in found]

    def replay(self, webhook: str, delivery: int | None = None) -> int:
        """Send *delivery* again, or all that were given up; how many."""
        body = doors.ReplayAsk(delivery=delivery).model_dump(mode="json")
        return int(self._post(f"/webhooks/{webhook}/replay", body)["deliveries"])

    def roles(self, suite: str) -> list[doors.SuiteRole]:
        return [doors.SuiteRole.model_validate(one) for one in self._get(f"/suites/{suite}/roles")]

    def set_role(self, suite: str, principal: str, role: Literal["manager", "reader"] | None) -> list[doors.SuiteRole]:
        """None takes it away. *principal* is the name of a token."""
        path = f"{model.PREFIX}/suites/{suite}/roles/{quote(principal, safe='')}"
        answer = self.http.json("PUT", path, json={"role": role}) if role else self.http.json("DELETE", path)
        return [doors.SuiteRole.model_validate(one) for one in answer]

    def add_credential(self, suite: str, ask: doors.AptCredentialAsk) -> doors.AptCredential:
        """The only answer that has the password."""
        answer = self._post(f"/suites/{suite}/credentials", ask.model_dump(mode="json"), repeat=False)
        return doors.AptCredential.model_validate(answer)

    def credentials(self, suite: str) -> list[doors.AptCredential]:
        return [doors.AptCredential.model_validate(one) for one in self._get(f"/suites/{suite}/credentials")]

    def remove_credential(self, suite: str, name: str) -> None:
        self.http.call("DELETE", f"{model.PREFIX}/suites/{suite}/credentials/{name}")

    def audit(
        self, *, principal: str | None = None, action: str | None = None, subject: str | None = None,
        before: int | None = None, limit: int = 100,
    ) -> list[doors.AuditEntry]:  # fmt: skip
        """Newest first. *action* with a dot at its end stands for all that begin so; *before* is an entry's id."""
        found = self._get("/audit", principal=principal, action=action, subject=subject, before=before, limit=limit)
        return [doors.AuditEntry.model_validate(one) for one in found]

    def add_trigger(self, ask: doors.TriggerAsk) -> doors.Trigger:
        """The only answer that has the path of its hook. Errors: HttpFailure 409 if the name is taken."""
        return doors.Trigger.model_validate(self._post("/triggers", ask.model_dump(mode="json"), repeat=False))

    def triggers(self) -> list[doors.Trigger]:
        return [doors.Trigger.model_validate(one) for one in self._get("/triggers")]

    def remove_trigger(self, name: str) -> None:
        self.http.call("DELETE", f"{model.PREFIX}/triggers/{name}")

    def due_triggers(self, *, wait: float = 0) -> list[doors.Trigger]:
        """*wait*: seconds (at most 50) to wait for the first."""
        found = self.http.json("GET", f"{model.PREFIX}/triggers/due", params={"wait": int(wait)}, timeout=30 + wait)
        return [doors.Trigger.model_validate(one) for one in found]

    def take_look(self, trigger: str) -> bool:
        """True for one runner of several: it looks now."""
        return bool(self._post(f"/triggers/{trigger}/look", repeat=False)["mine"])

    def keep_look(self, trigger: str, looked: doors.Looked) -> doors.Trigger:
        path = f"{model.PREFIX}/triggers/{trigger}/look"
        return doors.Trigger.model_validate(self.http.json("PUT", path, json=looked.model_dump(mode="json")))
