"""Layers on disk: found again, locked while used, reclaimed after a kill."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from debcore.command import spawn
from debcore.errors import DepsUnmet, Failure
from debcore.job import AptSource
from debroot import owned
from debroot.bootstrap import open_root
from debroot.gc import collect, reclaim
from debroot.localrepo import make_repository
from debroot.resolve import fetch, resolve
from debroot.sandbox import Sandbox, run_in, start_in
from debroot.sources import find_host_sources
from debroot.store import Layer, Package, Store, layer_id

pytestmark = pytest.mark.root

MAX_AGE = 6 * 3600.0


@pytest.fixture
def small(store: Store) -> Iterator[Store]:
    """A store of its own beside the shared one: gc may empty it."""
    path = store.path.parent / f"small-{os.getpid()}"
    made = Store.open(path, idmap=store.idmap)
    yield made
    for entry in made.list():
        if entry.kind == "layer":
            made.remove(entry.id)
    shutil.rmtree(path)


def make_layer(store: Store, name: str, *parents: Layer) -> Layer:
    """A layer that holds one file."""
    with store.workplace("root") as place:
        (place / "root" / name).write_text(name * 5000)
        return store.commit_layer(place, Layer(layer_id({"n": name}, ()), place, parents, (), "amd64", "test"))


def test_gc_takes_the_least_recently_used_but_nothing_in_use(small: Store, tools: Layer) -> None:
    old, used, new = (make_layer(small, name) for name in ("old", "used", "new"))
    top = make_layer(small, "top", new)
    for age, layer in enumerate((top, new, used, old)):
        os.utime(layer.path / "meta.json", (time.time() - age * 100, time.time() - age * 100))
    with start_in(Sandbox(lowers=(used.root, *tools.lowers())), ["sleep", "60"], idmap=small.idmap):
        with pytest.raises(Failure, match="in use"):
            small.remove(used.id)
        with pytest.raises(Failure, match="stands on"):
            small.remove(new.id)
        assert collect(small) == ()
        planned = collect(small, max_size=0, dry_run=True)
        assert old.path.exists()
        assert collect(small, max_size=0) == planned
        assert {removal.id for removal in planned} == {old.id, new.id, top.id}
        assert small.find(used.id) is not None
        assert not old.path.exists()
    assert [removal.id for removal in collect(small, max_size=0)] == [used.id]


def test_two_users_of_one_layer_do_not_meet(tools: Layer) -> None:
    sandbox = Sandbox(lowers=tools.lowers())
    with start_in(sandbox, ["sh", "-c", "echo a > /usr/mark; sleep 60"]):
        script = "test ! -e /usr/mark && echo b > /usr/mark && cat /usr/mark"
        assert run_in(sandbox, ["sh", "-c", script], capture=True, timeout=20).text == "b\n"


TOOL = """
import sys, time
from debroot.store import Store
store = Store.open()
with store.workplace("root") as place:
    (place / "root" / "half").write_text("x")
    print(place, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_reclaimed(small: Store) -> None:
    env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "DEBOOTC_STORE": str(small.path)}
    env["DEBOOTC_SUBID"] = str(small.idmap.first)
    process = spawn([sys.executable, "-c", TOOL], extra_env=env, stdout=-1)
    assert process.stdout is not None
    place = Path(process.stdout.readline().decode().strip())
    assert [(e.kind, e.in_use) for e in small.list()] == [("leftover", True)]
    assert reclaim(small) == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [(e.kind, e.in_use) for e in small.list()] == [("leftover", False)]
    assert [(r.kind, r.id) for r in collect(small)] == [("leftover", place.name)]
    assert not place.exists()


def test_a_killed_layer_appears_whole_or_not_at_all(small: Store) -> None:
    with pytest.raises(RuntimeError), small.workplace("root") as place:
        raise RuntimeError
    assert not place.exists()
    assert small.list() == ()


