"""sbuild's options as an order of ours."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deb_mock.addition import Addition, make_addition
from deb_mock.commands import STAGES, Commands
from deb_mock.config import Choice, choose
from deb_mock.offer import find_debs
from deb_mock.order import Gate, Order
from deb_mock.preset import host_arch
from deb_mock.roots import load_key
from deb_mock.sbuild.environment import pass_environment
from deb_mock.settings import Layer, check_layer
from deb_mock.source import DirectorySource, DscSource, Source
from deb_mock.surroundings import STANDARD, Surroundings
from debcore.errors import ConfigError
from debcore.job import AptSource

#: sbuild's letters for suites.
LETTERS = {"o": "oldstable", "s": "stable", "t": "testing", "u": "unstable", "e": "experimental"}
#: (any, all, source) → what is built.
TYPES = {
    (True, True, True): "full",
    (True, True, False): "binary",
    (True, False, True): "source,any",
    (True, False, False): "any",
    (False, True, True): "source,all",
    (False, True, False): "all",
    (False, False, True): "source",
}
#: In place of a command: a shell on the terminal of who called sbuild.
SHELL = "%SBUILD_SHELL"
#: Checks that sbuild can run.
CHECKS = ("lintian", "piuparts", "autopkgtest")
#: dpkg-buildpackage's options that would change what deb-mock decides.
_DECIDED = re.compile(
    r"-[FgGbBAS]$|--build=|-[aP]|--(?:host|target)-|--build-profiles|-r|--root-command|-R|--rules-file|-p|-k"
)


def make_order(source: Source, given: Mapping[str, Any], directory: Path, *, named: Path | None = None) -> Order:
    """The build of *source* that *given* (keys of `options`) asks for, with results in *directory*. *named*: the .dsc
    as the user named it, which may be a symbolic link.

    Errors: ConfigError naming the option.
    """
    dist = LETTERS.get(given["dist"] or "", given["dist"])
    tarball = _find_tarball(given["chroot"])
    choice = _choose(source, given, dist, tarball)
    options = [word for text in given["debbuildopts"] for word in text.split()] + list(given["debbuildopt"])
    for option in options:
        if _DECIDED.match(option):
            raise ConfigError(
                "--debbuildopt", f"{option} is decided elsewhere", hint="see the options of deb-mock sbuild"
            )
    if given["source"] and given["force_orig_source"]:
        options.append("-sa")
    surroundings = _find_surroundings(given)
    tree = f"{surroundings.directory}/{_check_name(given['dsc_dir'])}" if given["dsc_dir"] else None
    return Order(
        source=source,
        choice=choice,
        directory=directory,
        extra=_find_repositories(given),
        debs=find_debs([Path(path) for path in given["extra_package"]]),
        distribution=given["dist"] and dist,
        timeout=choice.settings.limits.time,
        surroundings=surroundings,
        tree=tree,
        addition=_find_addition(given),
        sign=bool(given["keyid"]),
        chroot=tarball,
        fields=_find_fields(given),
        options=tuple(options),
        source_options=_find_source_options(given),
        plain_logs=True,
        gate=_find_gate(given),
        debug=has_shell(given),
        commands=_find_commands(source, given, choice, inside=tree, place=surroundings.directory, named=named),
    )


def _choose(source: Source, given: Mapping[str, Any], dist: str | None, tarball: Path | None) -> Choice:
    if given["chroot_mode"] not in (None, "unshare"):
        hint = "deb-mock has one way to make roots: leave --chroot-mode out"
        raise ConfigError("--chroot-mode", f"{given['chroot_mode']} is not supported", hint=hint)
    arch = given["arch"] or given["build"]
    parts = (not given["no_arch_any"], not given["no_arch_all"], bool(given["source"]))
    if not any(parts):
        raise ConfigError("--no-arch-any", "with --no-arch-all and without --source nothing is left to build")
    build: dict[str, object] = {"type": TYPES[parts]}
    if given["profiles"]:
        build["profiles"] = re.split(r"[,\s]+", given["profiles"].strip())
    if given["jobs"]:
        build["parallel"] = _check_number("--jobs", given["jobs"])
    if given["host"]:
        build["host"] = given["host"]
    if given["enable_network"]:
        build["online"] = ["build"]
    sign = {"command": ["gpg", "--clearsign", "--local-user", given["keyid"]]} if given["keyid"] else {}
    given_values = {"build": build, "sign": sign, "archive": _find_resolver(given)}
    layer = check_layer(Layer("command line", given_values))
    preset = dist
    if given["chroot"] and tarball is None:
        preset = given["chroot"].removesuffix("-sbuild").removesuffix(f"-{arch or host_arch()}")
    changelog = source.entry.distribution if isinstance(source, DirectorySource) and preset is None else None
    project = source.path if isinstance(source, DirectorySource) else None
    return choose(preset=preset, arch=arch, distribution=changelog, project=project, options=[layer])


def _find_resolver(given: Mapping[str, Any]) -> dict[str, object]:
    """Settings of the section archive."""
    found: dict[str, object] = {}
    if given["build_dep_resolver"]:
        found["resolver"] = "aspcud" if given["build_dep_resolver"] == "aspcud" else "apt"
    if given["aspcud_criteria"]:
        found["aspcud_criteria"] = given["aspcud_criteria"]
    return found


def _find_addition(given: Mapping[str, Any]) -> Addition | None:
    number = given["binnmu"]
    return make_addition(
        binnmu=int(number) if number == "0" else number and _check_number("--binNMU", number),
        reason=given["make_binnmu"], suffix=given["append_to_version"], timestamp=given["binnmu_timestamp"],
        maintainer=given["maintainer"], entry=given["binnmu_changelog"], environment=os.environ.get,
    )  # fmt: skip


def _find_gate(given: Mapping[str, Any]) -> Gate | None:
    """The checks that were asked for; their options count only with them."""
    names = [name for name in CHECKS if given[f"run_{name}"]]
    if not names:
        return None
    from deb_mock.checks.registry import make_gate

    options = {}
    for name in names:
        words = [word for text in given[f"{name}_opts"] for word in _split(f"--{name}-opts", text)]
        words += given[f"{name}_opt"]
        if "--" in words:
            raise ConfigError(f"--{name}-opts", "may not have --: what is tested, and where, is decided elsewhere")
        options[name] = tuple(words)
    return replace(make_gate(names), as_sbuild=True, options=options)


def _split(option: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(option, f"{text!r}: {error}") from error


def _check_number(option: str, text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise ConfigError(option, f"{text!r} is no number")
    return int(text)


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+~_-]*", name):
        raise ConfigError("--dsc-dir", f"{name!r} is no plain name of a directory")
    return name


def _find_tarball(chroot: str | None) -> Path | None:
    """The file that --chroot names, if it is one."""
    if not chroot:
        return None
    path = Path(chroot)
    if "/" in chroot or path.suffix in (".tar", ".gz", ".xz", ".zst"):
        if not path.is_file():
            raise ConfigError("--chroot", f"{chroot} is no file", hint="name a tarball, or a suite such as trixie")
        return path.absolute()
    return None


def _find_surroundings(given: Mapping[str, Any]) -> Surroundings:
    directory = given["build_path"] or STANDARD.directory
    if not re.fullmatch(r"/[A-Za-z0-9/._+~-]+", directory) or ".." in directory:
        raise ConfigError("--build-path", f"{directory!r} is no plain absolute path")
    return replace(STANDARD, directory=directory.rstrip("/"), env=pass_environment(os.environ))


def _find_repositories(given: Mapping[str, Any]) -> tuple[AptSource, ...]:
    """Lines of sources.list(5). Without a key a repository must say [trusted=yes]."""
    keys = "\n".join(load_key(Path(path)) for path in given["extra_repository_key"]) or None
    return tuple(parse_repository(line, keys) for line in given["extra_repository"])


def parse_repository(line: str, keys: str | None) -> AptSource:
    """Errors: ConfigError on a line that is none."""
    found = re.fullmatch(r"\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)*)\s*", line)
    if not found:
        hint = "such as: deb https://example.org/debian trixie main"
        raise ConfigError("--extra-repository", f"{line!r} is no line of sources.list", hint=hint)
    options = dict(word.partition("=")[::2] for word in shlex.split(found[2] or ""))
    trusted = options.pop("trusted", "no") == "yes"
    valid = options.pop("check-valid-until", "yes") != "no"
    if options:
        raise ConfigError("--extra-repository", f"the option {next(iter(options))} is not supported")
    return AptSource.model_validate(
        {
            "types": (found[1],),
            "uris": (found[3],),
            "suites": (found[4],),
            "components": tuple(found[5].split()),
            "trusted": trusted,
            "check_valid_until": valid,
            "signed_by": keys,
        }
    )


def _find_fields(given: Mapping[str, Any]) -> dict[str, str]:
    """More relations, as fields of a control file."""
    fields = {}
    for kind in ("depends", "conflicts"):
        for part in ("", "_arch", "_indep"):
            if texts := given[f"add_{kind}{part}"]:
                fields[f"Build-{kind.capitalize()}{part.replace('_', '-').title()}"] = ", ".join(texts)
    return fields


def _find_source_options(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Options only: dpkg-source gets no command and no file from here."""
    words = [word for text in given["dpkg_source_opts"] for word in _split("--dpkg-source-opts", text)]
    words += given["dpkg_source_opt"]
    for word in words:
        if not word.startswith("-") or word.startswith(("--build", "--extract", "--print-format", "--before-build")):
            raise ConfigError("--dpkg-source-opt", f"{word!r} is no option of packing", hint="such as -Zgzip")
    return tuple(words)


