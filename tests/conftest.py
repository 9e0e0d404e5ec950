"""What all tests share: a cache that outlives a run, and the promise that nothing stays behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from debcore.command import find_program


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """Kept between runs, so that roots are made once. Outside /root, which mapped ids cannot enter."""
    default = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    path = Path(os.environ.get("DEBOOTC_TEST_CACHE", default / "deb-bootc-ecosystem-tests"))
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def store_dir(cache_dir: Path) -> Path:
    """The layer store that all tests share; also set as DEBOOTC_STORE for the programs they start."""
    store = cache_dir / "store"
    os.environ["DEBOOTC_STORE"] = str(store)
    return store


@pytest.fixture(autouse=True)
def nothing_stays_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests marked root leave no mount in this namespace."""
    if request.node.get_closest_marker("root") is None:
        yield
        return
    if os.geteuid() != 0:
        pytest.fail("this test needs root: run it with sudo")
    before = mount_points()
    yield
    left = mount_points() - before
    assert not left, f"left mounted: {sorted(left)}"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A program under test sets up the log of its process, which here is that of all tests after it."""
    root = logging.getLogger()
    level = root.level
    handlers = [one for one in root.handlers if "_pytest" not in type(one).__module__]
    yield
    root.setLevel(level)
    for one in [one for one in root.handlers if "_pytest" not in type(one).__module__]:
        root.removeHandler(one)
    for one in handlers:
        root.addHandler(one)


def mount_points() -> set[str]:
    """Mount points of this mount namespace: proc_pid_mountinfo(5), field 5."""
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def need_program(name: str) -> Path:
    """Where *name* is. Fails the test if it is missing: CI skips nothing."""
    found = find_program(name)
    if found is None:
        pytest.fail(f"{name} is not installed: run `make setup`")
    return found
