"""deb-orchestrator up."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from deb_orchestrator.cli.process import ending_option, ready_option, wait_for_end
from deb_orchestrator.lifetime import tell_ready
from deb_orchestrator.up import SUITE, running


@click.command()
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Where all is kept, the credential too (default: the user's own state directory).",
)  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Default: any free one.")
@click.option("--slots", type=click.IntRange(1, 64), default=1, metavar="N", help="Builds at once; default 1.")
@ready_option
@ending_option
def command(state: Path | None, port: int, slots: int, ready_fd: int | None, ended: threading.Event) -> None:
    """Start hub, web pages, signer and one builder on this host. Ctrl-C stops all of them.

    A target is ready: packages built for trixie-local use Debian 13 and what the suite holds already.
    """
    with running(state, port=port, slots=slots) as (up, look_after):
        click.echo(f"hub      {up.url}")
        click.echo(f"sign in  {up.login_url}   (once, within 15 minutes)")
        click.echo(f"state    {up.state}")
        click.echo(f"next     in another terminal: deb-orchestrator build FILE.dsc --target {SUITE}")
        click.echo("Ctrl-C stops it; what was built stays.")
        tell_ready(ready_fd, {"url": up.url, "token_file": str(up.token_file), "state": str(up.state)})
        wait_for_end(look_after, ended)
