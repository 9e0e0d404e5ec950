"""deb-mock job-api."""

from __future__ import annotations

from typing import get_args

import click

from deb_mock import tool_version
from deb_mock.jobs import Kind
from deb_mock.preset import host_arch, list_presets
from debcore.cli import print_json
from debcore.job.model import API


@click.command()
@click.option("--json", "_as_json", is_flag=True, help="Accepted for symmetry; the output is always JSON.")
def command(*, _as_json: bool) -> None:
    """Print, as JSON, the versions of the job directory that this tool speaks, its presets and architectures.

    Agents run it at start and offer the hub what it says. A job of kind K is run by `deb-mock K --job DIR`.

    \b
    deb-mock job-api
    """
    arch = host_arch()
    print_json(
        {
            "tool": "deb-mock",
            "version": tool_version(),
            "api": list(API),
            "kinds": list(get_args(Kind)),
            "presets": [name for name in list_presets() if name.endswith(f"-{arch}")],
            "arches": [arch],
        }
    )
