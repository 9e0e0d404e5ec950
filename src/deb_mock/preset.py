"""Presets: what `-r` names. TOML data with inheritance, shipped with the package or put beside it by the host.

`-r` takes a preset (`debian-trixie-amd64`), the same without architecture (`debian-trixie`), or a suite (`trixie`,
`stable`, `unstable`); the host's architecture is implied where none is named. A preset with `architectures` stands for
one preset of each: no file is needed for them.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from deb_mock.settings import Layer, Resolved, load_layer, resolve
from debcore.command import run
from debcore.errors import ConfigError, Failure

SHIPPED = Path(__file__).with_name("presets")


def preset_directories() -> tuple[Path, ...]:
    """Where presets are looked for; a later directory hides an earlier one's preset of the same name."""
    return (SHIPPED, Path("/etc/deb-mock/presets"), user_directory() / "presets")


def user_directory() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "deb-mock"


@cache
def host_arch() -> str:
    """Debian's name of this machine's architecture. Source: dpkg --print-architecture."""
    return run(["dpkg", "--print-architecture"]).text.strip()


@dataclass(frozen=True)
class Preset:
    """A preset that can be built in: `layers` are those that it inherits, farthest first, and its own."""

    name: str
    layers: tuple[Layer, ...]

    def resolved(self) -> Resolved:
        return resolve(list(self.layers))


@dataclass(frozen=True)
class Description:
    """One line of the list of presets. `names`: what a changelog or `-r` may say for it."""

    name: str
    description: str
    names: tuple[str, ...]
    architectures: tuple[str, ...]


@dataclass(frozen=True)
class _Facts:
    """What choosing needs of a preset, without the cost of checking all its settings again."""

    suite: str | None
    arch: str | None
    names: tuple[str, ...]  #: of the suite; none for a preset of one architecture, which only its own name means
    architectures: tuple[str, ...]
    description: str


def _facts(name: str, presets: Mapping[str, Layer]) -> _Facts:
    values: dict[str, Any] = {}
    for layer in _lineage(name, presets):
        values |= layer.values
    suite, arch = values.get("suite"), values.get("arch")
    names = [values.get("distribution", suite), *values.get("aliases", ())]
    return _Facts(
        suite=suite,
        arch=arch,
        names=() if arch else tuple(word for word in names if word),
        architectures=tuple(values.get("architectures", ())),
        description=values.get("description", ""),
    )


def load_presets(directories: tuple[Path, ...] | None = None) -> Mapping[str, Layer]:
    """All preset files by name, and those that follow from the `architectures` of one."""
    found: dict[str, Layer] = {}
    for directory in directories or preset_directories():
        for path in sorted(directory.glob("*.toml")):
            layer = load_layer(path)
            if layer:
                found[path.stem] = Layer(f"preset {path.stem}", layer.values)
    for name in list(found):
        facts = _facts(name, found)
        for arch in () if facts.arch else facts.architectures:
            derived = Layer(f"preset {name}-{arch}", {"inherits": name, "arch": arch})
            found.setdefault(derived.name.removeprefix("preset "), derived)
    return found


def find_preset(name: str, presets: Mapping[str, Layer] | None = None, *, arch: str | None = None) -> Preset:
    """The preset that *name* (preset, preset without architecture, suite or alias) means.

    Errors: ConfigError if there is none (with the nearest name, or what the suite has) or if it inherits itself.
    """
    presets = load_presets() if presets is None else presets
    wanted = arch or host_arch()
    families = [name, *(other for other in presets if name in _facts(other, presets).names)]
    for candidate in [found for family in families for found in (family, f"{family}-{wanted}")]:
        if candidate in presets:
            facts = _facts(candidate, presets)
            if facts.suite and facts.arch and arch in (None, facts.arch):
                return Preset(candidate, _lineage(candidate, presets))
    for family in families:
        has = _facts(family, presets).architectures if family in presets else ()
        if has and not _facts(family, presets).arch:
            hint = f"name one of them with --arch: {', '.join(has)}"
            raise ConfigError("-r", f"{family} has no architecture {wanted}", hint=hint)
    complete = list_presets(presets)
    usable = [other for other in complete if other.endswith(f"-{wanted}")]
    near = difflib.get_close_matches(name, usable, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "list what there is with: deb-mock list presets"
    raise ConfigError("-r", f"no preset {name!r} for {wanted}", hint=hint)


def list_presets(presets: Mapping[str, Layer] | None = None) -> list[str]:
    """Names of the presets that say suite and architecture."""
    presets = load_presets() if presets is None else presets
    return [name for name in presets if (facts := _facts(name, presets)).suite and facts.arch]


def describe_presets(presets: Mapping[str, Layer] | None = None) -> list[Description]:
    """What people choose from: presets with all their architectures, then those that name one themselves."""
    presets = load_presets() if presets is None else presets
    found = []
    for name in presets:
        facts = _facts(name, presets)
        derived = facts.arch and name.removesuffix(f"-{facts.arch}") in presets
        if facts.suite and not derived and (facts.arch or facts.architectures):
            architectures = (facts.arch,) if facts.arch else facts.architectures
            found.append(Description(name, facts.description, facts.names, architectures))
    return found


def find_preset_for_distribution(distribution: str, *, arch: str | None = None) -> Preset:
    """The preset that a changelog's *distribution* asks for: a suite, an alias, or a suite with a pocket's suffix.

    Errors: Failure, saying to choose with -r.
    """
    presets = load_presets()
    name = distribution
    if not any(distribution in _facts(other, presets).names for other in presets):
        for pocket in ("-security", "-proposed-updates", "-updates", "-proposed"):
            name = name.removesuffix(pocket)
    try:
        return find_preset(name, presets, arch=arch)
    except ConfigError as error:
        hint = f"choose a preset with -r; {error.hint}"
        raise Failure(f"the changelog asks for {distribution!r}, and there is no preset for it", hint=hint) from error


def _lineage(name: str, presets: Mapping[str, Layer]) -> tuple[Layer, ...]:
    chain: list[Layer] = []
    seen: list[str] = []
    current: str | None = name
    while current is not None:
        if current in seen:
            raise ConfigError(f"preset {name}:inherits", f"inherits itself: {' → '.join([*seen, current])}")
        if current not in presets:
            raise ConfigError(f"preset {seen[-1] if seen else name}:inherits", f"no preset {current!r}")
        seen.append(current)
        chain.insert(0, presets[current])
        current = presets[current].values.get("inherits")
    return tuple(Layer(c.name, {k: v for k, v in c.values.items() if k != "inherits"}) for c in chain)
