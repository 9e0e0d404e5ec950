"""Options of the commands that start a machine for a person: `boot` and `dev`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.argument("words", metavar="[-- COMMAND...]", nargs=-1, type=click.UNPROCESSED),
    click.option("--ssh", is_flag=True, help="Open a shell by ssh, or run COMMAND, and end the machine with it."),
    click.option(
        "--credential",
        "credentials",
        multiple=True,
        metavar="NAME=VALUE|NAME=@FILE",
        help="A systemd credential for the guest, such as system.hostname or passwd.hashed-password.root.",
    ),
    click.option("--port", type=click.IntRange(1024, 65535), help="Port of 127.0.0.1 for ssh (default: a free one)."),
    click.option("--memory", type=click.IntRange(512), default=2048, show_default=True, help="MiB."),
)


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command's words, and --ssh, --credential, --port and --memory."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
