"""Backup and restore, on both databases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from deb_orchestrator.services import collect
from deb_orchestrator.services.backup import MANIFEST, load_manifest, make_backup
from deb_orchestrator.services.restoring import AHEAD, restore_backup
from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables_keep import result_file
from deb_orchestrator.store.tables_publish import suite
from debcore.blobs import BlobStore
from debcore.errors import ConfigError, Failure
from tests.contract.hub.collecting import reading_here
from tests.contract.orchestrator.postgres import Server
from tests.unit.orchestrator.services import farm as stand_in
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm

SIGNATURE = b"stands for what a signer made"


@pytest.fixture(autouse=True)
def _signing_and_reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The farm's signer names a file that there is; `build` stores it."""
    monkeypatch.setattr(stand_in, "FAR", BlobStore.name_of(SIGNATURE))
    with reading_here():
        yield


def build(farm: Farm, *names: str) -> None:
    """All of them get into the suite."""
    farm.hub.blobs.put(SIGNATURE)
    request = farm.ask(*(farm.add_source(name, tarball=name.encode()) for name in names))
    farm.settle()
    while (claimed := farm.claim()) is not None:
        farm.finish_well(claimed)
    farm.settle()
    assert farm.request(request.id).state == "ready"


def live(farm: Farm) -> int:
    with farm.hub.db.read() as db:
        return int(db.execute(select(suite.c.live).where(suite.c.name == SUITE)).scalar_one())


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, farm: Farm, tmp_path: Path) -> str | Path:
    """Where the same kind of database can be made anew."""
    if farm.hub.db.dialect == "sqlite":
        return tmp_path / "new" / "hub.sqlite"
    server: Server = request.getfixturevalue("postgres")
    return server.make_database()


def test_what_was_backed_up_is_there_again(farm: Farm, elsewhere: str | Path, tmp_path: Path) -> None:
    build(farm, "hello", "tar")
    lost = farm.put(b"about to be uploaded for a build")
    waiting = farm.ask(farm.add_source("zip", tarball=b"zip"))
    farm.settle()
    place = tmp_path / "backup"
    made = make_backup(farm.hub.db, farm.hub.blobs, place)
    assert (made.generations[SUITE], made.event) == (live(farm), farm.events_so_far())
    assert load_manifest(place) == made
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.iterdir() if path.is_file())
    # Clients see more than the backup has.
    build(farm, "late")
    assert live(farm) > made.generations[SUITE]
    seen, events = live(farm), farm.events_so_far()
    shutil.rmtree(tmp_path / "blobs")

    blobs = BlobStore(tmp_path / "restored" / "blobs")
    restore_backup(place, elsewhere, blobs)
    assert blobs.has(lost)
    with open_database(elsewhere) as db:
        migrate(db)
        again = Farm.open(db, tmp_path / "restored").with_agent("another")
        assert live(again) == made.generations[SUITE], "what is served is not older than the backup"
        again.settle()
        assert live(again) == made.generations[SUITE] + AHEAD + 1 > seen
        assert again.events_so_far() > made.event + AHEAD > events
        assert next(e for e in again.events() if e.type == "hub.restored").data["from"] == made.event
        for found, _ in blobs.walk():
            assert len(blobs.read(found.sha256)) == found.size
        claimed = again.claim()
        assert claimed is not None
        again.finish_well(claimed)
        again.settle()
        assert again.request(waiting.id).state == "ready", "what waited goes on"
        build(again, "late", "new")
        collect.collect(again.hub, young_s=0)


@pytest.mark.parametrize("farm", ["sqlite"], indirect=True)
def test_a_second_backup_replaces_the_first(farm: Farm, tmp_path: Path) -> None:
    build(farm, "hello")
    place = tmp_path / "backup"
    first = make_backup(farm.hub.db, farm.hub.blobs, place)
    before = {found.sha256: at for found, at in BlobStore(place / "blobs").walk()}
    build(farm, "tar")
    second = make_backup(farm.hub.db, farm.hub.blobs, place)
    assert second.files > first.files
    after = {found.sha256: at for found, at in BlobStore(place / "blobs").walk()}
    assert len(after) == second.files
    assert all(after[name] == at for name, at in before.items() if name in after), "what is there is not copied again"
    names = {path.name for path in place.iterdir()}
    assert names == {MANIFEST, "blobs", second.dump, second.artifacts}


def test_only_named(farm: Farm, elsewhere: str | Path, tmp_path: Path) -> None:
    build(farm, "hello")
    place = tmp_path / "backup"
    make_backup(farm.hub.db, farm.hub.blobs, place, copy=False)
    assert not (place / "blobs").exists()
    with pytest.raises(Failure, match="neither in the backup nor in the store"):
        restore_backup(place, elsewhere, BlobStore(tmp_path / "empty"))
    restore_backup(place, elsewhere, farm.hub.blobs)


@pytest.mark.parametrize("farm", ["sqlite"], indirect=True)
def test_what_cannot_be_backed_up_or_restored(farm: Farm, elsewhere: str | Path, tmp_path: Path) -> None:
    build(farm, "hello")
    with pytest.raises(ConfigError, match="there is no backup"):
        load_manifest(tmp_path / "nothing")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    with pytest.raises(Failure, match="thesis"):
        make_backup(farm.hub.db, farm.hub.blobs, tmp_path / "mine")
    place = tmp_path / "backup"
    made = make_backup(farm.hub.db, farm.hub.blobs, place)
    wrong = f"sqlite:///{tmp_path}/x.db" if made.dialect == "postgresql" else "postgresql:///x"
    with pytest.raises(Failure, match="the backup is of"):
        restore_backup(place, wrong if "post" in wrong else tmp_path / "x.db", farm.hub.blobs)
    restore_backup(place, elsewhere, farm.hub.blobs)
    with pytest.raises(Failure, match=r"exists|not empty"):
        restore_backup(place, elsewhere, farm.hub.blobs)
    dump = place / made.dump
    dump.write_bytes(dump.read_bytes()[:-10])
    with pytest.raises(ConfigError, match="missing or damaged"):
        restore_backup(place, elsewhere, farm.hub.blobs)
    document = json.loads((place / MANIFEST).read_text())
    (place / MANIFEST).write_text(json.dumps(document | {"dump": "../../etc/passwd"}))
    with pytest.raises(Failure):
        load_manifest(place)
    with farm.hub.db.read() as db:  # others that are there, such as indexes of before, a backup can do without
        victim = db.execute(select(result_file.c.sha256)).scalars().first()
    assert victim is not None
    farm.hub.blobs.remove(victim)
    with pytest.raises(Failure, match="lacks the file"):
        make_backup(farm.hub.db, farm.hub.blobs, tmp_path / "other")
    assert not (tmp_path / "other" / MANIFEST).exists()


@pytest.mark.parametrize("farm", ["sqlite"], indirect=True)
def test_the_collector_rests_meanwhile(farm: Farm) -> None:
    name = farm.put(b"garbage")
    collect.collect(farm.hub, young_s=0)
    with farm.hub.db.write() as db:
        collect.pause(db, 60)
    collect.set_retention(farm.hub, ADMIN, collect.get_retention(farm.hub))
    assert collect.collect(farm.hub, wait_s=-1, young_s=0).removed.files == 0
    assert farm.hub.blobs.has(name)
    with farm.hub.db.write() as db:
        collect.resume(db)
    assert collect.collect(farm.hub, wait_s=-1, young_s=0).removed.files > 0
    assert not farm.hub.blobs.has(name)
