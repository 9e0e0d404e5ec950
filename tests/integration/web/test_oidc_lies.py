"""What an OpenID provider, or somebody between it and the hub, may send: nobody comes in by any of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from joserfc.jwk import OctKey

from deb_orchestrator.domain.identity import parse_rule
from deb_orchestrator.services import audits
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.oidc import LEEWAY_S, OidcSettings, Provider
from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.web.api.app import make_app
from debcore.blobs import BlobStore
from tests.integration.web.liar import CLIENT, KEYS, SECRET, Claims, Liar, running, signed_by_hand, unsigned

COOKIE, FLOW = "debootc_session", "debootc_oidc"
ADDRESSES = count(1)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    place = tmp_path_factory.mktemp("hub")
    with open_database(place / "hub.db") as db:
        migrate(db)
        yield Hub(db=db, blobs=BlobStore(place / "blobs"), state=place)


@pytest.fixture(scope="module")
def one() -> Iterator[Liar]:
    with running(Liar()) as made:
        yield made


@pytest.fixture
def liar(one: Liar) -> Liar:
    """The same, honest again."""
    for name, value in vars(Liar()).items():
        setattr(one, name, one.url if name == "url" else value)
    return one


@pytest.fixture(scope="module")
def app(hub: Hub, one: Liar) -> Iterator[FastAPI]:
    rules = tuple(map(parse_rule, ("groups=farm:admin", "email=*@example.org:client")))
    settings = OidcSettings(issuer=one.url, client_id=CLIENT, secret=SECRET, rules=rules)
    made = Provider(settings, "https://hub.example.org/")
    yield make_app(hub, secure=True, provider=made)
    made.close()


@pytest.fixture
def provider(app: FastAPI) -> Provider:
    """As a hub has it that has just started."""
    made: Provider = app.state.oidc
    made._known = None
    return made


@pytest.fixture
def client(app: FastAPI, liar: Liar, provider: Provider) -> Iterator[TestClient]:
    address = f"192.0.2.{next(ADDRESSES)}"  # who guesses much is kept out by address
    site = "https://hub.example.org"
    with TestClient(app, follow_redirects=False, base_url=site, client=(address, 1)) as made:
        yield made


def begin(client: TestClient, liar: Liar, next_: str = "/builds") -> dict[str, str]:
    """What the browser brings to the provider."""
    answer = client.get(f"/oidc/login?next={quote(next_, safe='')}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{liar.url}/authorize?")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    liar.asked = {name: values[0] for name, values in query.items()}
    return liar.asked


def end(client: TestClient, state: str, code: str = "c0de", more: str = "") -> Response:
    return client.get(f"/oidc/callback?state={state}&code={code}{more}")


def log_in(client: TestClient, liar: Liar) -> Response:
    return end(client, begin(client, liar)["state"])


def check_out(client: TestClient, answer: Response) -> None:
    """Nobody came in, and the page says so and how to try again."""
    assert answer.status_code == 401, answer.text
    assert COOKIE not in answer.cookies
    assert client.get("/builds").status_code == 401
    assert "/oidc/login" in answer.text


def test_who_is_known_comes_in_goes_out_and_is_in_the_audit_log(hub: Hub, client: TestClient, liar: Liar) -> None:
    asked = begin(client, liar)
    assert (asked["response_type"], asked["code_challenge_method"], asked["client_id"]) == ("code", "S256", CLIENT)
    assert asked["redirect_uri"] == "https://hub.example.org/oidc/callback"
    assert asked["scope"].split() == ["openid", "profile", "email"]
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    answer = end(client, asked["state"])
    assert answer.status_code == 200, answer.text
    assert '<meta http-equiv="refresh" content="0; url=/builds">' in answer.text
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(COOKIE))
    assert {"HttpOnly", "Secure", "SameSite=strict"} <= set(re.split("; ", cookie))
    assert client.get("/builds").status_code == 200
    assert client.get("/audit").status_code == 403, "a client is no admin"
    csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert csrf is not None
    assert client.post("/logout", data={"csrf": csrf[1]}).status_code == 303
    assert client.get("/builds").status_code == 401
    told = [(one.action, one.principal, one.data.get("subject")) for one in audits.list_audit(hub, action="session.")]
    assert told[:2] == [
        ("session.end", "oidc:alice@example.org", None),
        ("session.begin", "oidc:alice@example.org", "17"),
    ]


def change(**changes: object) -> Callable[[Liar, Claims], str]:
    """A good token with other claims; None: without."""

    def make(liar: Liar, claims: Claims) -> str:
        new = {name: value(claims) if callable(value) else value for name, value in changes.items()}
        return liar.sign({name: value for name, value in (claims | new).items() if value is not None})

    return make


LIES: dict[str, Callable[[Liar, Claims], str | None]] = {
    "another nonce": change(nonce="guess"),
    "no nonce": change(nonce=None),
    "another issuer": change(iss="http://127.0.0.1:1"),
    "no issuer": change(iss=None),
    "for another client": change(aud="other"),
    "for several, and for whom is not said": change(aud=[CLIENT, "other"]),
    "for several, and meant for another": change(aud=[CLIENT, "other"], azp="other"),
    "meant for another": change(azp="other"),
    "for nobody": change(aud=None),
    "expired": change(exp=lambda claims: claims["iat"] - LEEWAY_S - 5),
    "for ever": change(exp=None),
    "from the future": change(iat=lambda claims: claims["iat"] + LEEWAY_S + 600),
    "not yet good": change(nbf=lambda claims: claims["iat"] + LEEWAY_S + 600),
    "of nobody": change(sub=None),
    "of an empty subject": change(sub=""),
    "of a number": change(sub=17),
    "times that are words": change(exp="tomorrow"),
    "unsigned": lambda liar, claims: unsigned(claims),
    "unsigned, with a signature left": lambda liar, claims: unsigned(claims) + "AAAA",
    "by another key": lambda liar, claims: liar.sign(claims, KEYS[1]),
    "by the client secret": lambda liar, claims: liar.sign(claims, OctKey.import_key(SECRET * 8), "HS256"),
    "by the public key as a secret": lambda liar, claims: signed_by_hand(claims, liar.key.as_pem(private=False)),
    "changed after signing": lambda liar, claims: (lambda a, b: ".".join((*a.split(".")[:1], *b.split(".")[1:])))(
        liar.sign(claims), unsigned(claims | {"groups": ["farm"]}) + liar.sign(claims).rpartition(".")[2]
    ),
    "no token": lambda liar, claims: None,
    "no token but words": lambda liar, claims: "words",
    "five parts": lambda liar, claims: "a.b.c.d.e",
}


@pytest.mark.parametrize("lie", list(LIES))
def test_nobody_comes_in_by_a_token_that_is_not_good(client: TestClient, liar: Liar, lie: str) -> None:
    liar.make = LIES[lie]
    check_out(client, log_in(client, liar))
    liar.make = change()
    assert end(client, begin(client, liar)["state"], "another").status_code == 200, "and the next good one is good"


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(client: TestClient, liar: Liar) -> None:
    begin(client, liar)
    check_out(client, end(client, "guess"))
    assert liar.forms == [], "the provider is not even asked"
    state = begin(client, liar)["state"]
    client.cookies.delete(FLOW)
    check_out(client, end(client, state))
    client.cookies.set(FLOW, "bm9uc2Vuc2U=", path="/oidc")
    check_out(client, end(client, state))
    check_out(client, end(client, begin(client, liar)["state"], ""))
    check_out(client, end(client, begin(client, liar)["state"], "c", "&iss=http://other.example"))
    check_out(client, client.get(f"/oidc/callback?state={begin(client, liar)['state']}&error=access_denied"))
    assert liar.forms == []


def test_a_code_counts_once_and_in_the_browser_that_asked_only(hub: Hub, client: TestClient, liar: Liar) -> None:
    state = begin(client, liar)["state"]
    kept = client.cookies.get(FLOW)
    assert end(client, state).status_code == 200
    client.cookies.delete(COOKIE)
    check_out(client, end(client, state))
    client.cookies.set(FLOW, str(kept), path="/oidc")
    check_out(client, end(client, state))
    assert [form["code"] for form in liar.forms] == ["c0de", "c0de"], "the provider itself refused the second"
    state = begin(client, liar)["state"]
    client.cookies.delete(FLOW)
    begin(client, liar)  # the thief's own login: another state, nonce and verifier
    check_out(client, end(client, state, "stolen"))


def test_who_fits_no_rule_is_told_so_and_groups_are_looked_up(client: TestClient, liar: Liar) -> None:
    liar.make = change(email="mallory@evil.example")
    answer = log_in(client, liar)
    assert answer.status_code == 403
    assert "may not use this hub" in answer.text
    liar.make, liar.info = change(), {"sub": "17", "groups": ["farm"]}
    assert end(client, begin(client, liar)["state"], "two").status_code == 200
    assert client.get("/audit").status_code == 200, "the provider told of the group elsewhere"
    client.cookies.clear()
    liar.info = {"sub": "18", "groups": ["farm"]}
    check_out(client, end(client, begin(client, liar)["state"], "three"))


@pytest.mark.parametrize("where", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_on_to_another_site(client: TestClient, liar: Liar, where: str) -> None:
    answer = end(client, begin(client, liar, where)["state"])
    assert 'content="0; url=/"' in answer.text
    assert "evil" not in answer.text


def test_a_new_key_is_looked_up_and_not_for_each_bad_token(client: TestClient, liar: Liar, provider: Provider) -> None:
    assert log_in(client, liar).status_code == 200
    client.cookies.clear()
    liar.key = KEYS[1]
    for n in range(3):
        check_out(client, end(client, begin(client, liar)["state"], f"early{n}"))
    assert liar.keys_read == 1
    assert provider._known is not None
    provider._known = (provider._known[0] - LEEWAY_S - 1, *provider._known[1:])
    assert end(client, begin(client, liar)["state"], "later").status_code == 200


def test_a_provider_that_goes_away_in_the_midst_is_said(client: TestClient, liar: Liar) -> None:
    def leave(_liar: Liar, _claims: Claims) -> str:
        raise ConnectionAbortedError

    liar.make = leave
    answer = log_in(client, liar)
    assert answer.status_code == 503
    assert "cannot be used now" in answer.text
    assert COOKIE not in answer.cookies


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://other.example"}, {"token_endpoint": "http://other.example/token"}, {"jwks_uri": None},
        {"authorization_endpoint": "ftp://x"},
    ],
)  # fmt: skip
def test_a_provider_that_says_nonsense_of_itself_is_not_used(client: TestClient, liar: Liar, wrong: Claims) -> None:
    liar.described = wrong
    answer = client.get("/oidc/login")
    assert answer.status_code == 503
    assert "cannot be used now" in answer.text
    liar.described = {}
    assert log_in(client, liar).status_code == 200, "it is asked again"


def test_a_provider_that_is_not_there_is_said_and_links_still_work(hub: Hub) -> None:
    settings = OidcSettings(issuer="http://127.0.0.1:1", client_id="x", rules=(parse_rule("sub=*:client"),))
    provider = Provider(settings, "http://127.0.0.1")
    with TestClient(make_app(hub, provider=provider), follow_redirects=False) as plain:
        answer = plain.get("/oidc/login")
        assert answer.status_code == 503
        assert "login links" in answer.text
        assert 'href="/oidc/login?next=%2Fqueue%3Fstate%3Drunning"' in plain.get("/queue?state=running").text
    provider.close()


def test_a_hub_without_a_provider_has_no_such_pages(hub: Hub) -> None:
    with TestClient(make_app(hub), follow_redirects=False) as plain:
        assert plain.get("/oidc/login").status_code == 404
        assert plain.get("/oidc/callback?state=x&code=y").status_code == 404
        assert "/oidc/login" not in plain.get("/").text
