"""The same without root: a made-up user with subordinate ids, whose home others may not enter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import debroot
from debcore.command import run

pytestmark = pytest.mark.root

USER, UID, FIRST = "debootc-tester", 42424, 0x7B000000

SCRIPT = """
import os
from pathlib import Path
from debcore.errors import Failure
from debroot.bootstrap import core_tools
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Store

assert os.getuid() == 42424
store = Store.open()
assert store.idmap.first == 0x7B000000, store.idmap
layer = core_tools(store)
mine = Path.home() / "private"
mine.mkdir(mode=0o700, exist_ok=True)
(mine / "note").write_text("hello")
with store.throwaway() as upper:
    assert upper.stat().st_uid == store.idmap.first
    bind = Bind(source=mine / "note", target="/note")
    box = Sandbox(lowers=layer.lowers(), upper=upper, binds=(bind,))
    script = "id -u; cat /note; echo; install -d -o 1000 -m 700 /secret; touch /secret/x; chown -R 33:33 /secret"
    print(run_in(box, ["sh", "-ec", script], capture=True).text, end="")
    assert (upper / "secret").stat().st_uid == store.idmap.first + 33
assert not upper.exists()
box = Sandbox(lowers=layer.lowers(), user=(1000, 1000))
done = run_in(box, ["sh", "-c", "id -u; kill -9 $$"], capture=True, check=False)
print(done.text.strip(), done.status)
with store.workplace("root") as place:
    pass
assert not place.exists()
assert [e.kind for e in store.list()] == ["layer"], store.list()
"""

MASKED = """
from pathlib import Path
from debcore.errors import HostFailed
from debroot.probe import check_proc
from debroot.sandbox import Sandbox, run_in

try:
    run_in(Sandbox(root=Path("/")), ["true"])
except HostFailed as error:
    print(error, "|", error.hint)
print(check_proc().fix)
"""

#: Runs in a mount namespace of its own, with users of its own.
ENTER = """
set -e
for name in passwd group subuid subgid; do mount --bind "$1/etc/$name" "/etc/$name"; done
mount --bind "$2" "$1/src"
mount --bind "$3" "$1/site"
eval "$5"
exec setpriv --reuid {uid} --regid {uid} --clear-groups env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    HOME="$1/home" PYTHONPATH="$1/src:$1/site" DEBOOTC_STORE="$1/home/store" "$4" "$1/script.py"
"""


def make_user(place: Path) -> None:
    """Accounts and a home below *place*, without touching those of the host."""
    (place / "etc").mkdir(exist_ok=True)
    for name in ("passwd", "group"):
        line = f"{USER}:x:{UID}:{UID}::{place}/home:/bin/sh\n" if name == "passwd" else f"{USER}:x:{UID}:\n"
        (place / "etc" / name).write_text(Path(f"/etc/{name}").read_text() + line)
    for name in ("subuid", "subgid"):
        (place / "etc" / name).write_text(f"{USER}:{FIRST}:65536\n")
    for name in ("home", "src", "site"):
        (place / name).mkdir(exist_ok=True)
    run(["chown", f"{UID}:{UID}", place / "home"])
    (place / "home").chmod(0o700)


def run_as_user(cache_dir: Path, script: str, change: str = ":") -> str:
    """*script* run by the made-up user in a mount namespace in which *change* was run."""
    place = cache_dir / "rootless-debroot"  # the tests of deb-mock have another user, and may run meanwhile
    place.mkdir(exist_ok=True)
    place.chmod(0o755)
    make_user(place)
    (place / "script.py").write_text(script)
    source = Path(debroot.__file__).parents[1]
    site = next(Path(p) for p in sys.path if p.endswith("site-packages") and (Path(p) / "pydantic").is_dir())
    words: list[str | Path] = [place, source, site, Path(sys.executable).resolve(), change]
    argv: list[str | Path] = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        ENTER.format(uid=UID),
        "enter",
    ]
    return run([*argv, *words], timeout=280).text


@pytest.mark.timeout(300)
def test_a_user_with_subordinate_ids_needs_no_root(cache_dir: Path) -> None:
    assert run_as_user(cache_dir, SCRIPT) == "0\nhello\n1000 -9\n"


def test_a_user_behind_a_masked_proc_is_told(cache_dir: Path) -> None:
    said = run_as_user(cache_dir, MASKED, "mount -t tmpfs none /proc/irq")
    assert "the kernel refuses a new /proc in this container | this host masks parts of /proc" in said
    assert "\ndocker run --security-opt systempaths=unconfined" in said


def test_a_user_without_subordinate_ids_is_told(cache_dir: Path) -> None:
    said = run_as_user(
        cache_dir,
        "from debroot.probe import check_subordinate_ids as c; print(c().fix)",
        "mount --bind /dev/null /etc/subuid; mount --bind /dev/null /etc/subgid",
    )
    assert said == f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {USER}\n"
