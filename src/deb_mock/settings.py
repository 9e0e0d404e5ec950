"""The settings of a build, their schema, and where each value came from.

A preset and a configuration file have the same keys. Layers, later ones win key by key (lists are replaced, not
appended to): the preset and what it inherits, /etc/deb-mock/config.toml, ~/.config/deb-mock/config.toml, the nearest
`.deb-mock.toml` above the source directory, the command line. Configuration is data: nothing in it is executed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from debcore.errors import ConfigError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}


def parse_size(value: object) -> object:
    """`2G` → bytes (powers of 1024); 0 and "none" mean no limit."""
    if isinstance(value, str):
        if value == "none":
            return None
        found = re.fullmatch(r"(\d+)\s*([KMGTkmgt]?)(?:i?B)?", value)
        if not found:
            raise ValueError(f"{value!r} is no size; write bytes or a number with K, M, G or T, such as 4G")
        value = int(found[1]) * _UNITS[found[2].upper()]
    return value or None


def parse_seconds(value: object) -> object:
    """`90min` → seconds; 0 and "none" mean no limit."""
    if isinstance(value, str):
        if value == "none":
            return None
        found = re.fullmatch(r"(\d+)\s*(s|min|h|d|)", value)
        if not found:
            raise ValueError(f"{value!r} is no time; write seconds or a number with s, min, h or d, such as 90min")
        value = int(found[1]) * _TIMES[found[2]]
    return value or None


Positive = Annotated[int, Field(ge=1)]
Size = Annotated[Positive | None, BeforeValidator(parse_size)]
Seconds = Annotated[Positive | None, BeforeValidator(parse_seconds)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_=:,/-]*$")]
#: sbuild's, and of equal solutions the one with the versions that apt would take: security's, where there is a choice.
CRITERIA = "-removed,-changed,-new,+count(changed,APT-Candidate:=/true/)"
Criteria = Annotated[str, Field(pattern=r"^[A-Za-z0-9()=~:/+,._-]+$")]
SourceKind = Literal["dsc", "url", "archive", "git", "directory", "buildinfo"]
BuildType = Literal["full", "binary", "any", "all", "source", "source,any", "source,all"]


class Section(BaseModel):
    """Frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ExtraSource(Section):
    """One more apt source, fields as in sources.list(5); `signed_by` is the path of a keyring."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    signed_by: str | None = None
    trusted: bool = False
    pin: int | None = None


class Archive(Section):
    """Where packages come from. Without `mirror`: the host's own apt sources with Origin Debian."""

    mirror: str | None = None
    security_mirror: str | None = None
    keyring: str | None = None  #: file with the keys of `mirror`; the host's Debian keyring if unset
    components: tuple[Word, ...] = ("main",)
    updates: bool = True
    security: bool = True
    suites: tuple[Word, ...] = ()  #: more suites of the same mirror, such as trixie-backports
    debug: bool = False  #: the suites of -dbgsym packages too
    debug_mirror: str | None = None  #: where they are; unset: beside a mirror whose address ends in /debian
    extra: tuple[ExtraSource, ...] = ()
    check_valid_until: bool = True  #: false for a mirror that stands still, such as a snapshot
    max_age: Seconds = None  #: package lists younger than this are not checked again
    resolver: Literal["apt", "aspcud"] = "apt"  #: aspcud also finds versions that apt does not prefer (experimental)
    aspcud_criteria: Criteria = CRITERIA  #: what aspcud keeps small (-) or large (+), most important first: apt-cudf(1)
    snapshots: tuple[str, ...] = ()  #: archives that keep old versions: as --snapshot of rebuild


class Root(Section):
    """The root that builds run in."""

    variant: Literal["buildd", "essential", "minbase", "apt"] = "buildd"
    packages: tuple[Word, ...] = ()
    tmpfs: Literal["auto", "yes", "no"] = "no"  #: whether throw-away changes to it lie in memory
    required_ram_mb: Positive = 900  #: memory that must be free for that, in MiB; for `auto` twice as much
    max_fs_size: Size = None  #: what one build may take of it


class Build(Section):
    """How packages are built. `type`: binary = all and any."""

    type: BuildType = "binary"
    profiles: tuple[Word, ...] = ()
    options: tuple[Word, ...] = ()  #: DEB_BUILD_OPTIONS, but parallel=
    host: Word | None = None  #: architecture to build for, where it is not the root's: a cross build
    parallel: Annotated[int, Field(ge=0, le=4096)] = 0  #: 0: one job for each processor
    hardened: bool = False
    keep_failed: bool = False  #: keep the root of a build that fails: `shell --last-failed`, `resume --from`
    online: tuple[Literal["build"], ...] = ()  #: steps that may use the network; the result is then not reproducible


