"""The services say the same on both databases."""

from __future__ import annotations

from deb_orchestrator.services import agents, attempts, people, queries, why
from debcore.hub.model import BuildState, TokenAsk
from tests.unit.orchestrator.services.farm import ADMIN, Farm, only


def test_two_sources_in_order_logs_events_and_why(farm: Farm) -> None:
    lib = farm.add_source("liba", binaries=["liba-dev"])
    app = farm.add_source("app", depends="liba-dev", tarball=b"y")
    asked = farm.ask(app, lib)
    first = only(farm.claim())
    held = (first.job, first.attempt, first.grant)
    assert attempts.put_log(farm.hub, farm.agent, held, 0, b"one ") == 4
    assert attempts.put_log(farm.hub, farm.agent, held, 2, b"e two") == 7, "what is known is not taken twice"
    assert attempts.put_log(farm.hub, farm.agent, held, 99, b"gap") == 7
    number = int(first.spec["job"]["build"])
    assert queries.read_log(farm.hub, number, "amd64", 2, 100) == (b"e two", False)
    assert why.explain_build(farm.hub, number)
    farm.finish_well(first, "liba-dev")
    farm.settle()
    second = only(farm.claim())
    farm.finish_well(second)
    farm.settle()
    ready = farm.request(asked.id)
    assert (ready.state, ready.event) == ("ready", queries.list_events(farm.hub, 0, 1000, request_id=asked.id)[-1].n)
    assert [build.state for build in queries.list_builds(farm.hub)] == [BuildState.INSTALLED] * 2
    assert [agent.name for agent in agents.list_agents(farm.hub)] == ["builder"]


def test_tokens_links_and_sessions(farm: Farm) -> None:
    made = people.make_token(farm.hub, ADMIN, TokenAsk(name="ci", scope="client"))
    assert people.find_principal(farm.hub, made.secret or "").name == "ci"
    secret, _ = people.make_login_link(farm.hub, ADMIN)
    session = people.find_session(farm.hub, people.use_login_link(farm.hub, secret))
    assert session is not None
    assert session.scope == "admin"


def test_a_failed_request_is_retried(farm: Farm) -> None:
    hello = farm.add_source("hello")
    farm.ask(hello)
    farm.finish(only(farm.claim()), "failed", message="no")
    farm.settle()
    assert farm.ask(hello, retry=True).state == "open"
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert farm.ask(hello).state == "ready"
