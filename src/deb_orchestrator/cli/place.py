"""Where a hub's state is, for verbs that work on it without the hub: --state, --database, --blobs, --artifacts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from deb_orchestrator.artifacts import open_objects
from deb_orchestrator.home import default_state
from debcore.blobs import BlobStore

DIRECTORY = click.Path(path_type=Path, file_okay=False)


@dataclass(frozen=True, kw_only=True)
class Place:
    """*database*: a file, or a URL."""

    database: str | Path
    blobs: BlobStore


def place_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """As those of `hub`; the verb gets `place`."""

    @click.option("--state", type=DIRECTORY, metavar="DIR", help="As given to `up` or `hub`.")
    @click.option("--database", metavar="URL", envvar="DEBOOTC_DATABASE", help="As given to `hub`.")
    @click.option("--blobs", type=DIRECTORY, metavar="DIR", help="As given to `hub`.")
    @click.option("--artifacts", metavar="s3://BUCKET/PREFIX", envvar="DEBOOTC_ARTIFACTS", help="As given to `hub`.")
    @click.option("--s3-endpoint", metavar="URL", envvar="AWS_ENDPOINT_URL_S3", help="As given to `hub`.")
    @functools.wraps(verb)
    def call(
        *args: Any, state: Path | None, database: str | None, blobs: Path | None, artifacts: str | None,
        s3_endpoint: str | None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        home = (state or default_state()).resolve()
        store = BlobStore(blobs or home / "blobs", open_objects(artifacts, s3_endpoint))
        return verb(*args, place=Place(database=database or home / "hub.sqlite", blobs=store), **kwargs)

    return call
