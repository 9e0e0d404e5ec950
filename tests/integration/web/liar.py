"""An OpenID provider whose tokens are as a test wants them: for what a good one never sends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT = "hub"
SECRET = "s e:c/ret"

Claims = dict[str, Any]
#: Made once: it takes a while.
KEYS = tuple(RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}) for _ in range(2))


@dataclass
class Liar:
    """`make`: the ID token from the claims of a good one. `asked`: what the last browser brought from the hub."""

    key: RSAKey = field(default_factory=lambda: KEYS[0])
    make: Callable[[Liar, Claims], str | None] = lambda self, claims: self.sign(claims)
    info: Claims = field(default_factory=lambda: {"sub": "17"})
    url: str = ""
    asked: dict[str, str] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    described: Claims = field(default_factory=dict)
    keys_read: int = 0

    def sign(self, claims: Claims, key: RSAKey | OctKey | None = None, algorithm: str = "RS256") -> str:
        return jwt.encode({"alg": algorithm, "kid": "one"}, claims, key or self.key, algorithms=[algorithm])

    def describe(self) -> Claims:
        return {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
        } | self.described  # fmt: skip

    def claims(self) -> Claims:
        now = int(time.time())
        return {
            "iss": self.url, "aud": CLIENT, "sub": "17", "nonce": self.asked.get("nonce"), "iat": now, "exp": now + 300,
            "email": "alice@example.org", "email_verified": True,
        }  # fmt: skip

    def take(self, form: dict[str, str], authorization: str) -> tuple[int, Claims]:
        """The token endpoint, as strict as a good one: codes once, the verifier and the secret right."""
        self.forms.append(form)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        good = (
            form["code"] not in self.used and challenge.decode() == self.asked["code_challenge"]
            and pair == "hub:s%20e%3Ac%2Fret" and form["redirect_uri"] == self.asked["redirect_uri"]
        )  # fmt: skip
        self.used.add(form["code"])
        if not good:
            return 400, {"error": "invalid_grant"}
        token = self.make(self, self.claims())
        return 200, {"access_token": "at", "token_type": "Bearer", **({"id_token": token} if token else {})}


def unsigned(claims: Claims) -> str:
    """A token with the algorithm `none`. Source: RFC 7519, 6."""
    parts = [json.dumps({"alg": "none", "typ": "JWT"}), json.dumps(claims)]
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts) + "."


def signed_by_hand(claims: Claims, secret: bytes) -> str:
    """HS256 with a secret that no library takes for one. Source: RFC 7515, 5.1."""
    parts = [json.dumps({"alg": "HS256", "kid": "one"}), json.dumps(claims)]
    said = ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)
    proof = hmac.digest(secret, said.encode(), "sha256")
    return f"{said}.{base64.urlsafe_b64encode(proof).rstrip(b'=').decode()}"


@contextmanager
def running(liar: Liar) -> Iterator[Liar]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/keys":
                liar.keys_read += 1
            answers: dict[str, Claims] = {
                "/.well-known/openid-configuration": liar.describe(),
                "/keys": {"keys": [liar.key.as_dict(private=False)]}, "/userinfo": liar.info,
            }  # fmt: skip
            self.say(200 if path in answers else 404, answers.get(path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            try:
                answer = liar.take(form, self.headers.get("authorization", ""))
            except ConnectionAbortedError:
                return  # without a word
            self.say(*answer)

        def say(self, status: int, document: Claims) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        liar.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield liar
        server.shutdown()
        thread.join(60)
