"""One attempt of a build or check: inputs by hash, deb-mock as a child, log and events forwarded, outputs uploaded."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deb_orchestrator.agent.masking import Mask
from deb_orchestrator.agent.pulse import Order, Pulse
from deb_orchestrator.agent.spool import Place
from debcore.command import Process, find_program, run, spawn
from debcore.errors import Failure, HostFailed
from debcore.http import HttpFailure, Unreachable
from debcore.hub.client import JobClient
from debcore.hub.model import BuildSpec
from debcore.job import API, AptSource, FailureReport, Job, Result, Status, read_events

log = logging.getLogger(__name__)

#: What a hub's job may ask of the tool.
KINDS = ("build", "check")
#: What deb-bootc-compose does of a hub's jobs.
TASK = "task"
#: Seconds between looks at the child, its log and its events.
LOOK_S = 0.25
#: Seconds from SIGTERM to SIGKILL.
GRACE_S = 10.0
#: Bytes of log in one call.
PIECE = 512 * 1024
#: Bytes of deb-mock's own log that go into the agent's.
TOLD = 64 * 1024
#: In an attempt's directory: what is hidden.
HIDDEN = "hidden"
#: Kinds of outputs that tools write what they see into. What a package made is its own, and has hashes that count.
MASKED = ("log", "lock", "file")
#: Seconds between tries to hand in a result.
AGAIN_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Tool:
    """How to run deb-mock and deb-bootc-compose, and what they speak.

    *apt_base*, a loopback relay, replaces the hub's URL in apt sources.
    *hidden*: what of the agent's nobody may read in logs and results.
    """

    argv: tuple[str, ...]
    api: tuple[int, ...] = API
    kinds: tuple[str, ...] = ("build",)  #: of job directories; each is the verb that runs one
    apt_base: str | None = None
    private_base: str | None = None  #: the same, of suites that want to know who reads them
    hidden: tuple[str, ...] = field(default=(), repr=False)
    compose: tuple[str, ...] = ()  #: how to run deb-bootc-compose, for jobs of kind task; (): they are not offered

    @property
    def offers(self) -> tuple[str, ...]:
        """Kinds of jobs that can be done here."""
        return (*self.kinds, TASK) if self.compose else self.kinds

    def find_argv(self, kind: str) -> tuple[str, ...]:
        """What runs a job directory of this kind, less the directory."""
        return (*(self.compose if kind == TASK else self.argv), kind, "--job")


class Attempt:
    """From the claim to the accepted result, or until it is lost. *stop* means: the agent ends."""

    def __init__(self, client: JobClient, place: Place, tool: Tool, stop: threading.Event) -> None:
        self._client, self._place, self._tool, self._stop = client, place, tool, stop
        self._claimed = place.claimed
        self._pulse = Pulse(client, place.claimed)
        self._sent_log = 0
        self._sent_events = 0
        self._mask = Mask.load(place.path / HIDDEN)

    def run(self) -> None:
        """Work and report. The spool directory is gone at the end, unless the agent was stopped before reporting."""
        self._pulse.start()
        try:
            try:
                self._prepare()
            except (Failure, ValidationError, OSError) as failure:
                self._report(self._host_result(f"the job could not be prepared: {failure}"))
                return
            try:
                child = self._start()
            except OSError as error:
                name = self._tool.find_argv(self._claimed.kind)[0]
                self._report(self._host_result(f"{name} could not be started: {error}"))
                return
            self._build(child)
        finally:
            self._pulse.stop()

    def report_adopted(self) -> None:
        """Hand in what was done before a restart."""
        self._pulse.start()
        try:
            self._report(self._place.job.find_result() or self._host_result("its result is gone"))
        finally:
            self._pulse.stop()

    def report_fault(self, message: str) -> None:
        """Give up an attempt that this host cannot even begin."""
        self._pulse.start()
        try:
            self._report(self._host_result(message))
        finally:
            self._pulse.stop()

    def _prepare(self) -> None:
        self._mask = Mask.of((*self._tool.hidden, self._claimed.grant))
        self._mask.save(self._place.path / HIDDEN)
        spec = BuildSpec.model_validate(self._claimed.spec)
        directory = self._place.job.path
        for one in spec.job.inputs:
            target = directory / one.path
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._client.get_blob(one.sha256, target, max_size=one.size)
        job = spec.job.model_copy(
            update={
                "job": str(self._claimed.job), "attempt": self._claimed.attempt,
                "target": spec.job.target.model_copy(update={"sources": self._sources(spec)}),
                "trace": self._claimed.trace,
            }
        )  # fmt: skip
        self._place.job.write_job(Job.model_validate(job.model_dump()))

    def _sources(self, spec: BuildSpec) -> tuple[AptSource, ...]:
        """The target's own suite, once it is published: later builds see what earlier ones made."""
        if self._claimed.kind == TASK:
            return spec.job.target.sources  # it names its packages by hash
        suite = self._client.suite(spec.suite)
        if not suite.generation:
            return spec.job.target.sources
        relay = self._tool.private_base if suite.private else self._tool.apt_base
        uri = f"{relay or self._client.http.base_url}/apt"
        own = AptSource(uris=(uri,), suites=(suite.name,), components=suite.components, signed_by=suite.key)
        return (*spec.job.target.sources, own)

    def _build(self, child: Process) -> None:
        try:
            self._say_started()
            while child.poll() is None:
                self._obey(child)
                self._forward()
                time.sleep(LOOK_S)
        finally:
            _kill(child)
            tell_tool(self._place.path / "tool.log", self._mask)
        self._forward(last=True)
        if self._pulse.order == Order.LOST:
            self._place.remove()
        elif self._stop.is_set():
            self._give_back("the agent stops")
        elif self._pulse.order == Order.MAKE_ROOM and not self._has_ended():
            self._give_back("it makes room for a more urgent job")
        else:
            self._report(self._place.job.find_result() or self._no_result(child))

    def _start(self) -> Process:
        argv = [sys.executable, "-m", "deb_orchestrator.agent.tether", str(os.getpid())]
        with (self._place.path / "tool.log").open("ab") as output:
            return spawn(
                [*argv, *self._tool.find_argv(self._claimed.kind), self._place.job.path], stdout=output,
                stderr=output, new_session=True,
            )  # fmt: skip

    def _say_started(self) -> None:
        with suppress(Failure):  # a lost word costs nothing: the next event says it too
            self._client.send_events(self._claimed, [{"type": "build.started"}])

    def _obey(self, child: Process) -> None:
        order = self._pulse.order
        if order == Order.LOST:
            child.kill()
        elif order in (Order.CANCEL, Order.MAKE_ROOM) or self._stop.is_set():
            child.terminate()
            end = time.monotonic() + GRACE_S
            while child.poll() is None and time.monotonic() < end and self._pulse.order != Order.LOST:
                time.sleep(0.05)
            _kill(child)

    def _forward(self, *, last: bool = False) -> None:
        """New log and events to the hub. What fails now comes with the next call: offsets and numbers tell."""
        if self._pulse.order == Order.LOST:
            return
        try:
            self._forward_log(all_of_it=last)
            self._forward_events()
        except HttpFailure as failure:
            log.warning("job %d: %s", self._claimed.job, failure)
        except Unreachable as failure:
            log.debug("job %d: %s", self._claimed.job, failure)

    def _forward_log(self, *, all_of_it: bool) -> None:
        path = self._place.job.log_path
        while path.is_file() and not path.is_symlink():
            piece = self._mask.read(path, self._sent_log, PIECE, whole=all_of_it)
            if not piece:
                return
            self._sent_log = self._client.put_log(self._claimed, self._sent_log, piece)
            if not all_of_it:
                return

    def _forward_events(self) -> None:
        for event in read_events(self._place.job.events_path, after=self._sent_events):
            if event.type == "environment.ready":
                lock = self._place.job.path / str(event.data.get("lock", ""))
                told = event.model_dump(mode="json", exclude_none=True)
                if lock.is_file() and not lock.is_symlink():
                    sent = self._client.put_blob(self._mask.copy(lock, self._masked("lock")), claimed=self._claimed)
                    told["data"]["lock_sha256"] = sent
                self._client.send_events(self._claimed, [told])
            self._sent_events = event.n

    def _report(self, result: Result) -> None:
        """Upload and finish, as often as it takes. What the hub has accepted or refused for good is removed here."""
        result, files = self._hide(self._with_log(result))
        document = make_document(result)
        digest = hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        while True:
            try:
                for output in result.outputs:
                    path = files.get(output.path, self._place.job.path / output.path)
                    self._client.put_blob(path, claimed=self._claimed)
                done = self._client.finish(self._claimed, document, digest)
                log.info(
                    "job %d, attempt %d: %s (%s)", self._claimed.job, self._claimed.attempt, result.status, done.state
                )
                self._place.remove()
                return
            except HttpFailure as failure:
                if failure.code in (401, 403, 404, 409):
                    log.warning(
                        "job %d, attempt %d is not wanted: %s", self._claimed.job, self._claimed.attempt, failure
                    )
                    self._place.remove()
                    return
                if failure.code == 422:  # the hub takes nothing of the kind: then we have broken it
                    log.error("job %d: the hub refuses its result: %s", self._claimed.job, failure)
                    result = self._host_result(f"the hub refused the result: {failure}")
                    document = make_document(result)
                    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
                else:
                    log.warning("job %d: %s", self._claimed.job, failure)
            except Unreachable as failure:
                log.warning("job %d: its result waits: %s", self._claimed.job, failure)
            if self._stop.wait(AGAIN_S):
                return  # the spool keeps it; the next agent hands it in

    def _masked(self, name: str) -> Path:
        """Where a copy without secrets goes."""
        return self._place.path / "masked" / name

    def _hide(self, result: Result) -> tuple[Result, dict[str, Path]]:
        """The result without secrets, and by path the copies of outputs that had some. Made again it is the same."""
        files: dict[str, Path] = {}
        text = self._mask.hide_text(result.model_dump_json())
        for n, output in enumerate(result.outputs):
            path = self._place.job.path / output.path
            if output.kind in MASKED and path.is_file() and not path.is_symlink():
                copy = self._mask.copy(path, self._masked(str(n)))
                if copy != path:
                    files[output.path] = copy
                    with copy.open("rb") as file:
                        text = text.replace(output.sha256, hashlib.file_digest(file, "sha256").hexdigest())
        return Result.model_validate_json(text), files

    def _with_log(self, result: Result) -> Result:
        """The whole log is one of the outputs, whatever the tool listed."""
        path = self._place.job.log_path
        if any(output.kind == "log" for output in result.outputs) or not path.is_file() or path.is_symlink():
            return result
        return result.model_copy(update={"outputs": (*result.outputs, self._place.job.output(path.name, "log"))})

    def _has_ended(self) -> bool:
        """It came to an end by itself before it heard that it shall stop."""
        result = self._place.job.find_result()
        return result is not None and result.status is not Status.CANCELLED

    def _give_back(self, why: str) -> None:
        with suppress(Failure):
            self._client.release(self._claimed, why)
        self._place.remove()

    def _no_result(self, child: Process) -> Result:
        """Whatever the exit status: without a valid result.json it is the host's fault, or our own cancel."""
        if self._pulse.order == Order.CANCEL:
            return self._host_result("cancelled", status=Status.CANCELLED)
        words = _last_line(self._place.path / "tool.log")
        tool = "deb-bootc-compose" if self._claimed.kind == TASK else "deb-mock"
        return self._host_result(f"{tool} left no result (status {child.poll()}){': ' + words if words else ''}")

    def _host_result(self, message: str, *, status: Status = Status.HOST) -> Result:
        failure = FailureReport(stage="agent", kind="host", message=message)
        return Result(job=str(self._claimed.job), attempt=self._claimed.attempt, status=status, failure=failure)


