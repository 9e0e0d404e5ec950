#!/usr/bin/env python3
"""Import of a whole archive into a suite, then publication of 10 changed packages, beside aptly and reprepro.

    scale_publish.py [SIZE…=1000 10000 70000]

What is timed is the way from ten .debs to a repository that serves them: ours in SQL, with the signer's job (its
process and HTTP left out) and the hub's check of the signatures. The peers' repositories are kept between runs, for
making them takes long; aptly makes neither Contents nor bz2, which is the best that can be had of it. The last
publication of ours is read by the host's apt: it must see exactly what the suite holds, and download a changed package.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.archive import ARCH, changed, load_packages, make_deb, new_binaries, new_sources
from benchmarks.measure import print_table, spread
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


@dataclass(frozen=True)
class Row:
    size: int
    who: str
    what: str
    seconds: list[float]

    def cells(self) -> tuple[str, str, str, str]:
        return f"{self.size}", self.who, self.what, spread(self.seconds)


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [1000, 10000, 70000]
    rows: list[Row] = []
    for size in sizes:
        binaries = load_packages(size).binaries
        with ExitStack() as stack:
            server = stack.enter_context(running_server())
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scale-")))
            rows += measure_hub(size, "hub, SQLite", f"sqlite:///{scratch}/hub.db", scratch / "sqlite")
            rows += measure_hub(size, "hub, PostgreSQL", server.make_database(), scratch / "postgresql")
        for peer in (Aptly(size, binaries), Reprepro(size, binaries)):
            if (made := peer.ensure()) is not None:
                rows.append(Row(size, peer.name, "the whole archive, first publication", [made]))
            steps = [peer.publish(CHANGED) for _ in range(ROUNDS)]
            rows.append(Row(size, peer.name, f"{CHANGED} changed packages, all", [sum(one) for one in steps]))
            rows.append(Row(size, peer.name, "of which publishing", [one[1] for one in steps]))
        print(f"{size}: {compare(rows, size)}", file=sys.stderr)
    notes = [f"{size} packages: {compare(rows, size)}." for size in sizes]
    header = ("packages", "who", "what", "s, median (min–max)")
    print_table(f"Publishing {CHANGED} changed packages", header, [row.cells() for row in rows], notes)


def compare(rows: Sequence[Row], size: int) -> str:
    mine = next(r for r in rows if (r.size, r.who) == (size, "hub, SQLite") and r.what.endswith("all"))
    others = {r.who: r for r in rows if r.size == size and not r.who.startswith("hub") and r.what.endswith("all")}
    ours = sorted(mine.seconds)[len(mine.seconds) // 2]
    return ", ".join(f"{who} takes {sorted(r.seconds)[1] / ours:.1f} times ours" for who, r in others.items())


def measure_hub(size: int, who: str, url: str, state: Path) -> Iterator[Row]:
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

        yield Row(size, who, "import in one transaction", [timed(add(packages.binaries, packages.sources))])
        yield Row(size, who, "first publication", [timed(publish)])
        held = {one["Package"]: one for one in packages.binaries}
        adding, publishing = [], []
        for round_ in range(ROUNDS):
            new = changed(packages.binaries, CHANGED, round_)
            for one in new:
                blobs.put(make_deb(one))
            held |= {one["Package"]: one for one in new}
            adding.append(timed(add(new)))
            publishing.append(timed(publish))
        yield Row(
            size, who, f"{CHANGED} changed packages, all", [a + p for a, p in zip(adding, publishing, strict=True)]
        )
        yield Row(size, who, "of which publishing", publishing)
        with db.read() as conn:
            key = conn.exec_driver_sql("SELECT public_key FROM suite").scalar_one()
        with serving(Archive(db, blobs, None, ARCH)) as served:  # type: ignore[arg-type]  # it signs nothing here
            read_with_apt(served.url, key, held, new[0], state / "apt")


def timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


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
