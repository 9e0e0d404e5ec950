"""A farm whose clock a test moves, and what must be in its store, found without the collector's own queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from sqlalchemy import select

from deb_orchestrator.domain.jobs import OPEN
from deb_orchestrator.services import (
    collect,
    importing,
    pins,
    publish_follow,
    requests,
    sealed,
    snapshots,
    sources,
    suite_content,
    suite_history,
    suite_packages,
)
from deb_orchestrator.services.hub import NotFound
from deb_orchestrator.services.publish import find_apt_file
from deb_orchestrator.store.tables import event, job
from deb_orchestrator.store.tables_publish import publication, publication_file
from debcore.blobs import BlobStore
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.repos import SnapshotAsk
from debcore.hub.upkeep import Collected, PinAsk
from tests.contract.orchestrator.world import ManualClock
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm

T = TypeVar("T")
URL = "http://hub.example"
DAY = 86400.0


@contextmanager
def reading_here() -> Iterator[None]:
    """Files are opened in this process: the sealed reader has tests of its own."""

    def open_here(blobs: BlobStore, files: Sequence[tuple[str, str]]) -> list[Mapping[str, str]]:
        answers = []
        for kind, sha256 in files:
            with blobs.open(sha256) as file:
                answer = sealed.answer(kind, file)
            if "error" in answer:
                raise Failure(str(answer["error"]))
            answers.append(answer["fields"])
        return answers

    with pytest.MonkeyPatch.context() as patch:
        for module in (sources, importing, publish_follow):
            patch.setattr(module, "open_files", open_here)
        yield


@dataclass
class Keeper:
    """*young*: blobs of builds that no suite got, with the time (milliseconds) until when they must stay."""

    farm: Farm
    clock: ManualClock
    version: int = 0
    pinned: dict[str, set[str]] = field(default_factory=dict)
    snapshots: list[tuple[str, int]] = field(default_factory=list)
    young: list[tuple[int, set[str]]] = field(default_factory=list)

    def build(self, name: str, how: str) -> None:
        """*how*: ok, failed, scratch, queued or running. The version is one that never was."""
        self.version += 1
        package = self.farm.add_source(name, f"1.{self.version}", tarball=f"{name} {self.version}".encode())
        needed = model.PackagesNeeded(target=SUITE, arches=("amd64",), packages=(package,), scratch=how == "scratch")
        request = requests.need_packages(self.farm.hub, ADMIN, needed)
        self.farm.settle()
        if how == "queued":
            return
        claimed = None
        while (one := self.farm.claim()) is not None:  # the last one is the newest
            claimed = one
        if claimed is None or how == "running":
            return
        if how == "failed":
            self.farm.finish(claimed, "failed", files={"build.log": f"log {self.version}".encode()})
        else:
            self.farm.finish_well(claimed)
        self.farm.settle()
        if how != "ok" and claimed.spec["job"]["request"] == request:
            days = 14 if how == "scratch" else 30
            files = {file.sha256 for file in package.files}
            self.young.append((self.clock.at + round(days * DAY * 1000), files))

    def remove(self, name: str) -> None:
        try:
            suite_packages.remove_package(self.farm.hub, ADMIN, SUITE, name)
        except NotFound:
            return
        self.farm.settle()

    def revert(self, back: int) -> None:
        """To where it was *back* events ago, if that is still here."""
        to = max(0, self.farm.events_so_far() - back)
        self._try(lambda: suite_history.revert_suite(self.farm.hub, ADMIN, SUITE, to))
        self.farm.settle()

    def snapshot(self, back: int) -> None:
        ask = SnapshotAsk(event=max(0, self.farm.events_so_far() - back))
        made = self._try(lambda: snapshots.make_snapshot(self.farm.hub, ADMIN, SUITE, ask, base_url=URL))
        if made is not None:
            self.snapshots.append((made.name, made.event))
        self.farm.settle()

    def _try(self, call: Callable[[], T]) -> T | None:
        """None if it is refused, which is right only for what was collected or never was."""
        try:
            return call()
        except Failure as failure:
            if "was collected" not in str(failure) and "held nothing" not in str(failure):
                raise
            return None

    def pin(self, name: str) -> None:
        try:
            pins.put_pin(self.farm.hub, ADMIN, f"image-{name}", PinAsk(packages=(name,), suite=SUITE))
        except NotFound:
            return
        with self.farm.hub.db.read() as db:
            found = pins._find_package(db, name, SUITE)
        self.pinned[f"image-{name}"] = {sha256 for sha256, _ in found}

    def unpin(self, name: str) -> None:
        if self.pinned.pop(f"image-{name}", None) is not None:
            pins.remove_pin(self.farm.hub, ADMIN, f"image-{name}")

    def wait(self, days: float) -> None:
        self.clock.advance(days * DAY)
        self.farm.tender.tend()
        self.farm.settle()

    def collect(self, times: int = 2) -> list[Collected]:
        """With the hours between; nothing that is needed has gone."""
        done = []
        for _ in range(times):
            done.append(collect.collect(self.farm.hub, young_s=0))
            self.clock.advance(2 * 3600)
            self.farm.tender.tend()
            self.farm.settle()
        self.check()
        return done

    def check(self) -> None:
        """All that somebody may ask for is there."""
        blobs = self.farm.hub.blobs
        missing = {sha256 for sha256 in self.needed() if not blobs.has(sha256)}
        assert not missing
        for at in [None, *self.events_of(89)]:
            self._check_content(SUITE, at)
        for _, at in self.snapshots:
            self._check_content(SUITE, at)

    def needed(self) -> set[str]:
        found = {sha256 for several in self.pinned.values() for sha256 in several}
        for until, files in self.young:
            found |= files if until > self.clock.at else set()
        with self.farm.hub.db.read() as db:
            open_jobs = select(job.c.spec).where(
                job.c.state.in_([state.value for state in OPEN]), job.c.kind == "build"
            )
            for spec in db.execute(open_jobs).scalars():
                found |= {one["sha256"] for one in spec["job"]["inputs"]}
            found |= self.published()
        return found

    def published(self) -> set[str]:
        """What apt reads of all that is live (the farm's signer leaves a name for InRelease and no file)."""
        with self.farm.hub.db.read() as db:
            live = db.execute(select(publication).where(publication.c.state == "live")).all()
            found = {row.release_sha256 for row in live}
            for row in live:
                mine = (publication_file.c.suite == row.suite) & (publication_file.c.generation == row.generation)
                query = select(publication_file.c.sha256).where(mine, publication_file.c.served)
                found |= set(db.execute(query).scalars())
        return found

    def events_of(self, days: float) -> list[int]:
        """The events of the last *days*, a few."""
        border = self.clock.at - round(days * DAY * 1000)
        with self.farm.hub.db.read() as db:
            found = list(db.execute(select(event.c.n).where(event.c.at >= border).order_by(event.c.n)).scalars())
        return found[:: max(1, len(found) // 8)]

    def _check_content(self, suite: str, at: int | None) -> None:
        hub = self.farm.hub
        for package in suite_content.get_content(hub, suite, at).packages:
            if package.arch == "source":
                continue
            path = f"pool/main/{package.source[0]}/{package.source}/{package.name}_{package.version}_{package.arch}.deb"
            assert find_apt_file(hub.db, hub.blobs, path) is not None, (path, at)
            source = f"pool/main/{package.source[0]}/{package.source}/{package.source}_{package.version}.dsc"
            assert find_apt_file(hub.db, hub.blobs, source) is not None, (source, at)
