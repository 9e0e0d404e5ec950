"""Archives that lie or vanish, disks that damage or fill, clocks that jump: the store stays usable and says what to do.

Each test has a store of its own, so that nothing of the shared one is damaged; the tools root is the shared one's.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_mock.scrub import scrub
from debcore.command import Process, run, spawn
from debcore.errors import CommandFailed, DepsUnmet, Failure, HostFailed
from debroot.flatten import CROSS_DEVICE, copy_tree
from debroot.gc import collect
from debroot.resolve import Resolution, fetch, resolve
from debroot.sandbox import Sandbox, run_in
from debroot.store import Layer, Store
from debroot.upper import find_uppers
from debroot.verify import find_damage, remove_damaged
from tests.integration.debroot.archive import Archive, serving

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with serving(tmp_path) as made:
        made.change("1.0")
        yield made


@pytest.fixture(scope="module")
def private(store: Store, tools: Layer) -> Iterator[Store]:
    """A store of this module's own, with a copy of the tools root as the layer `base`."""
    path = store.path.parent / f"faults-{os.getpid()}"
    made = Store.open(path, idmap=store.idmap)
    with made.workplace("root") as place:
        copy_tree(tools.lowers(), place / "root", made.idmap)
        made.commit_layer(place, Layer("base", place, (), tools.packages, tools.arch, tools.suite))
    yield made
    collect(made, max_size=0)
    assert made.list() == ()
    shutil.rmtree(path)


@pytest.fixture
def own(private: Store) -> Iterator[tuple[Store, Layer]]:
    """That store with nothing in it but the base."""
    base = private.find("base")
    assert base is not None
    yield private, base
    private.release()
    for entry in private.list():
        assert entry.kind == "layer"
        if entry.id != "base":
            private.remove(entry.id)
    scrub(private, ["cache"])


def find(own: tuple[Store, Layer], archive: Archive, tools: Layer, *, max_age: float = 0) -> Resolution:
    store, base = own
    return resolve(
        store, sources=[archive.source], arch="amd64", base=base, install=["tiny"], tools=tools, max_age=max_age
    )


def install(own: tuple[Store, Layer], archive: Archive, tools: Layer) -> Layer:
    store, base = own
    found = find(own, archive, tools)
    fetch(store, found.packages, tools=tools)
    return store.extend(base, found)


def version_in(store: Store, layer: Layer) -> str:
    return run_in(
        Sandbox(lowers=layer.lowers()), ["cat", "/usr/share/tiny/version"], idmap=store.idmap, capture=True
    ).text


def leftovers(store: Store) -> list[str]:
    return [entry.id for entry in store.list() if entry.kind == "leftover"]


def test_a_layer_follows_the_content_of_the_archive(own: tuple[Store, Layer], archive: Archive, tools: Layer) -> None:
    first = install(own, archive, tools)
    assert version_in(own[0], first) == "1.0"
    archive.change("1.0", date="Fri, 02 Jan 2026 00:00:00 UTC")
    assert install(own, archive, tools).id == first.id
    archive.change("1.1", date="Fri, 02 Jan 2026 00:00:00 UTC")
    second = install(own, archive, tools)
    assert second.id != first.id
    assert version_in(own[0], second) == "1.1"


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        ("lie", r"1 packages cannot be fetched: tiny 1\.0 \(all\)", "other bytes than its index says"),
        ("break", r"1 packages cannot be fetched: tiny 1\.0 \(all\)", "try again"),
        pytest.param(
            "vanish",
            r"1 packages cannot be fetched: tiny 1\.0 \(all\)",
            "check the network and the source's address",
            marks=pytest.mark.slow,  # apt tries again and again
        ),
        (
            "refuse",
            r"127\.0\.0\.1 does not serve 1 of 1 packages that its index names: tiny 1\.0 \(all\)",
            "name another mirror: DEBOOTC_MIRROR=URI",
        ),
    ],
)
def test_a_mirror_that_fails_with_a_package(
    own: tuple[Store, Layer], archive: Archive, tools: Layer, fault: str, message: str, hint: str
) -> None:
    store, base = own
    found = find(own, archive, tools)
    archive.faults["tiny_1.0_all.deb"] = fault
    with pytest.raises(HostFailed, match=message) as caught:
        fetch(store, found.packages, tools=tools)
    assert hint in caught.value.hint
    assert not store.has(found.packages)
    assert list((store.path / "pool").glob("*/*")) == list((store.path / "pool").glob("incoming-*")) == []
    assert leftovers(store) == []
    archive.faults.clear()
    assert version_in(store, install(own, archive, tools)) == "1.0"
    assert base.id in [entry.id for entry in store.list()]


