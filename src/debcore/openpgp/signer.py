"""The port behind which a secret key is used: apt, OSTree, OCI and provenance all sign through it."""

from __future__ import annotations

from typing import Protocol


class Signer(Protocol):
    """One secret key. Errors of each method: CommandFailed when the OpenPGP program refuses."""

    @property
    def fingerprint(self) -> str:
        """Of the primary key: 40 upper-case hexadecimal digits."""
        ...

    def sign_inline(self, data: bytes) -> bytes:
        """*data* (UTF-8 text) with a cleartext signature, as InRelease and .dsc."""
        ...

    def sign_detached(self, data: bytes, *, armor: bool = True) -> bytes:
        """A detached signature: armoured as in Release.gpg, or binary packets as OSTree keeps them."""
        ...

    def public_key(self) -> str:
        """The certificate, armoured."""
        ...
