"""Sign the results of each build, as `deb-mock build --sign` does; the key is never inside. See docs/howto/sign.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from deb_mock import plugin


class Plugin(plugin.Plugin):
    """`command`: reads a text and prints it clear-signed. `keyring`: what it prints must be signed by a key of this
    file. Without them the settings sign.command and sign.keyring say so."""

    api: ClassVar[int] = 1
    command: tuple[str, ...] = Field(default=(), examples=[["gpg", "--clearsign", "--local-user", "ME"]])
    keyring: str | None = None

    def settings(self) -> Mapping[str, object]:
        found = {"sign.command": list(self.command), "sign.keyring": self.keyring}
        return {key: value for key, value in found.items() if value}

    def signs(self) -> bool:
        return True