def test_a_build_root_is_made_once(store: Store) -> None:
    """The base of trixie's buildd variant, and on it a layer whose packages install nothing when asked for again."""
    sources = find_host_sources("trixie")
    layer = open_root(store, sources=sources, suite="trixie", arch="amd64", packages=["cowsay"], max_age=MAX_AGE)
    script = "gcc --version | head -1; /usr/games/cowsay moo; test -c /dev/null; ls /etc/apt/sources.list.d"
    shown = run_in(Sandbox(lowers=layer.lowers()), ["sh", "-ec", script], capture=True).text
    assert "gcc" in shown
    assert "moo" in shown
    assert len(layer.parents) >= 1
    made = layer.path.stat().st_ino
    again = open_root(store, sources=sources, suite="trixie", arch="amd64", packages=["cowsay"], max_age=MAX_AGE)
    assert again.id == layer.id
    assert layer.path.stat().st_ino == made
    bigger = resolve(store, sources=sources, arch="amd64", base=layer, install=["sl"], max_age=MAX_AGE)
    top = store.extend(layer, bigger)
    assert layer.id in [parent.id for parent in top.parents]
    assert run_in(Sandbox(lowers=top.lowers()), ["test", "-x", "/usr/games/sl"]).status == 0
    assert [entry.kind for entry in store.list() if entry.id == top.id] == ["layer"]


def test_conflicts_take_packages_out_again(store: Store) -> None:
    sources = find_host_sources("trixie")
    layer = open_root(store, sources=sources, suite="trixie", arch="amd64", packages=["cowsay"], max_age=MAX_AGE)
    control = "Source: x\nBuild-Depends: sl\nBuild-Conflicts: cowsay\n\nPackage: x\nArchitecture: any\n"
    found = resolve(store, sources=sources, arch="amd64", base=layer, build_deps=control, max_age=MAX_AGE)
    assert "cowsay" in found.removed
    without = store.extend(layer, found)
    names = {package.name for package in without.packages}
    assert "sl" in names
    assert not names & set(found.removed)
    script = "test -x /usr/games/sl; test ! -e /usr/games/cowsay"
    run_in(Sandbox(lowers=without.lowers()), ["sh", "-ec", script])


def test_a_directory_of_the_host_serves_as_archive(store: Store, small: Store, tools: Layer, tmp_path: Path) -> None:
    """A trusted file: repository: what `--extra-package` needs. The .deb comes from the shared store's pool."""
    sources = find_host_sources("trixie")
    found = resolve(store, sources=sources, arch="amd64", base=tools, install=["cowsay"], max_age=MAX_AGE)
    fetch(store, found.packages, tools=tools)
    with store.workplace() as place:
        make_repository(store, found.packages, place / "repository", suite="mine", arch="amd64")
        shutil.copytree(place / "repository", tmp_path / "repo")
    local = AptSource(uris=(f"file:{tmp_path}/repo",), suites=("mine",), trusted=True)
    again = resolve(small, sources=(local,), arch="amd64", base=tools, install=["cowsay"], tools=tools)
    assert [p.key for p in again.packages] == [p.key for p in found.packages]
    assert not small.has(again.packages)
    fetch(small, again.packages, tools=tools)
    assert small.has(again.packages)


def test_gc_forgets_indexes_that_nobody_asks(small: Store) -> None:
    for name, age in (("aa-11", 8), ("bb-11", 1)):
        (small.path / "apt" / name).mkdir()
        (small.path / "apt" / name / "stamp").touch()
        owned.make_directories(small.path / "apt" / name, ["state"], small.idmap)
        os.utime(small.path / "apt" / name / "stamp", (time.time() - age * 86400,) * 2)
        with small.making(f"apt-{name.partition('-')[0]}"):
            assert collect(small) == ()
    (small.path / "pool" / "incoming-1").touch()
    os.utime(small.path / "pool" / "incoming-1", (0, 0))
    collect(small)
    assert [path.name for path in (small.path / "apt").iterdir()] == ["bb-11"]
    assert list((small.path / "pool").iterdir()) == []


def test_wrong_content_is_refused(small: Store, tools: Layer, tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"something else")
    package = Package(name="x", version="1", arch="all", sha256="0" * 64, uri=f"file:{tmp_path}/x.deb")
    with pytest.raises(Failure, match="cannot be fetched"):
        fetch(small, [package], tools=tools)
    assert not small.has([package])
    with pytest.raises(Failure, match="no address is known"):
        fetch(small, [replace(package, uri=None)], tools=tools)


def test_unmet_dependencies_come_with_apts_words(store: Store, tools: Layer) -> None:
    sources = find_host_sources("trixie")
    control = "Source: x\nBuild-Depends: debhelper (>= 99), no-such-thing\n\nPackage: x\nArchitecture: any\n"
    with pytest.raises(DepsUnmet, match=r"no-such-thing|debhelper"):
        resolve(store, sources=sources, arch="amd64", base=tools, build_deps=control, max_age=MAX_AGE)
    with pytest.raises(DepsUnmet, match="Unable to locate package no-such-package"):
        resolve(store, sources=sources, arch="amd64", base=tools, install=["no-such-package"], max_age=MAX_AGE)
