"""An operator with one account and one user, as `nsc` would make them: JWTs signed with NKeys.

Source: NATS ADR-1 and the nkeys README.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

OPERATOR, ACCOUNT, USER, SEED = 14 << 3, 0, 20 << 3, 18 << 3
_LIMITS = ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams",
           "consumer")  # fmt: skip


def encode(raw: bytes) -> str:
    checked = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


@dataclass(frozen=True)
class Key:
    kind: int
    key: Ed25519PrivateKey

    @property
    def name(self) -> str:
        return encode(bytes([self.kind]) + self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @property
    def seed(self) -> str:
        raw = self.key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return encode(bytes([SEED | self.kind >> 5, (self.kind & 31) << 3]) + raw)

    def sign(self, subject: str, **nats: Any) -> str:
        claims = {"jti": "x", "iat": 1, "iss": self.name, "name": "x", "sub": subject, "nats": {"version": 2, **nats}}
        parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, claims]
        text = b".".join(_text(json.dumps(part).encode()) for part in parts)
        return (text + b"." + _text(self.key.sign(text))).decode()


def _text(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def make_accounts(directory: Path) -> tuple[Path, Path, Path]:
    """The server's configuration, the `.creds` of a user, and those of one whom the account does not know."""
    operator, account, user, other, system = (
        Key(kind, Ed25519PrivateKey.generate()) for kind in (OPERATOR, ACCOUNT, USER, ACCOUNT, ACCOUNT)
    )
    limits: dict[str, Any] = dict.fromkeys(_LIMITS, -1)
    known = operator.sign(account.name, type="account", limits=limits | {"wildcards": True})
    own = operator.sign(system.name, type="account", limits={**limits, "mem_storage": 0, "disk_storage": 0})
    config = directory / "nats.conf"
    config.write_text(
        f"operator: {operator.sign(operator.name, type='operator')}\nresolver: MEMORY\n"
        f"system_account: {system.name}\n"
        f"resolver_preload: {{ {account.name}: {known}, {system.name}: {own} }}\n"
    )
    creds = []
    for name, by in (("hub", account), ("stranger", other)):
        jwt = by.sign(user.name, type="user", pub={}, sub={}, subs=-1, data=-1, payload=-1)
        path = directory / f"{name}.creds"
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        creds.append(path)
    return config, creds[0], creds[1]
