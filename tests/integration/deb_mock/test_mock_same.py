"""The same .debs, byte for byte: built twice, as root, as a user, and by Debian's sbuild."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debcore.job.lock import load_lock
from debroot.store import Store
from tests.integration.deb_mock.oracle import build_with_sbuild

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

#: any; all, with fakeroot; any, with root of the sandbox for its binary targets.
PACKAGES = [
    "hostname",
    "cowsay",
    "at",
    pytest.param("libyaml", marks=pytest.mark.slow),  # any and all; a minute of compiling for each builder
    pytest.param("dash", marks=pytest.mark.slow),  # the same
]


@pytest.mark.parametrize("name", PACKAGES)
def test_root_and_user_build_the_same(builds: Callable[..., Any], name: str) -> None:
    as_root, as_user = builds(name), builds(name, "user")
    assert as_root.debs()
    assert as_user.debs() == as_root.debs()
    # Not the whole locks: the archive may have signed its Release files anew between the two.
    locks = [load_lock(built.directory / "lock.json") for built in (as_root, as_user)]
    assert locks[1].packages == locks[0].packages


@pytest.mark.parametrize("name", PACKAGES)
def test_a_second_build_makes_the_same(
    builds: Callable[..., Any], tool: Any, sources: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    again = tool.build(sources(name), tmp_path / "again")
    assert again.status == 0, again.said
    assert again.debs() == builds(name).debs()
    assert again.event("environment.ready").data["installed"] == 0


@pytest.mark.parametrize("name", PACKAGES)
def test_sbuild_builds_the_same(
    builds: Callable[..., Any], tool: Any, sources: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    theirs = build_with_sbuild(Store.open(tool.store), sources(name), tmp_path)
    assert theirs == builds(name).debs()
