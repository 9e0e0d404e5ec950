"""Several keys that sign as one, so that a key can be replaced: whoever holds any of them finds a good signature."""

from __future__ import annotations

from collections.abc import Sequence

from debcore.errors import HostFailed
from debcore.openpgp.armor import dearmor, enarmor, join_certificates
from debcore.openpgp.signer import Signer

_BEGIN = b"-----BEGIN PGP SIGNATURE-----"


class JointSigner:
    """The `Signer` of at least one key. Signatures are packets, and stand one after the other."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        self._signers = tuple(signers)

    @property
    def fingerprint(self) -> str:
        """Those of all, with blanks between."""
        return " ".join(signer.fingerprint for signer in self._signers)

    def sign_inline(self, data: bytes) -> bytes:
        """Errors: HostFailed if the OpenPGP programs frame the text differently."""
        parts = [signer.sign_inline(data).partition(_BEGIN) for signer in self._signers]
        if len({head for head, _, _ in parts}) != 1:
            raise HostFailed("two keys framed the same text differently", hint="sign with one OpenPGP program")
        signatures = b"".join(dearmor(begin + rest) for _, begin, rest in parts)
        return parts[0][0] + enarmor(signatures, "PGP SIGNATURE").encode()

    def sign_detached(self, data: bytes, *, armor: bool = True) -> bytes:
        packets = b"".join(signer.sign_detached(data, armor=False) for signer in self._signers)
        return enarmor(packets, "PGP SIGNATURE").encode() if armor else packets

    def public_key(self) -> str:
        return join_certificates(signer.public_key() for signer in self._signers)