class Limits(Section):
    """What a build may use: sizes in bytes or as 4G, times in seconds or as 90min, "none" for no limit."""

    memory: Size = None
    disk: Size = None
    processes: Annotated[int | None, Field(ge=1)] = None
    silence: Seconds = 9000
    log: Size = 1 << 30  #: what one step may print
    time: Seconds = None


class Hooks(Section):
    """Shell commands at moments of a build, with sbuild's names. Those that run on the host are not for projects."""

    pre_build: tuple[str, ...] = ()  #: on the host, when the source is known
    chroot_setup: tuple[str, ...] = ()  #: as root in the root, when the dependencies are installed
    starting_build: tuple[str, ...] = ()  #: as root in the root, when the source is unpacked
    finished_build: tuple[str, ...] = ()  #: as root in the root, when all is built
    build_failed: tuple[str, ...] = ()  #: as root in the root, when building failed
    chroot_cleanup: tuple[str, ...] = ()  #: as root in the root, before it is thrown away
    post_build: tuple[str, ...] = ()  #: on the host, with the results in place
    post_build_failed: tuple[str, ...] = ()  #: on the host, after a build that failed


class Source(Section):
    """Which sources are accepted. Not allowed in a project's own file."""

    require_signature: bool = False  #: of every kind of source
    signed: tuple[SourceKind, ...] = ()  #: kinds of source that must be signed
    keyrings: tuple[str, ...] = ()  #: files with the keys that may sign; Debian's developers if empty
    keyrings_for: Mapping[SourceKind, tuple[str, ...]] = {}  #: other keyrings for a kind of source
    max_size: Size = 8 << 30  #: of all files of a source that is fetched, and of its unpacked tree


class Sign(Section):
    """Who signs results, on this host and after the build. Not allowed in a project's own file."""

    command: tuple[str, ...] = ()  #: reads a text, prints it clear-signed: ["gpg", "--clearsign", "--local-user", "ME"]
    keyring: str | None = None  #: what it prints must be signed by a key of this file
    provenance: tuple[
        str, ...
    ] = ()  #: reads bytes, prints a signature of them: ["openssl", "dgst", "-sha256", "-sign", KEY]
    provenance_key: str | None = (
        None  #: file with the public key of `provenance` (PEM, OpenPGP): what it prints is checked
    )


class Settings(Section):
    """Everything that can be set; a file gives any part of it."""

    preset: str | None = None  #: the default for -r (configuration files only)
    inherits: str | None = None  #: presets only
    description: str = ""
    aliases: tuple[str, ...] = ()
    vendor: str = "debian"
    suite: Word | None = None  #: of the base root
    distribution: Word | None = None  #: as changelogs name it, where that is not the suite: experimental
    arch: Word | None = None
    architectures: tuple[Word, ...] = ()  #: presets only: for each of them NAME-ARCH is a preset too
    archive: Archive = Archive()
    root: Root = Root()
    build: Build = Build()
    limits: Limits = Limits()
    hooks: Hooks = Hooks()
    source: Source = Source()
    sign: Sign = Sign()
    plugins: Mapping[str, Mapping[str, Any]] = {}  #: [plugins.NAME], with the options of that plugin


#: Keys that a `.deb-mock.toml`, which may come with somebody else's source, must not set.
NOT_IN_PROJECT = (
    "source",
    "sign",
    "build.online",
    "inherits",
    "plugins",
    "hooks.pre_build",
    "hooks.post_build",
    "hooks.post_build_failed",
    *(f"root.{key}" for key in ("tmpfs", "required_ram_mb", "max_fs_size")),
    *(
        f"archive.{key}"
        for key in ("mirror", "security_mirror", "debug_mirror", "keyring", "extra", "snapshots", "check_valid_until")
    ),
)
#: The section of sections: one for each plugin.
PLUGINS = "plugins"
SECTIONS: dict[str, type[Section]] = {
    "archive": Archive,
    "root": Root,
    "build": Build,
    "limits": Limits,
    "hooks": Hooks,
    "source": Source,
    "sign": Sign,
}


@dataclass(frozen=True)
class Layer:
    """One source of settings: `name` is shown as the origin."""

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Resolved:
    """The settings of all layers together, and for each dotted key that some layer set, which layer won."""

    settings: Settings
    origins: Mapping[str, str]


