"""Decide exactly which packages the trees are made of, fetch them, and write lock.json; or hold to a lock given."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deb_bootc_compose import past
from deb_bootc_compose.derive.base import Wanted, load_tree_below, take_base
from deb_bootc_compose.disk.bench import DISK_TOOLS, LOADER_PACKAGES, disk_tools
from deb_bootc_compose.disk.xfs import xfs_tools
from deb_bootc_compose.earlier import load_earlier_lock
from deb_bootc_compose.embedded import HubAddress
from deb_bootc_compose.hub_past import find_suite
from deb_bootc_compose.lock import (
    BASE,
    Lock,
    LockedBase,
    LockedHub,
    LockedPackage,
    LockedParent,
    LockedVariant,
    load_lock,
    make_version,
    split_stages,
    write_lock,
)
from deb_bootc_compose.records import NAME as RECORDS
from deb_bootc_compose.records import find_records, load_records, write_records
from deb_bootc_compose.sources import archive_sources, hub_source
from deb_bootc_compose.telling import pin_name
from deb_bootc_compose.tree.make import find_tools
from deb_bootc_compose.worker import Done, Task
from debcore.errors import DepsUnmet, Failure
from debcore.http import HttpFailure
from debcore.hub.credential import load_token
from debcore.hub.model import Suite
from debcore.hub.upkeep import PinAsk, PinFile
from debcore.hub.upkeep_client import UpkeepClient
from debcore.job import AptSource
from debroot.bootstrap import tools_root
from debroot.resolve import Resolution, fetch, resolve
from debroot.store import Layer, Package, Store

#: The lock to hold to, beside the task's input.json.
GIVEN = "given-lock.json"


def run_task(task: Task) -> Done:
    store = Store.open()
    given = task.params["locked"]
    suite = _find_suite(task)
    with past.explaining(task.params):
        lock = _resolve(task, store, suite) if given is None else _hold_to(task, store, suite)
    if given is None:
        lock = _with_earlier_time(task, lock)
    if lock.parents is None:
        lock = _with_parents(task, lock)
    write_lock(task.compose.lock_path, lock)
    keep_records(task, lock)
    if suite is not None:
        _pin(task, lock)
    parents = {key: parent.model_dump(mode="json") for key, parent in (lock.parents or {}).items()}
    value = {"content": lock.content, "version": lock.version, "timestamp": lock.timestamp, "parents": parents}
    return Done(value, ("lock.json",))


def keep_records(task: Task, lock: Lock) -> None:
    """Who built what, for the metadata: asked of the hub, or known to the compose before. Not to know fails nothing."""
    packages = [package for variant in lock.variants.values() for package in variant.hub]
    previous = task.context.get("previous")
    known = load_records(Path(previous).parent / "logs" / RECORDS) if previous else {}
    hashes = {package.sha256 for package in packages}
    found = {sha256: record for sha256, record in known.items() if sha256 in hashes}
    missing = [package for package in packages if package.sha256 not in found]
    if missing and task.context.get("hub") is not None:
        try:
            with HubAddress.of(task.context["hub"]).client() as client:
                found |= find_records(client, missing, url=task.context.get("hub_url"))
        except Failure as error:
            task.say(f"the hub does not say who built its packages: {error}")
    write_records(task.compose, found)


def _pin(task: Task, lock: Lock) -> None:
    """Have the hub keep what it built for this lock for as long as the pin stays: `pin remove` lets it go."""
    found = {p.sha256: p for variant in lock.variants.values() for p in variant.hub}
    if not found:
        return
    files = tuple(PinFile(sha256=p.sha256, label=f"{p.name} {p.version} {p.arch}") for p in found.values())
    name = pin_name(task.compose)
    hub = HubAddress.of(task.context["hub"])
    with UpkeepClient(hub.url, load_token(hub.token_file) if hub.token_file else None, ca=hub.ca) as client:
        try:
            pin = client.put_pin(name, PinAsk(files=files, note=f"lock of {task.compose.path.name}"))
        except HttpFailure as failure:
            if failure.code != 404:
                raise
            task.say("the hub is too old to pin what the lock names")
            return
    task.say(f"the hub keeps {pin.files} packages as pin {pin.name}")


def _with_earlier_time(task: Task, lock: Lock) -> Lock:
    """If nothing has changed since the compose before, its time, version and parents stay: so do the outputs then.

    Errors: Failure if this one would be older than what it follows: machines never go back by themselves.
    """
    before = load_earlier_lock(task.context.get("previous"))
    if before is None or before.content != lock.content:
        if before is not None and task.context.get("parents") and lock.timestamp < before.timestamp:
            now, then = (datetime.fromtimestamp(one.timestamp, UTC).isoformat() for one in (lock, before))
            raise Failure(
                f"the clock says {now}, and the compose before is of {then}: no machine would update to this",
                hint="set the clock right, then resume; or begin anew with --previous none",
            )
        return lock
    if task.context.get("anew") and before.parents:
        return lock  # what follows nothing cannot have the commit of what does
    task.say(f"the same packages as {before.version}")
    return lock.model_copy(update={"timestamp": before.timestamp, "version": before.version, "parents": before.parents})


def _with_parents(task: Task, lock: Lock) -> Lock:
    """The commits that this compose's follow. A lock that is made to be kept leaves them open."""
    if damage := task.context.get("damage"):
        raise Failure(damage[0], hint=damage[1])
    if task.context.get("parents") is None:
        return lock
    parents = {key: LockedParent.model_validate(one) for key, one in task.context["parents"].items()}
    for key, parent in parents.items():
        task.say(f"{key}: follows {parent.version} ({parent.commit[:12]})")
    return lock.model_copy(update={"parents": parents})


