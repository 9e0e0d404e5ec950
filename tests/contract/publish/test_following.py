"""Contents, Translation and xz follow a publication; debug symbols go elsewhere; settings decide. On both databases."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from deb_orchestrator.services.hub import Hub, NotFound
from deb_orchestrator.services.publish import (
    NewBinary,
    NewSuite,
    add_to_suite,
    ensure_suite,
    find_apt_file,
    publish_suite,
    settle,
)
from deb_orchestrator.services.publish_follow import follow_suite
from deb_orchestrator.services.repos import get_settings, set_settings
from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_publish import deb_contents
from debcore.aptrepo import parse_release
from debcore.blobs import BlobStore
from debcore.command import run
from debcore.deb import load_control
from debcore.deb822 import parse_stanzas
from debcore.hub.repos import SuiteSettings
from tests.contract.publish.conftest import HubJobs, ensure_agent
from tests.contract.publish.test_publishing import SUITE, fetch, live
from tests.unit.orchestrator.services.farm import ADMIN


@pytest.fixture
def hub(db: Database, blobs: BlobStore, tmp_path: Path) -> Hub:
    return Hub(db=db, blobs=blobs, state=tmp_path)


def make_deb(directory: Path, name: str, *files: str, version: str = "1", **fields: str) -> Path:
    tree = directory / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(file)
    control = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "T <t@example.org>"}
    control |= {"Section": "misc", "Description": f"about {name}\n It is long."}
    control |= {key.replace("_", "-"): value for key, value in fields.items()}
    (tree / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    run(["dpkg-deb", "--root-owner-group", "--build", tree, directory / f"{name}_{version}.deb"])
    return directory / f"{name}_{version}.deb"


def add_deb(hub: Hub, path: Path) -> None:
    hub.blobs.put_file(path)
    data = path.read_bytes()
    new = NewBinary(control=load_control(path), sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    with hub.db.write() as conn:
        add_to_suite(conn, SUITE, binaries=[new])


def follow_jobs(db: Database) -> int:
    with db.read() as conn:
        query = sa.select(sa.func.count()).where(job.c.kind == "follow", job.c.state == "queued")
        return int(conn.execute(query).scalar_one())


def end_follow_jobs(db: Database) -> None:
    with db.write() as conn:
        conn.execute(job.update().where(job.c.kind == "follow").values(state="succeeded", ended_at=1))


def publish(hub: Hub, jobs: HubJobs, desk: Desk) -> None:
    publish_suite(hub.db, hub.blobs, SUITE)
    jobs.work(desk)


def follow(hub: Hub, jobs: HubJobs, desk: Desk) -> None:
    """As the hub's worker does, and the signer after it."""
    end_follow_jobs(hub.db)
    follow_suite(hub.db, hub.blobs, SUITE)
    jobs.work(desk)


def listed(hub: Hub) -> dict[str, str]:
    """Path and hash of all that the live Release lists; each packed form is served as it says."""
    _, files = parse_release(fetch(hub.db, hub.blobs, f"dists/{SUITE}/Release"))
    for file in files:
        served = find_apt_file(hub.db, hub.blobs, f"dists/{SUITE}/{file.path}")
        directory = file.path.rpartition("/")[0]
        by_hash = find_apt_file(hub.db, hub.blobs, f"dists/{SUITE}/{directory}/by-hash/SHA256/{file.sha256}")
        if file.path.rpartition(".")[2] in ("gz", "zst", "xz"):
            assert served is not None
            assert (served.sha256, served.size) == (file.sha256, file.size)
            assert by_hash is not None
    return {file.path: file.sha256 for file in files}


