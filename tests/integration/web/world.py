"""A farm of rows that has something on every page, some of it hostile, and a hub that serves it on loopback."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
import uvicorn

from deb_orchestrator.domain import jobs
from deb_orchestrator.services import agents, attempts, hosts, people, queries, repos, requests, roles, targets
from deb_orchestrator.services.composes import put_compose
from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables import agent
from deb_orchestrator.store.tables_domain import build_arch
from deb_orchestrator.web.api.app import make_app
from debcore.hub import model
from debcore.hub.composes import (
    ComposeAsk,
    ComposeDisk,
    ComposeFault,
    ComposeGate,
    ComposeLink,
    ComposePackage,
    ComposeVariant,
)
from debcore.hub.repos import SuiteSettings
from debcore.job import Unmet
from tests.unit.orchestrator.services.farm import ADMIN, FAR, SUITE, Farm, make_changes, make_deb, only

EVIL = "<script>alert(1)</script>"
#: As long as Policy and the wire let a name be, and nowhere to break it.
LONG = "x" * 128
PORTS, SECRET = "ports", "internal"
ALICE = Principal(name="alice", scope="client")
BOB = Principal(name="bob", scope="client")
SNIPPET_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + "mDMEZ0aBcDeFgHiJkLmNoPqRsTuV\n" * 8 + "=aBcD\n-----END\n"
START_S = 60


@dataclass
class Site:
    """The hub, where it is, and builds by what they are: `live` has a log that grows, `big` one of 200 MB."""

    farm: Farm
    url: str = ""
    builds: dict[str, int] = field(default_factory=dict)
    live: jobs.Claimed | None = None

    @property
    def hub(self) -> Hub:
        return self.farm.hub

    def session(self, who: Principal) -> str:
        """A cookie of *who*."""
        return people.use_login_link(self.hub, people.make_login_link(self.hub, who)[0])

    def log(self, offset: int, text: bytes) -> int:
        """More of the live log; the offset after it."""
        claimed = only(self.live)
        return attempts.put_log(
            self.hub, self.farm.agent, (claimed.job, claimed.attempt, claimed.grant), offset, text
        )  # fmt: skip


def add_agent(farm: Farm, name: str, *arches: str, pool: str = "default") -> int:
    ask = model.Enrol(
        name=name, token=secrets.token_urlsafe(32), arches=arches, version="0.1.0", memory_mb=32768, disk_mb=400000,
        slots=2,
    )  # fmt: skip
    agents.enrol(farm.hub, ask, state=model.AgentState.APPROVED)
    if pool != "default":
        hosts.set_pool(farm.hub, ADMIN, name, pool)
    with farm.hub.db.read() as db:
        return int(db.execute(sa.select(agent.c.id).where(agent.c.name == name)).scalar_one())


def ask(farm: Farm, target: str, arches: Sequence[str], *packages: model.NeededPackage) -> tuple[int, ...]:
    needed = model.PackagesNeeded(target=target, arches=tuple(arches), packages=packages)
    id_ = requests.need_packages(farm.hub, ALICE, needed)
    return farm.request(id_).builds


def claim(farm: Farm, agent_id: int) -> jobs.Claimed:
    farm.agent = agent_id
    return only(farm.claim())


def finish_well(farm: Farm, claimed: jobs.Claimed, arch: str) -> None:
    known = farm.build(int(claimed.spec["job"]["build"]))
    debs = {
        f"{known.source}_{known.version}_{arch}.deb": make_deb(known.source, known.version, arch=arch),
        f"lib{known.source}-dev_{known.version}_{arch}.deb": make_deb(
            f"lib{known.source}-dev", known.version, arch=arch, source=known.source
        ),
    }
    changes = make_changes(known.source, known.version, debs).replace(b"amd64", arch.encode())
    files = {**debs, f"{known.source}_{known.version}_{arch}.changes": changes}
    farm.finish(claimed, "built", files=files, reproducible=True)


def make_site(farm: Farm) -> Site:
    """All of it."""
    site, hub = Site(farm), farm.hub
    arm, riscv = add_agent(farm, "arm-conova-01", "arm64"), add_agent(farm, "rv-manda-02", "riscv64")
    ubc = add_agent(farm, "x86-ubc-03", "amd64", pool="trusted")
    hosts.set_trust(hub, ADMIN, "trusted", 5)
    amd = farm.agent
    for name, suite, arches in (
        (PORTS, PORTS, ("amd64", "arm64", "riscv64")),
        (SECRET, SECRET, ("amd64",)),
    ):
        targets.ensure_target(hub, ADMIN, model.Target(name=name, preset="debian-sid", suite=suite, arches=arches))
    farm.settle()
    repos.set_settings(hub, ADMIN, SECRET, SuiteSettings(private=True))
    roles.set_role(hub, ADMIN, SECRET, "bob", "reader")
    for n, name in enumerate(("hello", "dash", "grep", "sed", "tar", "gzip", "bzip2")):
        ask(farm, SUITE, ["amd64"], source(farm, name, f"2.{n}-1", depends=""))
        finish_well(farm, claim(farm, amd), "amd64")
    farm.settle()
    site.builds["secret"] = ask(farm, SECRET, ["amd64"], source(farm, "classified", "1.0-1"))[0]
    finish_well(farm, claim(farm, amd), "amd64")
    farm.settle()
    for name in ("systemd", "linux", "glibc"):
        ask(farm, PORTS, ["amd64", "arm64", "riscv64"], source(farm, name, "257.9-1~deb13u1"))
        finish_well(farm, claim(farm, amd), "amd64")
        finish_well(farm, claim(farm, arm), "arm64")
        if name == "systemd":
            finish_well(farm, claim(farm, riscv), "riscv64")
        else:
            words = f"riscv64 says {EVIL}: error: implicit declaration of function ‘fork’"
            farm.finish(claim(farm, riscv), "failed", message=words)
    farm.settle()
    site.builds["failed"] = 10
    _add_bad(farm, site, amd)
    site.builds["big"] = ask(farm, SUITE, ["amd64"], source(farm, "firefox", "151.0-1"))[0]
    finish_well(farm, claim(farm, amd), "amd64")
    farm.settle()
    site.builds["live"] = ask(farm, SUITE, ["amd64"], source(farm, "openssl", "3.5.4-1"))[0]
    site.live = claim(farm, amd)
    for n in range(6):
        ask(farm, SUITE, ["amd64"], source(farm, f"waiting{n}", "1.0-1"))
    farm.agent = amd
    _set_hosts(hub, riscv, ubc)
    _add_composes(farm)
    return site


def _add_composes(farm: Farm) -> None:
    """One of two images and many packages, one that failed, and one with all that a hostile one may say."""
    debs = [
        ComposePackage(name=one.package, version=one.version, arch=one.arch, source=build.source, sha256=one.sha256)
        for build in queries.list_builds(farm.hub) if build.suite == SUITE
        for arch in build.arches for one in arch.artifacts
        if one.kind == "deb" and one.package and one.version and one.arch and len(one.package) < 100
    ]  # fmt: skip
    archive = [
        ComposePackage(name=f"libx{n}", version=f"2.{n}-1", arch="all", source="x", sha256=FAR) for n in range(40)
    ]
    gates = [ComposeGate(name=name, verdict="passed", seconds=12.5) for name in ("lint", "replay", "boot", "update")]
    images = [
        ComposeVariant(
            name=name, arch="amd64", ref=f"site/trixie/amd64/{name}", commit="c" * 64, container=f"site/{name}",
            digest="sha256:" + "d" * 64, tags=("13", "latest"), gates=tuple(gates), packages=(*debs, *archive),
            disks=(ComposeDisk(path=f"compose/{name}/{name}.raw", type="raw", sha256="e" * 64, size=2**31),),
        )
        for name in ("server", "desktop")
    ]  # fmt: skip
    good = ComposeAsk(
        type="production", label="RC-1.0", status="FINISHED", release="Site 13", suite="trixie",
        place="/srv/composes/Site-13-20261127.0", variants=tuple(images),
        links=(ComposeLink(title="the run", url="https://ci.example.org/runs/7"),),
    )  # fmt: skip
    put_compose(farm.hub, ALICE, "Site-13-20261127.0", good)
    fault = ComposeFault(task="boot.server.amd64", message="no login prompt after 300 s", hint="read logs/boot.log")
    failed = good.model_copy(update={"status": "DOOMED", "variants": (), "faults": (fault,), "links": ()})
    put_compose(farm.hub, ALICE, "Site-13-20261127.1", failed)
    words = (EVIL + "z" * 128)[:128]
    evil = ComposePackage(name=words, version=words, arch=words, source=words)
    said = ComposeVariant(
        name=words, arch="amd64", ref=words, container=words, tags=(words,), packages=(evil,),
        gates=(ComposeGate(name=words, verdict=words),),
    )  # fmt: skip
    hostile = ComposeAsk(
        type=words, label=words, status="DOOMED", release=words, suite=words, place=f"{EVIL}{'p' * 900}",
        variants=(said,), faults=(ComposeFault(task=words, message=f"{EVIL}{'m' * 900}", hint=EVIL),),
        links=(ComposeLink(title=EVIL, url="https://example.org/" + "u" * 900),),
    )  # fmt: skip
    put_compose(farm.hub, BOB, "x" * 128, hostile)


def source(farm: Farm, name: str, version: str, *, depends: str = "") -> model.NeededPackage:
    binaries = [name, f"lib{name}-dev"] if len(name) < 100 else [name]
    return farm.add_source(name, version, binaries=binaries, depends=depends, tarball=name.encode())


def _add_bad(farm: Farm, site: Site, amd: int) -> None:
    """What failed, cannot be met, and what has names that are as long as names may be."""
    site.builds["long"] = ask(farm, SUITE, ["amd64"], source(farm, LONG, f"1:{'9' * 60}+dfsg-1"))[0]
    farm.finish(claim(farm, amd), "failed", message=f"{EVIL} {'y' * 400}")
    site.builds["unmet"] = ask(farm, SUITE, ["amd64"], source(farm, "frotz", "0.9-1", depends="libgone-dev"))[0]
    clause = Unmet(kind="missing", package="build-dependencies", clause="libgone-dev (>= 2)")
    farm.finish(claim(farm, amd), "deps", message="libgone-dev (>= 2) cannot be had", unmet=[clause])


def _set_hosts(hub: Hub, riscv: int, ubc: int) -> None:
    hosts.set_disabled(hub, ADMIN, "x86-ubc-03", f"memory is being replaced {EVIL}")
    ask_in = model.Enrol(name="new-builder", token=secrets.token_urlsafe(32), arches=("armhf",), version="0.1.0")
    agents.enrol(hub, ask_in)
    with hub.db.write() as db:
        time_ = now(db)
        db.execute(
            sa.update(agent)
            .where(agent.c.id == riscv)
            .values(quarantined_until=time_ + 900_000, quarantine_reason="the disk is full", streak=3, quarantines=1)
        )
        db.execute(sa.update(agent).where(agent.c.id != ubc).values(seen_at=time_ - 4_000))
        db.execute(
            sa.text("UPDATE suite SET public_key = :key WHERE name = :name"), {"key": SNIPPET_KEY, "name": SUITE}
        )


def give_log(site: Site, build: int, path: Path) -> None:
    """The build's log is the file at *path*."""
    blob = site.hub.blobs.add(path) if hasattr(site.hub.blobs, "add") else site.hub.blobs.put(path.read_bytes())
    with site.hub.db.write() as db:
        db.execute(
            sa.text("INSERT INTO blob (sha256, size, created_at) VALUES (:s, :n, 1)"),
            {"s": blob.sha256, "n": blob.size},
        )
        db.execute(sa.update(build_arch).where(build_arch.c.build_id == build).values(log_sha256=blob.sha256))


@contextmanager
def served(hub: Hub) -> Iterator[str]:
    """The URL of the hub's application, in a thread, on a port of the kernel's choosing."""
    app = make_app(hub)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_for(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        app.state.parking.close()
        app.state.line.close()
        server.should_exit = True
        thread.join(START_S)


def wait_for(fact: Callable[[], bool], *, timeout: float = 120) -> None:
    """Until it is one."""
    end = time.monotonic() + timeout
    while not fact():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


@contextmanager
def open_site(place: Path, database: str) -> Iterator[Site]:
    with open_database(database) as db:
        migrate(db)
        site = make_site(Farm.make(db, place))
        with served(site.hub) as url:
            site.url = url
            yield site


__all__ = ["ADMIN", "ALICE", "BOB", "EVIL", "FAR", "LONG", "Site", "give_log", "open_site", "wait_for"]
