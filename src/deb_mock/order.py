"""A build as a value: what is to be built, for whom, and where everything goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deb_mock.addition import Addition
from deb_mock.buildtype import Parts, binary_only_type, choose_parts
from deb_mock.commands import NO_COMMANDS, Commands
from deb_mock.config import Choice
from deb_mock.source import Source
from deb_mock.surroundings import STANDARD, Surroundings
from debcore.errors import ConfigError
from debcore.job import AptSource, Limits, Lock

if TYPE_CHECKING:
    from deb_mock.checks.policy import Policy
    from deb_mock.failed import Again
    from deb_mock.reproduce import Check

#: Profiles that Policy and dpkg's convention mirror in DEB_BUILD_OPTIONS.
MIRRORED = ("nocheck", "nodoc", "noautodbgsym")


@dataclass(frozen=True)
class Identity:
    """Whose build it is; goes into every event and the result. Builds by hand have a job of that name."""

    job: str = "local"
    attempt: int = 1
    request: str | None = None
    build: str | None = None


@dataclass(frozen=True)
class Gate:
    """Checks by name, in any order, and the policy that judges what they find."""

    checks: tuple[str, ...]
    policy: Policy
    as_sbuild: bool = False  #: whatever they find, the build succeeds; what they print is in the build log
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: check → more options for its program


@dataclass(frozen=True, kw_only=True)
class Order:
    """One build. `directory` gets all results: the job directory."""

    source: Source
    choice: Choice
    directory: Path
    identity: Identity = field(default_factory=Identity)
    extra: tuple[AptSource, ...] = ()  #: apt sources beside the preset's
    debs: tuple[Path, ...] = ()  #: packages on this host that come before the archive's
    distribution: str | None = None  #: Distribution of the .changes
    timeout: float | None = None  #: seconds for the whole build
    lock: Lock | None = None  #: the root is exactly this one, and nothing is resolved
    offline: bool = False  #: with a lock: what this host does not have is not fetched
    surroundings: Surroundings = STANDARD
    check: Check | None = None  #: build again in other surroundings, and compare
    gate: Gate | None = None  #: checks of what was built, and the policy that judges
    sign: bool = False  #: by the settings' sign.command, when all is built
    tree: str | None = None  #: where the source is unpacked inside; None: SOURCE-VERSION in the build directory
    addition: Addition | None = None  #: a changelog entry that the source does not have: a binNMU
    chroot: Path | None = None  #: a tarball with a root, in place of the preset's base
    named: str | None = None  #: the named root to build in; what changes there stays
    fields: Mapping[str, str] = field(default_factory=dict)  #: relations beside those of the source's control file
    options: tuple[str, ...] = ()  #: more options for dpkg-buildpackage
    source_options: tuple[str, ...] = ()  #: more options for dpkg-source, where a directory is packed
    commands: Commands = NO_COMMANDS  #: of the user, at stages of the build
    debug: bool = False  #: when it fails, a shell in its root before that goes
    again: Again | None = None  #: go on in the kept root of a build that failed; `source` then only names it
    verifies: bool = False  #: the second build of a verification: `lock` is that of the first
    plain_logs: bool = False  #: others read the logs by their names: they stay as they are
    choose_again: Callable[[str], Choice] | None = None  #: with a changelog's distribution, known once it is fetched

    @property
    def unpacks(self) -> bool:
        return self.again is None or self.again.stage == "unpack"

    @property
    def limits(self) -> Limits:
        limits = self.choice.settings.limits
        return Limits(
            memory=limits.memory,
            disk=limits.disk,
            processes=limits.processes,
            silence_s=limits.silence,
            log=limits.log,
        )

    @property
    def target_distribution(self) -> str:
        return self.distribution or self.choice.distribution

    def built_version(self, version: str) -> str:
        """Of the binary packages of a source with *version*."""
        return self.addition.version(version) if self.addition else version

    @property
    def build_type(self) -> str:
        """What is built: a binNMU has packages for one architecture only."""
        type_ = self.choice.settings.build.type
        return binary_only_type(type_) if self.addition and self.addition.is_binary_only else type_

    def parts(self, architectures: Sequence[str], name: str) -> Parts:
        """Errors: ConfigError if nothing would be built."""
        if self.addition and self.addition.is_binary_only and self.build_type != "any":
            hint = "rebuild packages for all architectures with a new version of the source"
            raise ConfigError(
                "--binNMU", f"is for one architecture's packages, not --build={self.build_type}", hint=hint
            )
        return choose_parts(self.build_type, architectures=architectures, arch=self.choice.host_arch, name=name)

    def build_options(self, processors: int) -> str:
        """DEB_BUILD_OPTIONS: the configured ones, mirrored profiles, and the number of parallel jobs."""
        build = self.choice.settings.build
        words = list(build.options)
        words += [word for word in MIRRORED if word in build.profiles and word not in words]
        if not any(word.startswith("parallel=") for word in words):
            words.append(f"parallel={build.parallel or processors}")
        return " ".join(words)

    def build_environment(self, processors: int) -> dict[str, str]:
        """What dpkg-buildpackage gets beside the surroundings. Source: sbuild 0.91 Build.pm; dpkg-cross."""
        env = {"DEB_BUILD_OPTIONS": self.build_options(processors)}
        if self.choice.is_cross:
            env["CONFIG_SITE"] = f"/etc/dpkg-cross/cross-config.{self.choice.host_arch}"
        if self.choice.settings.vendor != "debian":
            env["DEB_VENDOR"] = self.choice.settings.vendor
        return env

    def build_command(self, parts: Parts, *, gain_root: str | None = None) -> list[str]:
        """dpkg-buildpackage with everything that follows from the settings. Source: dpkg-buildpackage(1)."""
        sanitize = ["--sanitize-env"] if self.surroundings.sanitize else []
        line = ["dpkg-buildpackage", *sanitize, "-us", "-uc", parts.flag]
        if self.choice.is_cross:
            line.append(f"-a{self.choice.host_arch}")
        if self.choice.settings.build.profiles:
            line.append(f"-P{','.join(self.choice.settings.build.profiles)}")
        if self.again and self.again.stage == "build":
            line.append("--no-pre-clean")
        if self.distribution:
            line.append(f"--changes-option=-DDistribution={self.distribution}")
        if gain_root:
            line.append(f"--root-command={gain_root}")
        return [*line, *self.options]