@pytest.mark.parametrize("fault", ["lie", "break", "refuse", pytest.param("vanish", marks=pytest.mark.slow)])
def test_a_mirror_that_fails_with_its_index(
    own: tuple[Store, Layer], archive: Archive, tools: Layer, fault: str
) -> None:
    archive.faults["Packages"] = fault
    with pytest.raises(CommandFailed, match="apt-get failed") as caught:
        find(own, archive, tools)
    assert "mirror" in caught.value.hint
    archive.faults.clear()
    assert [package.version for package in find(own, archive, tools).packages] == ["1.0"]
    assert leftovers(own[0]) == []


def test_dates_that_a_wrong_clock_sees(own: tuple[Store, Layer], archive: Archive, tools: Layer) -> None:
    find(own, archive, tools)
    stamp = next((own[0].path / "apt").glob("*/stamp"))
    os.utime(stamp, (time.time() + 9e8, time.time() + 9e8))  # written by a clock that was ahead
    archive.change("2.0")
    assert [package.version for package in find(own, archive, tools, max_age=3600).packages] == ["2.0"]
    archive.change("2.0", until="Fri, 02 Jan 2026 00:00:00 UTC")
    with pytest.raises(CommandFailed, match="expired") as caught:
        find(own, archive, tools)
    assert "clock" in caught.value.hint


def test_lists_that_the_disk_has_damaged_are_fetched_again(
    own: tuple[Store, Layer], archive: Archive, tools: Layer
) -> None:
    find(own, archive, tools)
    place = next((own[0].path / "apt").iterdir())
    shutil.rmtree(own[0].path / "resolved")
    (own[0].path / "resolved").mkdir()
    for damage in (b"", b"\0\0garbage\n\nPackage", b"Package: other\nVersion: 1\nArchitecture: all\n"):
        for path in (place / "state/lists").glob("*_Packages"):
            path.write_bytes(damage)
        for path in (place / "state/cache").glob("*.bin"):
            path.write_bytes(damage)
        assert [p.version for p in find(own, archive, tools, max_age=3600).packages] == ["1.0"]
        for answer in (own[0].path / "resolved").iterdir():
            answer.write_text("{damaged")
    with pytest.raises(DepsUnmet, match="no-such"):
        resolve(own[0], sources=[archive.source], arch="amd64", base=own[1], install=["no-such"], tools=tools)


def test_a_package_that_the_disk_has_damaged_is_fetched_again(
    own: tuple[Store, Layer], archive: Archive, tools: Layer
) -> None:
    store, base = own
    found = find(own, archive, tools)
    fetch(store, found.packages, tools=tools)
    path = store.pool_path(found.packages[0].sha256)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    assert version_in(store, store.extend(base, found)) == "1.0"
    assert len([asked for asked in archive.asked if asked.endswith(".deb")]) == 2


@pytest.mark.parametrize("damage", ["meta", "status", "tree"])
def test_a_damaged_layer_is_made_again(own: tuple[Store, Layer], archive: Archive, tools: Layer, damage: str) -> None:
    store, _ = own
    layer = install(own, archive, tools)
    store.release()
    if damage == "meta":
        (layer.path / "meta.json").write_text('{"parents": 5}')
    elif damage == "status":
        (layer.root / "var/lib/dpkg/status").write_bytes(b"")
    else:
        shutil.rmtree(layer.root)
    again = install(own, archive, tools)
    assert again.id == layer.id
    assert version_in(store, again) == "1.0"


def test_a_file_that_the_disk_has_damaged_is_found_by_verifying(
    own: tuple[Store, Layer], archive: Archive, tools: Layer
) -> None:
    store, base = own
    layer = install(own, archive, tools)
    assert find_damage(store, layer) is None
    path = layer.root / "usr/share/tiny/payload"
    path.write_bytes(path.read_bytes()[:-1])
    assert [(name, "/usr/share/tiny/payload" in why) for name, why in remove_damaged(store)] == [(layer.id, True)]
    assert [entry.id for entry in store.list() if entry.kind == "layer"] == [base.id]
    assert version_in(store, install(own, archive, tools)) == "1.0"