def _find_suite(task: Task) -> Suite | None:
    """The hub's suite with what was built for us; None if nothing was, or all of it is in the pool already."""
    if task.context.get("hub") is None:
        return None
    requests = [value for name, value in task.inputs.items() if name == "request"]
    name = requests[0]["suite"] if requests else task.params["suite_name"]
    if task.params["locked"] is not None:
        hub = load_lock(task.scratch / GIVEN).hub
        name = hub.suite if hub else None
    if name is None:
        return None
    event = task.params.get("hub_event") if task.params["locked"] is None else None
    return find_suite(HubAddress.of(task.context["hub"]), name, event)


def _resolve(task: Task, store: Store, suite: Suite | None) -> Lock:
    archive = archive_sources(task.params)
    own = hub_source(suite, pin=task.params["pin"]) if suite else None
    variants: dict[str, LockedVariant] = {}
    releases: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for name, asked in task.params["variants"].items():
        arch = asked["arch"]
        task.say(f"{name}: asking apt for {len(asked['packages'])} packages and what they need")
        derived = take_below(task, store, name, asked, None)
        below = load_tree_below(store, derived) if derived else None
        sources = [*archive, *([own] if own else [])]
        try:
            base = () if below else resolve_base(store, archive, arch, releases)
            whole = _ask(store, sources, asked, task.context["origins"].get(name, {}), below)
        except DepsUnmet as error:
            if not asked.get("failable"):
                raise
            left_out[name] = str(error)
            task.say(f"{name}: left out, as it may fail: {error}")
            continue
        releases |= whole.release_hashes
        stages = split_stages(base, whole.packages, hub_uri=suite.apt_uri if suite else None)
        _check_built(task, stages[2], asked["packages"])
        ids = ids_before(task, name) if asked.get("ids_of_previous") else asked["ids"]
        variants[name] = _locked_variant(asked, stages).model_copy(update={"derived": derived, "ids": ids})
        total = sum(map(len, stages))
        task.say(f"{name}: {total} packages ({len(stages[2])} of the hub); fetching what the pool lacks")
        fetch(store, [package for stage in stages for package in stage])
    timestamp = int(time.time())
    requests = [value for key, value in task.inputs.items() if key == "request"]
    hub = LockedHub(
        suite=suite.name, event=max([suite.event, *(one["event"] for one in requests)]), generation=suite.generation,
        request=requests[0]["request"] if requests else None,
    ) if suite else None  # fmt: skip
    return Lock(
        suite=task.params["suite"], timestamp=timestamp, version=make_version(task.params["release"], timestamp),
        releases=_named(releases, suite), hub=hub, variants=variants, tools=find_tool_packages(task, store),
        recipe=task.params["recipe"], snapshots=task.params.get("snapshots", {}),
        left_out=left_out,
    )  # fmt: skip


