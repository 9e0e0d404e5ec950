"""Hosts that lack something: what the user is told, on the real thing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import debroot
from debcore.command import run
from debroot.sandbox import ENVIRONMENT, Bind, Sandbox, run_in
from debroot.store import Layer, Store

pytestmark = pytest.mark.root

ASK = """
from pathlib import Path
from debcore.errors import Failure
from debroot.probe import run_checks
from debroot.sandbox import Sandbox, run_in
try:
    run_in(Sandbox(root=Path("/")), ["true"])
    print("works")
except Failure as error:
    print(error, "|", error.hint)
for check in run_checks():
    if not check.ok:
        print("lacks", check.name, "|", check.fix)
"""


def ask_in(change: str, **env: str) -> str:
    """What the sandbox and the doctor say in a mount namespace in which *change* was run."""
    environment = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **env}
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{change}\nexec "$@"', "sh"]
    return run([*argv, sys.executable, "-c", ASK], extra_env=environment, timeout=300).text


def test_root_looks_behind_a_masked_proc() -> None:
    """As in a container of docker; test_debroot_rootless has the case of a user, who may not."""
    assert ask_in("mount -t tmpfs none /proc/irq; mount -t tmpfs none /sys/firmware") == "works\n"


def test_root_where_all_mounts_are_shared() -> None:
    """As on every host whose PID 1 is systemd."""
    assert ask_in("mount --make-rshared /") == "works\n"


MOUNT_INSIDE = """
import sys
from pathlib import Path
from debroot.sandbox import Bind, Sandbox, run_in
place, *lowers = map(Path, sys.argv[1:])
box = Sandbox(lowers=tuple(lowers), binds=(Bind(source=place, target="/mnt", readonly=False),))
script = "mkdir /mnt/below; mount -t tmpfs from-inside /mnt/below; grep -c from-inside /proc/self/mountinfo"
print(run_in(box, ["sh", "-ec", script], capture=True).text.strip())
print(Path("/proc/self/mountinfo").read_text().count("from-inside"))
"""


def test_what_is_mounted_inside_does_not_appear_outside(store: Store, tools: Layer) -> None:
    extra = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    shared = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", 'mount --make-rshared /; exec "$@"', "sh"]
    with store.throwaway() as place:
        argv: list[str | Path] = [*shared, sys.executable, "-c", MOUNT_INSIDE, place, *tools.lowers()]
        said = run(argv, extra_env=extra, timeout=60).text
    assert said.split() == ["1", "0"], "mounted inside, seen outside"


def test_root_without_capabilities_is_served_as_a_user() -> None:
    """As in a container that may make user namespaces and has lost CAP_SYS_ADMIN."""
    argv = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-c", ASK]
    said = run(argv, extra_env={"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}, timeout=300).text
    assert said == "works\n"


def test_a_container_with_65536_ids_has_no_room_for_ours() -> None:
    source = Path(debroot.__file__).parents[1]
    site = next(Path(p) for p in sys.path if p.endswith("site-packages") and (Path(p) / "pydantic").is_dir())
    container = Sandbox(
        root=Path("/"),
        binds=(Bind(source=source, target="/tmp/src"), Bind(source=site, target="/tmp/site")),
        env={**ENVIRONMENT, "PYTHONPATH": "/tmp/src:/tmp/site"},
    )
    argv = [str(Path(sys.executable).resolve()), "-B", "-c", ASK]
    said = run_in(container, argv, capture=True, timeout=300).text
    assert said.startswith("the sandbox cannot be made: ")
    assert "lacks subordinate ids | export DEBOOTC_SUBID=FIRST   # needs a container with more than 65536 ids" in said


def test_no_apt_source_of_debian(store: Store) -> None:
    said = ask_in("mount -t tmpfs none /var/lib/apt/lists", DEBOOTC_STORE=str(store.path))
    assert said.startswith("works")
    assert "lacks apt source | sudo apt update" in said
    assert "DEBOOTC_MIRROR" in said


def test_a_store_on_another_overlay(tmp_path: Path) -> None:
    change = f"mount -t tmpfs none {tmp_path}; cd {tmp_path}; mkdir l u w m store;"
    change += "mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m; export DEBOOTC_STORE=$PWD/m/store"
    said = ask_in(change)
    assert "lacks store | export DEBOOTC_STORE=DIR" in said