def test_a_rename_that_overlayfs_refuses_is_done_on_a_copy(
    own: tuple[Store, Layer], archive: Archive, tools: Layer, tmp_path: Path
) -> None:
    store, base = own
    script = 'perl -e \'rename("/usr/share/doc", "/usr/share/moved") or die "$!\\n"\''
    with pytest.raises(CommandFailed, match=CROSS_DEVICE):  # what the kernel says, so that the test tests something
        run_in(Sandbox(lowers=base.lowers()), ["sh", "-ec", script], idmap=store.idmap, capture=True)
    control = tmp_path / "build/9.0/DEBIAN"
    control.mkdir(parents=True)
    (control / "postinst").write_text(f"#!/bin/sh\n{script}\n")
    (control / "postinst").chmod(0o755)
    (control / "control").write_text(
        "Package: tiny\nVersion: 9.0\nArchitecture: all\nMaintainer: A Tester <t@example.org>\nDescription: x\n"
    )
    run(["dpkg-deb", "--root-owner-group", "--build", control.parent, tmp_path / "pool/tiny_9.0_all.deb"])
    archive.change("9.0")
    layer = install(own, archive, tools)
    assert layer.parents == ()
    look = ["sh", "-ec", "ls -d /usr/share/moved; test ! -e /usr/share/doc; cat /etc/hosts"]
    shown = run_in(Sandbox(lowers=layer.lowers()), look, idmap=store.idmap, capture=True)
    assert shown.text.startswith("/usr/share/moved\n127.0.0.1 localhost\n")
    assert (layer.root / "etc/hosts").read_bytes() == (base.root / "etc/hosts").read_bytes()


def test_a_store_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    place = tmp_path / "store"
    Store.open(place)
    (place / "FORMAT").unlink()
    (place / "FORMAT").mkdir()
    with pytest.raises(Failure, match="cannot be used") as caught:
        Store.open(place)
    assert "DEBOOTC_STORE" in caught.value.hint


def start(script: str, store: Store, *words: str, enter: str = "") -> Process:
    """A program of its own with that store; in a mount namespace in which *enter* was run."""
    env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "DEBOOTC_STORE": str(store.path)}
    env["DEBOOTC_SUBID"] = str(store.idmap.first)
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{enter}\nexec "$@"', "sh"]
    return spawn([*(argv if enter else []), sys.executable, "-c", script, *words], extra_env=env, stdout=-1, stderr=-1)


def finish(process: Process) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=600)
    return process.returncode, out.decode(), err.decode()


MAKE = """
import json, logging, sys, time
from debcore.job import AptSource
from debroot import bootstrap, extend
from debroot.resolve import resolve
from debroot.store import Store
logging.basicConfig(level=logging.INFO)
store = Store.open()
base = store.find("base")
bootstrap.core_tools = lambda store, **more: base
found = resolve(store, sources=[AptSource(uris=(sys.argv[1],), suites=("test",), trusted=True)], arch="amd64",
    base=base, install=["tiny"], tools=base)
bootstrap.find_core_tools = extend.find_core_tools = lambda store, **more: base
try:
    layer = store.extend(base, found)
    print(layer.id)
except Exception as error:
    print(type(error).__name__, getattr(error, "errno", ""), error, getattr(error, "output", ""))
    sys.exit(6)
"""


@pytest.mark.parametrize("size", ["200k", "900k"], ids=["fetching", "installing"])
def test_a_full_disk_while_a_layer_is_made(own: tuple[Store, Layer], archive: Archive, size: str) -> None:
    store, base = own
    store.release()
    full = f"mount -t tmpfs -o size={size},mode=0711 small {store.path}/tmp"
    status, said, err = finish(start(MAKE, store, archive.source.uris[0], enter=full))
    assert status == 6, said + err
    assert "o space left on device" in said
    assert [entry.id for entry in store.list()] == [base.id]
    status, said, err = finish(start(MAKE, store, archive.source.uris[0]))
    assert status == 0, said + err


def test_programs_that_make_one_layer_at_once_make_it_once(own: tuple[Store, Layer], archive: Archive) -> None:
    store, _base = own
    store.release()
    ended = [finish(process) for process in [start(MAKE, store, archive.source.uris[0]) for _ in range(3)]]
    assert [status for status, _, _ in ended] == [0, 0, 0], ended
    assert len({said for _, said, _ in ended}) == 1
    assert "".join(err for _, _, err in ended).count("Installing 1 package on") == 1
    assert [entry.kind for entry in store.list()] == ["layer", "layer"]


