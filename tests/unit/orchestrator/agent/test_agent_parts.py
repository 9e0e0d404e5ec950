"""The agent's parts: beats that decide, the spool after a restart, the tether, finding deb-mock."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest

from deb_orchestrator.agent.attempt import ask_tool, make_document, tell_tool
from deb_orchestrator.agent.masking import Mask
from deb_orchestrator.agent.pulse import Order, Pulse
from deb_orchestrator.agent.spool import adopt_places, make_place
from debcore.command import PIPE, spawn
from debcore.errors import Failure, HostFailed
from debcore.http import HttpFailure, Unreachable
from debcore.hub.client import JobClient
from debcore.hub.model import Beat, Claimed
from debcore.job import FailureReport, Result, Status


def make_claimed(*, lease_s: float = 0.4, job: int = 7, attempt: int = 1) -> Claimed:
    return Claimed(job=job, attempt=attempt, grant="g" * 64, lease_s=lease_s, kind="build", spec={})


class Hub:
    """Answers beats from a list; the last answer stays."""

    def __init__(self, *answers: Beat | Failure) -> None:
        self.answers = list(answers)
        self.beats = 0

    def beat(self, _claimed: Claimed, *, timeout: float) -> Beat:
        assert timeout < 0.4, "a hanging beat must not hide that the lease ends"
        self.beats += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Failure):
            raise answer
        return answer


GOOD = Beat(cancel=False, lease_s=0.4)


@pytest.mark.parametrize(
    ("answers", "times", "order"),
    [
        ([GOOD], [0.1, 0.4, 0.7, 1.0], Order.GO_ON),
        ([GOOD, Unreachable("gone")], [0.1, 0.2, 0.4], Order.GO_ON),  # 0.3 s since the last good one
        ([GOOD, Unreachable("gone")], [0.1, 0.2, 0.5], Order.LOST),
        ([Unreachable("gone")], [0.1, 0.34], Order.LOST),
        ([HttpFailure(503, "busy")], [0.1, 0.34], Order.LOST),
        ([HttpFailure(503, "busy")], [0.1, 0.32], Order.GO_ON),
        ([HttpFailure(409, "stale")], [0.1], Order.LOST),
        ([HttpFailure(403, "revoked")], [0.1], Order.LOST),
        ([GOOD, Beat(cancel=True, lease_s=0.4)], [0.1, 0.2], Order.CANCEL),
        ([GOOD, Beat(cancel=False, lease_s=0.4, make_room=True)], [0.1, 0.2], Order.MAKE_ROOM),
        ([Beat(cancel=False, lease_s=0.4, make_room=True), Beat(cancel=True, lease_s=0.4)], [0.1, 0.2], Order.CANCEL),
        ([Beat(cancel=False, lease_s=0.4, make_room=True), Unreachable("gone")], [0.1, 0.5], Order.LOST),
    ],
)
def test_beats_decide(answers: list[Any], times: list[float], order: Order) -> None:
    now = [0.0]
    pulse = Pulse(cast(JobClient, Hub(*answers)), make_claimed(), clock=lambda: now[0])
    for now[0] in times:
        pulse.beat()
    assert pulse.order is order


def test_beats_go_on_by_themselves_until_the_hub_refuses() -> None:
    hub = Hub(GOOD, GOOD, GOOD, HttpFailure(409, "stale"))
    pulse = Pulse(cast(JobClient, hub), make_claimed())
    pulse.start()
    wait_until(lambda: pulse.order is Order.LOST)
    pulse.stop()
    assert hub.beats <= 4


def test_a_restarted_agent_keeps_what_is_done_and_nothing_else(tmp_path: Path) -> None:
    done, undone = make_place(tmp_path, make_claimed(job=1)), make_place(tmp_path, make_claimed(job=2))
    torn = make_place(tmp_path, make_claimed(job=3))
    done.job.write_result(Result(job="1", status=Status.FAILED))
    (torn.job.path / "result.json").write_text('{"job": "3", "sta')
    (tmp_path / "4-1").mkdir()
    assert (done.path / "claim.json").stat().st_mode & 0o777 == 0o600
    kept = list(adopt_places(tmp_path))
    assert [(place.held.job, place.claimed.grant) for place in kept] == [(1, "g" * 64)]
    assert [path.name for path in tmp_path.iterdir()] == ["1-1"]
    assert not undone.path.exists()


def test_what_is_tethered_dies_with_its_parent() -> None:
    code = (
        "import os, sys, time; from debcore.command import spawn;"
        "child = spawn([sys.executable, '-m', 'deb_orchestrator.agent.tether', str(os.getpid()), 'sleep', '60']);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = spawn([sys.executable, "-c", code], stdout=PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.stdout.close()
    wait_until(lambda: b"sleep" in Path(f"/proc/{child}/comm").read_bytes())
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_running(child))


def test_a_tether_whose_parent_is_gone_starts_nothing() -> None:
    orphan = spawn([sys.executable, "-m", "deb_orchestrator.agent.tether", "1", "false"])
    assert orphan.wait(10) == 1


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ('{"api": [1]}', ("build",)),  # of before there were others
        ('{"api": [1], "kinds": ["build", "check"]}', ("build", "check")),
        ('{"api": [1], "kinds": ["build", "teleport", "--help"]}', ("build",)),
    ],
)
def test_a_tool_says_which_jobs_it_runs(said: str, kinds: tuple[str, ...]) -> None:
    tool = ask_tool(["sh", "-c", f"echo '{said}'"])
    assert (tool.api, tool.kinds) == ((1,), kinds)


@pytest.mark.parametrize("said", ["", "[]", '{"api": 1}', '{"kinds": ["build"]}'])
def test_a_tool_that_is_another_is_refused(said: str) -> None:
    with pytest.raises(HostFailed, match="nothing usable"):
        ask_tool(["sh", "-c", f"echo '{said}'"])


def test_our_deb_mock_runs_both_kinds_of_jobs() -> None:
    assert ask_tool([sys.executable, "-c", "from deb_mock.cli import main; main()"]).kinds == ("build", "check")


def is_running(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until(what: Any, timeout: float = 120) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            if what():
                return
        except OSError:
            pass
        time.sleep(0.02)
    pytest.fail(f"not within {timeout} s (pid {os.getpid()})")


def test_a_result_is_sent_without_nul() -> None:
    failure = FailureReport(stage="build", kind="compile", message="main.c: a\0b \\u0000")
    document = make_document(Result(job="1", status=Status.FAILED, failure=failure))
    assert document["failure"]["message"] == "main.c: a\N{REPLACEMENT CHARACTER}b \\u0000"
    plain = Result(job="1", status=Status.BUILT)
    assert make_document(plain) == plain.model_dump(mode="json")


def test_what_deb_mock_logs_as_json_is_in_the_agents_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tool.log"
    trace = "0af7651916cd43dd8448eb211c80319c"
    said = {"level": "info", "logger": "deb_mock.build", "message": "100 % built", "trace": trace}
    path.write_text("\n".join([json.dumps(said), "plain text", "{", "[1]", '{"level": "shout", "message": ""}']))
    with caplog.at_level("INFO"):
        tell_tool(path)
        tell_tool(tmp_path / "none")
    (record,) = caplog.records
    assert (record.name, record.getMessage(), record.levelname) == ("agent.deb_mock.build", "100 % built", "INFO")
    assert vars(record)["trace"] == trace


def test_a_secret_is_hidden_wherever_a_piece_ends(tmp_path: Path) -> None:
    secret, path = "s3cret-" + "x" * 20, tmp_path / "log"
    mask = Mask.of([secret, "short"])
    assert mask.words == (secret,)
    path.write_bytes(f"at {secret} and {secret[:9]}".encode())
    clean = f"at {'*' * 27} and ".encode()
    for size in (1, 2, 5, 26, 27, 28, 100):
        got, at = b"", 0
        while piece := mask.read(path, at, size, whole=False):
            got, at = got + piece, at + len(piece)
        assert got == clean, "what may become a secret waits"
        while piece := mask.read(path, at, size, whole=True):
            got, at = got + piece, at + len(piece)
        assert got == clean + secret[:9].encode(), "it did not"
    copy = mask.copy(path, tmp_path / "masked" / "log")
    assert copy.read_bytes() == clean + secret[:9].encode()
    assert mask.copy(copy, tmp_path / "masked" / "again") == copy
    mask.save(tmp_path / "hidden")
    assert Mask.load(tmp_path / "hidden") == mask
    assert (tmp_path / "hidden").stat().st_mode & 0o777 == 0o600
    assert Mask.load(tmp_path / "none").hide(b"anything") == b"anything"
