"""The signer signs what its policy allows and writes all of it down, in a chain."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.signer.log import load_entries, verify_log
from deb_orchestrator.signer.loop import run_signer
from deb_orchestrator.signer.model import SignAnswer, encode
from debcore.aptrepo import Release
from debcore.errors import ConfigError, Failure
from debcore.http import HttpFailure, Unreachable
from debcore.hub.model import Claimed
from debcore.openpgp import verify_detached, verify_inline

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "signer", clock=NOW.timestamp) as opened:
        yield opened


def key_spec(suite: str = "trixie-local") -> dict[str, Any]:
    return {"kind": "public-key", "key": suite, "suite": suite}


def release_spec(
    generation: int, *, suite: str = "trixie-local", date: datetime = NOW, **changes: Any
) -> dict[str, Any]:
    text = Release(suite=suite, codename=suite, generation=generation, date=date).text([]).encode()
    spec = {"kind": "apt-release", "key": suite, "suite": suite, "generation": generation, "data": encode(text)}
    return spec | changes


def test_a_release_is_signed_inline_and_detached(desk: Desk) -> None:
    key = desk.answer(key_spec())
    assert desk.answer(key_spec()).public_key == key.public_key, "asking again makes no other key"
    spec = release_spec(1)
    text = base64.b64decode(spec["data"])
    answer = desk.answer(spec, job=7, attempt=2)
    assert answer.status == "signed"
    assert answer.fingerprint == key.fingerprint
    assert verify_inline(answer.inline.encode(), [key.public_key], where="x").payload == text
    verify_detached(text, answer.detached.encode(), [key.public_key], where="x")
    entry = desk.log.entries[answer.entry - 1]
    assert (entry.job, entry.attempt, entry.generation, entry.decision) == (7, 2, 1, "signed")


def test_a_commit_gets_a_binary_signature_of_its_object(desk: Desk) -> None:
    desk.answer(key_spec("image"))
    commit = b"\x00\x01commit object"
    spec = {"kind": "ostree-commit", "key": "image", "subject": "debian/trixie/amd64/server", "data": encode(commit)}
    answer = desk.answer(spec)
    signature = base64.b64decode(answer.detached)
    assert signature[0] & 0x80, "packets, not armour"
    verify_detached(commit, signature, [desk.answer(key_spec("image")).public_key], where="commit")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (release_spec(5), "not above 5"),
        (release_spec(4), "not above 5"),
        (release_spec(6, date=NOW + timedelta(minutes=6)), "in the future"),
        (release_spec(6) | {"generation": 7}, "the file for generation 6"),
        (release_spec(6, suite="sid-local") | {"suite": "trixie-local", "key": "trixie-local"}, "of sid-local"),
        (release_spec(6, suite="stable"), "allows no suite"),
        (release_spec(6, key="other"), "not the suite's own"),
        (release_spec(1, suite="trixie-keyless"), "no key"),
        (release_spec(6, also=["trixie-local@2"]), "no key"),
        (release_spec(6, also=["trixie-other"]), "not the suite's own"),
        (release_spec(6, also=["trixie-local@2/../x"]), "unreadable"),
        (release_spec(1, suite="stable@7", key="stable"), "allows no suite"),
        (release_spec(1, suite="trixie-local@7", key="trixie-other"), "not the suite's own"),
        (release_spec(6, data=encode(b"Suite: x\n")), "Generation is missing"),
        (release_spec(6, data="%%%"), "base64"),
        (release_spec(6, kind="git-tag"), "knows no kind"),
        (key_spec("stable"), "allows no suite"),
        ({"kind": "ostree-commit", "key": "trixie-local", "subject": "fedora/x", "data": "eA=="}, "no commits for"),
        ({"kind": "ostree-commit", "key": "trixie-local", "subject": "debian/x", "data": ""}, "no commit"),
        ({"kind": "apt-release", "key": "../../root"}, "unreadable"),
        ({}, "unreadable"),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, spec: dict[str, Any], reason: str) -> None:
    state = tmp_path / "signer"
    state.mkdir()
    (state / "policy.toml").write_text('suites = ["trixie-*"]\nrefs = ["debian/*"]\n')
    with Desk(state, clock=NOW.timestamp) as desk:
        desk.answer(key_spec())
        old = release_spec(5, date=NOW - timedelta(days=1))
        assert desk.answer(old).status == "signed"
        answer = desk.answer(spec)
        assert (answer.status, answer.inline, answer.detached, answer.public_key) == ("refused", "", "", "")
        assert reason in answer.reason
        assert desk.log.entries[-1].decision == "refused"
        assert desk.answer(old).status == "signed", "the same input again: the first answer may have been lost"


def test_the_last_generation_outlives_the_process(tmp_path: Path) -> None:
    for generation, status in ((3, "signed"), (2, "refused"), (4, "signed")):
        with Desk(tmp_path, clock=NOW.timestamp) as desk:
            desk.answer(key_spec())
            assert desk.answer(release_spec(generation)).status == status
    assert sum(1 for _ in load_entries(tmp_path / "log.jsonl")) == 6


def test_a_rate_over_policy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("rate_per_hour = 3")
    times = iter([*([NOW.timestamp()] * 9), *([NOW.timestamp() + 3601] * 9)])
    with Desk(tmp_path, clock=lambda: next(times)) as desk:
        answers = [desk.answer(key_spec()) for _ in range(4)]
        assert [a.status for a in answers] == ["signed"] * 3 + ["refused"]
        list(zip(range(5), times, strict=False))
        assert desk.answer(key_spec()).status == "signed"


def test_only_one_signer_has_a_state(tmp_path: Path) -> None:
    with Desk(tmp_path), pytest.raises(Failure, match="another signer"):
        Desk(tmp_path)


def test_keys_and_state_are_private(desk: Desk, tmp_path: Path) -> None:
    desk.answer(key_spec())
    state = tmp_path / "signer"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "keys/trixie-local.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["unknown = 1", "rate_per_hour = 0", "suites = 3", "= ="])
def test_a_bad_policy_stops_the_signer(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(ConfigError):
        Desk(tmp_path)


def test_tampering_breaks_the_chain(desk: Desk, tmp_path: Path) -> None:
    for suite in ("one", "two", "three"):
        desk.answer(key_spec(suite))
    path = tmp_path / "signer/log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert [entry.key for entry in load_entries(path)] == ["one", "two", "three"]
    assert verify_log(path) == (3, desk.log.entries[-1].hash)
    copy = tmp_path / "copy"
    for changed in (lines[1:], [lines[0], lines[2]], [lines[1], lines[0], lines[2]], ["{}\n", *lines[1:]]):
        copy.write_text("".join(changed))
        with pytest.raises(Failure, match="copy:"):
            list(load_entries(copy))
    for field, value in (("reason", "x"), ("at", 0.0), ("generation", 9), ("hash", "0" * 64)):
        entry = json.loads(lines[1]) | {field: value}
        copy.write_text(lines[0] + json.dumps(entry) + "\n" + lines[2])
        with pytest.raises(Failure, match="copy:2:"):
            list(load_entries(copy))


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    with Desk(tmp_path) as desk:
        desk.answer(key_spec())
    log = tmp_path / "log.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"n": 2, "at"')
    with Desk(tmp_path) as desk:
        assert len(desk.log.entries) == 1
        desk.answer(key_spec())
    assert log.read_bytes().startswith(whole)
    assert len(list(load_entries(log))) == 2


class Script:
    """Sign jobs as a test wants them: specs, or faults to raise."""

    def __init__(self, stop: threading.Event, *steps: dict[str, Any] | Failure) -> None:
        self.steps, self.stop = list(steps), stop
        self.answers: list[SignAnswer] = []

    def claim(self) -> Claimed | None:
        if not self.steps:
            self.stop.set()
            return None
        step = self.steps.pop(0)
        if isinstance(step, Failure):
            raise step
        return Claimed(job=1, attempt=1, grant="g", lease_s=60, kind="sign", spec=step)

    def finish(self, claimed: Claimed, answer: SignAnswer) -> None:
        self.answers.append(answer)
        if claimed.spec.get("stale"):
            raise HttpFailure(409, "stale")


def test_the_loop_outlives_a_hub_that_is_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deb_orchestrator.signer.loop._PAUSES", (0.0,))
    stop = threading.Event()
    script = Script(stop, Unreachable("gone"), key_spec(), HttpFailure(503, "busy"), key_spec() | {"stale": True}, {})
    run_signer(desk, script, stop)
    assert [answer.status for answer in script.answers] == ["signed", "signed", "refused"]


def test_a_revoked_token_ends_the_loop(desk: Desk) -> None:
    stop = threading.Event()
    with pytest.raises(HttpFailure, match="revoked"):
        run_signer(desk, Script(stop, HttpFailure(403, "revoked")), stop)


def test_a_second_key_signs_beside_the_first_and_snapshots_are_signed_by_their_suites(desk: Desk) -> None:
    first = desk.answer(key_spec())
    second = desk.answer(key_spec() | {"key": "trixie-local@2"})
    assert second.fingerprint != first.fingerprint
    for spec in (release_spec(1), release_spec(1, suite="trixie-local@7", key="trixie-local")):
        spec |= {"key": "trixie-local@2", "also": ["trixie-local"]}
        answer = desk.answer(spec)
        assert answer.fingerprint.split() == [second.fingerprint, first.fingerprint]
        found = verify_inline(answer.inline.encode(), [first.public_key, second.public_key], where="x")
        assert set(found.fingerprints) == {first.fingerprint, second.fingerprint}