HOLD = """
import sys
from debroot.sandbox import Sandbox, start_in
from debroot.store import Store
store = Store.open()
layer = store.find("base")
with store.using(layer), store.throwaway() as upper, start_in(Sandbox(lowers=layer.lowers(), upper=upper),
        ["sh", "-c", "echo up; read line; echo $line > /mine; cat /mine"], stdin=0) as running:
    sys.exit(running.wait())
"""


def test_users_of_one_layer_never_wait_and_gc_leaves_it(own: tuple[Store, Layer]) -> None:
    """Each runs while all others hold the layer: had one to wait, the test would never end."""
    store, base = own
    store.release()
    env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "DEBOOTC_STORE": str(store.path)}
    env["DEBOOTC_SUBID"] = str(store.idmap.first)
    users = [spawn([sys.executable, "-c", HOLD], extra_env=env, stdin=-1, stdout=-1) for _ in range(4)]
    try:
        for user in users:
            assert user.stdout is not None
            assert user.stdout.readline() == b"up\n"
        assert collect(store, max_size=0, max_age=0) == ()
        assert all(entry.in_use for entry in store.list())
        for number, user in reversed(list(enumerate(users))):
            assert user.communicate(f"{number}\n".encode(), timeout=300)[0] == f"{number}\n".encode()
            assert user.returncode == 0
    finally:
        for user in users:
            user.kill()
            user.wait()
    assert base.id in [removal.id for removal in collect(store, max_size=0, dry_run=True)]


OTHER_RECIPE = """
from debroot import bootstrap
from debroot.store import Store
bootstrap.RECIPE += %d
bootstrap.bootstrap_into = lambda *words, **more: None
print(bootstrap.make_layer(Store.open(), (), suite="test", arch="amd64", tools=None).id)
"""


def test_two_versions_of_the_program_share_a_store(own: tuple[Store, Layer], archive: Archive) -> None:
    """Another recipe makes other layers beside ours; a newer format is refused and nothing is touched."""
    store, _ = own
    store.release()
    other = OTHER_RECIPE % 1
    assert finish(start(MAKE, store, archive.source.uris[0]))[0] == 0
    assert finish(start(other, store, archive.source.uris[0]))[0] == 0
    assert finish(start(OTHER_RECIPE % 2, store, archive.source.uris[0]))[0] == 0
    there = [entry.id for entry in store.list()]
    assert len(there) == 4
    mark = store.path / "FORMAT"
    ours = mark.read_text()
    mark.write_text("2" + ours[1:])
    status, _, err = finish(start(MAKE, store, archive.source.uris[0]))
    assert status == 1
    assert "has format 2; this program knows 1" in err
    mark.write_text(ours)
    assert [entry.id for entry in store.list()] == there


