"""Run lintian after each build; the policy says what fails it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from deb_mock import plugin


class Plugin(plugin.Plugin):
    """Has no options: see docs/howto/check-packages.md for the policy file."""

    api: ClassVar[int] = 1

    def checks(self) -> Sequence[str]:
        return ("lintian",)
