"""Hubs as places: how they are named, and which events of a suite's history are asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deb_mock.exact import Exact, Search
from deb_mock.hub import HubPlace, find_events, parse_place, search_hub
from debcore.errors import ConfigError
from debcore.hub.suites import Moved, SuiteChange
from debroot.store import Store


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hub", HubPlace(None, None)),
        ("hub#trixie-local", HubPlace(None, "trixie-local")),
        ("hub+https://hub.example:8043/", HubPlace("https://hub.example:8043", None)),
        ("hub+http://127.0.0.1:8000#side", HubPlace("http://127.0.0.1:8000", "side")),
        ("https://snapshot.example/", None),
        ("http://hub/", None),
        ("hubble", None),
        ("hub+ftp://hub.example", None),
    ],
)
def test_a_hub_is_told_from_an_archive(text: str, place: HubPlace | None) -> None:
    assert parse_place(text) == place


def test_a_suite_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no suite"):
        parse_place("hub#../x")


def change(event: int, *moved: tuple[str, str, str]) -> SuiteChange:
    packages = tuple(Moved(name=name, arch="amd64", old=old, new=new) for name, old, new in moved)
    return SuiteChange(event=event, at=datetime(2026, 1, 1, tzinfo=UTC), type="x", packages=packages)


HISTORY = (
    change(90, ("liba", "3", "")),
    change(70, ("liba", "2", "3"), ("app", "1", "2")),
    change(50, ("liba", "1", "2")),
    change(30, ("liba", "", "1"), ("app", "", "1")),
)


@pytest.mark.parametrize(
    ("wanted", "events"),
    [
        ({("liba", "3")}, {89}),
        ({("liba", "1"), ("app", "1")}, {69, 49}),
        ({("app", "2")}, set()),  # it is there now
        ({("never", "1")}, set()),
        (set(), set()),
    ],
)
def test_the_last_event_before_a_package_left_is_asked_for(wanted: set[tuple[str, str]], events: set[int]) -> None:
    assert find_events(HISTORY, wanted) == events


def test_a_version_that_came_twice_is_asked_for_once() -> None:
    again = (change(99, ("app", "1", "")), change(80, ("app", "", "1")), *HISTORY)
    assert find_events(again, {("app", "1")}) == {98}


def test_a_hub_that_does_not_answer_is_noted(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debcore.http.Http._pause", lambda _self, _left: None)
    search = Search(Store.__new__(Store), "amd64", (Exact("liba", "1"),))
    search_hub(search, HubPlace("http://127.0.0.1:1", None))
    assert search.missing
    assert search.said[0].startswith("hub http://127.0.0.1:1: ")
