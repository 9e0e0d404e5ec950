"""Options that several verbs share."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, get_args

import click

from deb_mock.cli.complete import complete_plugins, complete_presets, complete_settings
from deb_mock.settings import BuildType
from debcore.errors import ConfigError, Failure

#: Where the context keeps what -d said.
DIST = "deb_mock.dist"

Function = TypeVar("Function", bound=Callable[..., Any])


def selection(function: Function) -> Function:
    """-r, -d, --arch and --set. `-d` alone means the preset of that suite; see chosen_distribution()."""

    @wraps(function)
    def called(*, preset: str | None, dist: str | None, **rest: Any) -> Any:
        click.get_current_context().meta[DIST] = dist
        return function(preset=preset or dist, **rest)

    for option in (
        click.option(
            "settings", "--set", multiple=True, metavar="KEY=VALUE", shell_complete=complete_settings,
            help="Set one key of the configuration, such as limits.memory=4G; see `deb-mock config show`.",
        ),
        click.option(
            "--arch", "--build-arch", metavar="ARCH",
            help="Architecture of the root; this machine's if not given. Others run in QEMU.",
        ),
        click.option(
            "-d", "--dist", metavar="SUITE", shell_complete=complete_presets,
            help="Build for this suite: chooses the preset (unless -r does), and is the Distribution of the .changes.",
        ),
        click.option(
            "-r", "preset", metavar="PRESET", shell_complete=complete_presets,
            help="Which root: debian-trixie-amd64, the same without architecture, or a suite such as trixie.",
        ),
    ):  # fmt: skip
        called = option(called)
    return called  # type: ignore[return-value]


def chosen_distribution() -> str | None:
    """What -d said on this command line."""
    said = click.get_current_context().meta.get(DIST)
    return said if said is None else str(said)


def as_json(function: Function) -> Function:
    return click.option("as_json", "--json", is_flag=True, help="Print one JSON document instead of text.")(function)


def build_options(function: Function) -> Function:
    """--build, -P and -j: see `option_layer`."""
    for option in (
        click.option("parallel", "-j", type=click.IntRange(1), metavar="N",
                     help="Parallel jobs of each build; default one for each processor."),
        click.option("profiles", "-P", "--profile", "--profiles", multiple=True, metavar="NAME",
                     help="A build profile, such as nocheck; more with commas or spaces."),
        click.option("build_type", "--build", metavar="TYPE", type=click.Choice([*get_args(BuildType)]),
                     help=f"Which packages: {', '.join(get_args(BuildType))}; default binary."),
    ):  # fmt: skip
        function = option(function)
    return function


def option_layer(build_type: str | None, profiles: Sequence[str], parallel: int | None) -> dict[str, dict[str, object]]:
    """What `build_options` gave, as values of a layer of settings; the others decide what is not given."""
    words = [word for given in profiles for word in re.split(r"[\s,]+", given) if word]
    given = {"type": build_type, "profiles": words or None, "parallel": parallel}
    return {"build": {name: value for name, value in given.items() if value is not None}}


def parse_limit(option: str, text: str | None, parse: Callable[[object], object]) -> int | None:
    """*text* of *option* as `settings.parse_size` or `parse_seconds` read it, but that 0 is 0. Errors: ConfigError."""
    try:
        value = parse(text) if text else None
    except ValueError as error:
        raise ConfigError(option, str(error)) from error
    if text and value is None and text != "none":
        return 0
    return value if isinstance(value, int) else None


def plugin_options(function: Function) -> Function:
    """Mock's --enable-plugin, --disable-plugin and --plugin-option; they become settings, as --set does."""

    @wraps(function)
    def called(
        *, enabled: tuple[str, ...], disabled: tuple[str, ...], plugin_settings: tuple[str, ...],
        settings: tuple[str, ...], **rest: Any,
    ) -> Any:  # fmt: skip
        more = [f"plugins.{name}.enabled=true" for name in enabled]
        more += [f"plugins.{name}.enabled=false" for name in disabled]
        more += [f"plugins.{text.replace(':', '.', 1)}" for text in plugin_settings]
        return function(settings=(*settings, *more), **rest)

    for option in (
        click.option(
            "plugin_settings", "--plugin-option", multiple=True, metavar="PLUGIN:KEY=VALUE",
            help="Set an option of a plugin, such as ccache:max_size=1G.",
        ),
        click.option(
            "disabled", "--disable-plugin", multiple=True, metavar="PLUGIN", shell_complete=complete_plugins,
            help="Do without this plugin.",
        ),
        click.option(
            "enabled", "--enable-plugin", multiple=True, metavar="PLUGIN", shell_complete=complete_plugins,
            help="Use this plugin, such as ccache.",
        ),
    ):  # fmt: skip
        called = option(called)
    return called  # type: ignore[return-value]


def keep_option(function: Function) -> Function:
    """--keep-failed; it becomes a setting, as --set does."""

    @wraps(function)
    def called(*, keep_failed: bool, settings: tuple[str, ...], **rest: Any) -> Any:
        return function(settings=(*settings, *(["build.keep_failed=true"] if keep_failed else [])), **rest)

    return click.option(
        "--keep-failed", is_flag=True, help="Keep the root of a build that fails: see `deb-mock shell --last-failed`."
    )(called)  # type: ignore[return-value]


def check_terminal(hint: str) -> None:
    """Errors: Failure if a shell would have no terminal; *hint* says what to do instead."""
    if not sys.stdin.isatty():
        raise Failure("a shell needs a terminal", hint=hint)
