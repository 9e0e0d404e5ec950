"""deb-bootc-compose build"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.show import composing, print_forecast, print_summary
from deb_bootc_compose.compose import SCRIPT_TIMEOUT, Options, check_start, start_compose
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.manifest.load import find_manifest, load_manifest
from deb_bootc_compose.notify import Script, tell_failed_start
from deb_bootc_compose.tasks import KINDS
from debcore.errors import ConfigError, Failure

SKIPPABLE = ("lint", "replay", "boot", "update", "fallback", "bootc-install", "bootc-upgrade")


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), default=Path())
@click.option("--target", type=click.Path(path_type=Path), help="Where composes are kept (default: composes/ beside "
              "the manifest).")  # fmt: skip
@click.option("--locked", type=click.Path(path_type=Path), help="Use exactly the packages of this lock; anything else "
              "is an error.")  # fmt: skip
@click.option("--previous", metavar="DIR", help="The compose before, or the repository that machines update from: its "
              "commits are the parents, and updates are tested from it (default: the newest finished compose of the "
              "target). none: begin anew.")  # fmt: skip
@click.option("--hub", metavar="URL", help="The hub that builds packages (default: one of our own, started as needed).")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the token for --hub.")
@click.option("--farm", multiple=True, metavar="ARCH", help="Have the trees of ARCH made by the hub's builders.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest.")
@click.option("--skip", multiple=True, type=click.Choice(SKIPPABLE),
              help="Leave out a test; the compose is then FINISHED_INCOMPLETE.")  # fmt: skip
@click.option("--until", type=click.Choice(list(KINDS)), help="Stop after tasks of this kind (FINISHED_INCOMPLETE).")
@click.option("--only", multiple=True, type=click.Choice(list(KINDS)), help="Do just tasks of this kind and what they "
              "need (FINISHED_INCOMPLETE); may be given several times.")  # fmt: skip
@click.option("--from", "anew", type=click.Choice(list(KINDS)), help="Do tasks of this kind and those after it in any "
              "case: nothing of theirs is taken from earlier composes, and trees are finished anew.")  # fmt: skip
@click.option("-n", "--dry-run", is_flag=True, help="Only say which tasks would run, and why.")
@click.option("--notification-script", "scripts", multiple=True, type=click.Path(path_type=Path), help="Call this "
              "program at each change of status and phase, as Pungi does (see also `notifications`).")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 64), help="Tasks at the same time (default: the number of processors).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; progress is then JSON too, a line "
              "for each event on standard error.")  # fmt: skip
def command(
    manifest: Path, target: Path | None, locked: Path | None, previous: str | None, hub: str | None,
    token_file: Path | None, settings: tuple[str, ...], skip: tuple[str, ...], until: str | None,
    scripts: tuple[Path, ...], jobs: int | None, as_json: bool, farm: tuple[str, ...], only: tuple[str, ...],
    anew: str | None, dry_run: bool,
) -> None:  # fmt: skip
    """Compose MANIFEST: a directory with compose.yaml (default: the one you are in), or the file.

    Everything goes into a new directory composes/SHORT-VERSION-DATE.N: images and metadata in compose/, a log for
    each task in logs/, the exact packages in lock.json. If it is stopped, or fails, `resume` goes on from there.

    \b
    deb-bootc-compose build --dry-run              what would be done, and why
    deb-bootc-compose build --until lint           packages, tree and its lints
    deb-bootc-compose build --only boot --from boot   boot it once more
    """
    named = [Script(str(script.absolute()), SCRIPT_TIMEOUT) for script in scripts]
    options = Options(
        hub=hub, token_file=str(token_file.resolve()) if token_file else None, skip=skip, until=until,
        notification_scripts=tuple(script.path for script in named), previous=previous, farm=farm,
        only=only, anew=anew,
    )  # fmt: skip
    where = target or default_target(manifest)
    try:
        loaded = load_manifest(manifest, variables=parse_settings(settings))
        if dry_run:
            print_forecast(check_start(loaded, options, lock=locked), ComposeDirectory(where / "-"), as_json=as_json)
            return
        directory = start_compose(loaded, where, options, lock=locked)
    except Failure as failure:
        tell_failed_start(named, failure, config=find_manifest(manifest).absolute(), target=where)
        raise
    print_summary(composing(directory, jobs=jobs, as_json=as_json), as_json=as_json)


def default_target(manifest: Path) -> Path:
    return find_manifest(manifest).resolve().parent / "composes"


def parse_settings(settings: tuple[str, ...]) -> dict[str, str]:
    """Errors: ConfigError on one without `=`."""
    made = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise ConfigError("--set", f"{setting!r} is not NAME=VALUE")
        made[name] = value
    return made
