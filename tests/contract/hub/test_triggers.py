"""A branch that moves is built, once for each commit, whether its host calls or it is polled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from deb_orchestrator.cli.trigger import find_head, look
from deb_orchestrator.services import people, triggers
from deb_orchestrator.services.hub import Conflict, LoginNeeded, NotFound
from deb_orchestrator.store.tables_doors import trigger
from deb_orchestrator.web.api.app import make_app
from debcore.command import run
from debcore.errors import Failure
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import Trigger, TriggerAsk
from debcore.hub.model import Target, TokenAsk
from tests.contract.hub.calling import InProcess
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_dsc

AUTHOR = {"GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_CONFIG_GLOBAL": "/dev/null",
          "GIT_COMMITTER_NAME": "T", "GIT_COMMITTER_EMAIL": "t@example.org"}  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    run(["git", "init", "-q", "-b", "debian/latest", place], extra_env=AUTHOR)
    commit(place)
    return place


@pytest.fixture
def client(farm: Farm) -> Iterator[DoorClient]:
    token = people.make_token(farm.hub, ADMIN, TokenAsk(name="runner", scope="admin")).secret
    app = TestClient(make_app(farm.hub), base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"})
    made = DoorClient("http://127.0.0.1:1")
    made.http = InProcess(app)  # type: ignore[assignment]
    yield made
    app.close()


def commit(place: Path) -> str:
    run(["git", "-C", place, "commit", "-q", "--allow-empty", "-m", "more"], extra_env=AUTHOR)
    return run(["git", "-C", place, "rev-parse", "HEAD"]).text.strip()


def pack(url: str, target: Target, out: Path, suffix: str) -> Path:
    """Stands for deb-mock: a source of the suffix' own version."""
    head = url.rpartition("#")[2]
    assert len(head) == 40, "a commit, and no branch that may move"
    assert suffix.endswith(f".{head[:7]}")
    assert target.name == SUITE
    version = f"1.0{suffix}"
    tarball = suffix.encode()
    dsc = out / f"hello_{version}.dsc"
    dsc.write_bytes(make_dsc("hello", version, binaries=["hello"], tarball=tarball))
    (out / f"hello_{version}.tar.xz").write_bytes(tarball)
    return dsc


def fail(_url: str, _target: Target, _out: Path, _suffix: str) -> Path:
    raise Failure("debian/changelog is missing")


def due(farm: Farm) -> list[str]:
    return [one.name for one in triggers.list_due(farm.hub)]


def test_each_commit_is_built_once(farm: Farm, client: DoorClient, repository: Path) -> None:
    made = client.add_trigger(TriggerAsk(name="hello", url=f"file://{repository}", target=SUITE))
    assert made.hook is not None
    looked = look(client, client.due_triggers()[0], pack)
    assert looked is not None
    assert looked.request is not None
    first = client.triggers()[0]
    assert (first.head, first.request, first.error) == (looked.head, looked.request, "")
    assert first.hook is None
    assert client.builds()[0].version.startswith("1.0+git")
    assert client.builds()[0].version.endswith(first.head[:7])
    assert due(farm) == []
    web = TestClient(make_app(farm.hub), base_url="http://127.0.0.1")
    assert web.post(made.hook, content=b'{"ref": "refs/heads/evil; rm -rf"}').status_code == 204
    assert due(farm) == ["hello"]
    again = look(client, client.due_triggers()[0], pack)
    assert again is not None
    assert again.request is None, "nothing new"
    assert look(client, first, pack) is None, "it is not due: another runner was there"
    assert len(client.builds()) == 1
    moved = commit(repository)
    triggers.call(farm.hub, made.hook.rpartition("/")[2])
    newer = look(client, client.due_triggers()[0], pack)
    assert newer is not None
    assert newer.head == moved
    assert len(client.builds()) == 2
    with pytest.raises(LoginNeeded):
        triggers.call(farm.hub, "guess")
    assert web.post("/hook/guess").status_code == 401


