"""Keep what compilers made for the next build of the same package.

Each source package has a cache of its own, so that none can put its objects into another's build. ccache looks at the
whole command line: the next build of the same version gains most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from deb_mock import plugin

#: Where the cache is seen inside.
PLACE = "/var/cache/ccache"


class Plugin(plugin.Plugin):
    """`max_size`: of each package's cache, in ccache's units."""

    api: ClassVar[int] = 1
    max_size: str = Field(default="2G", pattern=r"^\d+(\.\d+)?[kMGT]?i?$")
    compress: bool = True

    def packages(self) -> Sequence[str]:
        return ["ccache"]

    def mounts(self, build: plugin.Build) -> Sequence[plugin.Mount]:
        return [plugin.Mount(source=build.cache(build.source), target=PLACE, readonly=False)]

    def environment(self, build: plugin.Build) -> Mapping[str, str]:
        return {
            "PATH": "/usr/lib/ccache",
            "CCACHE_DIR": PLACE,
            "CCACHE_MAXSIZE": self.max_size,
            **({} if self.compress else {"CCACHE_NOCOMPRESS": "1"}),
        }

    def influences(self) -> Sequence[str]:
        return ["objects that earlier builds compiled"]

    def postbuild(self, build: plugin.Build) -> None:
        for line in build.run(["ccache", "--show-stats"]).text.splitlines():
            build.log(f"ccache: {line}")
