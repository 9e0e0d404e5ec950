"""What runs in the guest, as root, started by its service: builds in every kind of control group that a host grants.

Only Python's standard library. Each step is one line of JSON on the second serial line; the last one says `end`.
Nothing is judged here: the test that reads the lines does that.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MAIN = "from deb_mock.cli import main; main()"
USER = "builder"
CGROUPS = Path("/sys/fs/cgroup")
#: A group that root makes and gives to the user, without systemd.
HANDED = CGROUPS / "handed"
#: Seconds for one command; emulation is slow, and a busy machine slower.
PATIENCE = 1200

PLACES = {"root": Path("/srv/root"), "user": Path("/srv/user")}
ATTACKS = ("memory", "processes")
#: Time is not held by control groups: two are enough.
TIMED = ("user", "user-delegated")


def main() -> None:
    with Path("/dev/ttyS1").open("w", encoding="ascii") as serial:

        def tell(**words: Any) -> None:
            print(json.dumps(words), file=serial, flush=True)
            print(words.get("step"), words.get("who", ""), words.get("status", ""), flush=True)

        try:
            run_all(tell)
        except BaseException as error:
            tell(step="broken", error=repr(error))
        print(json.dumps({"end": True}), file=serial, flush=True)


def run_all(tell: Any) -> None:
    give_to_user(PLACES["user"])
    user = pwd.getpwnam(USER)
    wait_for_manager(user.pw_uid)
    make_handed(user)
    tell(
        step="host",
        release=os.uname().release,
        init=Path("/proc/1/comm").read_text().strip(),
        cgroup=Path("/proc/self/cgroup").read_text(),
        controllers=(CGROUPS / "cgroup.controllers").read_text().split(),
        mounted=[line for line in mounts() if "cgroup" in line],
    )
    before = mounts()
    for who in ("root", "root-delegated", "user", "user-delegated", "user-handed"):
        run_steps(who, tell)
        tell(step="left", who=who, mounts=sorted(set(mounts()) ^ set(before)), processes=inside(), groups=groups())
    killed(tell)


def run_steps(who: str, tell: Any) -> None:
    """doctor, a build, and one attack for each limit."""
    place = PLACES[who.partition("-")[0]]
    done = run(who, ["doctor", "--json"])
    tell(step="doctor", who=who, status=done.returncode, said=done.stdout[-6000:], complained=done.stderr[-2000:])
    enough = PATIENCE
    for name in ("tiny", *ATTACKS, *(["time"] if who in TIMED else [])):
        out = place / "home" / f"{who}-{name}"
        started = time.monotonic()
        done = run(who, build_words(place, name, out, time_limit=enough))
        if name == "tiny":  # what a build takes here and now, so that time runs out in the middle of one
            enough = int(30 + 3 * (time.monotonic() - started))
        result = read_json(out / "result.json")
        log = out / "build.log"
        tell(
            step="build",
            who=who,
            name=name,
            status=done.returncode,
            said=done.stderr[-3000:],
            result={key: result.get(key) for key in ("status", "failure", "enforced", "outputs", "peaks", "stages")},
            log=log.read_text(errors="replace")[-20000:] if log.exists() else "",
        )
        shutil.rmtree(out, ignore_errors=True)


def killed(tell: Any) -> None:
    """deb-mock gets SIGKILL in the middle of a build of the user: the kernel must end all that was inside."""
    place = PLACES["user"]
    out = place / "home" / "killed"
    before = mounts()
    argv = [*enter("user-delegated"), *command(place, build_words(place, "sleeps", out))]
    process = subprocess.Popen(argv, env=environment(place), stdout=subprocess.DEVNULL, start_new_session=True)
    log = out / "build.log"
    running = wait_until(lambda: log.exists() and "tried: to sleep" in log.read_text(errors="replace"))
    there = inside()
    pids = find_mains()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    process.wait(timeout=PATIENCE)
    gone = wait_until(lambda: not inside())
    tell(
        step="killed", running=running, inside=len(there), killed=len(pids), gone=gone, processes=inside(),
        mounts=sorted(set(mounts()) ^ set(before)),
    )  # fmt: skip
    out = place / "home" / "after"
    done = run("user-delegated", build_words(place, "tiny", out))
    left = [path.name for path in (place / "store" / "tmp").iterdir()]
    tell(step="after", status=done.returncode, said=done.stderr[-3000:], left=left, groups=groups())


def build_words(place: Path, name: str, out: Path, *, time_limit: int = PATIENCE) -> list[str]:
    """A build of the .dsc that the host packed, from the lock that it made, with the limit that *name* is about.

    *time_limit*: seconds.
    """
    limits = {
        "tiny": ("memory=1G", "processes=500"),
        "memory": ("memory=200M",),
        "processes": ("processes=150",),
        "time": (f"time={time_limit}s",),
        "sleeps": ("memory=1G",),
    }[name]
    settings = [word for limit in limits for word in ("--set", f"limits.{limit}")]
    dsc = next((place / "sources").glob(f"{name}_*.dsc"))
    lock = place / "lock.json"
    preset = json.loads((place / "plan.json").read_text())["preset"]
    words = ["build", "-r", preset, dsc, "--locked", lock, "--offline", "--resultdir", out, *settings]
    return [str(word) for word in words]


def run(who: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    place = PLACES[who.partition("-")[0]]
    return subprocess.run(
        [*enter(who), *command(place, words)], env=environment(place), cwd="/", stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False,
    )  # fmt: skip


def command(place: Path, words: list[str]) -> list[str]:
    return [sys.executable, "-B", "-c", MAIN, *words]


def environment(place: Path) -> dict[str, str]:
    uid = place.stat().st_uid
    return {
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(place / "home"),
        "DEBOOTC_STORE": str(place / "store"),
        "PYTHONPATH": f"{place}/code:{place}/site",
        "XDG_RUNTIME_DIR": f"/run/user/{uid}",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{uid}/bus",
    }


def enter(who: str) -> list[str]:
    """What stands in front of the command. `root` and `user` stay in this service's group, which nobody may divide."""
    account = pwd.getpwnam(USER)
    drop = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
    return {
        "root": [],
        "root-delegated": ["systemd-run", "--quiet", "--scope", "--collect", "-p", "Delegate=yes"],
        "user": drop,
        "user-delegated": [*drop, "systemd-run", "--user", "--quiet", "--scope", "--collect", "-p", "Delegate=yes"],
        "user-handed": ["sh", "-c", f'echo 0 > {HANDED}/debootc-main/cgroup.procs && exec "$@"', "sh", *drop],
    }[who]


