"""From what a user names to an Order: the source, its settings, and where the results go."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from deb_mock.config import Choice, choose
from deb_mock.offer import find_debs
from deb_mock.order import Order
from deb_mock.settings import Layer, check_layer, nest
from deb_mock.source import DirectorySource, DscSource, ExportSource, GitSource, Source, UrlSource, find_source

#: Settings by dotted key (`{"limits.memory": "4G"}`), or as the command line has them: `key=value` and checked layers.
Given = Mapping[str, object] | Sequence[str | Layer]


def plan_build(
    what: str | Path = ".",
    *,
    preset: str | None = None,
    arch: str | None = None,
    settings: Given = (),
    resultdir: Path | None = None,
    debs: Sequence[Path] = (),
    distribution: str | None = None,
) -> Order:
    """The build of *what*, as `deb-mock build` would choose it. Reads files and changes nothing.

    *what*: a .dsc (path or URL), a source directory, a git URL, or NAME[=VERSION] of the archive. *preset*: as for -r;
    else a directory's changelog decides. Results go to *resultdir*, else to NAME_VERSION_ARCH. *debs*: .deb, .changes
    or directories of .debs that come before the archive's packages. *distribution*: of the .changes.
    Errors: Failure, ConfigError.
    """
    source = find_source(str(what))
    choice = choose_for(source, preset=preset, arch=arch, settings=settings)
    directory = (resultdir or default_directory(source, choice)).absolute()

    def choose_again(distribution: str) -> Choice:
        return choose(arch=arch, distribution=distribution, options=as_layers(settings))

    return Order(
        source=source,
        choice=choice,
        directory=directory,
        debs=find_debs(debs),
        distribution=distribution,
        timeout=choice.settings.limits.time,
        choose_again=choose_again if isinstance(source, GitSource) and not preset else None,
    )


def choose_for(source: Source, *, preset: str | None, arch: str | None, settings: Given = ()) -> Choice:
    """Settings for *source*: its changelog counts if it is a directory or an exported commit."""
    options = as_layers(settings)
    if not isinstance(source, (DirectorySource, ExportSource)):
        return choose(preset=preset, arch=arch, options=options)
    distribution = source.entry.distribution
    project = source.path if isinstance(source, DirectorySource) else None
    return choose(preset=preset, arch=arch, distribution=distribution, project=project, options=options)


def default_directory(source: Source, choice: Choice) -> Path:
    """NAME_VERSION_ARCH; never inside a source directory, where it would be packed with the next build."""
    if isinstance(source, DirectorySource):
        name, version, parent = source.entry.source, source.entry.version, source.path.parent
    elif isinstance(source, ExportSource):
        name, version, parent = source.entry.source, source.entry.version, Path.cwd()
    elif isinstance(source, DscSource):
        name, version, parent = source.dsc.source, source.dsc.version, Path.cwd()
    elif isinstance(source, GitSource):
        name, version = source.name, ""
        parent = source.place.parent if isinstance(source.place, Path) else Path.cwd()
    elif isinstance(source, UrlSource):
        name, version, parent = *_guess_name(source.url), Path.cwd()
    else:
        name, version, parent = source.name, source.version or "", Path.cwd()
    words = [word for word in (name, version.rpartition(":")[2], choice.host_arch) if word]
    return parent / "_".join(words)


def _guess_name(url: str) -> tuple[str, str]:
    """Source and version by the file name of a .dsc."""
    name, _, version = url.rpartition("/")[2].removesuffix(".dsc").partition("_")
    return re.sub(r"[^a-z0-9+.-]", "", name), re.sub(r"[^A-Za-z0-9.+~-]", "", version)


def title(source: Source) -> str:
    """Name and version, for a person."""
    if isinstance(source, (DirectorySource, ExportSource)):
        return f"{source.entry.source} {source.entry.version}"
    if isinstance(source, DscSource):
        return f"{source.dsc.source} {source.dsc.version}"
    if isinstance(source, GitSource):
        return f"{source.place}#{source.ref or 'HEAD'}"
    if isinstance(source, UrlSource):
        return source.url
    return f"{source.name}={source.version}" if source.version else source.name


def as_layers(settings: Given) -> Sequence[str | Layer]:
    """*settings* as the command line has them. Errors: ConfigError on keys and values that are none."""
    if not isinstance(settings, Mapping):
        return settings
    return [check_layer(Layer("caller", nest(settings.items())))]
