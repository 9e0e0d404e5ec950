"""People log in by an OpenID provider: authorization code with PKCE, and an ID token that is checked.

Source: OpenID Connect Core 1.0 (3.1.2 the flow, 3.1.3.7 what is checked of a token), Discovery 1.0, RFC 7636 (PKCE),
RFC 9700 (best practice). The client secret and all that the provider sends stay in this process.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from deb_orchestrator.domain.identity import PersonScope, Rule, find_name, find_scope
from deb_orchestrator.services.hub import Denied, LoginNeeded
from debcore.errors import Failure, HostFailed
from debcore.http import Http, HttpFailure, Unreachable, is_loopback

log = logging.getLogger(__name__)

CALLBACK = "/oidc/callback"
#: By public keys only: neither `none` nor a secret shared with somebody who could sign, too.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
LEEWAY_S = 60  #: that clocks may differ
FLOW_S = 600  #: that a person has at the provider
CACHED_S = 3600  #: that a provider's description is believed
_MAX = 1024 * 1024  #: bytes of an answer
_AGAIN = LoginNeeded("The login did not end well, or took too long.", hint="log in again")


@dataclass(frozen=True, kw_only=True)
class OidcSettings:
    """*secret* None: a public client, held by PKCE alone. *name*: the claim by which the hub calls a person."""

    issuer: str
    client_id: str
    rules: tuple[Rule, ...]
    secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    name: str = "email"
    ca: Path | None = None

    @property
    def shown(self) -> str:
        """What people know the provider by."""
        return urlsplit(self.issuer).hostname or self.issuer


@dataclass(frozen=True)
class Flow:
    """What one browser must bring back: it keeps this while it is at the provider."""

    state: str
    nonce: str
    verifier: str
    next: str

    def pack(self) -> str:
        words = json.dumps([self.state, self.nonce, self.verifier, self.next])
        return base64.urlsafe_b64encode(words.encode()).decode()

    @classmethod
    def unpack(cls, text: str) -> Flow | None:
        """None if it is not one of ours."""
        try:
            words = json.loads(base64.urlsafe_b64decode(text.encode()))
        except ValueError:
            return None
        if not isinstance(words, list) or len(words) != 4 or not all(isinstance(one, str) and one for one in words):
            return None
        return cls(*words)


@dataclass(frozen=True)
class Person:
    """Who came back from the provider."""

    name: str
    scope: PersonScope
    subject: str


def check_settings(settings: OidcSettings) -> None:
    """Errors: Failure where secrets would travel in clear text, or nobody could log in."""
    _check_url(settings.issuer, "the issuer")
    if not settings.rules:
        raise Failure(
            "nobody could log in by OpenID", hint="say who may: --oidc-map groups=farm:admin, --oidc-map sub=*:client"
        )


def _check_url(url: object, what: str) -> str:
    parts = urlsplit(url) if isinstance(url, str) else None
    fits = parts is not None and parts.hostname and not parts.fragment
    if not fits or not isinstance(url, str) or not (url.startswith("https://") or is_loopback(url)):
        raise Failure(f"{what} has no https URL: {str(url)[:200]!r}", hint="plain http is for providers on this host")
    return url


class Provider:
    """The one at `settings.issuer`. *url*: the hub's own, as people reach it: that is where the provider sends them."""

    def __init__(self, settings: OidcSettings, url: str) -> None:
        self.settings = settings
        self.redirect = f"{url.rstrip('/')}{CALLBACK}"
        self._http = Http(settings.issuer, ca=settings.ca, timeout=10, tries=2)
        self._lock = threading.Lock()
        self._known: tuple[float, dict[str, Any], KeySet] | None = None

    def close(self) -> None:
        self._http.close()

    def begin(self, next_: str) -> tuple[str, Flow]:
        """Where to send the browser, and what it keeps. Errors: HostFailed if the provider is not there."""
        flow = Flow(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), next_)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).rstrip(b"=").decode()
        place = self._describe()[0]["authorization_endpoint"]
        query = urlencode(
            {
                "response_type": "code", "client_id": self.settings.client_id, "redirect_uri": self.redirect,
                "scope": " ".join(self.settings.scopes), "state": flow.state, "nonce": flow.nonce,
                "code_challenge": challenge, "code_challenge_method": "S256",
            }
        )  # fmt: skip
        return f"{place}{'&' if '?' in place else '?'}{query}", flow

    def end(self, flow: Flow | None, *, state: str, code: str, issuer: str | None = None) -> Person:
        """Who that is. *issuer*: as the answer names it, if it does (RFC 9207).

        Errors: LoginNeeded if the answer is not one to what this browser asked, or the token is not good; Denied if
        no rule lets the person in; HostFailed if the provider is not there.
        """
        if flow is None or not secrets.compare_digest(flow.state.encode(), state.encode()) or not code:
            raise _AGAIN
        if issuer is not None and issuer != self.settings.issuer:
            raise _AGAIN
        tokens = self._exchange(code, flow.verifier)
        claims = self.check_token(tokens.get("id_token"), flow.nonce)
        claims = self._complete(claims, tokens.get("access_token"))
        scope = find_scope(claims, self.settings.rules)
        name = find_name(claims, self.settings.name)
        if scope is None:
            raise Denied(
                f"{name} is known to {self.settings.shown}, and may not use this hub",
                hint="its admin lets people in: hub --oidc-map",
            )
        return Person(name, scope, str(claims["sub"]))

    def check_token(self, token: object, nonce: str) -> dict[str, Any]:
        """The claims of an ID token. Errors: LoginNeeded."""
        if not isinstance(token, str):
            raise _AGAIN
        try:
            claims = self._decode(token)
            registry = jwt.JWTClaimsRegistry(
                leeway=LEEWAY_S, iss={"essential": True, "value": self.settings.issuer}, sub={"essential": True},
                aud={"essential": True, "value": self.settings.client_id}, exp={"essential": True},
                iat={"essential": True}, nonce={"essential": True, "value": nonce},
            )  # fmt: skip
            registry.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            log.warning("an ID token of %s was refused: %s", self.settings.issuer, type(error).__name__)
            raise _AGAIN from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.settings.client_id) != self.settings.client_id:
            log.warning("an ID token of %s was refused: it is for another party", self.settings.issuer)
            raise _AGAIN
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise _AGAIN
        return claims

    def _decode(self, token: str) -> dict[str, Any]:
        """Its signature is by a key of the provider; one that is not known yet is looked up once."""
        described, keys = self._describe()
        told = described.get("id_token_signing_alg_values_supported")
        allowed = [one for one in ALGORITHMS if one in told] if isinstance(told, list) else ["RS256"]
        try:
            return dict(jwt.decode(token, keys, algorithms=allowed).claims)
        except (JoseError, ValueError):
            if self._known is not None and time.monotonic() - self._known[0] < LEEWAY_S:
                raise
            keys = self._describe(anew=True)[1]
            return dict(jwt.decode(token, keys, algorithms=allowed).claims)

    def _exchange(self, code: str, verifier: str) -> Mapping[str, Any]:
        described = self._describe()[0]
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect, "code_verifier": verifier,
            "client_id": self.settings.client_id,
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if (secret := self.settings.secret) is not None:
            ways = described.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            if "client_secret_basic" in ways:
                pair = f"{quote(self.settings.client_id, safe='')}:{quote(secret, safe='')}"
                headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
            else:
                form["client_secret"] = secret
        try:
            found = self._http.json(
                "POST", described["token_endpoint"], content=urlencode(form).encode(), headers=headers, max_size=_MAX
            )
        except HttpFailure as failure:
            log.warning("%s took no code: status %d", self.settings.issuer, failure.code)
            raise _AGAIN from failure
        except Unreachable as error:
            raise self._away(error) from error
        return found if isinstance(found, dict) else {}

    def _complete(self, claims: dict[str, Any], access: object) -> dict[str, Any]:
        """With what the provider tells of the person elsewhere, where a rule or the name wants more than the token."""
        wanted = {self.settings.name, *(rule.claim for rule in self.settings.rules)}
        place = self._describe()[0].get("userinfo_endpoint")
        if wanted <= claims.keys() or place is None or not isinstance(access, str):
            return claims
        headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
        try:
            more = self._http.json("GET", _check_url(place, "its userinfo"), headers=headers, max_size=_MAX)
        except HttpFailure as failure:
            log.warning("%s told nothing of a person: status %d", self.settings.issuer, failure.code)
            return claims
        except Unreachable as error:
            raise self._away(error) from error
        if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
            log.warning("%s told of another person than its ID token", self.settings.issuer)
            raise _AGAIN
        return {**more, **claims}

    def _describe(self, *, anew: bool = False) -> tuple[dict[str, Any], KeySet]:
        """What the provider says of itself, and its keys. Errors: HostFailed."""
        with self._lock:
            if self._known is None or anew or time.monotonic() - self._known[0] > CACHED_S:
                try:
                    self._known = (time.monotonic(), *self._load())
                except (Failure, JoseError, ValueError, KeyError, TypeError) as error:
                    raise self._away(error) from error
            return self._known[1:]

    def _away(self, error: Exception) -> HostFailed:
        log.warning("the OpenID provider %s cannot be used: %s", self.settings.issuer, error)
        return HostFailed(
            f"{self.settings.shown}, which knows who people are, cannot be used now",
            hint="try again later; admins have login links: deb-orchestrator login",
        )

    def _load(self) -> tuple[dict[str, Any], KeySet]:
        place = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = self._http.json("GET", place, max_size=_MAX)
        if found["issuer"] != self.settings.issuer:
            raise Failure(f"it calls itself {found['issuer']!r}")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _check_url(found[name], f"its {name}")
        keys = self._http.json("GET", found["jwks_uri"], max_size=_MAX)
        usable = [
            key for key in keys["keys"] if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
        ]
        return found, KeySet.import_key_set({"keys": usable})


def read_secret(path: Path) -> str:
    """Errors: Failure if there is none, or others may read it."""
    if path.stat().st_mode & 0o077:
        raise Failure(f"{path} may be read by others", hint=f"chmod 600 {path}")
    secret = path.read_text().strip()
    if not secret:
        raise Failure(f"{path} is empty", hint="it holds the client secret that the provider gave you")
    return secret


def split_scopes(more: Sequence[str]) -> tuple[str, ...]:
    """What is asked of the provider: the usual, and *more*."""
    return tuple(dict.fromkeys(("openid", "profile", "email", *more)))
