"""Options of `deb-mock build` about trust: locks, verification and signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from deb_mock.order import Order
from deb_mock.reproduce import Check
from deb_mock.variations import choose_variations
from debcore.errors import BuildFailed, ConfigError, HostFailed
from debcore.job import Lock, Result, Status, load_lock

Function = TypeVar("Function", bound=Callable[..., Any])


def trust_options(function: Function) -> Function:
    for option in (
        click.option(
            "--sign", is_flag=True,
            help="Sign afterwards: .dsc, .buildinfo, .changes by sign.command, the provenance by sign.provenance.",
        ),
        click.option(
            "--find-variation", is_flag=True,
            help="With --verify-reproducible: on a difference, build again and again to find which variation does it.",
        ),
        click.option(
            "--vary", multiple=True, metavar="NAMES",
            help="With --verify-reproducible: which variations, as reprotest has it: -build_path,+umask.",
        ),
        click.option(
            "--verify-reproducible", is_flag=True,
            help="Build twice, the second time in other surroundings, and compare bit for bit.",
        ),
        click.option("--offline", is_flag=True, help="With --locked: fetch nothing, use only what this host has."),
        click.option(
            "--lock-sha256", metavar="HASH", help="With --locked: refuse the file unless it hashes to this."
        ),
        click.option(
            "--locked", type=click.Path(path_type=Path, dir_okay=False), metavar="LOCK",
            help="Build in exactly the root of this lock (from `deb-mock lock` or an earlier build's lock.json).",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@dataclass(frozen=True)
class Trust:
    """The options as values."""

    lock: Lock | None = None
    offline: bool = False
    check: Check | None = None
    sign: bool = False

    @property
    def preset(self) -> str | None:
        """The lock's, for builds without -r."""
        return self.lock.preset if self.lock else None

    def apply(self, order: Order) -> Order:
        """Errors: ConfigError before anything is built."""
        signers = order.choice.settings.sign
        if self.sign and not signers.command and not signers.provenance:
            hint = """--set 'sign.command=["gpg", "--clearsign", "--local-user", "KEY"]', or in your config.toml"""
            raise ConfigError("sign.command", "--sign needs to know who signs", hint=hint)
        return replace(order, lock=self.lock, offline=self.offline, check=self.check, sign=self.sign)


def parse_trust(options: Mapping[str, Any]) -> Trust:
    """Errors: UsageError on options that do not go together; ConfigError on a lock that cannot be used."""
    needs = {"offline": "locked", "lock_sha256": "locked"}
    needs |= {"vary": "verify_reproducible", "find_variation": "verify_reproducible"}
    for name, other in needs.items():
        if options[name] and not options[other]:
            raise click.UsageError(f"--{name.replace('_', '-')} needs --{other.replace('_', '-')}")
    check = None
    if options["verify_reproducible"]:
        check = Check(vary=choose_variations(options["vary"]), find_variation=options["find_variation"])
    lock = load_lock(options["locked"], sha256=options["lock_sha256"]) if options["locked"] else None
    return Trust(lock=lock, offline=options["offline"], check=check, sign=options["sign"])


def trust_status(result: Result, order: Order) -> int:
    """The exit status: the result's own, but for a build that is not what was asked: not reproducible, or unsigned."""
    if result.status is Status.BUILT and order.check is not None and result.reproducible is False:
        return BuildFailed.status
    if result.status is Status.BUILT and result.signed is False:
        return HostFailed.status
    return result.status.exit_status