def resolve_base(
    store: Store, archive: Sequence[AptSource], arch: str, releases: dict[str, str]
) -> Sequence[Package]:  # fmt: skip
    base = resolve(store, sources=archive, arch=arch, install=BASE, max_age=0.0)
    releases |= base.release_hashes
    return base.packages


def take_below(
    task: Task, store: Store, name: str, asked: Mapping[str, Any], locked: LockedBase | None
) -> LockedBase | None:  # fmt: skip
    """The base of variant *name*, in the store from now on; None if it has none. *locked*: exactly this one."""
    if asked.get("below") is None:
        return None
    wanted = Wanted(asked["below"], asked["arch"], task.params["suite"], locked.digest if locked else None)
    tools = find_tools(store, task.params["suite"])
    return take_base(store, tools, wanted, say=lambda text: task.say(f"{name}: {text}"))


def ids_before(task: Task, name: str) -> str:
    """The id ledger of variant *name* as the compose before came out; "" if there is none, or it pinned nothing yet."""
    previous = task.context.get("previous")
    path = Path(previous).parent / "work" / f"ids.{name}" if previous else None
    if path is None or not path.is_file():
        task.say(f"{name}: no compose before pins ids: those of this one will be kept")
        return ""
    task.say(f"{name}: ids are pinned by {path.parents[1].name}")
    return path.read_text()


def _named(releases: Mapping[str, str], suite: Suite | None) -> dict[str, str]:
    """Sorted; the hub's by its name, for its address changes from start to start."""
    place = suite.apt_uri.partition("://")[2].replace("/", "_") if suite else None
    return {
        f"hub{name.removeprefix(place)}" if place and name.startswith(place) else name: digest
        for name, digest in sorted(releases.items())
    }


def find_tool_packages(task: Task, store: Store) -> dict[str, tuple[LockedPackage, ...]]:
    """What is in the roots whose programs make the outputs: another ostree or mke2fs may write other bytes."""
    suite = task.params["suite"]
    arches = sorted({asked["arch"] for asked in task.params["variants"].values()})
    layers = {"tree": find_tools(store, suite)}
    layers |= {f"disk.{arch}": _disk_tools(store, suite, arch) for arch in arches}
    if any("filesystem" in asked for asked in task.params["variants"].values()):
        layers["xfs"] = xfs_tools(store, suite=suite)
    return {name: tuple(LockedPackage.of(package) for package in layer.packages) for name, layer in layers.items()}


def _disk_tools(store: Store, suite: str, arch: str) -> Layer:
    """The bench's root; where no disk can be made for *arch*, its programs alone."""
    if arch in LOADER_PACKAGES:
        return disk_tools(store, suite=suite, arch=arch)
    return tools_root(store, suite=suite, packages=DISK_TOOLS)


