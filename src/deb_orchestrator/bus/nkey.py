"""NATS's `.creds` files: a JWT that says who one is, and an Ed25519 seed that proves it. The seed is never sent.

Source: NATS ADR-1 (JWT) and the nkeys README: a seed is base32 of two bytes of prefix, 32 of seed and a CRC16.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from pathlib import Path

from debcore.errors import ConfigError

#: The first line of such a file.
MARK = "BEGIN NATS USER JWT"
_PART = re.compile(r"-+BEGIN ([A-Z ]+)-+\s+(\S+)\s+-+END \1-+")
#: Prefix bytes of nkeys: of a seed, and of the kind `user`.
_SEED, _USER = 18 << 3, 20 << 3


def load_creds(text: str, path: Path) -> dict[str, Callable[..., bytes]]:
    """What nats.connect() wants. Errors: ConfigError naming *path* where it is none, or its seed is damaged."""
    parts = dict(_PART.findall(text))
    jwt, words = parts.get("NATS USER JWT"), parts.get("USER NKEY SEED")
    if jwt is None or words is None:
        raise ConfigError(str(path), "it has no JWT and seed of a NATS user", hint="as `nsc generate creds` writes it")
    seed = parse_seed(words)
    if seed is None:
        raise ConfigError(str(path), "its seed is no NKey of a user", hint="as `nsc generate creds` writes it")
    return {"user_jwt_cb": jwt.encode, "signature_cb": make_signer(seed)}


def parse_seed(words: str) -> bytes | None:
    """The 32 bytes; None if *words* are no seed of a user."""
    try:
        raw = base64.b32decode(words + "=" * (-len(words) % 8))
    except (ValueError, binascii.Error):
        return None
    if len(raw) != 36 or binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") != raw[-2:]:
        return None
    kind = (raw[0] & 7) << 5 | raw[1] >> 3
    return raw[2:-2] if raw[0] & 0xF8 == _SEED and kind == _USER else None


def make_signer(seed: bytes) -> Callable[[str], bytes]:
    """Signs the server's nonce, in base64."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed)
    return lambda nonce: base64.b64encode(key.sign(nonce.encode()))