def test_contents_and_translation_follow_in_a_generation_of_their_own(
    hub: Hub, jobs: HubJobs, desk: Desk, tmp_path: Path
) -> None:
    add_deb(hub, make_deb(tmp_path, "hello", "usr/bin/hello", "usr/share/doc/my file"))
    add_deb(hub, make_deb(tmp_path, "world", "usr/bin/world", Section="net"))
    publish(hub, jobs, desk)
    assert live(hub.db) == 1
    assert not any("Contents" in path for path in listed(hub)), "no publication waits for it"
    assert follow_jobs(hub.db) == 1
    follow(hub, jobs, desk)
    assert live(hub.db) == 2
    assert follow_jobs(hub.db) == 0, "nothing has changed since"
    contents = gzip.decompress(fetch(hub.db, hub.blobs, f"dists/{SUITE}/main/Contents-amd64.gz"))
    assert dict(line.rsplit(None, 1) for line in contents.decode().splitlines()) == {
        "usr/bin/hello": "misc/hello",
        "usr/bin/world": "net/world",
        "usr/share/doc/my file": "misc/hello",
    }
    assert hashlib.sha256(contents).hexdigest() == listed(hub)["main/Contents-amd64"]
    translation = gzip.decompress(fetch(hub.db, hub.blobs, f"dists/{SUITE}/main/i18n/Translation-en.gz"))
    entries = {stanza["Package"]: stanza for stanza in parse_stanzas(translation)}
    assert entries["hello"]["Description-en"] == "about hello\n It is long."
    assert entries["hello"]["Description-md5"] == hashlib.md5(b"about hello\n It is long.\n").hexdigest()


def test_what_follows_joins_later_generations_until_newer_ones_come(
    hub: Hub, jobs: HubJobs, desk: Desk, tmp_path: Path
) -> None:
    add_deb(hub, make_deb(tmp_path, "hello", "usr/bin/hello"))
    publish(hub, jobs, desk)
    follow(hub, jobs, desk)
    old = listed(hub)["main/Contents-amd64"]
    add_deb(hub, make_deb(tmp_path, "world", "usr/bin/hello"))
    publish(hub, jobs, desk)
    assert live(hub.db) == 3
    assert listed(hub)["main/Contents-amd64"] == old
    assert follow_jobs(hub.db) == 1
    follow(hub, jobs, desk)
    contents = gzip.decompress(fetch(hub.db, hub.blobs, f"dists/{SUITE}/main/Contents-amd64.gz"))
    assert contents.decode().split() == ["usr/bin/hello", "misc/hello,misc/world"]
    stale = find_apt_file(hub.db, hub.blobs, f"dists/{SUITE}/main/by-hash/SHA256/{old}")
    assert stale is None, "a plain form is a hash and no file"


def test_xz_stands_only_beside_its_own_index(hub: Hub, jobs: HubJobs, desk: Desk, tmp_path: Path) -> None:
    set_settings(hub, ADMIN, SUITE, SuiteSettings(xz=True))
    add_deb(hub, make_deb(tmp_path, "hello", "usr/bin/hello"))
    publish(hub, jobs, desk)
    follow(hub, jobs, desk)
    before = listed(hub)
    plain = lzma.decompress(fetch(hub.db, hub.blobs, f"dists/{SUITE}/main/binary-amd64/Packages.xz"))
    assert hashlib.sha256(plain).hexdigest() == before["main/binary-amd64/Packages"]
    add_deb(hub, make_deb(tmp_path, "world", "usr/bin/world"))
    publish(hub, jobs, desk)
    assert "main/binary-amd64/Packages.xz" not in listed(hub), "its content is another one now"
    assert "main/source/Sources.xz" in listed(hub), "this one is as it was"
    follow(hub, jobs, desk)
    plain = lzma.decompress(fetch(hub.db, hub.blobs, f"dists/{SUITE}/main/binary-amd64/Packages.xz"))
    assert b"Package: world\n" in plain


def test_settings_take_things_away_too(hub: Hub, jobs: HubJobs, desk: Desk, tmp_path: Path) -> None:
    add_deb(hub, make_deb(tmp_path, "hello", "usr/bin/hello"))
    publish(hub, jobs, desk)
    follow(hub, jobs, desk)
    set_settings(hub, ADMIN, SUITE, SuiteSettings(contents=False, translation=False, valid_s=86400))
    assert get_settings(hub, SUITE).valid_s == 86400
    assert follow_jobs(hub.db) == 1
    follow(hub, jobs, desk)
    assert {path for path in listed(hub) if "Contents" in path or "Translation" in path} == set()
    assert b"Valid-Until" in fetch(hub.db, hub.blobs, f"dists/{SUITE}/Release")
    with pytest.raises(NotFound):
        set_settings(hub, ADMIN, "nowhere", SuiteSettings())


