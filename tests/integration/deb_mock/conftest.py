"""deb-mock as a process, as root and as a made-up user, on real packages and on tiny ones made here."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from debcore.command import Completed, Process, run, spawn
from debcore.job import Event, JobDirectory, Result, read_events

REPOSITORY = Path(__file__).parents[3]
PRESET = "debian-trixie-amd64"
MAIN = "from deb_mock.cli import main; main()"
#: A user of nobody's: no account on this machine, so nothing of it can stay behind.
USER, UID, SUBID = "mockuser", 64321, 900000000


@dataclass(frozen=True)
class Tool:
    """deb-mock with a store of its own: `run` to the end, `start` and go on."""

    store: Path
    argv: tuple[str, ...] = (sys.executable, "-c", MAIN)
    env: Mapping[str, str] = field(default_factory=dict)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG") or k.startswith("DEBOOTC_MIRROR")}
        kept |= {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy") or k == "DEBOOTC_SECURITY_MIRROR"}
        return {**kept, "DEBOOTC_STORE": str(self.store), **self.env, **(extra or {})}

    def run(self, *words: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Completed:
        return run([*self.argv, *words], env=self.environment(env), cwd=cwd, check=False, timeout=900)

    def start(self, *words: str | Path, env: Mapping[str, str] | None = None, stderr: int | IO[bytes] = 2) -> Process:
        return spawn([*self.argv, *words], env=self.environment(env), stdout=2, stderr=stderr)

    def build(self, what: str | Path, resultdir: Path, *words: str, env: Mapping[str, str] | None = None) -> Built:
        """Build with the trixie preset and lists of this hour; the status is not checked."""
        fresh = ("--set", "archive.max_age=1h")
        done = self.run("build", "-r", PRESET, what, "--resultdir", resultdir, *fresh, *words, env=env)
        return Built(done.status, done.stderr.decode(), resultdir)


@dataclass(frozen=True)
class Built:
    """What a build left."""

    status: int
    said: str  #: standard error
    directory: Path

    @property
    def result(self) -> Result:
        found = JobDirectory(self.directory).find_result()
        assert found is not None, self.said
        return found

    @property
    def log(self) -> str:
        return (self.directory / "build.log").read_text(errors="replace")

    @property
    def events(self) -> list[Event]:
        return list(read_events(self.directory / "events.jsonl"))

    def event(self, type_: str) -> Event:
        return next(event for event in self.events if event.type == type_)

    def debs(self) -> dict[str, str]:
        """Name → sha256 of the .debs."""
        return {output.path: output.sha256 for output in self.result.outputs if output.kind == "deb"}


@pytest.fixture
def newest_kept(cache_dir: Path) -> Iterator[None]:
    """Only one test at a time keeps the root of a failed build: others ask for the newest of the shared store."""
    with (cache_dir / "newest-kept.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def tool(store_dir: Path) -> Tool:
    return Tool(store_dir)


@pytest.fixture(scope="session")
def sources(tool: Tool, cache_dir: Path) -> Callable[[str], Path]:
    """The .dsc of a package of trixie, fetched from the archive once."""

    def get(name: str) -> Path:
        directory = cache_dir / "sources" / name
        if not list(directory.glob("*.dsc")):
            done = tool.run("source", "-r", PRESET, name, "--resultdir", directory)
            assert done.status == 0, done.stderr.decode()
        return next(iter(sorted(directory.glob("*.dsc"))))

    return get


@pytest.fixture(scope="session")
def rootless(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """deb-mock as a user with subordinate ids and no other rights.

    The user exists only in a private mount namespace, where its account files lie over the machine's; the code is
    bound to a place that anybody may read, because a clone in /root is closed to others.
    """
    home = cache_dir / "rootless"
    for name in ("home", "store", "etc", "code", "site"):
        (home / name).mkdir(parents=True, exist_ok=True)
    for name in ("home", "store"):
        os.chown(home / name, UID, UID)
    write_once(
        home / "etc" / "passwd", Path("/etc/passwd").read_text() + f"{USER}:x:{UID}:{UID}::{home}/home:/bin/sh\n"
    )
    for name in ("subuid", "subgid"):
        write_once(home / "etc" / name, f"{USER}:{SUBID}:65536\n")
        if not Path("/etc", name).exists():  # something to lay ours over; an empty file means the same as none
            Path("/etc", name).touch()
    site = next(Path(entry) for entry in sys.path if (Path(entry) / "click").is_dir())
    binds = [f"mount --bind {home}/etc/{name} /etc/{name}" for name in ("passwd", "subuid", "subgid")]
    binds += [f"mount --bind {REPOSITORY}/src {home}/code", f"mount --bind {site} {home}/site"]
    script = f"""set -eu
