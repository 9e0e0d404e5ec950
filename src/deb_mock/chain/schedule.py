"""What may begin next: pure functions of the graph and of how far each source is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from deb_mock.chain.graph import Graph


class State(StrEnum):
    """How far one source of a chain is."""

    WAITING = "waiting"
    RUNNING = "running"
    BUILT = "built"
    FAILED = "failed"
    SKIPPED = "skipped"  # it needs one that failed


def find_ready(graph: Graph, states: Mapping[str, State]) -> list[str]:
    """Sources that wait for nothing any more; those that most others wait for come first, else in the order given."""
    ready = [
        node.name
        for node in graph.nodes
        if states[node.name] is State.WAITING and all(states[need] is State.BUILT for need in graph.needs[node.name])
    ]
    waiting = {name: sum(name in graph.closure(node.name) for node in graph.nodes) for name in ready}
    return sorted(ready, key=lambda name: -waiting[name])


def find_doomed(graph: Graph, states: Mapping[str, State]) -> list[str]:
    """Waiting sources that need, directly or not, one that failed."""
    bad = {name for name, state in states.items() if state is State.FAILED}
    return [node.name for node in graph.nodes if states[node.name] is State.WAITING and graph.closure(node.name) & bad]


def find_next(graph: Graph, states: Mapping[str, State]) -> list[str]:
    """Waiting sources whose turn comes when the running ones have ended: what they need can be fetched now."""
    soon = (State.RUNNING, State.BUILT)
    return [
        node.name
        for node in graph.nodes
        if states[node.name] is State.WAITING
        and all(states[need] in soon for need in graph.needs[node.name])
        and any(states[need] is State.RUNNING for need in graph.needs[node.name])
    ]
