"""deb-mock's command line. Each verb is one module of this package with a click command named `command`."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from debcore.cli import LazyGroup, dispatch

log = logging.getLogger(__name__)

VERBS = {
    "build": ("deb_mock.cli.build", "build a source package in a clean root"),
    "chain": ("deb_mock.cli.chain", "build several sources in the order of their dependencies"),
    "resume": ("deb_mock.cli.resume", "go on with a chain or a build that was stopped or failed"),
    "check": ("deb_mock.cli.check", "run lintian, piuparts, autopkgtest and more on built packages"),
    "init": ("deb_mock.cli.init", "make a root ready, so that the first build is fast"),
    "shell": ("deb_mock.cli.shell", "look around in a throw-away root"),
    "run": ("deb_mock.cli.run", "run a command in a throw-away root"),
    "sbuild": ("deb_mock.cli.sbuild", "build as sbuild does, for what calls it by name"),
    "source": ("deb_mock.cli.source", "make or fetch a source package"),
    "rebuild": ("deb_mock.cli.rebuild", "build again from a .buildinfo, and compare bit for bit"),
    "lock": ("deb_mock.cli.lock", "say exactly which packages a build would see"),
    "list": ("deb_mock.cli.list", "show presets and the roots that exist"),
    "install": ("deb_mock.cli.install", "install packages in a named root, which is kept"),
    "remove": ("deb_mock.cli.remove", "remove packages from a named root"),
    "update": ("deb_mock.cli.update", "bring a named root to the archive's present state"),
    "apt": ("deb_mock.cli.apt", "any other word for apt, in a named root"),
    "copyin": ("deb_mock.cli.copyin", "copy files into a named root"),
    "copyout": ("deb_mock.cli.copyout", "copy files out of a named root"),
    "snapshot": ("deb_mock.cli.snapshot", "remember a named root as it is"),
    "rollback": ("deb_mock.cli.rollback", "make a named root what it was"),
    "clean": ("deb_mock.cli.clean", "remove named roots, and what killed builds left"),
    "gc": ("deb_mock.cli.gc", "make the store smaller, never touching what is in use"),
    "scrub": ("deb_mock.cli.scrub", "remove everything of one kind from the store"),
    "config": ("deb_mock.cli.config", "show the settings and where each comes from"),
    "completion": ("deb_mock.cli.completion", "print what a shell needs to complete words with Tab"),
    "doctor": ("deb_mock.cli.doctor", "say what this host lacks, with the line to paste"),
    "job-api": ("deb_mock.cli.job_api", "print what an agent must know about this tool"),
}


class Front(LazyGroup):
    """Mock's verbs with dashes, and something to build in the place of a verb, mean what they mean in our words."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        words = [*(sys.argv[1:] if args is None else args)]  # `list` is a verb's module here
        status: Any = None
        for line in self.understand(words):
            if line != words:
                log.info("In deb-mock's words: deb-mock %s", shlex.join(line))
            if status := super().main(line, *rest, **more):
                break
        return status

    def understand(self, words: list[str]) -> list[list[str]]:
        """The command lines to be run one after the other. Errors: UsageError."""
        if not words or words[0] in self.verbs or words[0] in ("-h", "--help", "--version"):
            return [words]
        from deb_mock.mock.translate import is_foreign, translate

        return [[*line] for line in translate(words, self.list_options)] if is_foreign(words[0]) else [words]

    def list_options(self, verb: str) -> Mapping[str, bool]:
        """The options of *verb*: name → whether a value follows."""
        command: click.Command | None = self
        context = click.Context(self)
        for word in verb.split():
            if isinstance(command, click.Group):
                command = command.get_command(context, word)
        found = {"--help": False, "-h": False}
        for parameter in command.params if command else ():
            if isinstance(parameter, click.Option):
                takes = not (parameter.is_flag or parameter.count)
                found |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), takes)
        return found


@click.group(cls=Front, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deb-bootc-ecosystem", message="deb-mock %(version)s")
def group() -> None:
    """Build Debian source packages in clean, isolated roots; no root privileges needed.

    \b
    deb-mock build                      the source directory you are in
    deb-mock build hello_2.10-3.dsc     a source package
    deb-mock build hostname             a package of the archive
    deb-mock shell -r debian-trixie     a shell in a clean root

    deb-mock hello_2.10-3.dsc           the verb may be left out before a path
    deb-mock --rebuild, --shell …       Mock's verbs: docs/howto/from-mock.md

    The first build makes a base root and a layer with the build's dependencies; later ones mount both and install
    nothing. The network is never reachable from inside. If something does not work: deb-mock doctor.

    Exit statuses: 0 built, 2 usage, 3 configuration or input, 4 the package failed, 5 dependencies cannot be met,
    6 this host failed, 7 a limit was hit.
    """


def main() -> NoReturn:
    dispatch(group, prog="deb-mock")