mount --make-rprivate /
{chr(10).join(binds)}
cd {home}/home
exec setpriv --reuid={UID} --regid={UID} --clear-groups env HOME={home}/home "$@"
"""
    argv = ("unshare", "--mount", "sh", "-c", script, "sh", _python(), "-c", MAIN)
    return Tool(home / "store", argv, {"PYTHONPATH": f"{home}/code:{home}/site", "PATH": "/usr/bin:/bin"})


def write_once(path: Path, text: str) -> None:
    """Nobody who reads it meanwhile, in another group of tests, sees half of it."""
    if not path.is_file() or path.read_text() != text:
        fresh = path.with_name(f"{path.name}-{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(path)


def _python() -> str:
    """The interpreter below the virtual environment: everybody can execute it."""
    return str(Path(sys.executable).resolve())


@pytest.fixture(scope="session")
def builds(
    tool: Tool, rootless: Tool, sources: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Built]]:
    """builds(NAME, who): a real package, built once for each *who* in a test run."""
    done: dict[tuple[str, str], Built] = {}
    homes: list[Path] = []

    def get(name: str, who: str = "root") -> Built:
        if (name, who) not in done:
            dsc = sources(name)
            if who == "user":
                place = rootless.store.parent / "home" / f"{name}-{os.getpid()}"  # others may run meanwhile
                place.mkdir()
                homes.append(place)
                for path in dsc.parent.iterdir():
                    shutil.copy(path, place)
                for path in (place, *place.iterdir()):
                    os.chown(path, UID, UID)
                built = rootless.build(place / dsc.name, place / "result")
            else:
                built = tool.build(dsc, tmp_path_factory.mktemp(name) / "result")
            assert built.status == 0, built.said + built.log[-2000:]
            done[name, who] = built
        return done[name, who]

    yield get
    for place in homes:
        shutil.rmtree(place, ignore_errors=True)


def make_native(
    directory: Path,
    *,
    name: str = "tiny",
    build: str = "true",
    clean: str = "true",
    fields: Sequence[str] = (),
    suite: str = "trixie",
) -> Path:
    """A native source directory of one arch:all package; `build` and `clean` are shell commands of debian/rules.

    It needs nothing beyond build-essential, so that its builds take the base root as it is.
    """
    tree = directory / f"{name}-1.0"
    (tree / "debian" / "source").mkdir(parents=True)
    (tree / "debian" / "source" / "format").write_text("3.0 (native)\n")
    (tree / "debian" / "changelog").write_text(
        f"{name} (1.0) {suite}; urgency=medium\n\n  * First.\n\n"
        " -- A Tester <tester@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n"
    )
    extra = "".join(f"{line}\n" for line in fields)
    (tree / "debian" / "control").write_text(
        f"Source: {name}\nMaintainer: A Tester <tester@example.org>\nStandards-Version: 4.7.0\n"
        f"Rules-Requires-Root: no\n{extra}\n"
        f"Package: {name}\nArchitecture: all\nDescription: tiny\n made by a test\n"
    )
    (tree / "debian" / "rules").write_text(
        "#!/usr/bin/make -f\n"
        f"clean:\n\t{clean}\n\trm -rf debian/tmp debian/files\n"
        f"build build-arch build-indep:\n\t{build}\n"
        "binary-arch:\nbinary binary-indep: build\n"
        f"\tmkdir -p debian/tmp/DEBIAN debian/tmp/usr/share/{name}\n"
        f"\techo data > debian/tmp/usr/share/{name}/data\n"
        "\tdpkg-gencontrol\n\tdpkg-deb --root-owner-group --build debian/tmp ..\n"
    )
    (tree / "debian" / "rules").chmod(0o755)
    return tree


@pytest.fixture
def sbuild(tool: Tool, tmp_path: Path) -> Callable[..., Completed]:
    """sbuild(option…, cwd=…, env={…}): the program of that name on PATH, which is ours."""
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(REPOSITORY / "packaging" / "sbuild" / "sbuild", programs)
    (programs / "deb-mock").write_text(f'#!/bin/sh\nexec {tool.argv[0]} -c "{tool.argv[2]}" "$@"\n')
    (programs / "deb-mock").chmod(0o755)

    def call(*words: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> Completed:
        given = tool.environment({"PATH": f"{programs}:/usr/bin:/bin:/usr/sbin:/sbin", **(env or {})})
        return run([programs / "sbuild", *words], env=given, cwd=cwd, check=False, timeout=900)

    return call


@pytest.fixture
def native(tmp_path: Path) -> Callable[..., Path]:
    """make_native in this test's directory."""

    def make(**words: object) -> Path:
        return make_native(tmp_path, **words)  # type: ignore[arg-type]

    return make


def unique_sleep() -> str:
    """A command that outlives every test, and that only the caller's processes have in their command lines."""
    return f"sleep 1{secrets.randbelow(10**9):09}"


def processes() -> set[int]:
    """Ids of all processes."""
    return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}


def left_by(process_ids: set[int], word: str) -> list[str]:
    """Command lines with *word* of processes that were not there before."""
    found = []
    for pid in processes() - process_ids:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found
