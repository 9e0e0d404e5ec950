"""How the client verbs find their hub, and how they print."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from debcore.cli import printable
from debcore.hub.client import Client, HubClient
from debcore.hub.credential import find_credential


def client_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """`--hub`, `--token-file`, `--ca` and `--json`; the verb gets `client` and `as_json`."""
    return options_of(HubClient)(verb)


def options_of(kind: type[Client]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`client_options` for a client of another *kind*."""
    return functools.partial(_with_client, kind)


def _with_client(kind: type[Client], verb: Callable[..., Any]) -> Callable[..., Any]:

    @click.option("--hub", metavar="URL", help="The hub (default: DEBOOTC_HUB, else the one `up` wrote down).")
    @click.option("--token-file", type=click.Path(path_type=Path), help="File with the token (DEBOOTC_TOKEN_FILE).")
    @click.option("--ca", type=click.Path(path_type=Path), help="PEM file of the authority that signed the hub's key.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @functools.wraps(verb)
    def call(*args: Any, hub: str | None, token_file: Path | None, ca: Path | None, **kwargs: Any) -> Any:
        with kind.of(find_credential(url=hub, token_file=token_file, ca=ca)) as client:
            return verb(*args, client=client, **kwargs)

    return call


def print_rows(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns; what others wrote cannot steer the terminal."""
    table = [[printable(str(cell)).replace("\n", " ") for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def age(at: datetime | None) -> str:
    """How long ago: `12 s`, `5 min`, `3 h`, `2 d`; "" for never."""
    if at is None:
        return ""
    seconds = int((datetime.now(UTC) - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"
