"""Signing with sqop, Sequoia's stateless OpenPGP program: key in a file, data on stdin, no agent.

Source: https://datatracker.ietf.org/doc/draft-dkg-openpgp-stateless-cli/.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from debcore.command import run
from debcore.openpgp.armor import dearmor
from debcore.openpgp.fingerprint import v4_fingerprint

#: Seconds. A signature takes milliseconds; a stuck program must not stop the signer for good.
_TIMEOUT = 120.0


def make_secret_key(user_id: str) -> bytes:
    return run(["sqop", "generate-key", user_id], timeout=_TIMEOUT).stdout


class SopSigner:
    """The `Signer` of an unencrypted secret key in the file *key*."""

    def __init__(self, key: Path) -> None:
        self._key = key

    @cached_property
    def fingerprint(self) -> str:
        return v4_fingerprint(dearmor(self.public_key()))

    def sign_inline(self, data: bytes) -> bytes:
        # The line end before the signature is not part of the text (RFC 9580, 7.1). sqop from 0.30 on writes one more
        # after a text that ends with one, so that readers find an empty line too many; without it all versions agree.
        text = data.removesuffix(b"\n")
        return run(["sqop", "inline-sign", "--as=clearsigned", self._key], stdin=text, timeout=_TIMEOUT).stdout

    def sign_detached(self, data: bytes, *, armor: bool = True) -> bytes:
        options = [] if armor else ["--no-armor"]
        return run(["sqop", "sign", "--as=binary", *options, self._key], stdin=data, timeout=_TIMEOUT).stdout

    def public_key(self) -> str:
        return run(["sqop", "extract-cert"], stdin=self._key.read_bytes(), timeout=_TIMEOUT).text
