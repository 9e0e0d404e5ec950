"""Versions sort as dpkg sorts them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debcore.command import run
from debcore.errors import Failure
from debcore.version import compare_versions, parse_version, version_key

UPSTREAM = st.from_regex(r"[0-9]([a-bA0-2.+~-]|00){0,6}", fullmatch=True)
REVISION = st.from_regex(r"[ab01.+~]{1,4}", fullmatch=True)
EPOCH = st.sampled_from(["", "0:", "1:", "10:", "2:"])
VERSION = st.one_of(
    st.builds(lambda e, u: e + u.rstrip("-"), EPOCH, UPSTREAM),
    st.builds(lambda e, u, r: f"{e}{u}-{r}", EPOCH, UPSTREAM, REVISION),
)

# Each row ascends; versions that are equal share an entry.
ORDERED = [
    [("1.0~rc1~git2",), ("1.0~rc1",), ("1.0", "1.0-0", "0:1.0", "1.00"), ("1.0-0+deb13u1",), ("1.0-1~bpo13+1",)],
    [("1.0-1",), ("1.0-1+b1",), ("1.0-1+b2",), ("1.0-1+b10",), ("1.0-1.1",), ("1.0-2",), ("1:0.1",)],
    [("1.2a",), ("1.2a1",), ("1.2b",), ("1.2+dfsg",), ("1.2.0",), ("1.10",), ("1.a",), ("1.+",)],
    [("1~~",), ("1~~a",), ("1~",), ("1",), ("1a",)],
    [("9" * 300,), ("1" + "0" * 300,)],
]


@pytest.mark.parametrize("row", ORDERED)
def test_order(row: list[tuple[str, ...]]) -> None:
    keys = [{version_key(version) for version in same} for same in row]
    assert all(len(same) == 1 for same in keys)
    flat = [same.pop() for same in keys]
    assert flat == sorted(flat)
    assert len(set(flat)) == len(flat)


def relation(left: str, right: str) -> int:
    """What dpkg says; one process for two comparisons would need a shell."""
    if run(["dpkg", "--compare-versions", left, "lt", right], check=False).status == 0:
        return -1
    return int(run(["dpkg", "--compare-versions", left, "gt", right], check=False).status == 0)


@settings(max_examples=150, deadline=None)
@given(VERSION, VERSION)
def test_same_order_as_dpkg(left: str, right: str) -> None:
    assert compare_versions(left, right) == relation(left, right)


@given(VERSION)
def test_text_survives(text: str) -> None:
    version = parse_version(text)
    assert parse_version(str(version)) == version


@pytest.mark.parametrize("text", ["", "a1", "1:", ":1", "1-", "1_2", "1 2", "-1", "x:1", "99999999999:1", "1\n", "1/2"])
def test_what_dpkg_refuses_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="no Debian version"):
        parse_version(text)


def test_parts() -> None:
    version = parse_version("2:1.0-rc1-3")
    assert (version.epoch, version.upstream, version.revision) == (2, "1.0-rc1", "3")
    assert version.without_epoch == "1.0-rc1-3"
    assert not version.is_native
    assert parse_version("2.13").is_native
    assert parse_version("1.0") == parse_version("1.0-0")
    assert parse_version("1.0") < parse_version("1.1") <= parse_version("1:0")
