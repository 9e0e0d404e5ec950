"""What Tab offers for the values of options; called by the shell's completion only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:  # costs a plain `deb-mock run` time
    from click.shell_completion import CompletionItem


def complete_presets(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from deb_mock.preset import list_presets

    return [name for name in list_presets() if name.startswith(incomplete)]


def complete_settings(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from deb_mock.settings import known_keys

    return [f"{key}=" for key in known_keys() if key.startswith(incomplete)]


def complete_plugins(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from deb_mock.plugins.registry import list_plugins

    return [name for name in list_plugins() if name.startswith(incomplete)]


def complete_files(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell knows files best."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]