def has_shell(given: Mapping[str, Any]) -> bool:
    """Whether a shell is to be opened in the root of a build that fails."""
    commands = (*given["build_failed_commands"], *given["anything_failed_commands"])
    return any(command.strip() == SHELL for command in commands)


def _find_commands(
    source: Source, given: Mapping[str, Any], choice: Choice, *, inside: str | None, place: str, named: Path | None
) -> Commands:
    by_stage = {stage: tuple(given[f"{stage.replace('-', '_')}_commands"]) for stage in STAGES}
    by_stage["chroot-setup"] += tuple(given["setup_hook"])
    failed = (*by_stage["build-failed"], *given["anything_failed_commands"])
    by_stage["build-failed"] = tuple(command for command in failed if command.strip() != SHELL)
    escapes = {"%": "%", "b": place, "SBUILD_BUILD_DIR": place}
    escapes |= dict.fromkeys(("a", "SBUILD_HOST_ARCH", "SBUILD_BUILD_ARCH"), choice.arch)
    if isinstance(source, DscSource):
        dsc = source.dsc
        tree = inside or f"{place}/{dsc.source}-{dsc.upstream_version}"
        escapes |= dict.fromkeys(("d", "SBUILD_DSC"), str(named or dsc.path.absolute()))
        escapes |= dict.fromkeys(("p", "SBUILD_PKGBUILD_DIR"), tree)
        escapes |= {"SRCPACKAGE": dsc.source, "SRCPACKAGE_VERSION": f"{dsc.source}_{dsc.file_version}"}
    return Commands(by_stage, escapes)
