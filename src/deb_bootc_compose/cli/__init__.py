"""deb-bootc-compose's command line. Each verb is one module of this package with a click command named `command`."""

from __future__ import annotations

import os
from typing import NoReturn

import click

from debcore.cli import LazyGroup, dispatch

VERBS = {
    "init": ("deb_bootc_compose.cli.init", "write a manifest to start from"),
    "build": ("deb_bootc_compose.cli.build", "compose: packages, tree, OSTree commit, OCI image, disks, tests"),
    "lock": ("deb_bootc_compose.cli.lock", "say exactly which packages a compose would be made of"),
    "lint": ("deb_bootc_compose.cli.lint", "check a tree against bootc's rules and Debian's traps"),
    "boot": ("deb_bootc_compose.cli.boot", "boot a composed image in QEMU"),
    "dev": ("deb_bootc_compose.cli.dev", "try out packages and files over an image, without composing"),
    "diff": ("deb_bootc_compose.cli.diff", "show what changed between two composes or locks"),
    "report": ("deb_bootc_compose.cli.report", "write what a compose made, and how long it took, as an HTML file"),
    "verify": ("deb_bootc_compose.cli.verify", "compose a compose again from nothing, and compare the bytes"),
    "why": ("deb_bootc_compose.cli.why", "say why a package is in an image"),
    "why-size": ("deb_bootc_compose.cli.why_size", "say what makes an image large"),
    "status": ("deb_bootc_compose.cli.status", "show the composes, or the tasks of one"),
    "publish": ("deb_bootc_compose.cli.publish", "put a finished compose where machines update from"),
    "gc": ("deb_bootc_compose.cli.gc", "remove old composes"),
    "resume": ("deb_bootc_compose.cli.resume", "go on where a compose was stopped"),
    "config": ("deb_bootc_compose.cli.config", "show the manifest as it is understood, and where each value stands"),
    "explain": ("deb_bootc_compose.cli.explain", "say what a key of the manifest is, and which file and line gave it"),
    "task": ("deb_bootc_compose.cli.task", "run one task of a compose (for the tool itself)"),
}


@click.group(cls=LazyGroup, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deb-bootc-ecosystem", message="deb-bootc-compose %(version)s")
def group() -> None:
    """Turn a manifest into bootable Debian images that update as a whole.

    \b
    deb-bootc-compose init server       a manifest to start from
    deb-bootc-compose build server      compose it; Ctrl-C is safe
    deb-bootc-compose boot server       a console on the newest compose
    deb-bootc-compose resume COMPOSE    go on where one was stopped

    Packages of the manifest's `builds:` are built by a hub: one of your own (--hub URL), or one that this tool starts
    and ends by itself. A finished compose is never changed.

    Exit statuses: 0 done, 2 usage, 3 configuration or input, 4 a package failed to build, 5 dependencies cannot be
    met, 6 this host failed, 7 a limit was hit (such as a full disk).
    """


def main() -> NoReturn:
    # What a compose makes is read by mapped ids and served to others; secrets have modes of their own.
    os.umask(0o022)
    dispatch(group, prog="deb-bootc-compose")
