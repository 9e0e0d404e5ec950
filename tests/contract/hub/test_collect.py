"""Collections never take what is used, and take in the end what is not. On both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from deb_orchestrator.services import collect, pins, queries, requests, snapshots, uploads
from deb_orchestrator.services.hub import Denied, NotFound, Principal
from deb_orchestrator.services.keeping import hold_blobs
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables import job
from deb_orchestrator.store.tables_domain import blob, hold
from deb_orchestrator.store.tables_keep import doomed
from debcore.blobs import StoreAway
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.repos import SnapshotAsk
from debcore.hub.upkeep import PinAsk, PinFile, Retention
from tests.contract.hub.collecting import URL, Keeper, reading_here
from tests.contract.orchestrator.postgres import Server, empty_database
from tests.contract.orchestrator.world import ManualClock
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm

Make = Callable[[Path], Keeper]


@pytest.fixture(scope="module")
def postgres_url(postgres: Server) -> str:
    return postgres.make_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """A new farm on a new database, as often as it is called."""
    with reading_here(), ExitStack() as stack:

        def new(place: Path) -> Keeper:
            stack.pop_all().close()  # the farm before, and its connections
            place.mkdir()
            clock = ManualClock()
            url = f"sqlite:///{place}/hub.db"
            if request.param == "postgresql":
                url = request.getfixturevalue("postgres_url")
            db = stack.enter_context(open_database(url, clock=clock))
            migrate(db)
            if request.param == "postgresql":
                empty_database(db)  # cheaper than another one
            return Keeper(Farm.make(db, place), clock)

        yield new


@pytest.fixture
def keeper(make: Make, tmp_path: Path) -> Keeper:
    return make(tmp_path / "farm")


NAMES = st.sampled_from(["hello", "tar"])
STEPS = st.one_of(
    st.tuples(st.just("build"), NAMES, st.sampled_from(["ok", "ok", "failed", "scratch", "queued", "running"])),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("revert"), st.integers(0, 25)),
    st.tuples(st.just("snapshot"), st.integers(0, 25)),
    st.tuples(st.sampled_from(["pin", "unpin"]), NAMES),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 95, 400])),
    st.tuples(st.just("collect")),
)


def _run_histories(make: Make, place: Path, examples: int) -> None:
    """Random ones, each followed by the end of all that uses anything."""
    number = 0

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @given(st.lists(STEPS, min_size=4, max_size=12))
    def run(steps: list[tuple[object, ...]]) -> None:
        nonlocal number
        number += 1
        keeper = make(place / f"farm{number}")
        for name, *arguments in steps:
            getattr(keeper, str(name))(*arguments)
        keeper.collect()
        _end_all(keeper)
        left, live = {found.sha256 for found, _ in keeper.farm.hub.blobs.walk()}, keeper.published()
        plan = collect.plan_collection(keeper.farm.hub, young_s=0)
        assert left == live, (steps, [one for one in plan.listed if one.sha256 not in live])

    run()


def test_random_histories_lose_nothing_and_leave_nothing(make: Make, tmp_path: Path) -> None:
    _run_histories(make, tmp_path, 2)


@pytest.mark.slow
def test_many_random_histories(make: Make, tmp_path: Path) -> None:
    _run_histories(make, tmp_path, 60)


def _end_all(keeper: Keeper) -> None:
    farm = keeper.farm
    for name in ("hello", "tar"):
        keeper.unpin(name)
        keeper.remove(name)
    with farm.hub.db.read() as db:
        asked = list(db.execute(select(job.c.request_id).where(job.c.kind == "build")).scalars())
    for request in set(asked):
        requests.cancel_request(farm.hub, ADMIN, request)
    while (claimed := farm.claim()) is not None:
        farm.finish(claimed, "cancelled")
    collect.set_retention(farm.hub, ADMIN, Retention(snapshots=10))
    keeper.snapshots.clear()
    for _ in range(20):  # with hubs alive, so that the leases of lost attempts run out
        keeper.clock.advance(5)
        farm.tender.tend()
    keeper.wait(1000)
    # One drops snapshots and marks, the next removes.
    keeper.collect(3)


@pytest.mark.parametrize("make", ["sqlite"], indirect=True)
def test_a_plan_says_why(keeper: Keeper) -> None:
    keeper.build("hello", "ok")
    keeper.build("hello", "ok")
    keeper.build("tar", "scratch")
    keeper.build("zip", "queued")
    keeper.pin("hello")
    keeper.wait(30)
    plan = collect.plan_collection(keeper.farm.hub, young_s=0)
    why = {name: one.why for one in plan.listed for name in one.names}
    assert why["hello_1.2_amd64.deb"] == f"suite {SUITE}"
    assert why["hello_1.1_amd64.deb"] == f"history of suite {SUITE}"
    assert why["zip_1.4.dsc"] == "builds under way"
    assert why["tar_1.3_amd64.deb"] == "nothing uses it"
    assert plan.goes.files == sum(one.goes for one in plan.listed) > 0
    assert sum(one.files for one in plan.stays.values()) + plan.goes.files == len(plan.listed)
    before = {found.sha256 for found, _ in keeper.farm.hub.blobs.walk()}
    keeper.wait(100)
    keeper.remove("hello")
    keeper.wait(100)
    why = {name: one.why for one in collect.plan_collection(keeper.farm.hub, young_s=0).listed for name in one.names}
    assert why["hello_1.2_amd64.deb"] == "pin image-hello"
    assert why["hello_1.2.dsc"] == "builds of packages in use (pin image-hello)"
    assert why["hello_1.1_amd64.deb"] == "nothing uses it"
    assert before <= {found.sha256 for found, _ in keeper.farm.hub.blobs.walk()}, "a plan changes nothing"


@pytest.mark.parametrize("make", ["sqlite"], indirect=True)
def test_what_was_collected_says_so_and_may_come_again(keeper: Keeper) -> None:
    farm = keeper.farm
    keeper.build("tar", "scratch")
    keeper.build("hello", "ok")
    first = farm.events_so_far()
    keeper.build("hello", "ok")
    keeper.build("gzip", "failed")
    keeper.wait(400)
    marked, removed, *_ = keeper.collect(3)
    assert (marked.removed.files, removed.removed) == (0, marked.marked)
    assert marked.marked.files > 5
    with pytest.raises(Failure, match=r"hello 1\.2 was collected"):
        snapshots.make_snapshot(farm.hub, ADMIN, SUITE, SnapshotAsk(event=first), base_url=URL)
    failed = next(one for one in queries.list_builds(farm.hub, limit=10) if one.source == "gzip")
    with pytest.raises(Failure, match="was collected"):
        requests.resubmit_build(farm.hub, ADMIN, failed.id)
    with pytest.raises(NotFound, match="collected"):
        queries.read_log(farm.hub, failed.id, "amd64", 0, 100)
    # The same source again: its files are asked for, and a new build makes what is gone.
    again = farm.add_source("tar", "1.1", tarball=b"tar 1")
    needed = model.PackagesNeeded(target=SUITE, arches=("amd64",), packages=(again,), scratch=True)
    requests.need_packages(farm.hub, ADMIN, needed, retry=True)
    farm.settle()
    claimed = farm.claim()
    assert claimed is not None
    farm.finish_well(claimed)
    keeper.check()


def test_who_comes_after_the_mark_saves_a_blob(keeper: Keeper) -> None:
    farm = keeper.farm
    name = farm.put(b"nobody wants it")
    collect.collect(farm.hub, young_s=0)
    with farm.hub.db.read() as db:
        assert name in set(db.execute(select(doomed.c.sha256)).scalars())
    assert uploads.take_hold(farm.hub, ADMIN, name, 15)
    keeper.clock.advance(2 * 3600)
    collect.collect(farm.hub, young_s=0)
    assert farm.hub.blobs.has(name)
    keeper.clock.advance(30 * 3600)  # the hold is over
    keeper.collect(2)
    assert not farm.hub.blobs.has(name)
    with farm.hub.db.read() as db:
        left = select(hold.c.holder).where(hold.c.sha256 == name)
        assert list(db.execute(left).scalars()) == [], "a hold that is over is gone"
    assert not uploads.take_hold(farm.hub, ADMIN, name, 15), "it is to be sent again"
    farm.put(b"nobody wants it")
    assert uploads.take_hold(farm.hub, ADMIN, name, 15)
    keeper.collect(3)
    assert farm.hub.blobs.has(name)


def test_only_clients_keep_the_word_that_they_sent_a_blob(keeper: Keeper) -> None:
    hub = keeper.farm.hub
    keeper.build("hello", "ok")
    names = {"client ada": True, "client bob": False, "agent builder": True, "admin test": True}
    with hub.db.write() as db:
        used = db.execute(select(blob.c.sha256).limit(1)).scalar_one()
        db.execute(delete(hold))
        rows = [{"sha256": used, "holder": one, "until_at": now(db) + 1, "sent": sent} for one, sent in names.items()]
        db.execute(hold.insert(), rows)
    keeper.clock.advance(60)
    collect.collect(hub)
    with hub.db.read() as db:
        left = list(db.execute(select(hold.c.holder).where(hold.c.sha256 == used)).scalars())
    assert left == ["client ada"], "others see everything, and a hold without bytes is nothing"


def test_killed_between_removal_and_commit(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    farm = keeper.farm
    names = [farm.put(f"garbage {n}".encode()) for n in range(3)]
    collect.collect(farm.hub, young_s=0)
    keeper.clock.advance(2 * 3600)
    whole = farm.hub.blobs.remove

    def dies(sha256: str) -> None:
        whole(sha256)
        raise StoreAway("killed")

    with monkeypatch.context() as patch:
        patch.setattr(farm.hub.blobs, "remove", dies)
        with pytest.raises(StoreAway):
            collect.collect(farm.hub, young_s=0)
    gone = next(name for name in names if not farm.hub.blobs.has(name))
    # Its row says that it is there. Whoever would use it learns the truth.
    with farm.hub.db.write() as db, pytest.raises(Failure, match="was collected"):
        uploads.check_blobs(db, farm.hub.blobs, [("it", gone, 9)])
    assert not uploads.take_hold(farm.hub, ADMIN, gone, 9)
    keeper.collect(2)
    assert [name for name in names if farm.hub.blobs.has(name)] == []


def test_a_user_and_the_collector_that_meet(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector is about to remove a blob, under its lock, when a client takes a hold on it."""
    farm = keeper.farm
    name = farm.put(b"wanted by one")
    collect.collect(farm.hub, young_s=0)
    keeper.clock.advance(2 * 3600)
    whole, took = farm.hub.blobs.remove, list[bool]()
    client = threading.Thread(target=lambda: took.append(uploads.take_hold(farm.hub, ADMIN, name, 13)))

    def remove(sha256: str) -> None:
        if sha256 == name:
            client.start()
            client.join(0.5)  # it waits for us; were it not to wait, it would have said True by now
        whole(sha256)

    monkeypatch.setattr(farm.hub.blobs, "remove", remove)
    collect.collect(farm.hub, young_s=0)
    client.join(60)
    assert (took, farm.hub.blobs.has(name)) == ([False], False)


