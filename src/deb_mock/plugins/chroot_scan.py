"""Keep files of the build directory that match, such as config.log, as chroot_scan.tar beside the results."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import field_validator

from deb_mock import plugin

#: More is not kept: bytes of all files together.
MOST = 64 << 20

TAR = ("tar", "--create", "--file=-", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--no-recursion", "--")
#: More files than this are not kept.
MOST_FILES = 500


class Plugin(plugin.Plugin):
    """`regexes`: of whole paths below the build directory. `only_failed`: not after a build that went well."""

    api: ClassVar[int] = 1
    regexes: tuple[str, ...] = (r".*/config\.log", r".*/CMake(Error|Output)\.log", r".*/core(\.[0-9]+)?")
    only_failed: bool = True

    @field_validator("regexes")
    @classmethod
    def check_regexes(cls, regexes: tuple[str, ...]) -> tuple[str, ...]:
        for regex in regexes:
            try:
                re.compile(regex)
            except re.error as error:
                raise ValueError(f"{regex!r} is no regular expression: {error}") from error
        return regexes

    def postbuild(self, build: plugin.Build) -> None:
        if not self.regexes or (self.only_failed and not build.failed):
            return
        joined = "|".join(f"({regex})" for regex in self.regexes)
        find = ["find", ".", "-xdev", "-type", "f", "-regextype", "posix-extended", "-regex", joined]
        found = build.run([*find, "-printf", "%s %p\\0"]).stdout.decode("utf-8", "surrogateescape")
        names: list[str] = []
        total = 0
        for size, _, name in (entry.partition(" ") for entry in found.split("\0") if entry):
            total += int(size) + 1024
            if total <= MOST and len(names) < MOST_FILES:
                names.append(name)
        if names:
            build.keep("chroot_scan.tar", build.run([*TAR, *names]).stdout)
