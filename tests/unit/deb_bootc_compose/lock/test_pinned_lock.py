"""A compose has its hub keep what the lock names."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from deb_bootc_compose.lock import Lock, LockedPackage, LockedParent, LockedVariant, write_lock
from deb_bootc_compose.tasks import lock as task_lock
from debcore.errors import Failure
from debcore.http import HttpFailure
from debcore.hub.upkeep import PinAsk


def package(name: str, digit: str) -> LockedPackage:
    return LockedPackage(name=name, version="1", arch="amd64", sha256=digit * 64)


class Client:
    """Stands for UpkeepClient."""

    asked: list[tuple[str, PinAsk]]
    code = 0

    def __init__(self, url: str, token: str | None, *, ca: Path | None) -> None:
        self.asked = []
        Client.last = self

    last: Client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def put_pin(self, name: str, ask: PinAsk) -> Any:
        if self.code:
            raise HttpFailure(self.code, "no")
        self.asked.append((name, ask))
        return SimpleNamespace(name=name, files=len(ask.files))


def test_ids_of_the_compose_before_are_the_ledger(tmp_path: Path) -> None:
    said: list[str] = []

    def ids(previous: Path | None) -> str:
        task = SimpleNamespace(context={"previous": str(previous) if previous else None}, say=said.append)
        return task_lock.ids_before(task, "a.amd64")  # type: ignore[arg-type]  # all of a Task that it uses

    assert ids(None) == ""
    assert "no compose before" in said[-1]
    lock = tmp_path / "Debian-13-20261127.n.0/lock.json"
    (lock.parent / "work").mkdir(parents=True)
    assert ids(lock) == ""
    (lock.parent / "work/ids.a.amd64").write_text("g _ssh 101\n")
    assert ids(lock) == "g _ssh 101\n"
    assert "Debian-13-20261127.n.0" in said[-1]


def test_a_clock_that_went_back_is_said_before_a_compose_follows_another(tmp_path: Path) -> None:
    variant = LockedVariant(asked=(), base=(package("base", "b"),), archive=(), hub=())

    def lock(timestamp: int, *, releases: dict[str, str] | None = None) -> Lock:
        return Lock(
            suite="trixie", timestamp=timestamp, version="1", releases=releases or {}, variants={"a.amd64": variant},
            recipe=str(releases),
        )  # fmt: skip

    write_lock(tmp_path / "lock.json", lock(2_000_000_000))
    context: dict[str, Any] = {"previous": str(tmp_path / "lock.json"), "parents": {"a.amd64": {}}}
    task: Any = SimpleNamespace(context=context, say=lambda _text: None)
    assert task_lock._with_earlier_time(task, lock(1_700_000_000)).timestamp == 2_000_000_000, "nothing has changed"
    later = lock(2_000_000_001, releases={"a": "b"})
    assert task_lock._with_earlier_time(task, later) == later
    back = lock(1_700_000_000, releases={"a": "b"})
    with pytest.raises(Failure, match=r"clock says 2023-11-14T.*is of 2033-05-18") as caught:
        task_lock._with_earlier_time(task, back)
    assert "set the clock right, then resume" in caught.value.hint
    context["parents"] = {}
    assert task_lock._with_earlier_time(task, back) == back, "it follows nothing"


def test_who_begins_anew_does_not_take_over_what_the_same_lock_followed(tmp_path: Path) -> None:
    parent = LockedParent(commit="1" * 64, ref="r", version="1", compose="gone")
    kept = Lock(suite="trixie", timestamp=1, version="1", releases={}, variants={}, parents={"a.amd64": parent})
    new = kept.model_copy(update={"timestamp": 2, "version": "2", "parents": None})
    write_lock(tmp_path / "lock.json", kept)
    context: dict[str, Any] = {"previous": str(tmp_path / "lock.json"), "parents": {}, "anew": False}
    task: Any = SimpleNamespace(context=context, say=lambda _text: None)
    assert task_lock._with_earlier_time(task, new) == kept
    context["anew"] = True
    assert task_lock._with_earlier_time(task, new) == new
    write_lock(tmp_path / "lock.json", kept.model_copy(update={"parents": {}}))
    assert task_lock._with_earlier_time(task, new).version == "1", "that one began anew too"


def run(monkeypatch: pytest.MonkeyPatch, hub: tuple[LockedPackage, ...], code: int = 0) -> list[str]:
    """What it says."""
    said: list[str] = []
    monkeypatch.setattr(task_lock, "UpkeepClient", Client)
    monkeypatch.setattr(Client, "code", code)
    variant = LockedVariant(asked=(), base=(package("base", "b"),), archive=(), hub=hub)
    lock = Lock(
        suite="trixie", timestamp=1, version="1", releases={}, variants={"a.amd64": variant, "b.amd64": variant}
    )
    task = SimpleNamespace(
        compose=SimpleNamespace(path=Path("/x/Debian_13-20261127.n.0")), say=said.append,
        context={"hub": {"url": "http://127.0.0.1:1", "token_file": None, "ca": None}},
    )  # fmt: skip
    task_lock._pin(task, lock)  # type: ignore[arg-type]  # all of a Task that it uses
    return said


def test_the_packages_of_the_hub_are_pinned_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    said = run(monkeypatch, (package("hello", "1"), package("tar", "2")))
    [(name, ask)] = Client.last.asked
    assert name == "compose-debian-13-20261127.n.0"
    assert [(file.sha256[0], file.label) for file in ask.files] == [("1", "hello 1 amd64"), ("2", "tar 1 amd64")]
    assert said == ["the hub keeps 2 packages as pin compose-debian-13-20261127.n.0"]


def test_nothing_of_the_hub_or_an_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, ()) == []
    assert run(monkeypatch, (package("hello", "1"),), code=404) == ["the hub is too old to pin what the lock names"]
    with pytest.raises(HttpFailure):
        run(monkeypatch, (package("hello", "1"),), code=422)
