"""Finding plugins and checking their options: shipped ones, one file in a directory of plugins, or an entry point.

Plugins are programs of the host: they come with deb-mock, from its administrator or from its user, never with a source.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from deb_mock.plugin import API, Plugin
from deb_mock.plugins import ELSEWHERE, SHIPPED
from deb_mock.settings import SECTIONS, Layer, Resolved, check_layer
from debcore.errors import ConfigError, Failure, HostFailed

if TYPE_CHECKING:
    from deb_mock.config import Choice

#: Group of the entry points that name plugin classes.
ENTRY_POINTS = "deb_mock.plugins"
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def plugin_directories() -> tuple[Path, ...]:
    """Where NAME.py is looked for; the first wins."""
    from deb_mock.preset import user_directory

    return (user_directory() / "plugins", Path("/etc/deb-mock/plugins"))


def find_plugin(name: str, *, where: str) -> type[Plugin]:
    """The class of the plugin *name*. Errors: ConfigError (at *where*) if there is none, or it cannot be used."""
    found: Any = None
    if NAME.fullmatch(name):
        if name in SHIPPED:
            found = importlib.import_module(f"deb_mock.plugins.{name}").Plugin
        else:
            found = _find_file(name, where) or _find_entry_point(name, where)
    if found is None:
        known = list_plugins()
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise ConfigError(where, f"no plugin {name!r}", hint=ELSEWHERE.get(name, hint))
    if not (isinstance(found, type) and issubclass(found, Plugin)):
        raise ConfigError(where, f"the plugin {name} has no class Plugin of deb_mock.plugin.Plugin")
    version = getattr(found, "api", None)
    if version != API:
        hint = f"it must say `api: ClassVar[int] = {API}`; get a version of it that fits this deb-mock"
        raise ConfigError(where, f"the plugin {name} is written for interface {version}, not {API}", hint=hint)
    return found


def list_plugins() -> tuple[str, ...]:
    """Names of all plugins that can be used."""
    files = (path.stem for directory in plugin_directories() for path in directory.glob("*.py"))
    return tuple(sorted({*SHIPPED, *files, *(entry.name for entry in _entry_points())}))


def check_keys(name: str, keys: Mapping[str, object], *, where: str) -> None:
    """Errors: ConfigError on an option that the plugin does not have, with a suggestion."""
    fields = find_plugin(name, where=where).model_fields
    for key in keys:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
            raise ConfigError(f"{where}:plugins.{name}.{key}", "unknown key", hint=hint)


def load_plugins(
    settings: Mapping[str, Mapping[str, Any]], origins: Mapping[str, str], *, disabled: bool = False
) -> Mapping[str, Plugin]:
    """The plugins that *settings* enable, with their options; those that are *disabled* too if asked.

    Errors: ConfigError, saying where the value stands.
    """
    found: dict[str, Plugin] = {}
    for name, options in settings.items():
        kind = find_plugin(name, where=f"plugins.{name}")
        try:
            plugin = kind.model_validate(dict(options))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(["plugins", name, *(str(part) for part in first["loc"] if isinstance(part, str))])
            message = first["msg"].removeprefix("Value error, ")
            raise ConfigError(f"{origins.get(key, 'settings')}:{key}", message) from error
        if plugin.enabled or disabled:
            found[name] = plugin
    return found


def call_plugin(name: str, plugin: Plugin, method: str, *about: object) -> Any:
    """What it returns. Errors: Failure as the plugin raises it; HostFailed for whatever else it raises."""
    try:
        return getattr(plugin, method)(*about)
    except Failure:
        raise
    except Exception as error:
        hint = f"disable it with --set plugins.{name}.enabled=false, and tell its author"
        raise HostFailed(f"the plugin {name} failed in {method}: {error!r}", hint=hint) from error


def plugin_packages(choice: Choice) -> tuple[str, ...]:
    """What plugins want beside the build dependencies: programs of the machine that builds."""
    if not choice.settings.plugins:
        return ()
    plugins = load_plugins(choice.settings.plugins, choice.resolved.origins).items()
    packages = dict.fromkeys(package for name, plugin in plugins for package in call_plugin(name, plugin, "packages"))
    return tuple(f"{package}:native" if choice.is_cross else package for package in packages)


def plugin_layers(resolved: Resolved) -> list[Layer]:
    """The settings that plugins set, each a layer of its own. Errors: ConfigError on a plugin that sets plugins."""
    found: list[Layer] = []
    for name, plugin in load_plugins(resolved.settings.plugins, resolved.origins).items():
        values: dict[str, dict[str, object]] = {}
        for key, value in call_plugin(name, plugin, "settings").items():
            section, _, option = key.partition(".")
            if section not in SECTIONS:
                raise ConfigError(f"plugins.{name}", f"may not set {key}", hint="a plugin sets keys such as root.tmpfs")
            values.setdefault(section, {})[option] = value
        if values:
            found.append(check_layer(Layer(f"plugin {name}", values)))
    return found


def _find_file(name: str, where: str) -> object:
    for directory in plugin_directories():
        path = directory / f"{name}.py"
        if path.is_file():
            spec = importlib.util.spec_from_file_location(f"deb_mock_plugin_{name}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except Exception as error:
                raise ConfigError(where, f"{path} cannot be loaded: {error!r}") from error
            return getattr(module, "Plugin", None)
    return None


def _find_entry_point(name: str, where: str) -> object:
    for entry in _entry_points():
        if entry.name == name:
            try:
                return entry.load()
            except Exception as error:
                raise ConfigError(where, f"{entry.value} cannot be loaded: {error!r}") from error
    return None


def _entry_points() -> Any:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)
