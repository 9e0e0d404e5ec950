"""deb-mock config."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from deb_mock.cli.options import as_json, selection
from deb_mock.config import Choice, choose
from deb_mock.settings import PLUGINS, SECTIONS, known_keys
from deb_mock.source import DirectorySource, find_source
from debcore.cli import print_json


@click.group()
def command() -> None:
    """Settings. Files, later ones winning: the preset, /etc/deb-mock/config.toml, ~/.config/deb-mock/config.toml, the
    `.deb-mock.toml` of a source directory; then the command line.
    """


@command.command()
@click.argument("section", required=False)
@selection
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@as_json
def show(
    *, section: str | None, preset: str | None, arch: str | None, settings: tuple[str, ...], origin: bool, as_json: bool
) -> None:
    """Show every setting, or those of one SECTION, as a build in this directory would see them.

    \b
    deb-mock config show --origin
    deb-mock config show -r sid archive
    """
    project = Path.cwd()
    distribution = None
    if (project / "debian" / "changelog").is_file():
        source = find_source(".")
        distribution = source.entry.distribution if isinstance(source, DirectorySource) else None
    choice = choose(preset=preset, arch=arch, distribution=distribution, project=project, options=settings)
    rows = [(key, value, choice.resolved.origins.get(key, "default")) for key, value in _values(choice)]
    rows = [row for row in rows if section in (None, row[0], row[0].partition(".")[0])]
    if as_json:
        print_json({key: {"value": value, "origin": where} for key, value, where in rows})
        return
    click.echo(f"# {choice.preset.name}: {choice.why}")
    for key, value, where in rows:
        click.echo(f"{key} = {json.dumps(value)}" + (f"  # {where}" if origin else ""))


def _values(choice: Choice) -> list[tuple[str, Any]]:
    dumped = choice.settings.model_dump(mode="json")
    found = []
    for key in known_keys():
        section, _, name = key.rpartition(".")
        if key not in ("inherits", "aliases"):
            found.append((key, dumped[section][name] if section in SECTIONS else dumped[name]))
    return [*(row for row in found if row[0] != PLUGINS), *_plugin_values(choice)]


def _plugin_values(choice: Choice) -> Iterator[tuple[str, Any]]:
    if not choice.settings.plugins:
        return
    from deb_mock.plugins.registry import load_plugins

    for plugin, model in load_plugins(choice.settings.plugins, choice.resolved.origins, disabled=True).items():
        yield from ((f"{PLUGINS}.{plugin}.{key}", value) for key, value in model.model_dump(mode="json").items())
