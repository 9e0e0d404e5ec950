"""A compose from its manifest: the list of its tasks, and running them in a compose directory."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol, cast

from deb_bootc_compose import past
from deb_bootc_compose.directory import ComposeDirectory, Status, explaining_full_disk, make_compose_directory
from deb_bootc_compose.earlier import KINDS as REUSABLE
from deb_bootc_compose.earlier import Earlier
from deb_bootc_compose.embedded import default_state
from deb_bootc_compose.estimate import load_past
from deb_bootc_compose.graph import Graph, Node, Outcome, timings
from deb_bootc_compose.hub import Hub
from deb_bootc_compose.journal import Entry, Journal
from deb_bootc_compose.lints.registry import LINTS
from deb_bootc_compose.lock import check_locked, load_lock
from deb_bootc_compose.manifest import Manifest
from deb_bootc_compose.notify import NAME as NOTIFICATIONS
from deb_bootc_compose.notify import Notifier, Script, about, check_script
from deb_bootc_compose.plan import ask_of, key, make_nodes
from deb_bootc_compose.previous import NONE, Previous, check_given
from deb_bootc_compose.report.compose import write_report
from deb_bootc_compose.runner import Runner
from deb_bootc_compose.snapshot import digest_directory, keep_file
from deb_bootc_compose.tasks import kinds_from
from deb_bootc_compose.telling import tell_hub
from debcore.errors import ConfigError, Failure, Interrupted
from debcore.path import write_file
from debroot.sources import CHECK_VALID_UNTIL
from debroot.store import Store

log = logging.getLogger(__name__)

SCRIPT_TIMEOUT = 60.0  #: seconds, of a notification script that the command line names

Say = Callable[[str], None]

#: Kinds of tasks whose results `--json` prints.
SHOWN = ("commit", "container", "image", "boot", "update", "fallback", "bootc-install", "bootc-upgrade", "lock")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to compose, beside what the manifest says. Kept for `resume`."""

    hub: str | None = None  #: URL; None: the embedded one
    token_file: str | None = None
    hub_state: str = ""  #: directory of the embedded hub, so that `resume` meets the same one
    skip: tuple[str, ...] = ()  #: kinds of tasks left out; the compose is then incomplete
    locked: str | None = None  #: SHA-256 of the lock to hold to
    until: str | None = None  #: the last kind of task; what follows is left out
    only: tuple[str, ...] = ()  #: kinds of tasks that are done, with what they need; none: all
    anew: str | None = None  #: nothing of this kind and those after it is taken from elsewhere
    notification_scripts: tuple[str, ...] = ()  #: beside those of the manifest
    previous: str | None = None  #: the compose or the repository before; "none"; None: the newest sibling
    farm: tuple[str, ...] = ()  #: architectures whose trees the hub's builders make


@dataclass(frozen=True)
class Started:
    """What logs/manifest-resolved.json holds: all that `resume` needs, read once and never again."""

    manifest: Manifest
    options: Options
    digests: Mapping[str, str] = field(default_factory=dict)  #: of directories and files named by the manifest


def start_compose(
    manifest: Manifest, target: Path, options: Options, *, lock: Path | None = None, now: datetime | None = None
) -> ComposeDirectory:
    """Check what can be checked at once, then make the directory with everything the compose begins with."""
    started = check_start(manifest, options, lock=lock, now=now)
    directory = make_compose_directory(target, manifest.compose, now=now or datetime.now(UTC))
    try:
        if lock is not None:
            scratch = directory.work / "tasks/lock"
            scratch.mkdir(parents=True)
            write_file(scratch / "given-lock.json", lock.read_bytes())
        for path in {file.source for spec in manifest.specs for file in spec.variant.add_files}:
            keep_file(Path(path), directory.work / "files")
        _write_start(directory, started)
    except OSError as error:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise Failure(f"{target}: {error.strerror}", hint="choose another place with --target DIR") from error
    except BaseException:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    return directory


