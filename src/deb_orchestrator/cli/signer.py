"""deb-orchestrator signer."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from deb_orchestrator.agent.enrolment import enrol, find_token
from deb_orchestrator.cli.process import lifetime_option, log_option
from deb_orchestrator.home import default_state
from deb_orchestrator.signer.log import verify_log as check_log
from deb_orchestrator.signer.loop import run_http_signer
from debcore.hub.client import JobClient
from debcore.hub.model import Enrol


@click.command()
@click.option("--hub", "url", metavar="URL", envvar="DEBOOTC_HUB", help="The hub whose jobs it takes.")
@click.option("--ca", type=click.Path(path_type=Path, exists=True), help="PEM file of the hub's authority.")
@click.option("--name", default="signer", show_default=True, help="Its name at the hub.")
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keys, policy, log and token."
)
@click.option("--verify-log", is_flag=True, help="Check the chain of the log, print its length and last hash, and end.")
@log_option
@lifetime_option
def command(url: str | None, ca: Path | None, name: str, state: Path | None, verify_log: bool) -> None:
    """Hold the keys and sign what the hub asks, as far as the policy allows. Nothing listens.

    It enrols by itself; an admin approves it once: deb-orchestrator agent approve NAME.
    """
    place = (state or default_state() / "signer").resolve()
    if verify_log:
        entries, head = check_log(place / "log.jsonl")
        click.echo(f"{entries} entries, the last is {head}")
        return
    if url is None:
        raise click.UsageError("give the hub with --hub URL (or DEBOOTC_HUB)")
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    stop = threading.Event()
    with JobClient(url, find_token(place), ca=ca) as client:
        enrol(client, Enrol(name=name, token=find_token(place), pool="sign"), stop)
        run_http_signer(place, client, stop)
