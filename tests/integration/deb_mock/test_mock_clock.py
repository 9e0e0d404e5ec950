"""A clock that jumps years forth and back while a build goes on: nothing is taken for old, late or expired."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.deb_mock.conftest import make_native
from tests.integration.deb_mock.mishaps import check_clean, clone_store, make_deb

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]

#: deb-mock whose every second look at the clock sees one ten years ahead, and the others one ten years behind.
MAIN = """
import time
real, looks = time.time, 0
def jump():
    global looks
    looks += 1
    return real() + (3e8 if looks % 2 else -3e8)
time.time = jump
from deb_mock.cli import main
main()
"""


@pytest.fixture
def own(tool: Any, cache_dir: Path) -> Iterator[Any]:
    place = cache_dir / f"clock-{os.getpid()}"
    yield clone_store(tool, place)
    shutil.rmtree(place)


def test_a_build_while_the_clock_jumps(own: Any, tmp_path: Path) -> None:
    jumping = replace(own, argv=(*own.argv[:-1], MAIN))
    tree = make_native(tmp_path, fields=["Build-Depends: tiny-dep"], build="cat /usr/share/tiny-dep/version; sleep 3")
    deb = make_deb(tmp_path, "tiny-dep", "1")
    layers = {path.name for path in (own.store / "layers").iterdir()}
    limits = ("--set", "limits.time=30min", "--set", "limits.silence=5min")
    built = jumping.build(tree, tmp_path / "out", "--extra-package", str(deb), *limits)
    assert built.status == 0, built.said
    assert [event.n for event in built.events] == list(range(1, len(built.events) + 1))
    assert all(stage.seconds < 800 for stage in built.result.stages)
    assert jumping.run("gc").status == 0
    again = own.build(tree, tmp_path / "again", "--extra-package", str(deb))
    assert again.status == 0, again.said
    assert again.debs() == built.debs()
    assert layers <= {path.name for path in (own.store / "layers").iterdir()}
    check_clean(own)
