"""Ask the hub for packages (message 1) and wait until they are in its suite (message 5), or say why they never will."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deb_bootc_compose.embedded import HubAddress
from deb_bootc_compose.worker import Done, Task
from debcore.errors import BuildFailed, DepsUnmet, Failure
from debcore.http import HttpFailure
from debcore.hub.client import HubClient
from debcore.hub.model import Event, NeededPackage, PackagesNeeded, Request, RequestState, SourceFile, Target


def run_task(task: Task) -> Done:
    with HubAddress.of(task.context["hub"]).client() as client:
        target = find_target(client, task.params["target"], task.params["suite"], tuple(task.params["arches"]))
        packages = tuple(_upload(task, client, name, value) for name, value in sorted(task.inputs.items()))
        needed = PackagesNeeded(target=target.name, arches=tuple(task.params["arches"]), packages=packages)
        # A compose that is started again asks again: what failed is tried once more, what is ready is an answer.
        request = client.need_packages(needed, retry=True)
        task.say(f"request {request.id[:12]}: {_names(packages)} for {target.suite}")
        request = _wait(task, client, request)
    value = {
        "request": request.id, "target": target.name, "suite": request.suite, "event": request.event,
        "packages": [{"source": p.source, "version": p.version} for p in packages],
    }  # fmt: skip
    return Done(value)


def find_target(client: HubClient, name: str, suite: str, arches: tuple[str, ...]) -> Target:
    """The hub's target, made for Debian's *suite* if it is missing."""
    try:
        return client.target(name)
    except HttpFailure as failure:
        if failure.code != 404:
            raise
    return client.ensure_target(name, f"debian-{suite}", arches=arches)


def _upload(task: Task, client: HubClient, name: str, source: Mapping[str, Any]) -> NeededPackage:
    directory: Path = task.compose.work / "sources" / name
    for file in source["files"]:
        sent = client.put_blob(directory / file["name"])
        if sent != file["sha256"]:
            raise Failure(f"{directory / file['name']} changed since it was made", hint="run the compose again")
    files = tuple(SourceFile(name=f["name"], sha256=f["sha256"], size=f["size"]) for f in source["files"])
    dsc = next(f.sha256 for f in files if f.name == source["dsc"])
    return NeededPackage(source=source["source"], version=source["version"], dsc_sha256=dsc, files=files)


def _wait(task: Task, client: HubClient, request: Request) -> Request:
    """Errors: BuildFailed (or DepsUnmet) with the reason for each package."""
    after = 0
    while request.state == RequestState.OPEN:
        for event in client.events(after, wait=10, request=request.id):
            after = event.n
            for text in describe(event):
                task.say(text)
        request = client.request(request.id)
    if request.state == RequestState.READY:
        task.say(f"packages are in {request.suite} as of event {request.event}")
        return request
    if request.state == RequestState.CANCELLED:
        raise Failure(f"request {request.id[:12]} was cancelled", hint="resume the compose to ask again")
    raise explain(request)


def explain(request: Request) -> Failure:
    """packages.failed as one error: a line for each package."""
    lines = [
        f"{f.source} {f.version}{f' on {f.arch}' if f.arch else ''}: {f.status or 'failed'}: {f.reason}"
        for f in request.failures
    ]
    only_deps = bool(request.failures) and all(f.status == "deps" for f in request.failures)
    kind = DepsUnmet if only_deps else BuildFailed
    builds = [f.build for f in request.failures if f.build is not None]
    hint = f"read its log: deb-orchestrator watch {builds[0]}" if builds else "correct the package, then compose again"
    return kind("the hub cannot give these packages: " + ("; ".join(lines) or "no reason given"), hint=hint)


def describe(event: Event) -> Iterator[str]:
    """What an event of the request means to a person."""
    build = f"build {event.build}" + (f" on {event.arch}" if event.arch else "")
    source = f" ({event.data['source']} {event.data.get('version', '')})" if "source" in event.data else ""
    words = {
        "build.requested": f"{build}{source}: asked of a builder",
        "environment.ready": f"{build}{source}: its root stands",
        "build.complete": f"{build}{source}: ended, {event.data.get('status', 'built')}",
        "build.reused": f"{build}{source}: built before",
    }
    if event.type in words:
        yield words[event.type] + (" (superseded)" if event.superseded else "")


def _names(packages: tuple[NeededPackage, ...]) -> str:
    return ", ".join(f"{p.source} {p.version}" for p in packages)