def parse_layer(text: str, *, name: str, project: bool = False) -> Layer:
    """Errors: ConfigError on TOML that cannot be read, unknown keys (with a suggestion) and bad values."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(name, str(error), hint="the file is TOML: https://toml.io") from error
    return check_layer(Layer(name, values), project=project)


def check_layer(layer: Layer, *, project: bool = False) -> Layer:
    """Return *layer* if each of its keys exists and each value fits; sbuild's names of hooks become ours."""
    if isinstance(hooks := layer.values.get("hooks"), Mapping):
        renamed = {_hook_key(key): value for key, value in hooks.items()}
        layer = Layer(layer.name, {**layer.values, "hooks": renamed})
    for key, _ in flatten(layer.values):
        _check_key(layer.name, key)
        if project and any(key == refused or key.startswith(refused + ".") for refused in NOT_IN_PROJECT):
            hint = "put it into your own ~/.config/deb-mock/config.toml: a project's file may come from strangers"
            raise ConfigError(f"{layer.name}:{key}", "may not be set by a project", hint=hint)
    try:
        Settings.model_validate(layer.values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
        message = first["msg"].removeprefix("Value error, ")
        hint = f"see what can be set with: deb-mock config show {where.split('.')[0]}"
        raise ConfigError(f"{layer.name}:{where}", message, hint=hint) from error
    return layer


def load_layer(path: Path, *, project: bool = False) -> Layer | None:
    """The layer in *path*, or None if there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error
    return parse_layer(text, name=str(path), project=project)


def parse_option(text: str) -> Layer:
    """`key=value` of the command line; the value is TOML, a bare word or a comma-separated list."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError("--set", f"{text!r} is not KEY=VALUE", hint="for example --set limits.memory=4G")
    if key.startswith("hooks."):
        key = f"hooks.{_hook_key(key.removeprefix('hooks.'))}"
    _check_key("--set", key)
    section, _, name = key.rpartition(".")
    parsed: Any = _parse_value(value)
    if section.startswith(f"{PLUGINS}."):
        return check_layer(Layer(f"--set {key}", {PLUGINS: {section.partition(".")[2]: {name: parsed}}}))
    model: type[Section] = SECTIONS[section] if section else Settings
    field = model.model_fields[name]
    if "tuple" in str(field.annotation) and not isinstance(parsed, list):
        parsed = [word for word in str(value).split(",") if word]
    return check_layer(Layer(f"--set {key}", {section: {name: parsed}} if section else {name: parsed}))


def _hook_key(key: str) -> str:
    """`starting-build-commands`, as sbuild's option and its configuration have it, is `starting_build` here."""
    return key.replace("-", "_").removesuffix("_commands")


def _parse_value(value: str) -> object:
    try:
        return tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return value


def resolve(layers: list[Layer]) -> Resolved:
    """Merge checked *layers*, later ones winning."""
    origins = {key: layer.name for layer in layers for key, _ in flatten(layer.values)}
    return Resolved(Settings.model_validate(merge(layers)), origins)


def merge(layers: Sequence[Layer]) -> dict[str, Any]:
    """The values of *layers* as one, later ones winning."""
    return nest(pair for layer in layers for pair in flatten(layer.values))


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Dotted keys as sections, later ones winning: what `flatten` takes apart."""
    nested: dict[str, Any] = {}
    for key, value in pairs:
        *sections, name = key.split(".", 2)  # plugins.NAME.OPTION has three parts
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    return nested


def flatten(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted keys of the two levels that settings have, and of the three that plugins have."""
    for key, value in values.items():
        if key == PLUGINS and isinstance(value, Mapping):
            for name, options in value.items():
                # a section alone means that the plugin is wanted
                given = options if isinstance(options, Mapping) and options else {"enabled": True}
                yield from ((f"{PLUGINS}.{name}.{option}", inner) for option, inner in given.items())
            continue
        if key in SECTIONS and isinstance(value, Mapping):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


@cache
def known_keys() -> tuple[str, ...]:
    """Every dotted key that can be set, in the order of the schema."""
    names = [name for name in Settings.model_fields if name not in SECTIONS]
    return (*names, *(f"{section}.{name}" for section, model in SECTIONS.items() for name in model.model_fields))


def _check_key(where: str, key: str) -> None:
    if key.startswith(f"{PLUGINS}."):
        from deb_mock.plugins.registry import check_keys

        _, name, *option = key.split(".", 2)
        check_keys(name, dict.fromkeys(option), where=where)
        return
    keys = known_keys()
    if key in keys or key in SECTIONS:
        return
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
    tail = key.rpartition(".")[2]
    near = near or [known for known in keys if known.rpartition(".")[2] == tail]
    hint = f"did you mean {near[0]}?" if near else "deb-mock config show lists every key"
    raise ConfigError(f"{where}:{key}", "unknown key", hint=hint)
