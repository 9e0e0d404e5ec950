"""A hub in a directory and everything around it made of rows and bytes: sources, packages, a builder, a signer."""

from __future__ import annotations

import hashlib
import io
import secrets
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from deb_orchestrator.dispatch.events import Event, NewEvent, append_events, last_event, read_events
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.waits import is_met, parse_clause
from deb_orchestrator.services import agents, attempts, queries, requests, sealed, targets, uploads
from deb_orchestrator.services.asking import SOLVE_POOL
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.work import Tender, Worker
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_publish import publication, suite
from debcore.blobs import BlobStore
from debcore.deb822 import parse_stanza
from debcore.errors import Failure
from debcore.hub import model
from debcore.job import AptSource, Unmet
from debroot.dose import Asked, Said

ADMIN = Principal(name="test", scope="admin")
SUITE = "trixie-local"
FAR = "0" * 64


def make_deb(package: str, version: str, *, source: str = "", arch: str = "amd64", extra: str = "") -> bytes:
    """The smallest .deb: ar(5) of debian-binary, control.tar.gz and an empty data.tar.gz."""
    control = f"Package: {package}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: T <t@example.org>\n"
    control += f"Source: {source}\n" if source else ""
    control += f"{extra}Description: a test\n"
    members = [("debian-binary", b"2.0\n"), ("control.tar.gz", _tar({"./control": control.encode()}))]
    out = b"!<arch>\n"
    for name, data in [*members, ("data.tar.gz", _tar({}))]:
        head = f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(data):<10}`\n"
        out += head.encode() + data + b"\n" * (len(data) % 2)
    return out


def _tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def make_dsc(
    name: str, version: str, *, binaries: Sequence[str], arch: str = "any", depends: str = "", tarball: bytes = b"x"
) -> bytes:
    listed = "".join(f"\n {one} deb misc optional arch={arch}" for one in binaries)
    digest = hashlib.sha256(tarball).hexdigest()
    needs = f"Build-Depends: {depends}\n" if depends else ""
    return (
        f"Format: 3.0 (native)\nSource: {name}\nBinary: {', '.join(binaries)}\nArchitecture: {arch}\n"
        f"Version: {version}\nMaintainer: T <t@example.org>\n{needs}Package-List:{listed}\n"
        f"Checksums-Sha256:\n {digest} {len(tarball)} {name}_{version}.tar.xz\n"
        f"Files:\n {hashlib.md5(tarball).hexdigest()} {len(tarball)} {name}_{version}.tar.xz\n"
    ).encode()


def make_changes(source: str, version: str, files: dict[str, bytes], *, binary: str | None = None) -> bytes:
    sums = "".join(f"\n {hashlib.sha256(data).hexdigest()} {len(data)} {name}" for name, data in files.items())
    names = binary if binary is not None else " ".join(name.split("_")[0] for name in files)
    return (
        f"Format: 1.8\nSource: {source}\nBinary: {names}\nArchitecture: amd64\nVersion: {version}\n"
        f"Checksums-Sha256:{sums}\n"
    ).encode()


def open_here(blobs: BlobStore, files: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Stands in for `sealed.open_files` in this process; test_sealed.py opens them in the sealed one."""
    answers = []
    for kind, sha256 in files:
        with blobs.open(sha256) as file:
            answer = sealed.answer(kind, file)
        if "error" in answer:
            raise Failure(str(answer["error"]))
        answers.append(dict(answer["fields"]))
    return answers


@dataclass
class PlainSolver:
    """Stands in for dose3: every clause by itself, without dependencies of what meets it. `archive`: name → version."""

    archive: dict[str, str] = field(default_factory=dict)
    release: str = "r1"
    broken: str | Exception = ""
    passes: list[list[str]] = field(default_factory=list)  #: what was asked in each

    def solve(self, _sources: Sequence[AptSource], _arch: str, asked: Sequence[Asked], packages: bytes) -> Said:
        if self.broken:
            raise Failure(self.broken) if isinstance(self.broken, str) else self.broken
        if not asked:
            return Said((), {"InRelease": self.release})
        self.passes.append([one.depends for one in asked])
        stanzas = [parse_stanza(text) for text in packages.decode().split("\n\n") if text.strip()]
        there = [*self.archive.items(), *((one["Package"], one["Version"]) for one in stanzas)]
        return Said(tuple(self._judge(one, there) for one in asked), {"InRelease": self.release})

    def _judge(self, asked: Asked, there: Sequence[tuple[str, str]]) -> tuple[Unmet, ...]:
        clauses = [clause.strip() for clause in asked.depends.split(",") if clause.strip()]
        return tuple(
            Unmet(kind="missing", package="build-dependencies", clause=clause)
            for clause in clauses
            if not any(w.name == n and is_met(w, v) for w in parse_clause(clause) for n, v in there)
        )


@dataclass
class Farm:
    """*agent* is an approved builder of amd64."""

    hub: Hub
    agent: int
    worker: Worker
    tender: Tender
    dose: PlainSolver = field(default_factory=PlainSolver)
    boot: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def open(cls, db: Database, state: Path) -> Farm:
        """The farm that `make` made."""
        hub = Hub(db=db, blobs=BlobStore(state / "blobs"), state=state)
        farm = cls(hub, 0, Worker(hub, "hub-test"), Tender(hub)).with_agent("builder")
        farm.tender.tend()  # so that it has seen what is live
        return farm

    @classmethod
    def make(cls, db: Database, state: Path) -> Farm:
        farm = cls.open(db, state)
        hub = farm.hub
        targets.ensure_target(
            hub, ADMIN, model.Target(name=SUITE, preset="debian-trixie", suite=SUITE, arches=("amd64",))
        )
        farm.settle()
        return farm

    @cached_property
    def solver(self) -> Worker:
        return Worker(self.hub, "hub-test-solver", pool=SOLVE_POOL, solver=self.dose)

    def with_agent(self, name: str, *capabilities: str) -> Farm:
        self.agent = self.add_agent(name, *capabilities)
        return self

    def add_agent(self, name: str, *capabilities: str) -> int:
        ask = model.Enrol(
            name=name, token=secrets.token_urlsafe(32), arches=("amd64",), capabilities=tuple(capabilities)
        )
        agents.enrol(self.hub, ask, state=model.AgentState.APPROVED)
        with self.hub.db.read() as db:
            return int(agents._row(db, name).id)

    def put(self, data: bytes) -> str:
        blob = self.hub.blobs.put(data)
        uploads.keep_blob(self.hub, blob)
        return blob.sha256

    def add_source(
        self, name: str, version: str = "1.0", *, binaries: Sequence[str] = (), arch: str = "any", depends: str = "",
        tarball: bytes = b"x",
    ) -> model.NeededPackage:  # fmt: skip
        dsc = make_dsc(name, version, binaries=binaries or [name], arch=arch, depends=depends, tarball=tarball)
        files = {f"{name}_{version}.dsc": dsc, f"{name}_{version}.tar.xz": tarball}
        return model.NeededPackage(
            source=name, version=version, dsc_sha256=self.put(dsc),
            files=tuple(model.SourceFile(name=n, sha256=self.put(d), size=len(d)) for n, d in files.items()),
        )  # fmt: skip

    def ask(self, *packages: model.NeededPackage, retry: bool = False) -> model.Request:
        needed = model.PackagesNeeded(target=SUITE, arches=("amd64",), packages=packages)
        return queries.get_request(self.hub, requests.need_packages(self.hub, ADMIN, needed, retry=retry))

    def request(self, id_: str) -> model.Request:
        return queries.get_request(self.hub, id_)

    def build(self, id_: int) -> model.Build:
        return queries.get_build(self.hub, id_)

    def claim(self) -> jobs.Claimed | None:
        ask = model.ClaimAsk(claim_id=secrets.token_urlsafe(12), boot_id=self.boot)
        return agents.claim(self.hub, self.agent, ask, first=True).claimed

    def beat(self, claimed: jobs.Claimed) -> jobs.Beat:
        return attempts.beat(self.hub, self.agent, claimed.job, claimed.attempt, claimed.grant)

    def finish(
        self, claimed: jobs.Claimed, status: str, *, files: dict[str, bytes] | None = None, message: str = "",
        unmet: Sequence[Unmet] = (), reproducible: bool | None = None,
    ) -> Any:  # fmt: skip
        outputs = [
            {"path": name, "sha256": self.put(data), "size": len(data), "kind": kind_of(name)}
            for name, data in (files or {}).items()
        ]
        result: dict[str, Any] = {
            "job": str(claimed.job),
            "attempt": claimed.attempt,
            "status": status,
            "outputs": outputs,
            "reproducible": reproducible,
        }
        if message:
            proof = [one.model_dump(mode="json") for one in unmet]
            result["failure"] = {"stage": "build", "kind": "compile", "message": message, "unmet": proof}
        held = (claimed.job, claimed.attempt, claimed.grant)
        digest = hashlib.sha256(repr(result).encode()).hexdigest()
        return attempts.finish(
            self.hub, self.agent, held, model.FinishAsk(attempt=claimed.attempt, result=result, hash=digest)
        )

    def finish_well(self, claimed: jobs.Claimed, *names: str, all_too: Sequence[str] = ()) -> None:
        """With a package for each of *names* (default: the source's own), listed in a .changes."""
        known = self.build(int(claimed.spec["job"]["build"]))
        version = known.version if known.binnmu is None else f"{known.version}+b{known.binnmu}"
        origin = known.source if known.binnmu is None else f"{known.source} ({known.version})"
        wanted = [(name, "amd64") for name in names or [known.source]] + [(name, "all") for name in all_too]
        debs = {
            f"{name}_{version}_{arch}.deb": make_deb(name, version, source="" if name == origin else origin, arch=arch)
            for name, arch in wanted
        }
        changes = make_changes(origin, version, debs)
        self.finish(claimed, "built", files={**debs, f"{known.source}_{version}_amd64.changes": changes})

    def settle(self) -> None:
        """The hub's own jobs, signatures, and what follows, until nothing moves."""
        before = (-1, 0)
        while (n := (self.events_so_far(), self._waiting_for_solver())) != before:
            before = n
            for worker in (self.worker, self.solver):
                while (claimed := worker.claim()) is not None:
                    worker.do(claimed)
            self.sign()
            self.tender.tend()

    def sign(self) -> None:
        """Stands in for the signer: what waits for a signature is live."""
        with self.hub.db.write() as db:
            for row in db.execute(publication.select().where(publication.c.state == "signing")).all():
                mine = (publication.c.suite == row.suite) & (publication.c.generation == row.generation)
                old = (publication.c.suite == row.suite) & (publication.c.state == "live")
                db.execute(publication.update().where(old).values(state="superseded"))
                db.execute(publication.update().where(mine).values(state="live", inrelease_sha256=FAR, live_at=now(db)))
                db.execute(
                    suite.update().where(suite.c.name == row.suite).values(live=row.generation, public_key="KEY")
                )
                data = {"suite": row.suite, "generation": row.generation, "event": row.event}
                append_events(db, [NewEvent(type="suite.published", data=data)])

    def _waiting_for_solver(self) -> int:
        queued = select(func.count()).where(job.c.kind == "resolve", job.c.state == "queued")
        with self.hub.db.read() as db:
            return int(db.execute(queued).scalar_one())

    def events(self) -> list[Event]:
        with self.hub.db.read() as db:
            return read_events(db, 0, 10_000)

    def events_so_far(self) -> int:
        with self.hub.db.read() as db:
            return last_event(db)

    def story(self, request: str) -> list[str]:
        """The types of a request's events, in order."""
        with self.hub.db.read() as db:
            return [event.type for event in read_events(db, 0, request=request)]


def kind_of(name: str) -> str:
    return {"deb": "deb", "changes": "changes", "buildinfo": "buildinfo", "log": "log"}.get(
        name.rpartition(".")[2], "file"
    )


def only(claimed: jobs.Claimed | None) -> jobs.Claimed:
    assert claimed is not None, "there is no work"
    return claimed
