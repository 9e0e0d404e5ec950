"""The words that a manifest is made of: names, refs, paths, architectures."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

#: Debian's architectures that a compose may name (dpkg-architecture -L, those with a port that boots by itself).
ARCHES = frozenset(
    {"amd64", "arm64", "armhf", "i386", "loong64", "mips64el", "ppc64el", "riscv64", "s390x"}
)  # fmt: skip
#: ostree's own rule for refs, and no `..`. Source: ostree-core.c, OSTREE_REF_REGEXP.
REF = re.compile(r"(?:[A-Za-z0-9_][-._A-Za-z0-9]*/)*[A-Za-z0-9_][-._A-Za-z0-9]*")
#: Policy 5.6.1, with an optional exact version.
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+~:-]+)?")
NAME_ONLY = re.compile(r"[a-z0-9][a-z0-9+.-]+")
UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,240}\.(?:service|socket|timer|target|path|mount|automount|swap|slice)")


def _check(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value) or ".." in value.split("/"):
            raise ValueError(f"{value!r} is no {what}")
        return value

    return AfterValidator(check)


def _check_path(value: str) -> str:
    if not value.startswith("/") or value == "/" or "\0" in value or ".." in value.split("/"):
        raise ValueError(f"{value!r} is no absolute path inside the image")
    if value.split("/")[1] in ("proc", "sys", "dev", "run", "tmp", "ostree", "sysroot"):
        raise ValueError(f"{value!r} is not part of an image: what stands there is made at run time")
    return value


Package = Annotated[str, _check(PACKAGE, "package name (NAME or NAME=VERSION)")]
Ref = Annotated[str, StringConstraints(max_length=200), _check(REF, "OSTree ref (such as example/trixie/amd64/server)")]
Unit = Annotated[str, _check(UNIT, "unit name with its suffix (such as ssh.service)")]
ImagePath = Annotated[str, AfterValidator(_check_path)]
HostPath = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
Suite = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.+-]*(/[a-z0-9.+-]+)*$", max_length=80)]
Script = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]
DracutModule = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.+-]*$", max_length=60)]
Locale = Annotated[
    str,
    StringConstraints(pattern=r"^(C|POSIX|[a-z]{2,3}(_[A-Z]{2})?)(\.[A-Za-z0-9-]+)?(@[a-z]+)?$", max_length=40),
]
Removable = Annotated[str, AfterValidator(lambda value: _check_removable(value))]
PackageFiles = Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(lambda value: _check_patterns(value))]
Arch = Annotated[str, AfterValidator(lambda value: _known_arch(value))]


def _known_arch(value: str) -> str:
    if value not in ARCHES:
        raise ValueError(f"{value!r} is no architecture of Debian (known: {', '.join(sorted(ARCHES))})")
    return value


def _check_removable(value: str) -> str:
    _check_path(value)
    if value.startswith("/var/"):
        raise ValueError(f"{value!r} is state: a rule of `var` with `action: discard` leaves it out")
    if len(value.strip("/").split("/")) < 2:
        raise ValueError(f"{value!r} is a whole part of the system")
    return value.rstrip("/")


def _check_patterns(value: tuple[str, ...]) -> tuple[str, ...]:
    if not NAME_ONLY.fullmatch(value[0]):
        raise ValueError(f"{value[0]!r} is no package name: a rule is [PACKAGE, REGEX, …]")
    for pattern in value[1:]:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return value


def _check_snapshot(value: str) -> str:
    try:
        sound = not value or f"{datetime.strptime(value, '%Y%m%dT%H%M%S%z'):%Y%m%dT%H%M%SZ}" == value
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"{value!r} is no snapshot: a time in UTC such as 20261120T000000Z")
    return value


SnapshotId = Annotated[str, AfterValidator(_check_snapshot)]