def make_document(result: Result) -> dict[str, Any]:
    """As the hub takes it: what a package printed may hold a NUL, which PostgreSQL cannot store."""
    text = result.model_dump_json()
    document: dict[str, Any] = json.loads(text)
    return clean(document) if "\\u0000" in text else document


def clean(value: Any) -> Any:
    """A JSON value without NUL in its strings."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {key: clean(one) for key, one in value.items()}
    return [clean(one) for one in value] if isinstance(value, list) else value


def tell_tool(path: Path, mask: Mask | None = None) -> None:
    """What deb-mock logged as JSON into our own log, as its own lines; of much only the last."""
    with suppress(OSError):
        text = (mask or Mask()).hide(path.read_bytes())[-TOLD:].decode("utf-8", "replace")
        for line in text.splitlines():
            try:
                said = json.loads(line)
                level, message = logging.getLevelNamesMapping()[said["level"].upper()], str(said["message"])
                extra = {"action": "deb-mock", **({"trace": str(said["trace"])} if "trace" in said else {})}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            logging.getLogger(f"agent.{said.get('logger')}").log(level, "%s", message, extra=extra)


def _kill(child: Process) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()


def _last_line(path: Path) -> str:
    with suppress(OSError):
        lines = path.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""
    return ""


def ask_tool(argv: Sequence[str]) -> Tool:
    """What the tool *argv* says of itself. Errors: HostFailed if it cannot be run or asked."""
    done = run([*argv, "job-api"], timeout=60)
    try:
        said = json.loads(done.stdout)
        kinds = tuple(str(kind) for kind in said.get("kinds", Tool.kinds) if kind in KINDS)
        return Tool(argv=tuple(argv), api=tuple(int(version) for version in said["api"]), kinds=kinds)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HostFailed(f"{argv[0]} job-api said nothing usable", hint="is it deb-mock?") from error


def find_deb_mock(given: Sequence[str] = ()) -> tuple[str, ...]:
    """*given*, else the deb-mock beside this Python, else the one on PATH."""
    if given:
        return tuple(given)
    beside = Path(sys.executable).parent / "deb-mock"
    return (str(beside),) if beside.is_file() else ("deb-mock",)


def find_compose() -> tuple[str, ...]:
    """The deb-bootc-compose beside this Python, or on PATH; () if this host has none: it is a package of its own."""
    beside = Path(sys.executable).parent / "deb-bootc-compose"
    found = beside if beside.is_file() else find_program("deb-bootc-compose")
    return (str(found),) if found else ()
