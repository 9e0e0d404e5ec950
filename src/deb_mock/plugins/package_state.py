"""Write `installed_pkgs.log` beside the results: every package of the root, as Mock's plugin of this name does."""

from __future__ import annotations

from typing import ClassVar

from deb_mock import plugin


class Plugin(plugin.Plugin):
    """Has no options. Each line: NAME ARCHITECTURE VERSION SIZE SHA256 base|build-dep."""

    api: ClassVar[int] = 1

    def postdeps(self, build: plugin.Build) -> None:
        assert build.lock is not None
        lines = [f"{p.name} {p.arch} {p.version} {p.size} {p.sha256} {p.role}\n" for p in build.lock.packages]
        build.keep("installed_pkgs.log", "".join(sorted(lines)).encode())
