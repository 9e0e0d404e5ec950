"""deb-mock doctor."""

from __future__ import annotations

from dataclasses import asdict

import click

from deb_mock.cli.options import as_json
from debcore.cli import print_json


@click.command()
@as_json
def command(*, as_json: bool) -> int:
    """Check whether builds can work on this host, and print one line to paste for each thing that is missing.

    Exit status 6 if something that is needed is missing. Nothing is changed.

    \b
    deb-mock doctor
    """
    from debroot.probe import run_checks

    checks = run_checks()
    bad = [check for check in checks if check.required and not check.ok]
    if as_json:
        print_json({"ok": not bad, "checks": [asdict(check) for check in checks]})
        return 6 if bad else 0
    for check in checks:
        mark = "ok     " if check.ok else "missing" if check.required else "advice "
        click.echo(f"{mark}  {check.name}: {check.detail}")
        if not check.ok and check.fix:
            click.echo(f"         {check.fix}")
    click.echo(f"{len(bad)} thing(s) to fix" if bad else "This host can build.")
    return 6 if bad else 0
