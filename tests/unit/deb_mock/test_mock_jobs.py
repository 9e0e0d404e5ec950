"""The job directory's border: golden files of version 1, refusals, and what importing deb-mock costs."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from deb_mock.jobs import check_inputs, make_order, refuse, run_job
from debcore.command import run
from debcore.errors import DepsUnmet, Failure, HostFailed, Interrupted, LimitHit
from debcore.job import Event, EventLog, Job, JobDirectory, Lock, Result, Status, Target, read_events

GOLDEN = Path(__file__).parents[2] / "golden" / "job"
MODELS: dict[str, type[BaseModel]] = {"job": Job, "event": Event, "result": Result, "lock": Lock}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*-1*.json")), ids=lambda path: path.stem)
def test_documents_of_version_1_stay_readable(path: Path) -> None:
    text = path.read_text()
    document = MODELS[path.stem.partition("-")[0]].model_validate_json(text)
    assert holds(json.loads(document.model_dump_json()), json.loads(text))


def holds(new: Any, old: Any) -> bool:
    """Whether *new* says all that *old* says; fields may have been added."""
    if isinstance(old, dict):
        return all(key in new and holds(new[key], value) for key, value in old.items())
    if isinstance(old, list):
        return len(new) == len(old) and all(holds(*pair) for pair in zip(new, old, strict=True))
    return bool(new == old)


@pytest.mark.parametrize("name", MODELS)
def test_unknown_fields_are_ignored(name: str) -> None:
    document = json.loads((GOLDEN / f"{name}-1.json").read_text()) | {"added_later": 1}
    MODELS[name].model_validate(document)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a/./b", "a//b", "", "a\0b", ".."])
def test_paths_that_lead_out_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        Job.model_validate({"job": "1", "source": path, "target": {"preset": "p", "arch": "amd64"}})


def test_events_are_numbered_and_a_torn_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path, job="7", attempt=2)
    log.emit("stage.started", stage="x")
    log.close()
    with path.open("ab") as file:
        file.write(b'{"n": 2, "at": "x", "ty')
    assert [(event.n, event.job, event.attempt) for event in read_events(path)] == [(1, "7", 2)]


def make_job(path: Path, **changes: object) -> Job:
    content = b"Format: 3.0 (native)\nSource: xyz\nVersion: 1\nChecksums-Sha256:\n " + b"0" * 64 + b" 1 x_1.tar.xz\n"
    (path / "x_1.dsc").write_bytes(content)
    entry = {"path": "x_1.dsc", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    fields: dict[str, object] = {
        "job": "7",
        "source": "x_1.dsc",
        "inputs": [entry],
        "target": Target(preset="debian-trixie-amd64", arch="amd64", profiles=("nocheck",)).model_dump(),
        "limits": {"memory": 5, "silence_s": 60},
        "deadline_s": 100,
    }
    return Job.model_validate(fields | changes)


def test_a_job_becomes_an_order(tmp_path: Path) -> None:
    order = make_order(make_job(tmp_path), JobDirectory(tmp_path))
    assert order.choice.preset.name == "debian-trixie-amd64"
    assert (order.limits.memory, order.limits.silence_s, order.timeout) == (5, 60, 100)
    assert order.build_options(3) == "nocheck parallel=3"
    assert "-Pnocheck" in order.build_command(order.parts(["any"], "x"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": None}, "names no .dsc"),
        ({"inputs": [{"path": "x_1.dsc", "sha256": "0" * 64, "size": 1}]}, "SHA-256"),
        ({"inputs": [{"path": "other", "sha256": "0" * 64, "size": 1}]}, "missing"),
        ({"target": {"preset": "debian-nowhere", "arch": "amd64"}}, "no preset"),
    ],
)
def test_a_job_that_cannot_be_run_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(Failure, match=message):
        make_order(make_job(tmp_path, **changes), JobDirectory(tmp_path))


def test_a_binnmu_is_an_entry_of_the_changelog(tmp_path: Path) -> None:
    entry = {"number": 2, "reason": "Rebuild against libz2", "maintainer": "Build Farm <farm@example.org>"}
    order = make_order(make_job(tmp_path, binnmu=entry), JobDirectory(tmp_path))
    assert (order.built_version("1.0"), order.build_type) == ("1.0+b2", "any")
    assert order.addition is not None
    assert order.addition.maintainer == "Build Farm <farm@example.org>"
    for wrong in ({"number": 0}, {"reason": "two\nlines"}, {"maintainer": "nobody"}):
        with pytest.raises(ValidationError):
            make_job(tmp_path, binnmu={**entry, **wrong})


def test_a_cross_build_has_a_root_of_its_builders_architecture(tmp_path: Path) -> None:
    target = {"preset": "debian-trixie", "arch": "arm64", "build_arch": "amd64", "build": "any"}
    order = make_order(make_job(tmp_path, target=target), JobDirectory(tmp_path))
    assert (order.choice.preset.name, order.choice.arch, order.choice.host_arch) == (
        "debian-trixie-amd64", "amd64", "arm64",
    )  # fmt: skip
    assert order.choice.settings.build.profiles == ("cross", "nocheck")
    assert "-aarm64" in order.build_command(order.parts(["any"], "x"))
    same = make_order(make_job(tmp_path, target={**target, "arch": "amd64"}), JobDirectory(tmp_path))
    assert not same.choice.is_cross


def test_a_job_may_ask_for_verification(tmp_path: Path) -> None:
    assert make_order(make_job(tmp_path), JobDirectory(tmp_path)).check is None
    asked = make_order(make_job(tmp_path, verify={"vary": ["-build_path"]}), JobDirectory(tmp_path)).check
    assert asked is not None
    assert "umask" in asked.vary
    assert "build_path" not in asked.vary
    everything = make_order(make_job(tmp_path, verify={}), JobDirectory(tmp_path)).check
    assert everything is not None
    assert "build_path" in everything.vary
    with pytest.raises(Failure, match="no variation"):
        make_order(make_job(tmp_path, verify={"vary": ["weather"]}), JobDirectory(tmp_path))


def test_an_input_that_is_a_link_is_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    (tmp_path / "x_1.dsc").rename(tmp_path / "y")
    (tmp_path / "x_1.dsc").symlink_to("y")
    with pytest.raises(Failure, match="no plain file"):
        check_inputs(job, tmp_path)


def test_a_refused_job_has_a_result(tmp_path: Path) -> None:
    directory = JobDirectory(tmp_path)
    directory.write_job(make_job(tmp_path, kind="task"))
    assert run_job(tmp_path) == 3
    result = directory.find_result()
    assert result is not None
    assert result.status is Status.INVALID
    assert result.failure is not None
    with pytest.raises(Failure, match="has a result already"):
        run_job(tmp_path)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (DepsUnmet("x"), 5, "dependency"),
        (HostFailed("x"), 6, "host"),
        (LimitHit("its memory limit was hit"), 7, "memory"),
        (LimitHit("the build printed nothing for 9 s"), 7, "silence"),
        (OSError(28, "No space left on device"), 6, "disk"),
        (Failure("is not signed"), 3, "signature"),
        (Interrupted(15), 143, "cancelled"),
    ],
)
def test_exit_statuses_and_classes(tmp_path: Path, error: BaseException, status: int, kind: str) -> None:
    result = refuse(make_job(tmp_path), error)
    assert result.status.exit_status == status
    assert result.failure is not None
    assert result.failure.kind == kind


def test_locks_of_equal_roots_are_equal() -> None:
    lock = Lock.model_validate_json((GOLDEN / "lock-1.json").read_text())
    turned = lock.model_copy(update={"packages": lock.packages[::-1], "releases": lock.releases[::-1]})
    assert lock.sha256 == turned.sha256


def test_importing_deb_mock_loads_no_hub_and_no_database() -> None:
    code = (
        "import sys, deb_mock.cli, deb_mock.cli.build, deb_mock.build, deb_mock.jobs;"
        "print([m for m in sys.modules if m.startswith(('debcore.hub','httpx','sqlalchemy','fastapi'))])"
    )
    assert run([sys.executable, "-c", code]).text.strip() == "[]"


SHORT = """
import resource, signal, sys
from pathlib import Path
from debcore.job import EventLog
log = EventLog(Path(sys.argv[1]), job="7")
log.emit("progress", text="one")
size = Path(sys.argv[1]).stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
try:
    log.emit("progress", text="two")
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.emit("progress", text="three")
"""


def test_an_event_that_finds_no_room_is_not_half_there(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert run([sys.executable, "-c", SHORT, path]).text == "No space left on device\n"
    assert [(event.n, event.data["text"]) for event in read_events(path)] == [(1, "one"), (2, "three")]


def test_a_line_that_a_kill_has_torn_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for text in ("one", "two"):
        log = EventLog(path, job="7")
        log.emit("progress", text=text)
        log.close()
        with path.open("ab") as file:
            file.write(b'{"n":2,"at"')
    assert [(event.n, event.data["text"]) for event in read_events(path)] == [(1, "one"), (2, "two")]
