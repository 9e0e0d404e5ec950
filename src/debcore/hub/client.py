"""Typed clients of the hub: HubClient for people and composes, JobClient for agents and signers, AdminClient."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from debcore.http import Http, HttpFailure
from debcore.hub import model
from debcore.hub.credential import Credential
from debcore.hub.source import load_source
from debcore.job import Verify

#: Files above this are sent in pieces of this size (bytes).
PIECE = 16 * 1024 * 1024
#: How often one upload may be cut off.
MAX_CUTS = 100


class Client:
    """What all three share: one connection pool, closed at the end of a `with`."""

    def __init__(self, base_url: str, token: str | None = None, *, ca: Path | None = None, tries: int = 6) -> None:
        self.http = Http(base_url, token=token, ca=ca, tries=tries)

    @classmethod
    def of(cls, credential: Credential) -> Self:
        return cls(credential.url, credential.token, ca=credential.ca)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.http.close()

    def health(self) -> model.Health:
        return model.Health.model_validate(self._get("/health"))

    def make_login_link(self) -> model.LoginLink:
        """A URL that signs one browser in, once, with the rights of this client's token."""
        return model.LoginLink.model_validate(self._post("/login-links", repeat=False))

    def put_blob(self, path: Path, *, claimed: model.Claimed | None = None) -> str:
        """Upload *path* unless the hub has it; return its SHA-256. Agents name the job that *path* belongs to."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        headers = _grant_headers(claimed) if claimed else {}
        size = path.stat().st_size
        # A hold is taken before the bytes, so what is there already cannot vanish before it is used.
        held = self.http.json(
            "POST", f"{model.PREFIX}/blobs/{sha256}/hold", params={"size": size}, headers=headers, repeat=True
        )
        if held["present"]:
            return sha256
        if size > PIECE:
            self._put_pieces(path, f"{model.PREFIX}/blobs/{sha256}/partial", size, headers)
        else:
            self.http.call("PUT", f"{model.PREFIX}/blobs/{sha256}", content=path, headers=headers, timeout=600)
        return sha256

    def _put_pieces(self, path: Path, where: str, size: int, headers: Mapping[str, str]) -> None:
        """What the hub has of it already is not sent again, be it from this call or an earlier one."""
        cuts = 0
        with path.open("rb") as file:
            offset = self._find_offset(where, headers)
            while True:
                file.seek(offset)
                params = {"offset": offset, "size": size}
                try:
                    answer = self.http.json(
                        "PUT", where, content=file.read(PIECE), params=params, headers=headers, timeout=600
                    )
                except HttpFailure as failure:
                    cuts += 1
                    if failure.code != 409 or cuts > MAX_CUTS:
                        raise
                    offset = self._find_offset(where, headers)  # a piece was cut off: a part of it is there
                    continue
                if "sha256" in answer:
                    return
                offset = int(answer["offset"])

    def _find_offset(self, where: str, headers: Mapping[str, str]) -> int:
        return int(self.http.call("HEAD", where, headers=headers).headers["upload-offset"])

    def get_blob(self, sha256: str, to: Path, *, max_size: int = 16 * 2**30) -> None:
        """Download into *to*; the hash is checked. *max_size* in bytes."""
        self.http.fetch(f"{model.PREFIX}/blobs/{sha256}", to, sha256=sha256, max_size=max_size)

    def _get(self, path: str, **params: Any) -> Any:
        given = {key: value for key, value in params.items() if value is not None}
        return self.http.json("GET", model.PREFIX + path, params=given)

    def _post(self, path: str, body: Any = None, *, repeat: bool = True, **options: Any) -> Any:
        return self.http.json("POST", model.PREFIX + path, json=body, repeat=repeat, **options)


class HubClient(Client):
    """Requests, builds, suites and events. All calls but `put_blob` and `wait_request` return at once."""

    def _post(self, path: str, body: Any = None, *, repeat: bool = True, **options: Any) -> Any:
        """With a key of its own, so that what is repeated after a fault is done once."""
        headers = {"Idempotency-Key": secrets.token_urlsafe(18), **options.pop("headers", {})}
        return super()._post(path, body, repeat=repeat, headers=headers, **options)

    def need_packages(self, needed: model.PackagesNeeded, *, retry: bool = False) -> model.Request:
        """Message 1. The same content is the same request; *retry* opens one again that has failed or was cancelled."""
        body = needed.model_dump(mode="json")
        return model.Request.model_validate(self._post("/requests", body, params={"retry": int(retry)}))

    def submit(
        self, target: str, dscs: Sequence[Path], *, arches: Sequence[str] = (), scratch: bool = False
    ) -> model.Request:
        """Upload source packages and have them built in the order of their build-dependencies among themselves.

        *arches* empty: all of the target. *scratch*: into no suite.
        Errors: Failure if a .dsc or a file that it names is wrong.
        """
        packages = []
        for dsc in dscs:
            needed, paths = load_source(dsc)
            for path in paths:
                self.put_blob(path)
            packages.append(needed)
        wanted = tuple(arches) or self.target(target).arches
        return self.need_packages(
            model.PackagesNeeded(target=target, arches=wanted, packages=tuple(packages), scratch=scratch), retry=True
        )

    def binnmu(self, target: str, ask: model.BinNmuAsk) -> model.Request:
        """Build sources anew that the target's suite has. Asking twice is one request."""
        return model.Request.model_validate(self._post(f"/targets/{target}/binnmus", ask.model_dump(mode="json")))

    def request(self, id_: str, *, wait: float = 0) -> model.Request:
        """*wait*: seconds (at most 50) that the hub may hold the answer while the request is open."""
        answer = self.http.json("GET", f"{model.PREFIX}/requests/{id_}", params={"wait": int(wait)}, timeout=30 + wait)
        return model.Request.model_validate(answer)

    def wait_request(self, id_: str, timeout: float | None = None) -> model.Request:
        """Return when the request is no longer open, or after *timeout* seconds as it then is."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = 30.0 if end is None else max(0.0, min(30.0, end - time.monotonic()))
            request = self.request(id_, wait=left)
            if request.state != model.RequestState.OPEN or (end is not None and time.monotonic() >= end):
                return request

    def requests(self, *, state: str | None = None, limit: int = 50) -> list[model.Request]:
        """Newest first."""
        return [model.Request.model_validate(one) for one in self._get("/requests", state=state, limit=limit)]

    def cancel_request(self, id_: str) -> model.Request:
        return model.Request.model_validate(self._post(f"/requests/{id_}/cancel"))

    def builds(
        self, *, source: str | None = None, target: str | None = None, request: str | None = None,
        before: int | None = None, limit: int = 50,
    ) -> list[model.Build]:  # fmt: skip
        """Newest first; *before* is a build id, for the next page."""
        found = self._get("/builds", source=source, target=target, request=request, before=before, limit=limit)
        return [model.Build.model_validate(build) for build in found]

    def build(self, id_: int) -> model.Build:
        return model.Build.model_validate(self._get(f"/builds/{id_}"))

    def cancel(self, build: int) -> model.Build:
        return model.Build.model_validate(self._post(f"/builds/{build}/cancel"))

    def resubmit(self, build: int) -> model.Build:
        """Build again what failed or was cancelled: a new build for the same requests."""
        return model.Build.model_validate(self._post(f"/builds/{build}/resubmit"))

    def why(self, build: int) -> list[model.Reason]:
        return [model.Reason.model_validate(reason) for reason in self._get(f"/builds/{build}/why")]

    def log(self, build: int, arch: str, *, offset: int = 0, limit: int = 2**20) -> tuple[bytes, bool]:
        """At most *limit* bytes of the log from *offset*, and whether the log is complete."""
        answer = self.http.call(
            "GET", f"{model.PREFIX}/builds/{build}/{arch}/log", params={"offset": offset, "limit": limit}
        )
        return answer.body, answer.headers.get("x-log-complete") == "1" and len(answer.body) < limit

    def suites(self) -> list[model.Suite]:
        return [model.Suite.model_validate(suite) for suite in self._get("/suites")]

    def suite(self, name: str) -> model.Suite:
        return model.Suite.model_validate(self._get(f"/suites/{name}"))

    def targets(self) -> list[model.Target]:
        return [model.Target.model_validate(target) for target in self._get("/targets")]

    def target(self, name: str) -> model.Target:
        return model.Target.model_validate(self._get(f"/targets/{name}"))

    def ensure_target(
        self,
        name: str,
        preset: str,
        *,
        suite: str | None = None,
        arches: Sequence[str] = ("amd64",),
        build_suite: str | None = None,
        cross: Mapping[str, str] | None = None,
        verify: Verify | None = None,
    ) -> model.Target:
        """Make the target and its suite (default: of the same name) unless they are there.

        Errors: HttpFailure 409 if it exists with another preset or suite.
        """
        body = model.Target(
            name=name, preset=preset, suite=suite or name, arches=tuple(arches), build_suite=build_suite,
            cross=dict(cross or {}), verify=verify,
        )  # fmt: skip
        answer = self.http.json("PUT", f"{model.PREFIX}/targets/{name}", json=body.model_dump(mode="json"))
        return model.Target.model_validate(answer)

    def build_events(self, build: int) -> list[model.Event]:
        """All events of one build, oldest first."""
        return [model.Event.model_validate(event) for event in self._get(f"/builds/{build}/events")]

    def events(
        self, after: int = 0, *, limit: int = 500, wait: float = 0, request: str | None = None
    ) -> list[model.Event]:
        """Events with n > *after*, oldest first; *wait*: seconds (at most 50) to wait for the first."""
        params: dict[str, str | int] = {"after": after, "limit": limit, "wait": int(wait)}
        if request is not None:
            params["request"] = request
        answer = self.http.json("GET", f"{model.PREFIX}/events", params=params, timeout=30 + wait)
        return [model.Event.model_validate(event) for event in answer]

    def follow_events(self, after: int = 0, *, request: str | None = None) -> Iterator[model.Event]:
        """All events from *after* on, for ever."""
        while True:
            for event in self.events(after, wait=30, request=request):
                after = event.n
                yield event


class JobClient(Client):
    """For agents and signers: claim, beat, log, events, finish. 409 means: not yours any more."""

    def enrol(self, ask: model.Enrol) -> model.Agent:
        return model.Agent.model_validate(self._post("/agents", ask.model_dump(mode="json")))

    def me(self) -> model.Agent:
        """Errors: HttpFailure 403 after revocation."""
        return model.Agent.model_validate(self._get("/agents/me"))

    def claim(self, ask: model.ClaimAsk) -> model.Claimed | None:
        """Parks up to `ask.wait` seconds. None: no work."""
        answer = self.http.json(
            "POST", f"{model.PREFIX}/jobs/claim", json=ask.model_dump(mode="json"), timeout=30 + ask.wait, repeat=True
        )
        return None if answer is None else model.Claimed.model_validate(answer)

    def beat(self, claimed: model.Claimed, *, timeout: float = 10) -> model.Beat:
        """Not repeated: the caller beats again anyway."""
        body = {"attempt": claimed.attempt}
        return model.Beat.model_validate(self._job(claimed, "beat", body, timeout=timeout, repeat=False))

    def finish(self, claimed: model.Claimed, result: dict[str, Any], hash_: str) -> model.Finished:
        """Idempotent by *hash_*. Errors: HttpFailure 409 if stale or if another result was accepted."""
        ask = model.FinishAsk(attempt=claimed.attempt, result=result, hash=hash_)
        return model.Finished.model_validate(self._job(claimed, "finish", ask.model_dump(mode="json"), timeout=60))

    def release(self, claimed: model.Claimed, reason: str) -> None:
        """Give the attempt back without blame."""
        self._job(claimed, "release", {"attempt": claimed.attempt, "reason": reason}, repeat=False)

    def send_events(self, claimed: model.Claimed, events: Sequence[dict[str, Any]]) -> None:
        self._job(claimed, "events", {"attempt": claimed.attempt, "events": list(events)})

    def put_log(self, claimed: model.Claimed, offset: int, piece: bytes) -> int:
        """Write *piece* at *offset*; return the offset that the hub wants next (bytes)."""
        answer = self.http.json(
            "PUT", f"{model.PREFIX}/jobs/{claimed.job}/log", content=piece,
            params={"offset": offset}, headers=_grant_headers(claimed),
        )  # fmt: skip
        return int(answer["next"])

    def suite(self, name: str) -> model.Suite:
        return model.Suite.model_validate(self._get(f"/suites/{name}"))

    def _job(self, claimed: model.Claimed, verb: str, body: Any, **options: Any) -> Any:
        return self._post(f"/jobs/{claimed.job}/{verb}", body, headers=_grant_headers(claimed), **options)


class AdminClient(Client):
    """Agents and tokens; needs a token of scope admin."""

    def agents(self) -> list[model.Agent]:
        return [model.Agent.model_validate(agent) for agent in self._get("/agents")]

    def approve(self, name: str) -> model.Agent:
        return model.Agent.model_validate(self._post(f"/agents/{name}/approve"))

    def revoke(self, name: str) -> model.Agent:
        """At once: its grants end and its jobs go elsewhere."""
        return model.Agent.model_validate(self._post(f"/agents/{name}/revoke"))

    def make_token(self, ask: model.TokenAsk) -> model.Token:
        return model.Token.model_validate(self._post("/tokens", ask.model_dump(mode="json"), repeat=False))

    def tokens(self) -> list[model.Token]:
        return [model.Token.model_validate(token) for token in self._get("/tokens")]

    def revoke_token(self, id_: int) -> None:
        self.http.call("DELETE", f"{model.PREFIX}/tokens/{id_}")


def _grant_headers(claimed: model.Claimed) -> dict[str, str]:
    return {"X-Job": str(claimed.job), "X-Attempt": str(claimed.attempt), "X-Grant": claimed.grant}
