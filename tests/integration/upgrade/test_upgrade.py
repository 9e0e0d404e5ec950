"""The last release becomes the next version, part by part, in either order, while jobs run.

The next version is the present one with one more revision of the schema, so that there always is something to migrate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.hub.test_database_faults import running
from tests.contract.orchestrator.postgres import running_server
from tests.integration.orchestrator.books import check_books, check_served
from tests.integration.orchestrator.stack import Stack, client_of, wait_for
from tests.integration.orchestrator.walking import Watcher
from tests.integration.upgrade.mixed import AGENT, SIGNER, Mixed, read_rows
from tests.released import ROOT, Tree, copy_present, find_revisions, present_tree, unpack_release
from tests.unit.orchestrator.services.farm import SUITE

pytestmark = [pytest.mark.root, pytest.mark.timeout(1200)]

#: A busy table grows by a column, another by one that needs a value, and there are a new index and a new table.
NEXT = '''"""A revision of a next version: it only expands."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("job", sa.Column("next_words", sa.Text, nullable=True))
    op.add_column("build", sa.Column("next_number", sa.Integer, nullable=False, server_default="7"))
    op.create_index("ix_job_next_words", "job", ["next_words"])
    op.create_table("next_table", sa.Column("id", sa.Integer, primary_key=True))
'''


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return unpack_release(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return copy_present(tmp_path_factory.mktemp("new"), NEXT.format(head=find_revisions(ROOT / "src")[-1]))


@dataclass(frozen=True)
class Course:
    """Where, with how many hubs, and what is upgraded first."""

    database: str
    hubs: int
    order: tuple[str, str]


@pytest.fixture
def farm(course: Course, stack: Stack, tmp_path: Path) -> Iterator[Mixed]:
    with ExitStack() as after:
        server = after.enter_context(running_server()) if course.database == "postgresql" else None
        after.callback(stack.end)
        yield Mixed(stack, tmp_path, server, course.hubs)


@pytest.mark.parametrize(
    "course",
    [
        pytest.param(Course("postgresql", 1, ("hubs", "workers")), id="postgresql"),
        pytest.param(Course("postgresql", 2, ("hubs", "workers")), marks=pytest.mark.slow, id="postgresql-hubs"),
        pytest.param(Course("postgresql", 2, ("workers", "hubs")), marks=pytest.mark.slow, id="postgresql-workers"),
        pytest.param(Course("sqlite", 1, ("hubs", "workers")), marks=pytest.mark.slow, id="sqlite-hubs"),
        pytest.param(Course("sqlite", 1, ("workers", "hubs")), marks=pytest.mark.slow, id="sqlite-workers"),
    ],
)
def test_a_farm_is_upgraded_while_it_works(farm: Mixed, course: Course, old: Tree, new: Tree) -> None:
    farm.begin(old)
    assert farm.revision() == old.head
    watcher = Watcher([farm.url_of(hub) for hub in farm.hubs], SUITE)
    with running(watcher.run):
        for what in course.order:
            if what == "hubs":
                upgrade_hubs(farm, new)
                farm.use_client(old, "by-old-client")
            else:
                upgrade_workers(farm, new)
                if course.order[0] == "workers":
                    farm.use_client(new, "by-new-client")
        wait_for(lambda: watcher.samples > 20, why="twenty samples")
    with client_of(farm.told["hub0"]) as client:
        check_books(client, farm.asked, farm.stack.runs)
        check_served(client, farm.url_of("hub0"), watcher, farm.asked)
    check_ledger(farm)
    go_back(farm, old)
    if course.order[0] == "workers":
        go_on_with_the_present(farm)


def upgrade_hubs(farm: Mixed, new: Tree) -> None:
    """A build is under way meanwhile. With several hubs the schema grows while old ones serve, who go on."""
    held = farm.hold("held-by-hubs")
    if farm.server is not None:
        farm.start("beside", new)
        assert farm.revision() == new.head
        for hub in farm.hubs:
            farm.build(f"grown-{hub}", hub)
    for hub in farm.hubs:
        farm.replace(hub, new)
    assert farm.revision() == new.head
    farm.let_go("held-by-hubs")
    farm.finish(held)
    if farm.server is not None:
        farm.build("after-hubs", "beside")


def upgrade_workers(farm: Mixed, new: Tree) -> None:
    """What the old agent builds is given back when it stops, and built by the new one."""
    held = farm.hold("held-by-workers")
    farm.replace(AGENT, new)
    farm.let_go("held-by-workers")
    farm.finish(held)
    assert len(farm.runs_of("held-by-workers")) > 1
    farm.replace(SIGNER, new)
    farm.build("after-workers")


def check_ledger(farm: Mixed) -> None:
    """Nothing was built twice but what was given back, or given up where a hub came later than a lease lasts."""
    again = 0
    for build in farm.builds():
        ran = farm.runs_of(build.source)
        assert len({*ran}) == len(ran), build.source
        assert ran[-1] == str(build.arches[0].attempt), build.source
        again += len(ran) - 1
    logs = "".join(one.text for one in farm.stack.started)
    assert again == 1 + logs.count("is given up: no beat reached the hub in time"), logs


def go_back(farm: Mixed, old: Tree) -> None:
    """The release's hub does not start on a schema that it does not know, says what to do, and changes nothing."""
    for hub in [name for name in farm.running if name in (*farm.hubs, "beside")]:
        farm.running.pop(hub).stop()
    before = read_rows(farm.database)
    said = farm.refuse("hub0", old)
    assert "9999, which is newer than this program" in said
    assert "upgrade deb-orchestrator" in said
    assert "Traceback" not in said
    assert read_rows(farm.database) == before
    assert farm.revision() == "9999"


def go_on_with_the_present(farm: Mixed) -> None:
    """A hub that is one version behind the schema may start on it: a hub that is killed while others are upgraded."""
    for hub in farm.hubs:
        farm.start(hub, present_tree())
        assert "schema 9999, newer than this program" in farm.running[hub].text
    farm.build("by-the-present")
    assert farm.revision() == "9999"