ASK = """
import json
from pathlib import Path
from debroot import probe
from debroot.flatten import add_packages
from debroot.sandbox import Sandbox, run_in
from debroot.store import Layer, Store
from debroot.upper import find_uppers, can_use_tmpfs
import debroot.upper, debroot.sandbox
if KIND == "none":
    debroot.upper.can_use_tmpfs = debroot.sandbox.can_use_tmpfs = lambda: False
store = Store.open()
tools = Layer("x", Path(TOOLS).parent, (), (), "amd64", "trixie")
with store.workplace("root") as place:
    from debroot.flatten import copy_tree
    copy_tree(tools.lowers(), place / "root", store.idmap)
    base = store.commit_layer(place, Layer("base", place, (), (), "amd64", "trixie"))
print(find_uppers(store), [c.detail for c in (probe.check_store_disk(),)])
with store.using(base), store.throwaway() as upper:
    box = Sandbox(lowers=base.lowers(), upper=upper)
    run_in(box, ["sh", "-ec", "rm -r /usr/share/doc; mkdir /usr/share/doc; echo kept > /etc/new"], idmap=store.idmap)
    print(run_in(box, ["sh", "-ec", "cat /etc/new; ls /usr/share/doc"], idmap=store.idmap, capture=True).text, end="")
print(run_in(Sandbox(lowers=base.lowers()), ["sh", "-c", "test -e /etc/new || echo gone"], idmap=store.idmap,
    capture=True).text, end="")
from debcore.errors import LimitHit
from debcore.job import Limits
with store.using(base), store.throwaway() as upper:
    box = Sandbox(lowers=base.lowers(), upper=upper, limits=Limits(disk=20000000))
    run_in(box, ["sh", "-c", "head -c 5000000 /dev/urandom > /within"], idmap=store.idmap)
    try:
        run_in(box, ["sh", "-c", "head -c 60000000 /dev/urandom > /beyond; sleep 200"], idmap=store.idmap)
    except LimitHit as error:
        print(error)
with store.workplace("root", "work") as place:
    parents = add_packages(store, base, place, (), command=["update"])
    print(parents, (place / "root/usr/bin/dpkg").exists())
print([entry.kind for entry in store.list()])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["none"])
def test_a_store_on_another_overlay_works_with_copies(store: Store, tools: Layer, tmp_path: Path, kind: str) -> None:
    enter = (
        f"mount -t tmpfs -o mode=0711 none {tmp_path}; cd {tmp_path}; mkdir l u w m; chmod 711 m u\n"
        "mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m"
    )
    place = Store(tmp_path / "m" / "store", store.idmap)
    script = f"KIND, TOOLS = {kind!r}, {str(tools.root)!r}\n{ASK}"
    status, said, err = finish(start(script, place, enter=enter))
    assert status == 0, said + err
    first, *rest = said.splitlines()
    assert first.startswith(kind)
    assert rest == ["kept", "gone", "sh was ended: its disk limit was hit", "() True", "['layer']"]
    assert "whole copy" in err


def test_the_shared_store_writes_to_disk(store: Store) -> None:
    assert find_uppers(store) == "disk"


@pytest.mark.parametrize("name", ["pool", "tmp", "resolved", "locks", "apt", "layers"])
def test_a_store_with_a_file_in_place_of_a_directory_says_which(tmp_path: Path, name: str) -> None:
    place = tmp_path / "store"
    Store.open(place)
    (place / name).rmdir()
    (place / name).symlink_to("/nowhere/at/all")
    with pytest.raises(Failure, match=f"{place}/{name}: ") as caught:
        Store.open(place)
    assert "DEBOOTC_STORE" in caught.value.hint


def test_a_store_with_things_that_are_not_ours_is_used_all_the_same(tmp_path: Path, store: Store) -> None:
    made = Store.open(tmp_path / "store", idmap=store.idmap)
    (made.path / "failed").mkdir()
    for name in ("tmp", "layers", "roots", "apt", "resolved", "pool", "failed", "locks"):
        (made.path / name / "file").write_text("?")
        (made.path / name / "directory").mkdir()
        (made.path / name / "dangling").symlink_to("/nowhere/at/all")
    (made.path / "pool/aa/directory").mkdir(parents=True)
    (made.path / "plugins").write_text("?")
    for place in (made.path / "tmp").iterdir():
        os.utime(place, (1, 1), follow_symlinks=False)
    assert made.find("file") is made.find("directory") is made.find("dangling") is None
    collect(made, max_size=0, max_age=0)
    with made.workplace("root") as place:
        assert (place / "root").is_dir()
    assert list((made.path / "tmp").iterdir()) == []
    assert scrub(made, ["chroot", "root-cache", "c-cache", "cache"])[0] == []


READ_ONLY = """
from debcore.errors import Failure
from debroot.store import Store
try:
    Store.open()
except Failure as error:
    print(error, "|", error.hint)
"""


def test_a_store_on_a_read_only_file_system_says_so(tmp_path: Path, store: Store) -> None:
    made = Store.open(tmp_path / "store", idmap=store.idmap)
    status, said, err = finish(
        start(READ_ONLY, made, enter=f"mount --bind {tmp_path} {tmp_path}; mount -o remount,ro,bind {tmp_path}")
    )
    assert status == 0, err
    assert "Read-only file system" in said
    assert "DEBOOTC_STORE" in said


def test_a_store_of_another_user_says_so(tmp_path: Path, store: Store) -> None:
    """What is not ours to read is told as the host's fault, with the file, and not as a bug."""
    made = Store.open(tmp_path / "store", idmap=store.idmap)
    for path in (*tmp_path.parents, tmp_path):
        if path != Path("/") and path.stat().st_mode & 0o011 != 0o011:
            path.chmod(path.stat().st_mode | 0o011)
    made.path.chmod(0o700)
    argv = ["setpriv", "--reuid=64322", "--regid=64322", "--clear-groups", '"$@"']
    status, said, err = finish(start(READ_ONLY, made, enter=f"set -- {' '.join(argv)}"))
    assert status == 0, err
    assert "Permission denied" in said
    assert "DEBOOTC_STORE" in said
