"""`suite archive`: the outside archive below a suite."""

from __future__ import annotations

from pathlib import Path

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.suite_client import SuiteClient
from debcore.hub.suites import Archive
from debcore.job import AptSource


@click.command("archive")
@click.argument("name")
@click.option("--release", metavar="CODENAME", help="Debian's, from this host's own apt sources.")
@click.option("--uri", "uris", multiple=True, metavar="URL", help="Or any other: its address; may be repeated.")
@click.option("--suite", "suites", multiple=True, metavar="SUITE", help="With --uri: as in sources.list(5).")
@click.option("--component", "components", multiple=True, default=("main",), show_default=True, help="With --uri.")
@click.option(
    "--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="With --uri: its key, armoured."
)
@click.option("--nothing", is_flag=True, help="None is known from now on, and builders decide.")
@options_of(SuiteClient)
def command(
    name: str, release: str | None, uris: tuple[str, ...], suites: tuple[str, ...], components: tuple[str, ...],
    key: Path | None, nothing: bool, client: SuiteClient, as_json: bool,
) -> None:  # fmt: skip
    """Say which outside archive the roots of builds that see NAME have; without options, show what is known.

    The hub then asks dose3 whether build dependencies can be met before it gives a build to a builder, and looks at the
    archive for builds that wait. Name the one that the target's preset uses.

    \b
    deb-orchestrator suite archive trixie-local --release trixie
    """
    if sum(map(bool, (release, uris, nothing))) > 1 or bool(uris) != bool(suites):
        raise click.UsageError("give --release, or --uri with --suite and --key, or --nothing")
    if release:
        from debroot.sources import find_host_sources

        found = client.set_archive(name, Archive(sources=find_host_sources(release)))
    elif uris:
        signed_by = key.read_text() if key else None
        source = AptSource(uris=uris, suites=suites, components=components, signed_by=signed_by)
        found = client.set_archive(name, Archive(sources=(source,)))
    else:
        found = client.set_archive(name, Archive()) if nothing else client.archive(name)
    if as_json:
        print_json(found)
        return
    rows = ((" ".join(one.uris), " ".join(one.suites), " ".join(one.components)) for one in found.sources)
    print_rows(("URI", "SUITES", "COMPONENTS"), rows)
