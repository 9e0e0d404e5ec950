"""Typed client of tasks that a compose has done on the farm."""

from __future__ import annotations

from debcore.hub.client import HubClient
from debcore.hub.tasks import OrderedTask, TaskAsk


class TaskClient(HubClient):
    def order_task(self, ask: TaskAsk) -> OrderedTask:
        """The inputs must have been uploaded. The same again is the same job, until that has failed.

        Errors: HttpFailure 422 if an input is missing.
        """
        return OrderedTask.model_validate(self._post("/tasks", ask.model_dump(mode="json")))

    def ordered_task(self, job: int) -> OrderedTask:
        return OrderedTask.model_validate(self._get(f"/tasks/{job}"))

    def cancel_task(self, job: int) -> OrderedTask:
        return OrderedTask.model_validate(self._post(f"/tasks/{job}/cancel"))
