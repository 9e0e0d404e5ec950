"""All checks, in the order in which they run: quick ones first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from deb_mock.checks import autopkgtest, blhc, debdiff, install, lintian, piuparts, upgrade
from deb_mock.checks.model import Check
from deb_mock.checks.policy import load_policy
from deb_mock.order import Gate
from debcore.errors import ConfigError

CHECKS: tuple[Check, ...] = (
    lintian.CHECK,
    blhc.CHECK,
    debdiff.CHECK,
    install.CHECK,
    upgrade.CHECK,
    piuparts.CHECK,
    autopkgtest.CHECK,
)


def find_checks(names: Iterable[str]) -> tuple[Check, ...]:
    """The checks with these names, in their order; none stands for all. Errors: ConfigError."""
    wanted = list(names)
    known = {check.name for check in CHECKS}
    for name in wanted:
        if name not in known:
            raise ConfigError("--check", f"{name!r} is no check", hint=f"known are {', '.join(c.name for c in CHECKS)}")
    return tuple(check for check in CHECKS if not wanted or check.name in wanted)


def make_gate(
    names: Iterable[str], *, project: Path | None = None, file: Path | None = None, fail_on: Sequence[str] = ()
) -> Gate:
    """The gate of a build; the words as load_policy() takes them. Errors: ConfigError."""
    known = [check.name for check in CHECKS]
    policy = load_policy(known, project=project, file=file, fail_on=fail_on)
    return Gate(tuple(check.name for check in find_checks(names)), policy)


def add_checks(gate: Gate | None, names: Sequence[str]) -> Gate:
    """*gate* with the checks *names* too; a new one has the system's and the user's policy. Errors: ConfigError."""
    if gate is None:
        return make_gate(names)
    return replace(gate, checks=tuple(check.name for check in find_checks((*gate.checks, *names))))
