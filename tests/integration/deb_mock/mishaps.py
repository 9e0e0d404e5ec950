"""Stores that tests may spoil, and deb-mock that is killed at a chosen moment."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deb_mock.config import choose
from deb_mock.roots import find_sources, make_base
from debcore.command import run
from debroot.bootstrap import core_tools
from debroot.indexes import hash_value
from debroot.isolate import kernel
from debroot.store import Store

PR_SET_CHILD_SUBREAPER = 36

#: deb-mock that kills at the moment in TEST_MOMENT: `stage NAME DELAY VICTIM` (seconds after the stage began; the tool
#: itself, its launcher or the sandbox's init) or `step N` (before its N-th change of a file system, or program);
#: `count` says at the end how many such steps there were.
MAIN = """
import os, signal, sys, threading, time

KIND, *WORDS = os.environ["TEST_MOMENT"].split()
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.truncate",
           "os.utime", "subprocess.Popen"}
steps = 0

def look(event, args):
    global steps
    if event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)):
        steps += 1
        if KIND == "step" and steps == int(WORDS[0]):
            os.kill(os.getpid(), signal.SIGKILL)

def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        pass
    return found

def kill(delay, victim):
    time.sleep(delay)
    if victim == "tool":
        os.kill(os.getpid(), signal.SIGKILL)
    depth = {"launcher": 1, "init": 3}[victim]
    while True:  # ends with the process
        line = [os.getpid()]
        for _ in range(depth):
            below = [child for child in children(line[-1])]
            if not below:
                break
            line.append(below[0])
        launched = len(line) > 1 and b"launch.py" in open(f"/proc/{line[1]}/cmdline", "rb").read()
        if launched and len(line) == depth + 1:
            os.kill(line[-1], signal.SIGKILL)
            return
        time.sleep(0.002)

def watch_stages():
    from deb_mock.recorder import Recorder
    emit = Recorder._emit
    stage, delay, victim = WORDS
    def told(self, type_, **data):
        emit(self, type_, **data)
        if type_ == "stage.started" and data["stage"] == stage:
            if victim == "tool" and float(delay) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Thread(target=kill, args=(float(delay), victim), daemon=True).start()
    Recorder._emit = told

from deb_mock.cli import main
if KIND == "stage":
    watch_stages()
sys.addaudithook(look)
try:
    main()
finally:
    if KIND == "count":
        print(f"steps: {steps}", file=sys.stderr)
"""


def wait_until(condition: Callable[[], bool], *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


@contextmanager
def adopting() -> Iterator[None]:
    """Whoever loses its parent in the block becomes a child of this process; at the end all must have ended."""
    kernel.prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
        wait_until(lambda: not has_children())
    finally:
        kernel.prctl(PR_SET_CHILD_SUBREAPER, 0)


def has_children() -> bool:
    """Whether children are left that run; those that have ended are collected."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def clone_store(tool: Any, target: Path, *, copy: bool = False, base: bool = True, pool: bool = False) -> Any:
    """*tool* with a store of its own at *target*: the tools root, the *base* of trixie, and their lists; with *pool*
    the .debs of the base. Layers are hard links unless *copy*."""
    shared = Store.open(tool.store)
    choice = choose(preset="debian-trixie-amd64", options=["archive.max_age=1h"])
    sources = find_sources(choice)
    layers = [core_tools(shared), make_base(shared, choice, sources, max_age=3600)]
    own = Store.open(target, idmap=shared.idmap)
    for layer in layers[: None if base else 1]:
        run(["cp", "-a" if copy else "-al", layer.path, own.path / "layers"])
        (own.path / "layers" / layer.id / "lock").unlink()  # no link: locks are by inode
        (own.path / "layers" / layer.id / "lock").touch()
    key = hash_value([[source.model_dump(mode="json") for source in sources], "amd64"])
    run(["cp", "-a", shared.path / "apt" / f"{key}-{layers[0].id[:8]}", own.path / "apt"])
    for note in (shared.path / "resolved").glob("tools-*"):
        shutil.copy(note, own.path / "resolved")
    for package in layers[1].packages if pool else ():
        own.pool_path(package.sha256).parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            (shutil.copy if copy else os.link)(shared.pool_path(package.sha256), own.pool_path(package.sha256))
    shared.release()
    return replace(tool, store=target)


@dataclass(frozen=True)
class Killed:
    status: int
    said: str


def run_killed(tool: Any, moment: str, *words: str | Path, log: Path) -> Killed:
    """Run deb-mock to the end that *moment* makes of it; whatever it had started has ended too. *log* gets stderr."""
    argv = (*tool.argv[:-1], MAIN)
    with adopting(), log.open("w+b") as stderr:
        process = replace(tool, argv=argv).start(*words, env={"TEST_MOMENT": moment}, stderr=stderr)
        process.wait(300)
        stderr.seek(0)
        said = stderr.read().decode()
    return Killed(process.returncode, said)


def check_clean(tool: Any) -> None:
    """After one gc nothing of a killed command is in the store, and nothing in it is locked."""
    for place in (tool.store / "tmp").iterdir():  # without a lock, not yet or no more: it goes once it is a minute old
        if place.name.startswith("new-") or not (place / "lock").exists():
            os.utime(place, (1, 1))
    done = tool.run("gc")
    assert done.status == 0, done.stderr.decode()
    assert sorted((tool.store / "tmp").glob("*/*")) == sorted((tool.store / "tmp").iterdir()) == []
    assert list((tool.store / "pool").glob("incoming-*")) == []
    listed = Store.open(tool.store).list()
    assert [entry.id for entry in listed if entry.in_use or entry.kind == "leftover"] == []


def make_deb(directory: Path, name: str, version: str, *, script: str = "", bulk: int = 0) -> Path:
    """A .deb with /usr/share/NAME/version; *script* is its postinst, *bulk* what it takes when installed, in bytes."""
    tree = directory / f"{name}-{version}-tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share" / name).mkdir(parents=True)
    (tree / "usr/share" / name / "version").write_text(version)
    (tree / "usr/share" / name / "payload").write_bytes(os.urandom(200_000))
    (tree / "usr/share" / name / "bulk").write_bytes(b"0" * bulk)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: A Tester <t@example.org>\n"
        "Description: made by a test\n"
    )
    if script:
        (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\n{script}\n")
        (tree / "DEBIAN/postinst").chmod(0o755)
    deb = directory / f"{name}_{version}_all.deb"
    run(["dpkg-deb", "--root-owner-group", "--build", tree, deb])
    return deb
