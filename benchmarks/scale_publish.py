#!/usr/bin/env python3
"""Import of a whole archive into a suite, then publication of 10 changed packages, beside aptly and reprepro.

    scale_publish.py [SIZE…=1000 10000 70000] [--on sqlite|postgresql] [--no-peers] [--json]

What is timed is the way from ten .debs to a repository that serves them: ours in SQL, with the signer's job (its
process and HTTP left out) and the hub's check of the signatures. The peers' repositories are kept between runs, for
making them takes long; aptly makes neither Contents nor bz2, which is the best that can be had of it. The last
publication of ours is read by the host's apt: it must see exactly what the suite holds, and download a changed package.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.archive import ARCH, changed, load_packages, make_deb, new_binaries, new_sources
from benchmarks.measure import cpu_seconds, print_table, say_row, say_start, split_words, spread
from benchmarks.peers import Aptly, Reprepro
from deb_orchestrator.services.publish import NewSuite, add_to_suite, ensure_suite, publish_suite
from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from debcore.blobs import BlobStore
from debcore.command import run
from debcore.deb822 import Stanza, parse_stanzas
from tests.contract.orchestrator.postgres import running_server
from tests.contract.publish.conftest import HubJobs, ensure_agent
from tests.integration.apt.conftest import Archive, serving

SUITE = "trixie-local"
CHANGED = 10
ROUNDS = 3


TITLE = f"Publishing {CHANGED} changed packages"
HEADER = ("packages", "who", "what", "s, median (min–max)", "CPU s, median (min–max)")
NAMES = {"sqlite": "hub, SQLite", "postgresql": "hub, PostgreSQL"}


@dataclass(frozen=True)
class Row:
    """`cpu`: of the hub and its database, or of all processes of a peer."""

    size: int
    who: str
    what: str
    seconds: list[float]
    cpu: list[float]

    def cells(self) -> tuple[str, str, str, str, str]:
        return f"{self.size}", self.who, self.what, spread(self.seconds), spread(self.cpu)


def main() -> None:
    words, databases = split_words(sys.argv[1:])
    peers = "--no-peers" not in words
    sizes = [int(word) for word in words if word != "--no-peers"] or [1000, 10000, 70000]
    say_start(TITLE)
    rows: list[Row] = []
    for size in sizes:
        for row in measure(size, databases, peers=peers):
            rows.append(row)
            say_row(TITLE, HEADER, row.cells())
    notes = [f"{size} packages: {compare(rows, size)}." for size in sizes if peers]
    print_table(TITLE, HEADER, [row.cells() for row in rows], notes, said=True)


def measure(size: int, databases: Sequence[str], *, peers: bool) -> Iterator[Row]:
    with running_server() as server, tempfile.TemporaryDirectory(prefix="scale-") as scratch:
        for kind in databases:
            url = f"sqlite:///{scratch}/hub.db" if kind == "sqlite" else server.make_database()
            assert server.process is not None
            postmaster = None if kind == "sqlite" else server.process.pid
            yield from measure_hub(size, NAMES[kind], url, Path(scratch, kind), postmaster)
    binaries = load_packages(size).binaries
    for peer in (Aptly(size, binaries), Reprepro(size, binaries)) if peers else ():
        start = spent_by_children()
        if (made := peer.ensure()) is not None:
            yield Row(size, peer.name, "the whole archive, first publication", [made], [spent_by_children() - start])
        steps, spent = [], []
        for _ in range(ROUNDS):
            start = spent_by_children()
            steps.append(peer.publish(CHANGED))
            spent.append(spent_by_children() - start)
        yield Row(size, peer.name, f"{CHANGED} changed packages, all", [sum(one) for one in steps], spent)
        yield Row(size, peer.name, "of which publishing", [one[1] for one in steps], [])


def spent_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(rows: Sequence[Row], size: int) -> str:
    """How much longer the peers take than each of ours, by medians."""
    every = {row.who: median(row.seconds) for row in rows if row.size == size and row.what.endswith("all")}
    return ", ".join(
        f"{peer} takes {every[peer] / every[mine]:.1f} times what the {mine} takes"
        for peer in every
        for mine in every
        if mine.startswith("hub") and not peer.startswith("hub")
    )


def measure_hub(size: int, who: str, url: str, state: Path, postmaster: int | None) -> Iterator[Row]:
    packages = load_packages(size)
    with open_database(url) as db, Desk(state / "signer") as desk:
        migrate(db)
        blobs = BlobStore(state / "blobs")
        with db.write() as conn:
            ensure_suite(conn, NewSuite(name=SUITE, arches=(ARCH,)))
        jobs = HubJobs(db, blobs, ensure_agent(db, "sign"))

        def publish() -> None:
            published = publish_suite(db, blobs, SUITE)
            jobs.work(desk)
            assert published.state == "signing"

        def add(binaries: Sequence[Stanza], sources: Sequence[Stanza] = ()) -> Callable[[], None]:
            news, source_news = list(new_binaries(binaries)), list(new_sources(sources))

            def put() -> None:
                with db.write() as conn:
                    add_to_suite(conn, SUITE, sources=source_news, binaries=news)

            return put

        for what, call in (
            ("import in one transaction", add(packages.binaries, packages.sources)), ("first publication", publish),
        ):  # fmt: skip
            took, spent = timed(call, postmaster)
            yield Row(size, who, what, [took], [spent])
        held = {one["Package"]: one for one in packages.binaries}
        adding, publishing = [], []
        for round_ in range(ROUNDS):
            new = changed(packages.binaries, CHANGED, round_)
            for one in new:
                blobs.put(make_deb(one))
            held |= {one["Package"]: one for one in new}
            adding.append(timed(add(new), postmaster))
            publishing.append(timed(publish, postmaster))
        both = [(a[0] + p[0], a[1] + p[1]) for a, p in zip(adding, publishing, strict=True)]
        for what, some in ((f"{CHANGED} changed packages, all", both), ("of which publishing", publishing)):
            yield Row(size, who, what, [one[0] for one in some], [one[1] for one in some])
        with db.read() as conn:
            key = conn.exec_driver_sql("SELECT public_key FROM suite").scalar_one()
        with serving(Archive(db, blobs, None, ARCH)) as served:  # type: ignore[arg-type]  # it signs nothing here
            read_with_apt(served.url, key, held, new[0], state / "apt")


def timed(call: Callable[[], None], postmaster: int | None) -> tuple[float, float]:
    """Seconds that it took, and CPU time of the hub and its database."""
    start, spent = time.perf_counter(), cpu_seconds(postmaster)
    call()
    return time.perf_counter() - start, cpu_seconds(postmaster) - spent


def read_with_apt(url: str, key: str, held: dict[str, Stanza], fetch: Stanza, work: Path) -> None:
    """The host's apt accepts the repository, sees exactly *held*, and downloads *fetch* whole."""
    shutil.rmtree(work, ignore_errors=True)
    for name in ("lists/partial", "cache/archives/partial", "got"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    (work / "key.asc").write_text(key)
    (work / "sources.list").write_text(f"deb [signed-by={work}/key.asc arch={ARCH}] {url} {SUITE} main\n")
    options = {
        "Dir::Etc::sourcelist": work / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::Lists": work / "lists", "Dir::State::status": work / "status", "Dir::Cache": work / "cache",
        "APT::Architecture": ARCH, "APT::Sandbox::User": "root", "Acquire::Languages": "none",
        "APT::Update::Error-Mode": "any",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    run(["apt-get", "-q", *words, "update"])
    [packages] = (work / "lists").glob("*_Packages*")
    text = run(["/usr/lib/apt/apt-helper", *words, "cat-file", packages]).stdout
    seen = {one["Package"]: one["Version"] for one in parse_stanzas(text, where="what apt has")}
    assert seen == {name: one["Version"] for name, one in held.items()}, "apt sees other packages than the suite has"
    run(["apt-get", "-q", *words, "download", f"{fetch['Package']}={fetch['Version']}"], cwd=work / "got")
    [got] = (work / "got").iterdir()
    assert got.read_bytes() == make_deb(fetch)


if __name__ == "__main__":
    main()