def test_a_package_whose_files_cannot_be_read_stays_and_is_said(
    hub: Hub, jobs: HubJobs, desk: Desk, tmp_path: Path
) -> None:
    broken = make_deb(tmp_path, "hello", "usr/bin/hello")
    broken.write_bytes(broken.read_bytes()[:-40])
    add_deb(hub, broken)
    add_deb(hub, make_deb(tmp_path, "world", "usr/bin/world"))
    publish(hub, jobs, desk)
    follow(hub, jobs, desk)
    contents = gzip.decompress(fetch(hub.db, hub.blobs, f"dists/{SUITE}/main/Contents-amd64.gz"))
    assert contents.decode().split() == ["usr/bin/world", "misc/world"]
    with hub.db.read() as conn:
        (fault,) = conn.execute(sa.select(deb_contents.c.fault).where(deb_contents.c.fault.isnot(None))).scalars()
    assert "no sound .deb" in fault


def test_debug_symbols_go_to_the_companion(hub: Hub, jobs: HubJobs, desk: Desk, tmp_path: Path) -> None:
    set_settings(hub, ADMIN, SUITE, SuiteSettings(debug=True))
    add_deb(hub, make_deb(tmp_path, "hello", "usr/bin/hello"))
    for version in ("1", "2"):
        symbols = {"Auto_Built_Package": "debug-symbols", "Source": "hello", "Section": "debug", "version": version}
        add_deb(hub, make_deb(tmp_path, "hello-dbgsym", "usr/lib/debug/x", **symbols))
    for name in (SUITE, f"{SUITE}-debug"):
        publish_suite(hub.db, hub.blobs, name)
    jobs.work(desk)
    packages = {
        name: [
            (stanza["Package"], stanza["Version"])
            for stanza in parse_stanzas(
                gzip.decompress(fetch(hub.db, hub.blobs, f"dists/{name}/main/binary-amd64/Packages.gz"))
            )
        ]
        for name in (SUITE, f"{SUITE}-debug")
    }
    assert packages == {SUITE: [("hello", "1")], f"{SUITE}-debug": [("hello-dbgsym", "2")]}


def test_no_generation_that_is_served_ever_ends(tmp_path: Path) -> None:
    """Ten days by the hub's own clock, an hour at a time: what is served is valid, and signed anew in time."""
    start = int(time.time())
    seconds = start
    with open_database(tmp_path / "hub.sqlite", clock=lambda _: 1000 * seconds) as db, ExitStack() as stack:
        migrate(db)
        desk = stack.enter_context(Desk(tmp_path / "signer", clock=lambda: seconds))
        hub = Hub(db=db, blobs=BlobStore(tmp_path / "blobs"), state=tmp_path)
        with db.write() as conn:
            ensure_suite(conn, NewSuite(name=SUITE, valid_s=2 * 86400))
        jobs = HubJobs(db, hub.blobs, ensure_agent(db, "sign"))
        publish(hub, jobs, desk)
        while seconds < start + 10 * 86400:
            seconds += 3600
            settle(db, hub.blobs)
            for spec in take_publish_jobs(db):
                publish_suite(db, hub.blobs, spec["suite"])
            jobs.work(desk)
            release, _ = parse_release(fetch(db, hub.blobs, f"dists/{SUITE}/Release"))
            assert release.valid_until is not None
            assert release.valid_until.timestamp() > seconds + 86400 - 3600, "half of the time is left at least"
        assert live(db) == 10


def take_publish_jobs(db: Database) -> list[dict[str, str]]:
    queued = (job.c.kind == "publish") & (job.c.state == "queued")
    with db.write() as conn:
        specs = list(conn.execute(sa.select(job.c.spec).where(queued)).scalars())
        conn.execute(job.update().where(queued).values(state="succeeded", ended_at=1))
    return specs
