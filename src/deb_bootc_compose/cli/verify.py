"""deb-bootc-compose verify"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.build import default_target
from deb_bootc_compose.cli.show import composing
from deb_bootc_compose.directory import find_compose
from deb_bootc_compose.verifying import verify
from debcore.cli import print_json
from debcore.errors import BuildFailed


@click.command()
@click.argument("compose")
@click.option("--target", type=click.Path(path_type=Path), help="Where composes are kept (default: composes/ beside "
              "the manifest in this directory).")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), help="Tasks at the same time (default: as many as processors).")
@click.option("--keep", is_flag=True, help="Keep what was composed, in a hidden directory beside the compose.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(compose: str, target: Path | None, jobs: int | None, keep: bool, as_json: bool) -> None:
    """Compose COMPOSE (a directory or an id) again by its own lock, from an empty store, and compare the bytes.

    Compared are OSTree commits, container images and raw disks. Of the compose only its manifest, files and lock are
    taken, and .debs of the lock from the pool; no machine is started, nothing is published. It needs the time and the
    room of a first compose. Exit status 4: something differs.

    deb-bootc-compose verify composes/latest-server-13
    """
    directory = find_compose(compose, [target or default_target(Path())])
    rows = verify(directory, compose=lambda again: composing(again, jobs=jobs, as_json=as_json, kept=False), keep=keep)
    if as_json:
        print_json({
            "id": directory.id, "equal": all(row.equal for row in rows),
            "outputs": [
                {"variant": row.variant, "what": row.what, "before": row.before, "after": row.after, "equal": row.equal}
                for row in rows
            ],
        })  # fmt: skip
    else:
        for row in rows:
            after = "equal" if row.equal else f"differs: {row.after}"
            click.echo(f"{row.variant:<24} {row.what:<10} {row.before}  {after}")
    if differing := [f"{row.what} of {row.variant}" for row in rows if not row.equal]:
        hint = "another version of this tool makes other bytes; else look at both with: verify --keep, and diffoscope"
        raise BuildFailed(f"{directory.id}: not the same: {', '.join(differing)}", hint=hint)