def make_handed(user: pwd.struct_passwd) -> None:
    """As an administrator delegates without systemd: cgroup-v2.rst, "Model of Delegation"."""
    (CGROUPS / "cgroup.subtree_control").write_text("+memory +pids")
    for directory in (HANDED, HANDED / "debootc-main"):
        directory.mkdir()
        for path in (directory, *(directory / f"cgroup.{name}" for name in ("procs", "threads", "subtree_control"))):
            os.chown(path, user.pw_uid, user.pw_gid)


def give_to_user(place: Path) -> None:
    """Everything but what lies in the layers' trees, which belongs to the ids inside."""
    user = pwd.getpwnam(USER)
    for directory, names, files in os.walk(place):
        for path in (Path(directory), *(Path(directory, name) for name in files)):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        if Path(directory).parent.name == "layers":
            names[:] = []


def wait_for_manager(uid: int) -> None:
    """The user's own systemd, which lingering starts; without it nothing can be delegated."""
    if not wait_until(lambda: Path(f"/run/user/{uid}/bus").exists()):
        raise RuntimeError("the user's systemd did not come up")


def wait_until(true: Any) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.2)
    return False


def mounts() -> list[str]:
    """Without what systemd mounts when it is asked for, or for itself."""
    lines = Path("/proc/1/mountinfo").read_text().splitlines()
    return [line.split(" ", 2)[2] for line in lines if "/proc/sys/fs/binfmt_misc" not in line]


def inside() -> list[str]:
    """Names of processes whose user is one of the subordinate ids."""
    first = json.loads((PLACES["root"] / "plan.json").read_text())["first_id"]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                owner, name = entry.stat().st_uid, (entry / "comm").read_text().strip()
            except OSError:
                continue
            if first <= owner < first + 65536:
                found.append(name)
    return found


def find_mains() -> list[int]:
    """Processes that are deb-mock itself: the interpreter with MAIN as its program."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == sys.executable.encode() and MAIN.encode() in words:
                found.append(int(entry.name))
    return found


def groups() -> list[str]:
    """Control groups of ours that are left."""
    return sorted(str(path.relative_to(CGROUPS)) for path in CGROUPS.rglob("debootc-*"))


def read_json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


if __name__ == "__main__":
    main()
