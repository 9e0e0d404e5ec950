"""Keep changes to throw-away roots in memory, as Mock's plugin of this name does. It sets settings and does nothing.

Where there is no room the build goes on on disk, and says why: see docs/explanation/layers.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from deb_mock import plugin
from deb_mock.settings import Size


class Plugin(plugin.Plugin):
    """The settings of [root] with Mock's names; `wish` is root.tmpfs."""

    api: ClassVar[int] = 1
    wish: Literal["auto", "yes"] = "yes"
    required_ram_mb: int | None = Field(default=None, ge=1)
    max_fs_size: Size = None

    def settings(self) -> Mapping[str, object]:
        values = {"tmpfs": self.wish, "required_ram_mb": self.required_ram_mb, "max_fs_size": self.max_fs_size}
        return {f"root.{key}": value for key, value in values.items() if value is not None}
