"""Options of a build with sbuild's names: which packages of a source, for which architecture, with which version."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click

from deb_mock.addition import Addition, make_addition
from deb_mock.buildtype import TYPES, find_type
from deb_mock.order import Order
from deb_mock.surroundings import check_directory

Function = TypeVar("Function", bound=Callable[..., Any])


def target_options(function: Function) -> Function:
    """See parse_target."""
    for option in (
        click.option("jobs", "--jobs", type=click.IntRange(1), metavar="N", hidden=True),
        click.option("build_path", "--build-path", metavar="DIR",
                     help="Directory inside the root in which the source is unpacked."),
        click.option("maintainer", "-m", "--maintainer", metavar="NAME",
                     help="Who signs an added changelog entry; default DEBFULLNAME and DEBEMAIL."),
        click.option("entry", "--binNMU-changelog", metavar="TEXT",
                     help="The whole changelog entry of a binNMU, instead of the options below and above."),
        click.option("timestamp", "--binNMU-timestamp", metavar="TIME",
                     help="Date of the entry: increment (default; N seconds after the last one), now, a date."),
        click.option("suffix", "--append-to-version", metavar="SUFFIX",
                     help="Build with this after the version, such as +local1; the source stays as it is."),
        click.option("reason", "--make-binNMU", metavar="TEXT",
                     help="Why a binNMU is made, for its changelog entry; without --binNMU it is +b1."),
        click.option("binnmu", "--binNMU", type=click.IntRange(0, 999), metavar="N",
                     help="Build a binary-only rebuild, with +bN after the version."),
        click.option("host", "--host", "--host-arch", metavar="ARCH",
                     help="Cross-build for this architecture, in a root of --arch."),
        click.option("source_only", "--source-only", is_flag=True, help="The source package only: --build=source."),
        click.option("source", "-s", "--source/--no-source", default=None, help="With the source package, or without."),
        click.option("arch_all", "-A", "--arch-all/--no-arch-all", default=None,
                     help="With the packages for all architectures, or without."),
        click.option("arch_any", "--arch-any/--no-arch-any", default=None,
                     help="With the packages for one architecture, or without."),
    ):  # fmt: skip
        function = option(function)
    return function


@dataclass(frozen=True)
class Target:
    """The options as values: settings, and what only an order has."""

    build: Mapping[str, object]  #: keys of the section `build`
    addition: Addition | None = None
    directory: str | None = None

    def apply(self, order: Order) -> Order:
        if self.directory:
            order = replace(order, surroundings=replace(order.surroundings, directory=self.directory))
        return replace(order, addition=self.addition)


def parse_target(options: Mapping[str, Any], *, build_type: str | None = None) -> Target:
    """What `target_options` gave. *build_type*: of --build, from which the others add and take away.

    Errors: UsageError on options that do not go together; ConfigError on values that are none.
    """
    build: dict[str, object] = {}
    if type_ := choose_type(options, build_type):
        build["type"] = type_
    if options["host"]:
        build["host"] = options["host"]
    if options["jobs"]:
        build["parallel"] = options["jobs"]
    directory = check_directory(options["build_path"]) if options["build_path"] else None
    names = ("binnmu", "reason", "suffix", "timestamp", "maintainer", "entry")
    addition = make_addition(**{name: options[name] for name in names}, environment=os.environ.get)
    return Target(build, addition, directory)


def choose_type(options: Mapping[str, Any], build_type: str | None) -> str | None:
    """sbuild's truth table: the type that is left after all switches; None if none was given."""
    switches = {name: options[option] for name, option in
                (("any", "arch_any"), ("all", "arch_all"), ("source", "source"))}  # fmt: skip
    if options["source_only"]:
        if build_type or any(value is not None for value in switches.values()):
            raise click.UsageError("--source-only says all: no other choice of packages goes with it")
        return "source"
    if all(value is None for value in switches.values()):
        return build_type
    parts = TYPES[build_type or "binary"]
    chosen = {name: getattr(parts, name) if value is None else value for name, value in switches.items()}
    if (found := find_type(**chosen)) is None:
        raise click.UsageError("nothing is left to build: neither packages nor the source")
    return found
