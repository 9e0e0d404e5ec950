"""One throw-away root with a build user in it: the layer below, changes in an upper directory, /build beside it."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deb_mock.surroundings import STANDARD, Surroundings
from deb_mock.transfer import feeding, read_files_tar
from debcore.command import Completed
from debcore.errors import CommandFailed
from debcore.job import Limits
from debroot.emulate import NATIVE, Emulation, find_emulation
from debroot.memory import Decision, Memory, choose_memory
from debroot.sandbox import Bind, Sandbox, run_in, start_in
from debroot.store import Layer, Store

NO_MEMORY = Memory()
ON_DISK = Decision(in_memory=False)


@dataclass(frozen=True)
class Workspace:
    """A root that stands for the time of a `with` block. Commands run in it one after the other."""

    store: Store
    layer: Layer
    upper: Path
    build: Path  #: what is /build inside; owned by root inside
    limits: Limits
    hardened: bool
    surroundings: Surroundings = STANDARD
    emulation: Emulation = NATIVE
    binds: tuple[Bind, ...] = ()  #: seen by every command
    placed: Decision = ON_DISK  #: where the changes lie

    def sandbox(
        self,
        *,
        root: bool = False,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        binds: Sequence[Bind] = (),
        limited: bool = False,
    ) -> Sandbox:
        """The sandbox of one command: as the build user unless *root*; with the job's limits if *limited*.

        *cwd*: the build directory if not given.
        """
        place = self.surroundings
        return Sandbox(
            lowers=self.layer.lowers(),
            upper=self.upper,
            binds=(Bind(source=self.build, target=place.mount, readonly=False), *self.binds, *binds),
            hostname=place.hostname,
            domain=place.domain,
            user=(0, 0) if root else (place.uid, place.gid),
            cwd=cwd or place.directory,
            env=place.environment(env),
            limits=self.limits if limited else Limits(),
            hardened=self.hardened and not root,
            emulation=self.emulation,
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        root: bool = False,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run *argv* and return what it printed. Errors: CommandFailed if *check*."""
        line = ["sh", "-c", 'umask 022; exec "$@"', "sh", *argv]
        sandbox = self.sandbox(root=root, cwd=cwd, env=env)
        return run_in(sandbox, line, idmap=self.store.idmap, check=check, capture=True)

    def put(self, write: Callable[[IO[bytes]], None]) -> None:
        """Unpack the tar stream that *write* makes into the build directory, owned by the build user."""
        argv = ["tar", "--extract", "--no-same-owner", "--file=-"]
        with feeding(write) as stdin:
            run_in(self.sandbox(), argv, idmap=self.store.idmap, stdin=stdin, capture=True)

    def get(self, names: Sequence[str], target: Path) -> list[str]:
        """Copy *names* of the build directory into *target* here; returns those that came."""
        argv = ["tar", "--create", "--hard-dereference", "--file=-", "--", *names]
        return copy_out(self.outside(), argv, target, self.store)

    def outside(self) -> Sandbox:
        """The layer without what the build did to it, and the build directory to be read: root runs the layer's own
        programs there, which a build that replaced some in its root does not reach."""
        return Sandbox(
            lowers=self.layer.lowers(),
            binds=(Bind(source=self.build, target=self.surroundings.mount),),
            cwd=self.surroundings.directory,
            env=STANDARD.environment(),
            hardened=self.hardened,
            emulation=self.emulation,
        )


def copy_out(sandbox: Sandbox, argv: Sequence[str], target: Path, store: Store) -> list[str]:
    """Run *argv*, which prints a tar stream, and write its plain files into *target*."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with os.fdopen(reading, "rb") as stream:
        try:
            running = start_in(sandbox, argv, idmap=store.idmap, stdout=writing)
        finally:
            os.close(writing)
        with running:
            try:
                names = read_files_tar(stream, target)
            except tarfile.ReadError:  # the command ended before it wrote anything whole: its status says more
                names = []
            status = running.wait()
    if status != 0:
        raise CommandFailed(argv, status, "results could not be copied out of the root")
    return names


@contextmanager
def open_workspace(
    store: Store,
    layer: Layer,
    *,
    limits: Limits | None = None,
    hardened: bool = False,
    surroundings: Surroundings = STANDARD,
    upper: Path | None = None,
    binds: Sequence[Bind] = (),
    memory: Memory = NO_MEMORY,
) -> Iterator[Workspace]:
    """A fresh workspace on *layer*; all of it is gone at exit, whatever happened, but for what lies in *upper*.

    *memory*: what is wished; `placed` of the workspace says what was done.
    """
    limits = limits or Limits()
    placed = choose_memory(store, memory, limit=limits.memory)
    if placed.in_memory and memory.most is not None:
        limits = limits.model_copy(update={"disk": min(memory.most, limits.disk or memory.most)})
    with ExitStack() as stack:
        emulation = find_emulation(store, layer.arch)
        stack.enter_context(store.using(layer))
        upper = upper or stack.enter_context(store.throwaway(memory=placed.in_memory))
        build = stack.enter_context(store.throwaway(memory=placed.in_memory != surroundings.other_storage))
        space = Workspace(
            store, layer, upper, build, limits, hardened, surroundings, emulation, tuple(binds), placed
        )  # fmt: skip
        space.run(["sh", "-c", surroundings.set_up()], root=True, cwd="/")
        yield space
