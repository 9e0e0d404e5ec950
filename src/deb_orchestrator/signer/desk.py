"""Where signing happens: keys, policy and log of one state directory, and one function for each kind.

STATE/               mode 0700, one signer at a time (flock on `lock`)
    policy.toml      see signer/policy.py
    keys/NAME.key    mode 0600, an armoured secret key
    log.jsonl        see signer/log.py
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from deb_orchestrator.signer.log import Entry, SignLog
from deb_orchestrator.signer.model import MAX_INPUT, SignAnswer, SignSpec, encode
from deb_orchestrator.signer.policy import (
    Last,
    Refused,
    check_commit,
    check_key,
    check_rate,
    check_release,
    load_policy,
)
from debcore.aptrepo import parse_release
from debcore.errors import Failure
from debcore.openpgp import JointSigner, Signer, generate_key, load_signer


class Desk:
    """Open it once per process. *clock* gives seconds since 1970. Errors: Failure if another signer has it."""

    def __init__(self, state: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = state / "keys"
        self._keys.mkdir(parents=True, exist_ok=True)
        state.chmod(0o700)
        self._keys.chmod(0o700)
        self._clock = clock
        self._lock = _take_lock(state / "lock")
        self.policy = load_policy(state / "policy.toml")
        self.log = SignLog(state / "log.jsonl")
        self._signers: dict[str, Signer] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.log.close()
        os.close(self._lock)

    def answer(self, spec: Mapping[str, Any], *, job: int = 0, attempt: int = 0) -> SignAnswer:
        """Sign or refuse, and write down which before the answer leaves.

        Errors: HostFailed if the OpenPGP program fails; then nothing was signed and nothing is written down.
        """
        now = self._clock()
        try:
            asked = SignSpec.model_validate(spec)
        except ValidationError as error:
            entry = Entry(n=0, at=now, decision="refused", kind="?", key="?", job=job, attempt=attempt, previous="")
            written = self.log.append(entry.model_copy(update={"reason": f"unreadable: {error.error_count()} faults"}))
            return SignAnswer(status="refused", reason=written.reason, entry=written.n)
        entry = Entry(
            n=0, at=now, decision="signed", kind=asked.kind, key=asked.key, suite=asked.suite,
            generation=asked.generation, subject=asked.subject, job=job, attempt=attempt, previous="",
        )  # fmt: skip
        try:
            answer, input_ = self._act(asked, now)
        except (Refused, ValueError) as refusal:
            reason = str(refusal) if isinstance(refusal, Refused) else "its data is not base64"
            written = self.log.append(entry.model_copy(update={"decision": "refused", "reason": reason}))
            return SignAnswer(status="refused", reason=reason, entry=written.n)
        output = (answer.inline + answer.detached + answer.public_key).encode()
        written = self.log.append(
            entry.model_copy(
                update={
                    "input_sha256": _sha256(input_),
                    "output_sha256": _sha256(output),
                    "fingerprint": answer.fingerprint,
                }
            )
        )
        return answer.model_copy(update={"entry": written.n})

    def _act(self, spec: SignSpec, now: float) -> tuple[SignAnswer, bytes]:
        act = KINDS.get(spec.kind)
        if act is None:
            raise Refused(f"this signer knows no kind {spec.kind!r}")
        check_rate(self.policy, self._signed_since(now - 3600, spec.key))
        content = spec.content
        if len(content) > MAX_INPUT:
            raise Refused(f"more than {MAX_INPUT} bytes")
        return act(self, spec, content), content

    def _signed_since(self, border: float, key: str) -> int:
        recent = takewhile(lambda entry: entry.at > border, reversed(self.log.entries))
        return sum(entry.decision == "signed" and entry.key == key for entry in recent)

    def find_key(self, name: str) -> Signer | None:
        """The key of this name, if it was made."""
        path = self._keys / f"{name}.key"
        if name not in self._signers and path.is_file():
            self._signers[name] = load_signer(path)
        return self._signers.get(name)

    def make_key(self, name: str) -> Signer:
        """The key of this name, made now if there is none."""
        return self.find_key(name) or generate_key(self._keys / f"{name}.key", f"{name} archive signing key")

    def last_release(self, suite: str) -> Last | None:
        """The newest release that the log says was signed for *suite*."""
        signed = [
            e for e in self.log.entries if e.decision == "signed" and e.kind == "apt-release" and e.suite == suite
        ]
        newest = max(signed, key=lambda entry: entry.generation, default=None)
        return Last(newest.generation, newest.input_sha256) if newest else None

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def show_key(desk: Desk, spec: SignSpec, _content: bytes) -> SignAnswer:
    """public-key."""
    check_key(desk.policy, spec)
    signer = desk.make_key(spec.key)
    return SignAnswer(status="signed", fingerprint=signer.fingerprint, public_key=signer.public_key())


def sign_release(desk: Desk, spec: SignSpec, content: bytes) -> SignAnswer:
    """apt-release."""
    try:
        release, _files = parse_release(content)
    except Failure as failure:
        raise Refused(str(failure)) from failure
    last = desk.last_release(spec.suite)
    check_release(desk.policy, spec, release, last, input_sha256=_sha256(content), now=desk.now)
    signer = JointSigner([_require_key(desk, key) for key in (spec.key, *spec.also)])
    return SignAnswer(
        status="signed", fingerprint=signer.fingerprint,
        inline=signer.sign_inline(content).decode(), detached=signer.sign_detached(content).decode(),
    )  # fmt: skip


def sign_commit(desk: Desk, spec: SignSpec, content: bytes) -> SignAnswer:
    """ostree-commit."""
    check_commit(desk.policy, spec)
    if not content:
        raise Refused("there is no commit to sign")
    signer = _require_key(desk, spec.key)
    signature = signer.sign_detached(content, armor=False)
    return SignAnswer(status="signed", fingerprint=signer.fingerprint, detached=encode(signature))


#: Each kind and what does it; all else is refused.
KINDS: Mapping[str, Callable[[Desk, SignSpec, bytes], SignAnswer]] = {
    "public-key": show_key,
    "apt-release": sign_release,
    "ostree-commit": sign_commit,
}


def _require_key(desk: Desk, name: str) -> Signer:
    signer = desk.find_key(name)
    if signer is None:
        raise Refused(f"there is no key {name!r}")
    return signer


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _take_lock(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Failure(f"another signer uses {path.parent}", hint="stop it, or give this one its own --state") from None
    return lock
