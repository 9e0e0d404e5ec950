"""What the signer may sign: data that its owner writes, and rules that no hub can talk it out of.

policy.toml in the signer's state directory; all keys are optional:

    suites = ["trixie-*"]           # releases of these suites, and keys for them (shell patterns)
    refs = ["debian/*"]             # OSTree commits for these refs
    rate_per_hour = 3600            # signatures of each key
    clock_skew_s = 300              # how far in the future a date may lie
"""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deb_orchestrator.signer.model import SignSpec
from debcore.aptrepo import Release
from debcore.aptrepo.paths import base_of
from debcore.errors import ConfigError


class Refused(Exception):
    """The signer will not sign this; the text is for the hub's log and its people."""


class Policy(BaseModel):
    """See the module's text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suites: tuple[str, ...] = ("*",)
    refs: tuple[str, ...] = ("*",)
    rate_per_hour: int = Field(default=3600, gt=0)
    clock_skew_s: int = Field(default=300, ge=0)


@dataclass(frozen=True)
class Last:
    """The newest release that was signed for a suite."""

    generation: int
    input_sha256: str


def load_policy(path: Path) -> Policy:
    """Errors: ConfigError on unknown keys and bad values. No file: the defaults."""
    if not path.exists():
        return Policy()
    try:
        return Policy.model_validate(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"{path}:{'.'.join(map(str, first['loc']))}", first["msg"], hint="see docs/explanation/publishing.md"
        ) from error


def check_key(policy: Policy, spec: SignSpec) -> None:
    """May a key of this name be made and shown? Errors: Refused."""
    _check_suite(policy, spec)


def check_release(
    policy: Policy, spec: SignSpec, release: Release, last: Last | None, *, input_sha256: str, now: datetime
) -> None:
    """Errors: Refused. What counts is what stands in the Release file; the job must say the same.

    The very input that was signed last may be signed again: the answer to it may have been lost.
    """
    _check_suite(policy, spec)
    if release.suite != spec.suite or release.generation != spec.generation:
        raise Refused(
            f"the job is for generation {spec.generation} of {spec.suite}, "
            f"the file for generation {release.generation} of {release.suite}"
        )
    if release.date > now + timedelta(seconds=policy.clock_skew_s):
        raise Refused(f"its date {release.date:%Y-%m-%d %H:%M:%S} UTC lies in the future")
    if last is None or release.generation > last.generation:
        return
    if release.generation < last.generation or input_sha256 != last.input_sha256:
        raise Refused(f"generation {release.generation} of {spec.suite} is not above {last.generation}, signed before")


def check_commit(policy: Policy, spec: SignSpec) -> None:
    """Errors: Refused."""
    if not any(fnmatch.fnmatchcase(spec.subject, pattern) for pattern in policy.refs) or not spec.subject:
        raise Refused(f"policy allows no commits for the ref {spec.subject!r}")


def check_rate(policy: Policy, signed_in_last_hour: int) -> None:
    """Errors: Refused."""
    if signed_in_last_hour >= policy.rate_per_hour:
        raise Refused(f"more than {policy.rate_per_hour} signatures in an hour with this key")


def _check_suite(policy: Policy, spec: SignSpec) -> None:
    base = base_of(spec.suite)  # snapshots are under the rules and the key of their suite
    if not any(fnmatch.fnmatchcase(base, pattern) for pattern in policy.suites):
        raise Refused(f"policy allows no suite {spec.suite!r}")
    for key in (spec.key, *spec.also):
        if base_of(key) != base:
            raise Refused(f"the key {key!r} is not the suite's own")
