"""The interface of plugins, version 1: what a plugin may contribute to a build, and the hooks that it may implement.

A plugin is one file with one class `Plugin`, whose fields are its options. Most contribute values and run nothing:

    from collections.abc import Mapping
    from typing import ClassVar

    from deb_mock import plugin


    class Plugin(plugin.Plugin):
        api: ClassVar[int] = 1
        level: int = 3  # [plugins.NAME] level = 5

        def environment(self, build: plugin.Build) -> Mapping[str, str]:
            return {"MY_LEVEL": str(self.level)}

Those with side effects implement a hook and get the build as a value. See docs/howto/deb-mock-plugins.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from debcore.command import Completed
from debcore.errors import Failure
from debcore.job import Lock
from debroot.layers import Package

__all__ = ["API", "BUILD_HOOKS", "HOOKS", "ROOT_HOOKS", "Build", "Mount", "Package", "Plugin", "Root", "RootLayer"]

#: The version of this interface. It grows by optional things only; what breaks a plugin makes a new version.
API = 1
#: Hooks of builds, in their order. Names as Mock's.
BUILD_HOOKS = (
    "preinit", "postinit", "initfailed", "postdeps", "pre_srpm_build", "prebuild", "postbuild", "process_logs",
)  # fmt: skip
#: Hooks of the verbs that open a root for a person.
ROOT_HOOKS = (
    "preshell", "postshell", "prechroot", "postchroot",
    "make_snapshot", "list_snapshots", "remove_snapshot", "rollback_to",
)  # fmt: skip
HOOKS = (*BUILD_HOOKS, *ROOT_HOOKS)


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A file or directory of this host that the build sees, and may change unless `readonly`."""

    source: Path
    target: str  #: absolute, inside
    readonly: bool = True


@dataclass(frozen=True, kw_only=True)
class RootLayer:
    """One directory of the stack that a root is."""

    id: str
    packages: tuple[Package, ...]  #: that came, or changed, with this layer


@dataclass(frozen=True, kw_only=True)
class Build:
    """The build that a hook is called for."""

    source: str
    version: str
    preset: str
    suite: str
    arch: str
    directory: Path  #: where the results go
    failed: str = ""  #: what went wrong, in initfailed, postbuild and process_logs
    lock: Lock | None = None  #: every package of the root, from postdeps on
    layers: tuple[RootLayer, ...] = ()  #: of the root, bottom first, from postdeps on
    space: Inside | None = None  #: the root, in prebuild and postbuild
    keep: Callable[[str, bytes], None]  #: keep(NAME, CONTENT): one more file among the results
    cache: Callable[[str], Path]  #: cache(NAME): a directory that outlives the build and belongs to its user
    log: Callable[[str], None]  #: one line for the build log

    def run(self, argv: Sequence[str], *, root: bool = False) -> Completed:
        """Run *argv* in the root, without a network, and return what it printed; the build directory is its cwd.

        Errors: CommandFailed; Failure in a hook that comes before or after the root.
        """
        if self.space is None:
            raise Failure("there is no root to run a command in now", hint="use the hooks prebuild and postbuild")
        return self.space(argv, root)


@dataclass(frozen=True, kw_only=True)
class Root:
    """The root that a person works in: a named one, or a throw-away one."""

    name: str  #: "" for a throw-away root
    preset: str
    suite: str
    arch: str
    status: int | None = None  #: how the shell or command ended, in postshell and postchroot
    label: str = ""  #: of the snapshot, in make_snapshot, remove_snapshot and rollback_to
    labels: tuple[str, ...] = ()  #: of all snapshots, oldest first, when the verb is done
    space: Inside | None = None  #: the root, around shells and commands

    def run(self, argv: Sequence[str], *, root: bool = False) -> Completed:
        """As Build.run; in preshell and prechroot what it changes is there for the person."""
        if self.space is None:
            raise Failure("there is no root to run a command in now", hint="use the hooks preshell and postshell")
        return self.space(argv, root)


#: Runs a command in the root, as root if the second argument says so.
Inside = Callable[[Sequence[str], bool], Completed]


class Plugin(BaseModel):
    """What every plugin derives from. The fields of a subclass are its options in `[plugins.NAME]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: ClassVar[int]  #: the version of this interface that the plugin was written for
    enabled: bool = True

    def packages(self) -> Sequence[str]:
        """Packages to be installed in the root beside the build dependencies."""
        return ()

    def mounts(self, build: Build) -> Sequence[Mount]:
        """What of this host is seen inside."""
        return ()

    def environment(self, build: Build) -> Mapping[str, str]:
        """Variables of the build's environment; `PATH` is prepended to it."""
        return {}

    def influences(self) -> Sequence[str]:
        """What decides the result beside source and root, in words. Anything makes it `not reproducible`."""
        return ()

    def settings(self) -> Mapping[str, object]:
        """Values of settings by dotted key, such as `root.tmpfs`; what the command line says wins."""
        return {}

    def checks(self) -> Sequence[str]:
        """Checks of what was built, as `deb-mock check --list` names them; the policy judges."""
        return ()

    def signs(self) -> bool:
        """Whether results are signed, as with --sign."""
        return False

    def compression(self) -> str:
        """How the logs of a build are compressed when it has ended: "", "gz", "xz" or "zst"."""
        return ""

    def preinit(self, build: Build) -> None:
        """The source is known; no root yet."""

    def postinit(self, build: Build) -> None:
        """The base root exists."""

    def initfailed(self, build: Build) -> None:
        """The root could not be made, or the dependencies cannot be met: see `failed`."""

    def postdeps(self, build: Build) -> None:
        """The build dependencies are installed: see `lock`."""

    def pre_srpm_build(self, build: Build) -> None:
        """A source directory or commit lies in a root of its own, to be cleaned and packed there."""

    def prebuild(self, build: Build) -> None:
        """The source is unpacked in the root."""

    def postbuild(self, build: Build) -> None:
        """The package's own steps have ended, well or not (see `failed`); the root still stands."""

    def process_logs(self, build: Build) -> None:
        """The build log is complete."""

    def preshell(self, root: Root) -> None:
        """A person's shell is about to begin."""

    def postshell(self, root: Root) -> None:
        """The shell has ended: see `status`."""

    def prechroot(self, root: Root) -> None:
        """A person's command (`deb-mock run`) is about to begin."""

    def postchroot(self, root: Root) -> None:
        """The command has ended: see `status`."""

    def make_snapshot(self, root: Root) -> None:
        """A snapshot was made: see `label`."""

    def list_snapshots(self, root: Root) -> None:
        """Snapshots are listed: see `labels`."""

    def remove_snapshot(self, root: Root) -> None:
        """A snapshot was removed: see `label`."""

    def rollback_to(self, root: Root) -> None:
        """The root is again what it was at `label`."""