def test_what_goes_wrong_is_shown_and_tried_again(farm: Farm, client: DoorClient, repository: Path) -> None:
    client.add_trigger(TriggerAsk(name="hello", url=f"file://{repository}", target=SUITE, poll_s=60))
    client.add_trigger(TriggerAsk(name="gone", url=f"file://{repository}/nowhere", target=SUITE, poll_s=60))
    for one in client.due_triggers():
        look(client, one, fail)
    gone, hello = client.triggers()
    assert "has no branch debian/latest" in gone.error
    assert (hello.error, hello.head, hello.request) == ("debian/changelog is missing", "", None)
    assert due(farm) == [], "not before its time"
    with farm.hub.db.write() as db:
        db.execute(sa.update(trigger).values(looked_at=1))
    assert due(farm) == ["gone", "hello"]
    look(client, hello, pack)
    assert client.triggers()[1].error == ""
    assert client.triggers()[1].request is not None
    with pytest.raises(Conflict):
        triggers.add_trigger(farm.hub, ADMIN, TriggerAsk(name="hello", url="https://example.org/x", target=SUITE))
    with pytest.raises(NotFound):
        triggers.add_trigger(farm.hub, ADMIN, TriggerAsk(name="x", url="https://example.org/x", target="nowhere"))
    client.remove_trigger("hello")
    with pytest.raises(NotFound):
        triggers.take_look(farm.hub, "hello")


def test_a_look_that_came_to_nothing_is_tried_again(farm: Farm, client: DoorClient, repository: Path) -> None:
    """Also of a trigger that is not polled, whether its runner failed or died."""
    client.add_trigger(TriggerAsk(name="hello", url=f"file://{repository}", target=SUITE))

    def pass_time(seconds: int) -> None:
        with farm.hub.db.write() as db:
            db.execute(sa.update(trigger).values(looked_at=trigger.c.looked_at - seconds * 1000))
            db.execute(sa.update(trigger).values(asked_at=trigger.c.asked_at - seconds * 1000))

    assert client.take_look("hello"), "and the runner dies"
    assert client.triggers()[0].error == triggers.LOOKING
    assert not client.take_look("hello")
    pass_time(triggers.RETRY_S - 60)
    assert due(farm) == []
    pass_time(60)
    assert due(farm) == ["hello"]
    look(client, client.due_triggers()[0], fail)
    assert client.triggers()[0].error == "debian/changelog is missing"
    assert due(farm) == []
    pass_time(triggers.RETRY_S)
    assert due(farm) == ["hello"]
    look(client, client.due_triggers()[0], pack)
    pass_time(10 * triggers.RETRY_S)
    assert due(farm) == [], "nothing went wrong, and nobody called"


def test_what_is_packed_is_the_commit_that_was_seen(farm: Farm, client: DoorClient, repository: Path) -> None:
    seen = run(["git", "-C", repository, "rev-parse", "HEAD"]).text.strip()
    client.add_trigger(TriggerAsk(name="hello", url=f"file://{repository}", target=SUITE))
    asked: list[str] = []

    def pack_late(url: str, target: Target, out: Path, suffix: str) -> Path:
        commit(repository)  # the branch moves before it is cloned
        asked.append(url)
        return pack(url, target, out, suffix)

    looked = look(client, client.due_triggers()[0], pack_late)
    assert looked is not None
    assert (looked.head, asked) == (seen, [f"file://{repository}#{seen}"])


def test_a_branch_is_found_by_its_whole_name(repository: Path) -> None:
    head = run(["git", "-C", repository, "rev-parse", "HEAD"]).text.strip()
    assert find_head(f"file://{repository}", "debian/latest") == head
    for branch in ("latest", "debian", "debian/*"):
        with pytest.raises(Failure, match="has no branch"):
            find_head(f"file://{repository}", branch)


@pytest.mark.parametrize("url", ["ext::sh -c evil", "--upload-pack=evil", "https://x y", "/etc", "https://x#y"])
def test_a_url_is_no_command(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        TriggerAsk(name="x", url=url, target="x")
    assert Trigger(name="x", url=url, branch="b", target="t").url == url


@pytest.mark.parametrize(
    "url", ["https://me:secret@host/x", "https://token@host/x", "ssh://me:secret@host/x", "https://[x/y"]
)
def test_a_url_holds_no_secret(farm: Farm, url: str) -> None:
    with pytest.raises(Failure):
        triggers.add_trigger(farm.hub, ADMIN, TriggerAsk(name="hello", url=url, target=SUITE))
    assert triggers.list_triggers(farm.hub) == []
