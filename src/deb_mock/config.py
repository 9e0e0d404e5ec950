"""From the command line to settings: which preset, which files, and the values that win."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deb_mock.preset import Preset, find_preset, find_preset_for_distribution, user_directory
from deb_mock.settings import Layer, Resolved, Settings, load_layer, parse_option, resolve

PROJECT_FILE = ".deb-mock.toml"
SYSTEM_FILE = Path("/etc/deb-mock/config.toml")
#: Where nothing else decides: the stable release.
DEFAULT_PRESET = "debian-trixie"


@dataclass(frozen=True)
class Choice:
    """What the user selected. `why` says how the preset was found, for a person."""

    preset: Preset
    resolved: Resolved
    why: str

    @property
    def settings(self) -> Settings:
        return self.resolved.settings

    @property
    def suite(self) -> str:
        return self.settings.suite or ""

    @property
    def arch(self) -> str:
        """Of the root, where the build runs: what dpkg calls the build architecture."""
        return self.settings.arch or ""

    @property
    def host_arch(self) -> str:
        """Of the packages that are built: what dpkg calls the host architecture."""
        return self.settings.build.host or self.arch

    @property
    def distribution(self) -> str:
        """What a changelog says for this choice."""
        return self.settings.distribution or self.suite

    @property
    def is_cross(self) -> bool:
        return self.host_arch != self.arch


def find_project_file(start: Path, *, name: str = PROJECT_FILE) -> Path | None:
    """The nearest file *name* in *start* or above it, within the same repository or home."""
    for directory in (start, *start.parents):
        if (directory / name).is_file():
            return directory / name
        if (directory / ".git").exists() or directory == Path.home():
            return None
    return None


def load_file_layers(project: Path | None) -> list[Layer]:
    """System, user and project configuration, in this order; *project* is the source directory, if there is one."""
    layers = [load_layer(SYSTEM_FILE), load_layer(user_directory() / "config.toml")]
    file = find_project_file(project.resolve()) if project else None
    if file:
        layers.append(load_layer(file, project=True))
    return [layer for layer in layers if layer]


def choose(
    *,
    preset: str | None = None,
    arch: str | None = None,
    distribution: str | None = None,
    project: Path | None = None,
    options: Sequence[str | Layer] = (),
) -> Choice:
    """Settings for a build. The preset is `-r`, else the configuration's `preset`, else the changelog's *distribution*.

    Errors: Failure or ConfigError, each with what to do.
    """
    files = load_file_layers(project)
    given = [option if isinstance(option, Layer) else parse_option(option) for option in options]
    configured = resolve(files).settings.preset
    if preset:
        chosen, why = find_preset(preset, arch=arch), "chosen with -r"
    elif distribution:
        chosen, why = find_preset_for_distribution(distribution, arch=arch), f"the changelog says {distribution}"
    elif configured:
        chosen, why = find_preset(configured, arch=arch), "the configuration's preset"
    else:
        chosen, why = find_preset(DEFAULT_PRESET, arch=arch), "the default"
    layers = [*chosen.layers, *files, *given]
    resolved = resolve(layers)
    if resolved.settings.plugins:
        from deb_mock.plugins.registry import plugin_layers

        if set_by_plugins := plugin_layers(resolved):
            resolved = resolve([*chosen.layers, *files, *set_by_plugins, *given])
    fixed = chosen.resolved().settings  # suite and arch belong to the preset: a root of another would carry its name
    if (resolved.settings.suite, resolved.settings.arch) != (fixed.suite, fixed.arch):
        settings = resolved.settings.model_copy(update={"suite": fixed.suite, "arch": fixed.arch})
        resolved = replace(resolved, settings=settings)
    return Choice(chosen, _with_cross_profiles(resolved), why)


def _with_cross_profiles(resolved: Resolved) -> Resolved:
    """A cross build has the profile cross, and nocheck unless profiles were chosen. Source: sbuild(1), --profiles."""
    build = resolved.settings.build
    if build.host in (None, resolved.settings.arch) or "cross" in build.profiles:
        return resolved
    profiles = ("cross", *(build.profiles or ("nocheck",)))
    settings = resolved.settings.model_copy(update={"build": build.model_copy(update={"profiles": profiles})})
    return replace(resolved, settings=settings)
