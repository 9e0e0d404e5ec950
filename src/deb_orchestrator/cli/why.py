"""`why`: why a build is in the state it is in, and what became of an upload."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of
from debcore.cli import print_json, printable
from debcore.errors import Failure
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import Upload
from debcore.hub.model import Reason


@click.command()
@click.argument("what", metavar="BUILD|FILE.changes")
@options_of(DoorClient)
def command(what: str, client: DoorClient, as_json: bool) -> None:
    """Say why BUILD is not running, failed, or is or is not in its suite; or why the upload FILE.changes was rejected.

    \b
    deb-orchestrator why 12
    deb-orchestrator why hello_1.0_source.changes
    """
    reasons = explain_upload(client, what) if what.endswith(".changes") else client.why(find_number(what))
    if as_json:
        print_json(reasons)
        return
    for reason in reasons:
        click.echo(printable(f"{reason.subject}: {reason.fact}"))
        if reason.next:
            click.echo(printable(f"  [{reason.next}]"))


def find_number(word: str) -> int:
    """Errors: UsageError."""
    if not word.isascii() or not word.isdigit():
        raise click.UsageError(f"{word!r} is neither a build's number nor the name of a .changes file")
    return int(word)


def explain_upload(client: DoorClient, name: str) -> list[Reason]:
    """The newest upload of that name, and its builds if it was accepted. Errors: Failure if nothing came."""
    found = client.uploads(name=name.rpartition("/")[2], limit=1)
    if not found:
        raise Failure(f"no upload {name} has come", hint="list them with: deb-orchestrator list-uploads")
    reasons = [_tell(found[0])]
    if found[0].request is not None:
        for build in client.request(found[0].request).builds:
            reasons += client.why(build)
    return reasons


def _tell(upload: Upload) -> Reason:
    subject = f"upload {upload.id} {upload.name}"
    if upload.request is None:
        return Reason(subject=subject, fact=f"rejected: {upload.reason}", next="put it right and upload it again")
    return Reason(
        subject=subject, fact=f"accepted from {upload.uploader} for {upload.target}: request {upload.request[:12]}"
    )
