"""deb-bootc-compose gc"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.build import default_target
from deb_bootc_compose.compose import load_started
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.embedded import named_hub
from deb_bootc_compose.manifest.load import find_manifest, load_manifest
from deb_bootc_compose.manifest.model import Retention
from deb_bootc_compose.retention import Policy, find_candidates, judge, remove_compose, remove_leftovers
from deb_bootc_compose.telling import forget
from debcore.cli import print_json
from debcore.errors import Failure
from debroot.idmap import find_idmap


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), default=Path())
@click.option("--target", type=click.Path(path_type=Path), help="Where composes are kept (default: composes/ beside "
              "the manifest).")  # fmt: skip
@click.option("--keep", type=click.IntRange(0),
              help="Finished composes that stay of each release and type (default: the manifest's, or 5).")  # fmt: skip
@click.option("--failed", type=click.IntRange(0),
              help="Failed or killed ones that stay of each (default: the manifest's, or 1).")  # fmt: skip
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    manifest: Path, target: Path | None, keep: int | None, failed: int | None, dry_run: bool, as_json: bool
) -> None:
    """Remove old composes of MANIFEST. The newest stay; what runs, is labelled, or is the latest never goes.

    How many stay is what `publish: {retention: {keep: N, failed: M}}` of the manifest says, unless an option does.
    Composes share files by hard links: removing one never harms another. The store has a gc of its own (deb-mock gc).

    deb-bootc-compose gc --keep 3 --dry-run
    """
    where = target or default_target(manifest)
    policy = find_policy(manifest, keep=keep, failed=failed)
    ids = find_idmap()
    if not dry_run and where.is_dir():
        remove_leftovers(where, ids)
    verdicts = list(judge(find_candidates(where), policy))
    for verdict in verdicts:
        if verdict.goes and not dry_run:
            forget_at_hub(ComposeDirectory(verdict.candidate.path))
            remove_compose(verdict.candidate.path, ids)
    if as_json:
        print_json({
            "dry_run": dry_run,
            "composes": [{"id": v.candidate.id, "removed": v.goes, "why": v.why} for v in verdicts],
        })  # fmt: skip
        return
    word = "would go" if dry_run else "removed"
    for verdict in verdicts:
        click.echo(f"{verdict.candidate.id:<36} {word if verdict.goes else 'stays':<9} {verdict.why}")
    if not verdicts:
        click.echo(f"no composes in {where}", err=True)


def find_policy(manifest: Path, *, keep: int | None, failed: int | None) -> Policy:
    """What the options say, for the rest the manifest; without one, its defaults.

    Errors: ConfigError if the manifest is needed and cannot be read: nothing is removed by a policy that was not meant.
    """
    retention = Retention()
    if (keep is None or failed is None) and find_manifest(manifest).is_file():
        retention = load_manifest(manifest).compose.publish.retention
    return Policy(retention.keep if keep is None else keep, retention.failed if failed is None else failed)


def forget_at_hub(directory: ComposeDirectory) -> None:
    """The hub that it was told to keeps its packages no longer. One that was damaged names no hub."""
    try:
        options = load_started(directory).options
    except Failure:
        return
    if (url := options.hub) is not None:
        token = Path(options.token_file) if options.token_file else None
        forget(directory, lambda: named_hub(url, token_file=token))