def test_a_user_that_was_first(keeper: Keeper) -> None:
    """Its transaction is open when the collector comes: on PostgreSQL it is passed over, on SQLite waited for."""
    farm = keeper.farm
    name = farm.put(b"wanted")
    collect.collect(farm.hub, young_s=0)
    keeper.clock.advance(2 * 3600)
    collector = threading.Thread(target=collect.collect, args=(farm.hub,), kwargs={"young_s": 0})
    with farm.hub.db.write() as db:
        hold_blobs(db, [name])
        collector.start()
        collector.join(0.5)
    collector.join(60)
    assert not collector.is_alive()
    assert farm.hub.blobs.has(name)


@pytest.mark.parametrize("make", ["sqlite"], indirect=True)
def test_pins(keeper: Keeper) -> None:
    farm, someone = keeper.farm, Principal(name="someone", scope="client")
    keeper.build("hello", "ok")
    name = farm.put(b"a file")
    ask = PinAsk(files=(PinFile(sha256=name, label="x"), PinFile(sha256="0" * 64)), packages=("hello=1.1",), note="n")
    made = pins.put_pin(farm.hub, someone, "image", ask)
    assert (made.files, made.unknown, made.by) == (2, 1, "someone")
    assert [one.name for one in pins.list_pins(farm.hub, ADMIN)] == ["image"]
    with pytest.raises(Denied, match="someone's"):
        pins.put_pin(farm.hub, Principal(name="other", scope="client"), "image", ask)
    for wrong, words in (
        (PinAsk(), "nothing to pin"),
        (PinAsk(files=(PinFile(sha256="0" * 64),)), "none of these 1 files"),
        (PinAsk(packages=("hello",)), "has no version"),
    ):
        with pytest.raises(Failure, match=words):
            pins.put_pin(farm.hub, someone, "other", wrong)
    for missing in (PinAsk(packages=("hello=7",)), PinAsk(packages=("nope",), suite=SUITE)):
        with pytest.raises(NotFound):
            pins.put_pin(farm.hub, someone, "other", missing)
    assert pins.put_pin(farm.hub, ADMIN, "image", PinAsk(packages=("hello",), suite=SUITE)).files == 1
    pins.remove_pin(farm.hub, ADMIN, "image")
    with pytest.raises(NotFound):
        pins.remove_pin(farm.hub, ADMIN, "image")


@pytest.mark.parametrize("make", ["sqlite"], indirect=True)
def test_the_hub_collects_by_itself_once_in_six_hours(keeper: Keeper) -> None:
    farm = keeper.farm

    def asked() -> int:
        with farm.hub.db.write() as db:
            collect.ask_in_time(db)
        with farm.hub.db.read() as db:
            return len(db.execute(select(job.c.id).where(job.c.kind == "gc")).all())

    assert [asked(), asked()] == [1, 1]
    keeper.clock.advance(7 * 3600)
    assert asked() == 2
    farm.settle()
    with farm.hub.db.read() as db:
        rows = db.execute(select(job.c.id, job.c.state).where(job.c.kind == "gc")).all()
    assert {row.state for row in rows} == {"succeeded"}
    assert collect.get_collection(farm.hub, rows[0].id).result is not None
    collect.set_retention(farm.hub, ADMIN, Retention(automatic=False))
    keeper.clock.advance(7 * 3600)
    assert asked() == 2
