"""Compress the logs of a build when it has ended, as Mock's plugin of this name does.

Logs that a job directory or `deb-mock sbuild` shows to others under their own names stay as they are.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from deb_mock import plugin


class Plugin(plugin.Plugin):
    """`method`: gz, xz or zst; the logs get it as a suffix."""

    api: ClassVar[int] = 1
    method: Literal["gz", "xz", "zst"] = "zst"

    def compression(self) -> str:
        return self.method
