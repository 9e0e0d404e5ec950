"""The key that signs commits when no farm's signer does, and signatures kept so that they need not be made twice.

A signature names the second in which it was made; a disk image holds it. What was signed once is therefore looked up,
so that the same lock gives the same image.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from debcore.openpgp import Signer, generate_key, load_signer
from debcore.path import write_file


def default_key() -> Path:
    """DEBOOTC_SIGNING_KEY, else $XDG_STATE_HOME/deb-bootc-compose/signing-key.asc (made when first needed)."""
    given = os.environ.get("DEBOOTC_SIGNING_KEY")
    if given:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(home, "deb-bootc-compose", "signing-key.asc")


def open_signer(key: Path | None = None) -> Signer:
    """Errors: HostFailed if there is no OpenPGP program."""
    path = key or default_key()
    if path.exists():
        signer = load_signer(path)
    else:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        signer = generate_key(path, "deb-bootc-compose commits")
    return StoredSigner(signer, path.parent / "signatures")


class StoredSigner:
    """A signer that gives the stored signature for data that this key has signed before."""

    def __init__(self, signer: Signer, store: Path) -> None:
        self._signer = signer
        self._store = store

    @property
    def fingerprint(self) -> str:
        return self._signer.fingerprint

    def sign_inline(self, data: bytes) -> bytes:
        return self._signer.sign_inline(data)

    def sign_detached(self, data: bytes, *, armor: bool = True) -> bytes:
        name = f"{hashlib.sha256(data).hexdigest()}.{self.fingerprint}.{'asc' if armor else 'gpg'}"
        path = self._store / name
        if path.exists():
            return path.read_bytes()
        signature = self._signer.sign_detached(data, armor=armor)
        self._store.mkdir(mode=0o700, exist_ok=True)
        write_file(path, signature)
        return signature

    def public_key(self) -> str:
        return self._signer.public_key()
