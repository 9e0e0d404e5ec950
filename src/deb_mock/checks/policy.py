"""The policy of the quality gate: which finding makes a build fail. Files, a later one winning key by key:

/etc/deb-mock/policy.toml, ~/.config/deb-mock/policy.toml, the nearest `.deb-mock-policy.toml` of the project, --policy,
--fail-on. A project's file may come from strangers: it can make the policy stricter, never milder.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deb_mock.checks.model import LEVELS, Finding, Level
from deb_mock.config import find_project_file
from deb_mock.preset import user_directory
from debcore.errors import ConfigError

Action = Literal["fatal", "warn", "ignore"]
#: From strict to mild.
ACTIONS: tuple[Action, ...] = get_args(Action)

PROJECT_FILE = ".deb-mock-policy.toml"
SYSTEM_FILE = Path("/etc/deb-mock/policy.toml")
#: Section of the values for all checks.
ALL = "all"

DEFAULT: dict[Level, Action] = {
    "error": "fatal",
    "warning": "warn",
    "info": "ignore",
    "pedantic": "ignore",
    "experimental": "ignore",
    "override": "ignore",
    "not-run": "warn",
}


class Waiver(BaseModel):
    """A finding that is known and accepted, for a reason and until a day. Names may have the wildcards * and ?."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    tag: str
    subject: str = "*"
    source: str = "*"  #: source package
    reason: Annotated[str, Field(min_length=1)]
    until: date  #: the last day on which it counts

    def covers(self, check: str, finding: Finding, source: str) -> bool:
        pairs = ((check, self.check), (finding.tag, self.tag), (finding.subject, self.subject), (source, self.source))
        return all(fnmatchcase(value, pattern) for value, pattern in pairs)


@dataclass(frozen=True)
class Policy:
    """What becomes of each finding."""

    actions: dict[tuple[str, Level], Action] = field(default_factory=dict)  #: (check or ALL, level) → action
    waivers: tuple[Waiver, ...] = ()

    def action(self, check: str, level: Level) -> Action:
        return self.actions.get((check, level)) or self.actions.get((ALL, level)) or DEFAULT[level]

    def judge(
        self, check: str, finding: Finding, *, source: str, today: date | None = None
    ) -> Action | Literal["waived"]:
        """What the policy makes of *finding*."""
        action = self.action(check, finding.level)
        day = today or datetime.now(UTC).date()
        waived = any(waiver.until >= day and waiver.covers(check, finding, source) for waiver in self.waivers)
        return "waived" if waived and action != "ignore" else action

    def expired(self, today: date | None = None) -> tuple[Waiver, ...]:
        day = today or datetime.now(UTC).date()
        return tuple(waiver for waiver in self.waivers if waiver.until < day)

    def under(self, other: Policy, *, stricter_only: bool = False) -> Policy:
        """This policy with *other* laid over it."""
        merged = dict(self.actions)
        for (check, level), action in other.actions.items():
            # what is said of all checks holds for those of which an earlier file said something else
            one = [key for key in self.actions if key[0] != ALL and key[1] == level and key not in other.actions]
            for key in [(check, level), *(one if check == ALL else ())]:
                if not stricter_only or ACTIONS.index(action) < ACTIONS.index(self.action(*key)):
                    merged[key] = action
        return replace(self, actions=merged, waivers=(*self.waivers, *other.waivers))


def parse_policy(text: str, *, name: str, checks: Sequence[str], project: bool = False) -> Policy:
    """The policy in a TOML file. *checks*: their names. Errors: ConfigError on everything that it does not know."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(name, str(error), hint="the file is TOML: https://toml.io") from error
    actions: dict[tuple[str, Level], Action] = {}
    waivers: tuple[Waiver, ...] = ()
    for section, content in values.items():
        if section == "waiver":
            if project:
                hint = "put it into ~/.config/deb-mock/policy.toml: a project can only make the policy stricter"
                raise ConfigError(f"{name}:waiver", "may not be set by a project", hint=hint)
            waivers = _parse_waivers(content, name=name)
            continue
        _check_word(section, (*checks, ALL, "waiver"), where=name, what="check")
        if not isinstance(content, dict):
            raise ConfigError(
                f"{name}:{section}", "is no table", hint=f'write [{section}] and, below it, error = "fatal"'
            )
        for level, action in content.items():
            _check_word(level, LEVELS, where=f"{name}:{section}", what="level")
            _check_word(str(action), ACTIONS, where=f"{name}:{section}.{level}", what="action")
            actions[section, level] = action
    return Policy(actions, waivers)


def _parse_waivers(content: object, *, name: str) -> tuple[Waiver, ...]:
    try:
        return tuple(Waiver.model_validate(entry) for entry in content) if isinstance(content, list) else ()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        hint = "a waiver has check, tag, reason and until, such as 2027-01-31; subject and source are optional"
        raise ConfigError(f"{name}:waiver.{where}", first["msg"], hint=hint) from error


def _check_word(word: str, known: Sequence[str], *, where: str, what: str) -> None:
    if word in known:
        return
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    raise ConfigError(where, f"{word!r} is no {what}", hint=hint)


def parse_fail_on(text: str, checks: Sequence[str]) -> Policy:
    """`LEVEL` or `CHECK:LEVEL`, separated by commas: this level and the graver ones are fatal. Errors: ConfigError."""
    actions: dict[tuple[str, Level], Action] = {}
    for word in filter(None, text.split(",")):
        check, _, level = word.rpartition(":")
        _check_word(level, LEVELS, where="--fail-on", what="level")
        _check_word(check or ALL, (*checks, ALL), where="--fail-on", what="check")
        graver = LEVELS[: LEVELS.index(level) + 1] if level != "not-run" else ("not-run",)
        actions |= {(check or ALL, each): "fatal" for each in graver}
    return Policy(actions)


def load_policy(
    checks: Sequence[str], *, project: Path | None = None, file: Path | None = None, fail_on: Sequence[str] = ()
) -> Policy:
    """The policy of all files. *project*: where the search for the project's file begins. Errors: ConfigError."""
    policy = Policy()
    for path in (SYSTEM_FILE, user_directory() / "policy.toml"):
        if (text := _read(path)) is not None:
            policy = policy.under(parse_policy(text, name=str(path), checks=checks))
    found = find_project_file(project.resolve(), name=PROJECT_FILE) if project else None
    if found is not None and (text := _read(found)) is not None:
        policy = policy.under(parse_policy(text, name=str(found), checks=checks, project=True), stricter_only=True)
    if file is not None:
        text = _read(file)
        if text is None:
            raise ConfigError(str(file), "no such file")
        policy = policy.under(parse_policy(text, name=str(file), checks=checks))
    for words in fail_on:
        policy = policy.under(parse_fail_on(words, checks))
    return policy


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error
