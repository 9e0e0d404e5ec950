"""Tasks of composes that the farm carries out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from deb_orchestrator.services import compose_tasks
from deb_orchestrator.web.api.context import Client, HubDep
from debcore.hub.tasks import OrderedTask, TaskAsk

router = APIRouter(prefix="/tasks")

Number = Annotated[int, Path(ge=0, lt=2**63)]


@router.post("")
def order_task(hub: HubDep, who: Client, ask: TaskAsk) -> OrderedTask:
    """A job for an agent that can do tasks of composes; the same order again is the same job."""
    return compose_tasks.get_task(hub, who, compose_tasks.order_task(hub, who, ask))


@router.get("/{number}")
def get_task(hub: HubDep, who: Client, number: Number) -> OrderedTask:
    """Who has it, why it waits, what came of it. Only for whoever ordered it."""
    return compose_tasks.get_task(hub, who, number)


@router.post("/{number}/cancel")
def cancel_task(hub: HubDep, who: Client, number: Number) -> OrderedTask:
    """A running one is stopped by its agent's next beat."""
    return compose_tasks.cancel_task(hub, who, number)
