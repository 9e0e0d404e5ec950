"""This host's side: have a builder of the hub make a tree, and put it into the store as if it had been made here.

Packages go to the hub by hash, and only those that it does not have. A compose that is stopped leaves its order: when
it is resumed, the same order is the same job.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deb_bootc_compose.embedded import HubAddress
from deb_bootc_compose.farm.job import SPEC, STAGES, TREE, deb_path, packages_of, spec_to_json
from deb_bootc_compose.farm.pack import unpack_tree
from deb_bootc_compose.runner import CLASSES
from deb_bootc_compose.tree.make import TreeSpec, find_tools, tree_id
from deb_bootc_compose.tree.outside import call
from deb_bootc_compose.worker import Task
from debcore.errors import Failure, HostFailed
from debcore.hub.credential import load_token
from debcore.hub.task_client import TaskClient
from debcore.hub.tasks import OrderedTask, TaskAsk
from debcore.job import Input, Job, Target
from debcore.path import write_file
from debroot.sandbox import Bind
from debroot.store import Layer, Store

#: Seconds between two looks at the job.
LOOK_S = 1.0


def fetch_tree(task: Task, store: Store, spec: TreeSpec, farm: Mapping[str, Any], *, suite: str = "") -> None:
    """Have the tree of *spec* in the store. *farm*: the hub's address. *suite*: of the hub, where packages are from it.

    Errors: Failure of the class that the builder's was.
    """
    made = tree_id(spec)
    key = f"tree-{made[:24]}"
    if store.find(key) is not None:
        return
    address = HubAddress.of(dict(farm))
    token = load_token(address.token_file) if address.token_file else None
    packed = task.scratch / TREE
    with TaskClient(address.url, token, ca=address.ca) as client:
        ask = _upload(task, store, client, spec, made, suite)
        ordered = client.order_task(ask)
        task.say(f"job {ordered.job} of the farm: {len(ask.job.inputs) - 1} packages for {spec.arch}")
        ordered = _wait(task, client, ordered)
        _take(task, client, ordered, packed)
    with store.making(key):
        if store.find(key) is None:
            _keep(store, spec, key, packed)
    packed.unlink(missing_ok=True)
    task.say(f"made by {ordered.agent}")


def _upload(task: Task, store: Store, client: TaskClient, spec: TreeSpec, made: str, suite: str) -> TaskAsk:
    path = task.scratch / SPEC
    write_file(path, json.dumps(spec_to_json(spec), indent=1, sort_keys=True) + "\n")
    inputs = [Input(path=SPEC, sha256=client.put_blob(path), size=path.stat().st_size)]
    packages = packages_of(spec)
    store.keep_pool()
    if missing := store.missing(packages):
        raise Failure(
            f"not in the pool: {missing[0].name} {missing[0].version}", hint="fetch the lock's packages first"
        )
    task.say(f"{len(packages)} packages go to the hub, as far as it does not have them")
    for package in packages:
        deb = store.pool_path(package.sha256)
        inputs.append(Input(path=deb_path(package), sha256=client.put_blob(deb), size=deb.stat().st_size))
    job = Job(
        kind="task", job="0", inputs=tuple(inputs), task={"kind": "tree", "tree": made},
        target=Target(preset=f"debian-{spec.suite}-{spec.arch}", arch=spec.arch),
    )  # fmt: skip
    return TaskAsk(arch=spec.arch, job=job, suite=suite)


def _wait(task: Task, client: TaskClient, ordered: OrderedTask) -> OrderedTask:
    """Until it has ended, saying what changes."""
    said = ""
    while True:
        facts = "; ".join(reason.fact for reason in ordered.why)
        text = f"job {ordered.job} is {ordered.state}"
        text += f" on {ordered.agent}" if ordered.state == "running" else f": {facts}" if facts else ""
        if text != said:
            task.say(text)
            said = text
        if ordered.ended:
            return ordered
        time.sleep(LOOK_S)
        ordered = client.ordered_task(ordered.job)


def _take(task: Task, client: TaskClient, ordered: OrderedTask, packed: Path) -> None:
    """Its log is appended to ours. Errors: Failure if it did not succeed."""
    result = ordered.result
    for output in result.outputs if result else ():
        if output.kind == "log":
            part = task.scratch / "farm.log"
            client.get_blob(output.sha256, part, max_size=output.size)
            with part.open("rb") as log, (task.compose.logs / f"{task.name}.log").open("ab") as file:
                shutil.copyfileobj(log, file)
            part.unlink()
    if ordered.state != "succeeded" or result is None:
        kind = CLASSES.get(result.status.exit_status if result else 6, HostFailed)
        hint = result.failure.hint if result and result.failure else ""
        hint = hint or f"deb-orchestrator task {ordered.job} says what it went through; resume orders it again"
        raise kind(f"the farm did not make the tree (job {ordered.job}): {ordered.reason or ordered.state}", hint=hint)
    tree = next((output for output in result.outputs if output.path == TREE), None)
    if tree is None:
        raise HostFailed(f"job {ordered.job} succeeded without a tree", hint=f"look at the builder {ordered.agent}")
    client.get_blob(tree.sha256, packed, max_size=tree.size)


def _keep(store: Store, spec: TreeSpec, key: str, packed: Path) -> None:
    """Unpack into a layer. Errors: Failure if its packages are not those that were asked for."""
    wanted = {(package.name, package.arch): package for stage in STAGES for package in getattr(spec, stage)}
    with store.workplace("root") as place:
        unpack_tree(store, packed, place / "root")
        bind = Bind(source=place / "root", target="/tree")
        tools = find_tools(store, spec.suite)
        told = call(store, tools, "deb_bootc_compose.tree.finish:describe", {}, binds=[bind])
        has = {(one["name"], one["arch"]): one["version"] for one in told["packages"]}
        if has != {name: package.version for name, package in wanted.items()}:
            raise HostFailed("the tree that came from the farm has other packages than were asked for")
        packages = tuple(sorted(wanted.values(), key=lambda package: package.key))
        store.commit_layer(place, Layer(key, place, (), packages, spec.arch, spec.suite))
