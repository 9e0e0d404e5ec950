"""Where checks work: throw-away overlays of the target's own base, with their programs in a layer of it.

Nothing runs on the host. Whoever needs apt gets the `apt-only` network, and what it was refused stands in the log.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from deb_mock.buildlog import BuildLog
from deb_mock.checks.model import NotRun
from deb_mock.checks.subject import Subject
from deb_mock.config import Choice
from deb_mock.roots import JUST_CHECKED, wish_memory
from deb_mock.step import run_logged
from deb_mock.transfer import write_bytes_tar, write_files_tar
from deb_mock.workspace import Workspace, open_workspace
from debcore.errors import CommandFailed, DepsUnmet
from debcore.job import AptSource, Limits
from debroot.aptonly import AptOnly, open_archive
from debroot.resolve import fetch, resolve
from debroot.sandbox import Bind, run_in
from debroot.store import Layer, Package, Store

#: Bytes of a program's output that are read for findings.
MAX_OUTPUT = 32 * 1024 * 1024
#: For dpkg, apt and maintainer scripts.
UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NONINTERACTIVE_SEEN": "true", "HOME": "/root"}
#: Where the layers of a testbed are shown to the programs that make one themselves.
LOWER = "/lower"


@dataclass(frozen=True)
class Ran:
    """How a program ended, and what it printed."""

    status: int
    text: str


@dataclass(frozen=True)
class Site:
    """What all checks of one run share."""

    store: Store
    choice: Choice
    sources: tuple[AptSource, ...]
    base: Layer
    subject: Subject
    limits: Limits
    remaining: Callable[[], float | None] = lambda: None  #: seconds that are left for all; LimitHit if none are
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)  #: check → more options for its program


class Bed:
    """The place of one check: its log, and overlays to work in."""

    def __init__(self, site: Site, log: BuildLog, stack: ExitStack) -> None:
        self.site = site
        self.subject = site.subject
        self.log = log
        self._stack = stack

    @property
    def max_age(self) -> float:
        return max(JUST_CHECKED, self.site.choice.settings.archive.max_age or 0)

    def options(self, check: str) -> Sequence[str]:
        """What else the user wants the program of *check* to be told."""
        return self.site.options.get(check, ())

    def tools(self, packages: Sequence[str]) -> Layer:
        """The base with *packages* of the target's own suite. Errors: NotRun if it does not have them."""
        site = self.site
        try:
            resolution = resolve(
                site.store, sources=site.sources, arch=site.choice.arch, base=site.base, install=packages,
                max_age=self.max_age,
            )  # fmt: skip
            return site.store.extend(site.base, resolution)
        except (DepsUnmet, CommandFailed) as error:
            raise NotRun(f"{' '.join(packages)} cannot be installed: {error}") from error

    @cached_property
    def archive(self) -> AptOnly:
        """The target's suites and the packages that are checked."""
        site = self.site
        new = [site.store.add_deb(deb) for deb in self.subject.control]
        opened = open_archive(
            site.store, sources=site.sources, arch=site.choice.arch, packages=new, max_age=self.max_age
        )  # fmt: skip
        return self._stack.enter_context(opened)

    @cached_property
    def ready(self) -> Layer:
        """The base as a testbed: apt knows the suites and the new packages."""
        site = self.site
        place = self._stack.enter_context(site.store.workplace("root", "work"))
        base = site.base
        layer = Layer("testbed", place, (*base.parents, base), base.packages, base.arch, base.suite)
        space = Workspace(site.store, base, place / "root", place / "root", Limits(), hardened=False)
        box = replace(space.sandbox(root=True, cwd="/"), binds=(), door=self.archive.door, suppress_sync=True)
        script = "tar -C / --no-same-owner -x && apt-get -q update"
        content = io.BytesIO()
        write_bytes_tar(self.archive.files(), content)
        try:
            run_in(box, ["sh", "-c", script], idmap=site.store.idmap, stdin=content.getvalue(), capture=True)
        except CommandFailed as error:
            raise NotRun(f"apt cannot read the archive inside the testbed: {error}") from error
        return layer

    def settle(self, files: Mapping[str, Path], argv: Sequence[str]) -> tuple[Layer, Ran]:
        """Run *argv* as root in the testbed, with *files* and apt-only; what it leaves is a testbed too."""
        store, below = self.site.store, self.ready
        place = self._stack.enter_context(store.workplace("root", "work"))
        with open_workspace(store, below, limits=self.site.limits, upper=place / "root") as space:
            self.put(space, files)
            ran = self.run(space, argv, root=True, apt=True)
        return replace(below, path=place, parents=(*below.parents, below)), ran

    def published(self) -> dict[str, Package]:
        """What the archive has of the packages that are checked: name → its newest version."""
        found = {}
        for name in sorted({fields["package"] for fields in self.subject.control.values()}):
            if (package := self.archive.find_newest(name)) is not None:
                found[name] = package
        return found

    def fetch(self, packages: Sequence[Package]) -> dict[str, Path]:
        """File name → the .deb of the archive. Errors: Failure."""
        fetch(self.site.store, packages)
        return {Path(p.filename).name: self.site.store.pool_path(p.sha256) for p in packages}

    @contextmanager
    def open(self, layer: Layer, files: Mapping[str, Path]) -> Iterator[Workspace]:
        """A workspace on *layer* with *files* (name → path here) in its build directory."""
        memory = wish_memory(self.site.choice)
        with open_workspace(self.site.store, layer, limits=self.site.limits, memory=memory) as space:
            self.put(space, files)
            yield space

    def put(self, space: Workspace, files: Mapping[str, Path]) -> None:
        space.put(lambda stream: write_files_tar(files, stream))

    def version_of(self, layer: Layer, name: str) -> str:
        """`NAME VERSION` of the package *name* in *layer*, for the report."""
        return next((f"{p.name} {p.version}" for p in layer.packages if p.name == name), name)

    def run(
        self,
        space: Workspace,
        argv: Sequence[str],
        *,
        root: bool = False,
        apt: bool = False,
        lowers: Layer | None = None,
    ) -> Ran:
        """Run *argv* as the build user or *root*; with *apt* on the apt-only network. *lowers* are shown at /lower/N.

        Errors: LimitHit.
        """
        shown = lowers.lowers() if lowers else ()
        binds = [Bind(source=path, target=f"{LOWER}/{n}") for n, path in enumerate(shown)]
        box = space.sandbox(root=root, env=UNATTENDED if root else None, binds=binds, limited=True)
        if apt:
            box = replace(box, door=self.archive.door, suppress_sync=True)
        start, refused = self.log.size, len(self.archive.refused) if apt else 0
        site = self.site
        ran = run_logged(
            box, argv, self.log, idmap=site.store.idmap, silence=site.limits.silence_s, timeout=site.remaining()
        )  # fmt: skip
        for request in self.archive.refused[refused:] if apt else ():
            self.log.line(f"apt-only: refused {request}")
        with self.log.path.open("rb") as file:
            file.seek(start)
            return Ran(ran.status, file.read(MAX_OUTPUT).decode("utf-8", "replace"))


def has_memory(room: int, limits: Limits) -> bool:
    """Whether *room* bytes of a file system in memory may be used: it counts towards a memory limit."""
    if limits.memory is not None and limits.memory < 2 * room:
        return False
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024 > 2 * room
    return False
