"""Too many calls are told to wait, and guessing does not lock out who is known."""

from __future__ import annotations

import base64

import pytest
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from deb_orchestrator.services import people
from deb_orchestrator.web import limits
from deb_orchestrator.web.api.app import make_app
from deb_orchestrator.web.api.context import ACCEPTED, COOKIE
from deb_orchestrator.web.limits import Buckets, Rate, RateLimit, find_shown
from debcore.hub.model import PREFIX, TokenAsk
from tests.unit.orchestrator.services.farm import ADMIN, Farm


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
    """Knows one token, however it is written."""
    good = dict(scope["headers"]).get(b"authorization", b"").lower() == b"bearer good"
    if good:
        scope[ACCEPTED] = "good"
    await send({"type": "http.response.start", "status": 200 if good else 401, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(limits, "KNOWN", Rate(per_s=1, burst=5))
    monkeypatch.setattr(limits, "STRANGER", Rate(per_s=1, burst=10))
    monkeypatch.setattr(limits, "REFUSED", Rate(per_s=0.1, burst=4))
    return Clock()


def call(client: TestClient, token: str | None = None, path: str = "/api/v1/builds") -> int:
    return client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {}).status_code


def test_a_bucket_fills_again(clock: Clock) -> None:
    buckets = Buckets(Rate(per_s=2, burst=3), clock)
    for _ in range(3):
        assert buckets.wait_for("a") == 0
        buckets.take("a")
    assert buckets.wait_for("a") == 0.5
    assert buckets.wait_for("b") == 0
    clock.now = 100
    assert buckets.wait_for("a") == 0
    for _ in range(3):
        buckets.take("a")
    assert buckets.wait_for("a") == 0.5, "it holds no more than a burst"


def test_what_is_remembered_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 3)
    buckets = Buckets(Rate(per_s=1, burst=1), clock)
    for name in "abcd":
        buckets.take(name)
    assert [buckets.wait_for(name) > 0 for name in "abcd"] == [False, True, True, True]


def test_who_calls_too_often_waits_as_long_as_is_said(clock: Clock) -> None:
    client = TestClient(RateLimit(guarded, clock=clock))
    assert [call(client, "good") for _ in range(7)] == [200] * 6 + [429], "the first was counted by address"
    told = client.get("/", headers={"Authorization": "Bearer good"})
    assert (told.headers["retry-after"], told.json()["error"]) == ("1", "too many calls")
    clock.now = 1
    assert call(client, "good") == 200
    assert call(client, "good") == 429


def test_guesses_end_soon_and_lock_nobody_else_out(clock: Clock) -> None:
    client = TestClient(RateLimit(guarded, clock=clock))
    assert call(client, "good") == 200
    assert [call(client, f"guess-{n}") for n in range(6)] == [401] * 4 + [429] * 2
    assert call(client, "good") == 200, "known callers of the same address go on"
    assert call(client, path="/apt/dists/x/InRelease") == 429, "also for files"
    clock.now = 10
    assert [call(client, "guess") for _ in range(2)] == [401, 429]


def test_files_of_the_archive_are_not_counted(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def archive(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client = TestClient(RateLimit(archive, clock=clock))
    assert {call(client, path="/apt/pool/x") for _ in range(30)} == {200}
    assert call(client, path="/api/v1/health") == 200
    assert {call(client, path="/api/v1/health") for _ in range(10)} == {200, 429}


def test_one_token_written_in_many_ways_is_one_caller(clock: Clock) -> None:
    client = TestClient(RateLimit(guarded, clock=clock))
    words = ("Bearer", "bearer", "BEARER", "bEarer", "beArer")
    assert [client.get("/", headers={"Authorization": f"{word} good"}).status_code for word in words] == [200] * 5
    statuses = [client.get("/", headers={"Authorization": f"{word} good"}).status_code for word in words * 2]
    assert statuses == [200] * 5 + [429] * 5


def test_what_a_caller_shows_is_a_token_a_password_or_a_session() -> None:
    password = b"Basic " + base64.b64encode(b"web:secret")
    assert find_shown({}) is None
    assert find_shown({b"cookie": b"theme=dark"}) is None
    shown = {find_shown({b"authorization": word}) for word in (b"Bearer a", b"Bearer b", password)}
    shown.add(find_shown({b"cookie": b"theme=dark; debootc_session=x"}))
    assert len(shown) == 4


def test_the_hub_has_it_around_everything(farm: Farm, anybody: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = [anybody.get("/api/v1/builds", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(70)]
    assert statuses[:60] == [401] * 60
    assert 429 in statuses[60:]


@pytest.mark.parametrize(
    "shown", [{"Authorization": "Bearer bogus"}, {"Authorization": "Basic Ym9ndXM6Ym9ndXM="}, {"Cookie": f"{COOKIE}=x"}]
)
def test_a_bogus_secret_on_a_page_that_is_open_to_all_stays_a_strangers(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, shown: dict[str, str]
) -> None:
    monkeypatch.setattr(limits, "STRANGER", Rate(per_s=0.001, burst=5))
    app = TestClient(make_app(farm.hub), base_url="http://127.0.0.1")
    paths = [f"{PREFIX}/health", f"{PREFIX}/schemas/events", "/apt/keys/x.asc", "/login/x", f"{PREFIX}/health"]
    statuses = [app.get(path, headers=shown).status_code for path in [*paths, *paths]]
    assert statuses[:5] == [200, 200, 404, 200, 200]
    assert statuses.count(429) == 3, "files of the archive are not counted, all else is"


def test_who_was_let_in_is_known(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STRANGER", Rate(per_s=0.001, burst=4))
    app = TestClient(make_app(farm.hub), base_url="http://127.0.0.1")
    secret = people.make_token(farm.hub, ADMIN, TokenAsk(name="x", scope="client")).secret
    link, _ = people.make_login_link(farm.hub, ADMIN)
    session = {"Cookie": f"{COOKIE}={people.use_login_link(farm.hub, link)}"}
    bearer = {"Authorization": f"Bearer {secret}"}
    assert app.get(f"{PREFIX}/builds", headers=bearer).status_code == 200
    assert app.get("/builds", headers=session).status_code == 200
    assert {app.get(f"{PREFIX}/health").status_code for _ in range(5)} == {200, 429}
    for _ in range(5):
        assert app.get(f"{PREFIX}/builds", headers=bearer).status_code == 200
        assert app.get("/builds", headers=session).status_code == 200
    refused = app.get("/builds", headers={**session, "Authorization": "Bearer bogus"})
    assert refused.status_code == 429, "shown beside something bogus it is another caller at first"
