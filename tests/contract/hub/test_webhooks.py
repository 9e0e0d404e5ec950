"""Events go to webhooks: signed, each at least once, with pauses between tries, dead in the end, and replayed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.services import delivering, webhooks
from deb_orchestrator.services.delivering import Deliverer
from deb_orchestrator.services.hub import Conflict, NotFound
from deb_orchestrator.store.tables_doors import delivery
from debcore.errors import Failure
from debcore.hub import envelope
from debcore.hub.doors import DeliveryState, ReplayAsk, WebhookAsk
from tests.unit.orchestrator.services.farm import ADMIN, Farm, only


class Receiver(ThreadingHTTPServer):
    """Keeps what it gets, and answers as it is told."""

    def __init__(self) -> None:
        self.status, self.got = 204, list[tuple[str, dict[str, str], bytes]]()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?key=1"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
        self.send_response(server.status)
        if server.status == 302:
            self.send_header("Location", server.url)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def add(farm: Farm, url: str, *types: str, name: str = "ci", after: int | None = None) -> str:
    ask = WebhookAsk(name=name, url=url, types=types, after=after)
    return webhooks.add_webhook(farm.hub, ADMIN, ask, source="https://hub.example.org").secret or ""


def tell(farm: Farm, *types: str) -> int:
    with farm.hub.db.write() as db:
        return append_events(db, [NewEvent(type=one, data={"suite": "s"}) for one in types])


def deliver(farm: Farm) -> None:
    """All that is due, in this thread."""
    Deliverer(farm.hub).deliver(lambda function, sending: function(sending))


def make_due(farm: Farm) -> None:
    with farm.hub.db.write() as db:
        db.execute(sa.update(delivery).where(delivery.c.state == "pending").values(next_at=0))


def states(farm: Farm) -> list[str]:
    return [one.state.value for one in webhooks.list_deliveries(farm.hub, "ci")]


def test_events_are_sent_once_signed_and_in_order(farm: Farm, receiver: Receiver) -> None:
    secret = add(farm, receiver.url, "suite.", "packages.ready")
    first = tell(farm, "suite.made", "target.made", "suite.rule", "packages.ready", "packages.needed")
    deliver(farm)
    deliver(farm)
    assert [one["type"] for one in receiver.events] == [
        f"deb-orchestrator.{name}" for name in ("suite.made", "suite.rule", "packages.ready")
    ]
    path, headers, body = receiver.got[0]
    assert path == "/hook?key=1"
    assert headers["content-type"] == "application/cloudevents+json"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    one = json.loads(body)
    assert (one["id"], one["source"], one["subject"]) == (str(first - 4), "https://hub.example.org", "suites/s")
    assert states(farm) == ["delivered"] * 3
    assert "secret" not in str(webhooks.list_webhooks(farm.hub)[0].model_dump(exclude_none=True))


def test_what_is_not_taken_is_tried_again_later_given_up_and_replayed(farm: Farm, receiver: Receiver) -> None:
    add(farm, receiver.url)
    tell(farm, "suite.made")
    receiver.status = 500
    deliver(farm)
    deliver(farm)
    found = webhooks.list_deliveries(farm.hub, "ci")[0]
    assert (found.state, found.tries, found.status, found.error) == (DeliveryState.PENDING, 1, 500, "it answered 500")
    assert len(receiver.got) == 1, "not again before its time"
    for status in (302, 404, *[503] * (len(delivering.PAUSES_S) - 2)):
        receiver.status = status
        make_due(farm)
        deliver(farm)
    assert states(farm) == ["dead"]
    assert len(receiver.got) == len(delivering.PAUSES_S) + 1, "a redirect is not followed"
    assert [one.dead for one in webhooks.list_webhooks(farm.hub)] == [1]
    make_due(farm)
    deliver(farm)
    assert states(farm) == ["dead"]
    receiver.status = 200
    assert webhooks.replay(farm.hub, ADMIN, "ci", ReplayAsk()) == 1
    deliver(farm)
    assert states(farm) == ["delivered"]
    assert receiver.events[-1] == receiver.events[0], "the same event, of the same id"
    assert webhooks.replay(farm.hub, ADMIN, "ci", ReplayAsk(delivery=found.id)) == 1
    deliver(farm)
    assert states(farm) == ["delivered"]
    with pytest.raises(NotFound):
        webhooks.replay(farm.hub, ADMIN, "ci", ReplayAsk(delivery=found.id + 99))


def test_two_hubs_and_a_killed_one_lose_nothing(farm: Farm, receiver: Receiver) -> None:
    add(farm, receiver.url)
    tell(farm, *["suite.made"] * 3)
    assert not delivering.make_deliveries(farm.hub)
    assert not delivering.make_deliveries(farm.hub), "an event becomes one delivery"
    lost = delivering.claim_delivery(farm.hub, set())
    assert lost is not None
    deliver(farm)
    assert sorted(states(farm)) == ["delivered", "delivered", "pending"]
    make_due(farm)
    deliver(farm)
    delivering.end_try(farm.hub, lost, None, "the killed hub comes back late")
    assert states(farm) == ["delivered"] * 3
    assert len(receiver.got) == 3
    assert delivering.claim_delivery(farm.hub, set()) is None
    tell(farm, "suite.made")
    delivering.make_deliveries(farm.hub)
    assert delivering.claim_delivery(farm.hub, {"ci"}) is None, "one at a time for each webhook"
    webhooks.remove_webhook(farm.hub, ADMIN, "ci")
    assert webhooks.list_webhooks(farm.hub) == []


def test_where_nobody_listens_is_tried_again_and_gone_is_gone(farm: Farm, receiver: Receiver) -> None:
    receiver.status = 410
    add(farm, receiver.url)
    add(farm, "http://127.0.0.1:1/", name="nobody")
    tell(farm, "suite.made")
    deliver(farm)
    assert states(farm) == ["dead"]
    other = webhooks.list_deliveries(farm.hub, "nobody")[0]
    assert (other.state, other.status) == (DeliveryState.PENDING, None)
    assert "does not answer" in other.error
    add(farm, f"https://{'x' * 80}.example.org/", name="odd", after=farm.events_so_far() - 1)
    deliver(farm)
    odd = webhooks.list_deliveries(farm.hub, "odd")[0]
    assert (odd.tries, odd.state) == (1, DeliveryState.PENDING)
    assert odd.error, "an odd name is an answer like any other"
    with pytest.raises(Conflict):
        add(farm, receiver.url)
    for url in ("http://ci.example.org/", "https://user:password@ci.example.org/", "https:///x"):
        with pytest.raises(Failure):
            add(farm, url, name="bad")
    with pytest.raises(NotFound):
        webhooks.remove_webhook(farm.hub, ADMIN, "bad")


def test_every_event_of_a_farm_is_as_its_schema_says(farm: Farm, receiver: Receiver) -> None:
    jsonschema = importlib.import_module("jsonschema")  # of the tests alone, and it has no types
    add(farm, receiver.url, after=0)
    request = farm.ask(farm.add_source("hello"))
    farm.settle()
    farm.finish_well(only(farm.claim()))
    farm.settle()
    deliver(farm)
    assert len(receiver.events) == farm.events_so_far()
    assert [int(one["sequence"]) for one in receiver.events] == list(range(1, farm.events_so_far() + 1))
    assert {"packages.needed", "build.complete", "packages.ready"} <= set(farm.story(request.id))
    for one in receiver.events:
        schema = envelope.make_schema(one["type"].removeprefix(envelope.TYPE_PREFIX))
        jsonschema.validate(one, schema)
        broken = {**one, "data": {**one["data"], "details": "none"}}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)