def check_start(
    manifest: Manifest, options: Options, *, lock: Path | None = None, now: datetime | None = None
) -> Started:
    """What a compose would begin with. Errors: Failure, ConfigError for what can be told at once."""
    _check_waivers(manifest, None if lock is not None else (now or datetime.now(UTC)).date())
    _check_farm(manifest, options.farm)
    past.check(manifest)
    for script in scripts_of(manifest, options):
        check_script(Path(script.path), where=str(manifest.path))
    options = replace(
        options, hub_state=options.hub_state or str(default_state().absolute()), previous=check_given(options.previous)
    )
    if lock is not None:
        given = load_lock(lock)
        snapshots = past.described(manifest).get("snapshots", {})
        check_locked(given, suite=manifest.compose.suite, asked=ask_of(manifest), snapshots=snapshots)
        options = replace(options, locked=hashlib.sha256(lock.read_bytes()).hexdigest())
    return Started(manifest, options, dict(_digests(manifest)))


def _digests(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for index, build in enumerate(manifest.compose.builds):
        if build.source is not None:
            where = manifest.origins.get(f"builds.{index}.source", str(manifest.path))
            yield build.source, digest_directory(Path(build.source), where=where)
    for spec in manifest.specs:
        for index, file in enumerate(spec.variant.add_files):
            where = manifest.origins.get(f"variants.{key(spec)}.add-files.{index}.from", str(manifest.path))
            yield file.source, _file_digest(Path(file.source), where)
        ledger = spec.variant.users.ledger
        if ledger is not None:
            yield ledger, _ledger_text(Path(ledger))


def _check_waivers(manifest: Manifest, today: date | None) -> None:
    """Errors: ConfigError at the line that waives what is no lint, or that ended before *today*.

    None: a lock decides, by whose day the lints judge.
    """
    known = [lint.name for lint in LINTS]
    for spec in manifest.specs:
        for index, waiver in enumerate(spec.variant.lint.waive):
            if waiver.rule not in known:
                where = manifest.origins.get(f"variants.{key(spec)}.lint.waive.{index}.rule", str(manifest.path))
                near = difflib.get_close_matches(waiver.rule, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else "deb-bootc-compose lint --list names them all"
                raise ConfigError(where, f"there is no lint {waiver.rule!r}", hint=hint)
            if today is not None and waiver.until is not None and waiver.until < today:
                where = manifest.origins.get(f"variants.{key(spec)}.lint.waive.{index}.until", str(manifest.path))
                raise ConfigError(
                    where, f"the waiver of {waiver.rule} ended on {waiver.until} ({waiver.reason})",
                    hint="correct what it waives, or give it a later day and a reason",
                )  # fmt: skip


def _check_farm(manifest: Manifest, arches: Sequence[str]) -> None:
    """Errors: ConfigError for an architecture that the manifest does not have, and for derivatives."""
    for arch in arches:
        specs = [spec for spec in manifest.specs if spec.arch == arch]
        if not specs:
            raise ConfigError("--farm", f"no variant is for {arch}", hint="`arches` of a variant names them")
        for spec in specs:
            if spec.variant.base is not None:
                where = manifest.origins.get(f"variants.{key(spec)}.base", str(manifest.path))
                hint = f"leave out --farm {arch}"
                raise ConfigError(where, "a derivative's tree is made on this host, not on the farm", hint=hint)


def _ledger_text(path: Path) -> str:
    """The ledger is an input as text: its hash would not bring it back on resume. "" if there is none yet."""
    return path.read_text() if path.is_file() else ""


def _file_digest(path: Path, where: str) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(where, f"{path}: {error.strerror}", hint="paths are relative to the manifest file") from error


def _write_start(directory: ComposeDirectory, started: Started) -> None:
    document = {
        "manifest": started.manifest.document(), "options": asdict(started.options), "digests": dict(started.digests)
    }  # fmt: skip
    write_file(directory.manifest_path, json.dumps(document, indent=1, sort_keys=True) + "\n")


def load_started(directory: ComposeDirectory) -> Started:
    """Errors: Failure if the compose was killed before it had begun, or another version made it."""
    try:
        document = json.loads(directory.manifest_path.read_bytes())
        options = {
            key: tuple(value) if isinstance(value, list) else value for key, value in document["options"].items()
        }
        return Started(Manifest.from_document(document["manifest"]), Options(**cast(Any, options)), document["digests"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"{directory.path} cannot be resumed: logs/manifest-resolved.json is missing or of another version",
            hint="remove the directory and compose again",
        ) from error


@dataclass(frozen=True)
class Summary:
    """How a compose ended."""

    directory: ComposeDirectory
    status: Status
    outcomes: Mapping[str, Outcome]

    def document(self) -> dict[str, Any]:
        outputs = {
            name: dict(outcome.result["value"])
            for name, outcome in self.outcomes.items()
            if outcome.result is not None and outcome.node.kind in SHOWN
        }
        return {
            "id": self.directory.id, "path": str(self.directory.path), "status": self.status.value,
            "outputs": outputs,
            "tasks": [{"task": n, "seconds": s, "how": how} for n, s, how in timings(self.outcomes)],
        }  # fmt: skip


class Watcher(Protocol):
    """Who is told how a compose goes on: all its tasks, then each line of the journal that is on disk."""

    def begin(self, nodes: Sequence[Node], *, past: Mapping[str, float], jobs: int) -> None: ...

    def hear(self, entry: Entry) -> None: ...


def run_compose(
    directory: ComposeDirectory,
    *,
    jobs: int | None = None,
    say: Callable[[str, str], None],
    watch: Watcher | None = None,
    again_from: str | None = None,
) -> Summary:
    """Do what the journal lacks, and what is of the kind *again_from* or comes after it.

    Errors: Failure (STATUS DOOMED), Interrupted (STATUS TERMINATED).
    """
    jobs = jobs or max(2, os.cpu_count() or 1)
    started = load_started(directory)
    nodes = make_nodes(started.manifest, started.options, started.digests)
    if again_from is not None:
        started = replace(started, options=replace(started.options, anew=again_from))
        nodes = [replace(node, again=node.again or node.kind in kinds_from(again_from)) for node in nodes]
    with explaining_full_disk(directory.path), directory.running(), ExitStack() as stack:
        scripts = scripts_of(started.manifest, started.options)
        notifier = Notifier(
            scripts, told=about(directory, started.manifest.compose), log_path=directory.logs / NOTIFICATIONS
        )
        stack.callback(notifier.close)
        journal = Journal(directory.journal_path, hear=(notifier.hear, *([watch.hear] if watch else [])))
        stack.callback(journal.close)
        notifier.tell_status(Status.STARTED)
        nodes = list(_with_request(nodes, journal))
        if watch is not None:
            watch.begin(nodes, past=load_past(directory.path.parent, own=directory.path), jobs=jobs)
        journal.append("compose.resumed" if journal.entries else "compose.started", id=directory.id, pid=os.getpid())
        still = {} if started.manifest.compose.check_valid_until else {CHECK_VALID_UNTIL: "no"}
        runner = stack.enter_context(Runner(directory.work, directory.logs, command=_command, progress=say, env=still))
        hub = Hub(stack, started.options)
        if any(node.kind == "request" and node.again for node in nodes):
            hub.begin()
        earlier = Earlier(directory)
        graph = Graph(
            nodes, root=directory.path, journal=journal, runner=runner,
            jobs=jobs,
            prepare=lambda node, identity: _context(node, identity, hub, directory, earlier, started),
        )  # fmt: skip
        status = Status.DOOMED
        try:
            outcomes = graph.run()
            incomplete = started.options.skip or any(outcome.result is None for outcome in outcomes.values())
            narrowed = incomplete or started.options.until or started.options.only
            status = Status.FINISHED_INCOMPLETE if narrowed else Status.FINISHED
        except Interrupted:
            status = Status.TERMINATED
            raise
        finally:
            _end(directory, journal, status)
            notifier.tell_status(status)
            if status is not Status.TERMINATED:  # that one is resumed
                tell_hub(directory, hub.known, status=status)
    return Summary(directory, status, outcomes)


def scripts_of(manifest: Manifest, options: Options) -> list[Script]:
    """Those of the manifest, then those of the command line; one that is named twice is called once."""
    told = [Script(one.script, one.timeout) for one in manifest.compose.notifications]
    named = {script.path for script in told}
    return told + [
        Script(path, SCRIPT_TIMEOUT) for path in dict.fromkeys(options.notification_scripts) if path not in named
    ]


def _with_request(nodes: list[Node], journal: Journal) -> Iterator[Node]:
    """As long as there is no lock, the hub is asked again: the same request is answered at once, by any hub."""
    locked = any(entry.type == "task.finished" and entry.data["task"] == "lock" for entry in journal.entries)
    for node in nodes:
        yield replace(node, again=True) if node.kind == "request" and not locked else node


def _end(directory: ComposeDirectory, journal: Journal, status: Status) -> None:
    """A disk that is full must not hide why the compose failed."""
    try:
        journal.append("compose.ended", status=status.value)
        write_report(directory, status=status)
        directory.set_status(status)
    except (OSError, Failure) as error:
        log.warning("%s: STATUS could not be written: %s", directory.id, error)


def _command(task: Path) -> list[str | Path]:
    return [sys.executable, "-m", "deb_bootc_compose", "task", task]


def _context(
    node: Node, identity: str, hub: Hub, directory: ComposeDirectory, earlier: Earlier, started: Started
) -> Mapping[str, Any]:
    options = started.options
    before = Previous(directory, options.previous)
    if node.kind in REUSABLE:
        found = None if node.kind in kinds_from(options.anew) else earlier.find(identity)
        return {"earlier": found} | tell_before(node, directory, before, locked=options.locked is not None)
    if node.kind == "tree" and node.params["arch"] in options.farm:
        return {"farm": hub.address().document()}
    if node.kind == "tree":
        return {"anew": node.kind in kinds_from(options.anew)}
    if node.kind == "request":
        return {"hub": hub.address().document()}
    if node.kind != "lock":
        return {}
    previous = earlier.find_lock()
    told: dict[str, Any] = {"previous": str(previous) if previous else None, "hub_url": hub.lasting_url}
    if options.until != "lock":  # a lock that is kept follows what is there when it is composed
        refs = {key(spec): spec.variant.ref for spec in started.manifest.specs}
        try:
            told["parents"] = {name: one.model_dump(mode="json") for name, one in before.find_parents(refs).items()}
            told["anew"] = options.previous == NONE
        except Failure as failure:  # the task says it, so that it stands in the journal
            told["damage"] = [str(failure), failure.hint]
    if node.needs or node.params["suite_name"] or (node.params["locked"] and _pool_lacks_hub_packages(directory)):
        told["hub"] = hub.address().document()
    return told


def tell_before(node: Node, directory: ComposeDirectory, before: Previous, *, locked: bool) -> dict[str, Any]:
    """Where a task finds what it follows. `damage` (message, hint): why not; a task that cannot do without says it."""
    told: dict[str, Any] = {}
    if node.kind == "commit":
        told = {"parent": None, "locked": locked}
    elif node.kind == "container":
        told = {"previous": None}
    elif node.kind == "update":
        told = {"image": None, "repo": None}
    elif node.kind == "bootc-upgrade":
        told = {"image": None, "repo": None, "layout": None, "bootc": None}
    if not told:
        return {}
    name = node.params["key"]
    parent = (load_lock(directory.lock_path).parents or {}).get(name)
    if parent is None:
        return told
    finders = {
        "parent": before.find_repository, "repo": before.find_repository, "previous": before.find_layout,
        "image": before.find_image, "layout": before.find_layout, "bootc": before.find_bootc,
    }  # fmt: skip
    try:
        found = {word: find(name, parent) for word, find in finders.items() if word in told}
    except Failure as failure:
        return told | {"damage": [str(failure), failure.hint]}
    return told | {word: str(one) if isinstance(one, Path) else one for word, one in found.items()}


def _pool_lacks_hub_packages(directory: ComposeDirectory) -> bool:
    lock = load_lock(directory.work / "tasks/lock/given-lock.json")
    wanted = [package.package() for variant in lock.variants.values() for package in variant.hub]
    return bool(wanted) and not Store.open().has(wanted)
