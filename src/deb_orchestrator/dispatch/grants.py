"""Secrets of attempts. The database stores salts and hashes only: reading it gives nobody a grant.

A grant is derived from the agent's own claim id, so that a repeated claim gets the same grant although the hub kept
no secret; the salt, which never leaves the hub, makes it unguessable even where a claim id is weak.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets


def make_salt() -> str:
    """128 random bits, hexadecimal."""
    return secrets.token_hex(16)


def derive_grant(claim_id: str, salt: str) -> str:
    """The grant of the attempt that was claimed with *claim_id*: 256 bits, hexadecimal."""
    return hmac.new(claim_id.encode(), f"grant:{salt}".encode(), hashlib.sha256).hexdigest()


def hash_secret(secret: str) -> str:
    """What the database keeps of a claim id or a grant."""
    return hashlib.sha256(secret.encode()).hexdigest()