def _check_tools(task: Task, store: Store, lock: Lock) -> None:
    """Errors: Failure if the tools are others than the lock's."""
    task.say("comparing the tools with the lock's")
    for name, packages in find_tool_packages(task, store).items():
        locked, have = {p.key for p in lock.tools.get(name, ())}, {p.key for p in packages}
        if locked != have:
            words = sorted({f"{key[0]} {key[1]}" for key in locked ^ have})
            raise Failure(
                f"the tools root `{name}` is not the lock's: {', '.join(words[:6])}",
                hint="the archive has newer tools: make a new lock with: deb-bootc-compose lock",
            )


def _ask(
    store: Store, sources: Sequence[AptSource], asked: Mapping[str, Any], origins: Mapping[str, str],
    below: Layer | None = None,
) -> Resolution:  # fmt: skip
    """What apt adds to *below*, or to nothing.

    Errors: DepsUnmet with apt's words and the line of the manifest that named the package; Failure if packages of
    *below* would have to go.
    """
    begin = () if below else BASE
    install = [*begin, *asked["packages"], *(f"{name}-" for name in asked["exclude"])]
    try:
        found = resolve(
            store, sources=sources, arch=asked["arch"], install=install, recommends=asked["recommends"], max_age=0.0,
            base=below,
        )  # fmt: skip
        if found.removed:
            raise Failure(
                f"packages of the base would have to go: {', '.join(found.removed)}",
                hint="a derivative adds and replaces packages: leave out what conflicts, or compose without a base",
            )
        return found
    except DepsUnmet as error:
        named = [
            f"{package} stands in {origins[package]}"
            for package in asked["packages"]
            if package in origins and _names(str(error), package.partition("=")[0])
        ]
        hint = "; ".join(named) or error.hint or "correct the package names in the manifest"
        raise DepsUnmet(str(error), hint=hint) from error


def _names(text: str, package: str) -> bool:
    words = {word.strip(".,;:'\"()") for word in text.split()}
    return package in words


def _check_built(task: Task, hub: Sequence[Package], asked: Sequence[str]) -> None:
    """Say which built sources are in no tree: built for nothing is rarely meant."""
    sources = {(package.source or package.name) for package in hub}
    for name, value in task.inputs.items():
        if name != "request":
            continue
        unused = [p["source"] for p in value["packages"] if p["source"] not in sources]
        if unused:
            task.say(f"built, but nothing asks for their packages: {', '.join(unused)} (asked: {len(asked)})")


def _locked_variant(asked: Mapping[str, Any], stages: tuple[Sequence[Package], ...]) -> LockedVariant:
    base, archive, hub = (tuple(LockedPackage.of(package) for package in stage) for stage in stages)
    words = (*asked["packages"], *(f"{name}-" for name in asked["exclude"]))
    return LockedVariant(asked=words, base=base, archive=archive, hub=hub, ids=asked["ids"])


def _hold_to(task: Task, store: Store, suite: Suite | None) -> Lock:
    """The lock given, its packages fetched by hash. Errors: Failure if one cannot be had: nothing else is taken."""
    lock = load_lock(task.scratch / GIVEN)
    if hashlib.sha256((task.scratch / GIVEN).read_bytes()).hexdigest() != task.params["locked"]:
        raise Failure("the lock changed while the compose was starting")
    _check_tools(task, store, lock)
    for name, variant in lock.variants.items():
        asked = task.params["variants"].get(name, {})
        if (variant.derived is None) is not (asked.get("below") is None):
            raise Failure(f"{name}: lock and manifest differ in the base", hint="make a new lock")
        take_below(task, store, name, asked, variant.derived)
        task.say(f"{name}: {len(variant.installed)} packages of the lock; fetching what the pool lacks")
        hub = [_at_hub(package.package(), suite) for package in variant.hub]
        packages = [package.package() for package in (*variant.base, *variant.archive)] + hub
        if not store.has(packages):
            fetch(store, packages)
    return lock


def _at_hub(package: Package, suite: Suite | None) -> Package:
    """The hub's address changes from start to start; the file name below it does not."""
    return replace(package, uri=f"{suite.apt_uri}/{package.filename}") if suite else package
