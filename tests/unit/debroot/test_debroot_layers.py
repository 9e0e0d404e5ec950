"""Keys, plans and locks of layers; nothing here needs a real root."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest

from debcore.errors import Failure
from debroot.extend import plan_packages, subtract
from debroot.idmap import IdMap
from debroot.locks import hold_shared, take_free
from debroot.resolve import Resolution
from debroot.store import Layer, Package, check_format, default_path, layer_id


def package(name: str, version: str = "1", arch: str = "amd64") -> Package:
    return Package(name=name, version=version, arch=arch, sha256=f"{name}{version}{arch}")


A, B, C = package("a"), package("b"), package("c", arch="all")
BASE = Layer("base", Path("/s/layers/base"), (), (A, B), "amd64", "trixie")


def test_keys_depend_on_content_alone() -> None:
    key = layer_id({"recipe": 1, "arch": "amd64"}, [A, B])
    assert key == layer_id({"arch": "amd64", "recipe": 1}, [B, replace(A, uri="http://elsewhere", size=9)])
    assert key != layer_id({"recipe": 2, "arch": "amd64"}, [A, B])
    assert key != layer_id({"recipe": 1, "arch": "amd64"}, [A, replace(B, sha256="0")])


def test_lowers_are_topmost_first() -> None:
    top = Layer("top", Path("/s/layers/top"), (BASE,), (A, B, C), "amd64", "trixie")
    assert top.lowers() == (Path("/s/layers/top/root"), Path("/s/layers/base/root"))


def test_a_plan_replaces_and_removes() -> None:
    newer = package("a", "2")
    resolution = Resolution((newer, C), {}, removed=("b",))
    assert plan_packages(BASE, resolution) == (newer, C)
    assert subtract((newer, C), BASE.packages) == (newer, C)


def test_a_package_may_become_architecture_all() -> None:
    assert plan_packages(BASE, Resolution((package("a", "2", "all"),), {})) == (package("a", "2", "all"), B)


def test_a_directory_in_use_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with hold_shared(tmp_path), hold_shared(tmp_path):
        assert take_free(tmp_path) is None
    fd = take_free(tmp_path)
    assert fd is not None
    assert take_free(tmp_path) is None
    os.close(fd)
    assert take_free(tmp_path / "gone") is None
    with pytest.raises(Failure, match="removed meanwhile"), hold_shared(tmp_path / "gone"):
        pass


@pytest.mark.parametrize("again", [False, True])
def test_a_directory_that_is_removed_while_its_lock_is_taken_is_not_free(
    again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two would hold what each believes to be the lock of it."""
    (tmp_path / "lock").touch()
    flock = fcntl.flock

    def after_another(fd: int, operation: int) -> None:
        (tmp_path / "lock").unlink()
        if again:
            (tmp_path / "lock").touch()
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", after_another)
    assert take_free(tmp_path) is None


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    ids = IdMap(5)
    check_format(tmp_path / "FORMAT", "1 5 5 65536\n", ids)
    with pytest.raises(Failure, match="format 2"):
        check_format(tmp_path / "FORMAT", "2 5 5 65536\n", ids)
    with pytest.raises(Failure, match="subordinate ids from 6"):
        check_format(tmp_path / "FORMAT", "1 6 6 65536\n", ids)
    with pytest.raises(Failure, match="damaged"):
        check_format(tmp_path / "FORMAT", "what\n", ids)


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBOOTC_STORE", "/some/where")
    assert default_path() == Path("/some/where")
    monkeypatch.delenv("DEBOOTC_STORE")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_path() == Path("/x/deb-mock")
