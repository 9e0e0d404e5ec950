"""Provenance in a signed envelope: DSSE, whose signature covers the type of what is signed as well as its bytes.

A program outside signs, with a key that never comes here: it reads bytes and prints a detached signature of them.
Source: DSSE 1.0.2 (protocol.md, envelope.md of secure-systems-lab/dsse); in-toto's bundle: one envelope on a line.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from deb_mock.signing import TIMEOUT
from debcore.command import run
from debcore.errors import CommandFailed, ConfigError, Failure, HostFailed
from debcore.openpgp import verify_detached

#: What an in-toto statement is called in an envelope.
PAYLOAD_TYPE = "application/vnd.in-toto+json"
#: Bytes. An OpenPGP signature with many notations has a few thousand.
MAX_SIGNATURE = 64 * 1024
_PEM = b"-----BEGIN PUBLIC KEY-----"
_HINT = (
    "sign.provenance must read bytes and print a signature of them: openssl dgst -sha256 -sign KEY, gpg --detach-sign"
)


class BytesSigner(Protocol):
    """The part of debcore.openpgp.Signer that is needed here."""

    def sign_detached(self, data: bytes) -> bytes: ...


@dataclass(frozen=True)
class DetachedCommand:
    """A program that reads bytes and prints a detached signature of them."""

    argv: tuple[str, ...]

    def sign_detached(self, data: bytes) -> bytes:
        try:
            return run(self.argv, stdin=data, timeout=TIMEOUT).stdout
        except CommandFailed as error:
            hint = "the provenance is there, unsigned; correct sign.provenance and build again"
            raise HostFailed(f"signing the provenance failed: {error}", hint=hint) from error


def encode_pae(payload: bytes, type_: str = PAYLOAD_TYPE) -> bytes:
    """DSSE's pre-authentication encoding: what is signed in place of *payload*."""
    kind = type_.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])


def make_envelope(payload: bytes, signature: bytes, *, key_id: str = "") -> bytes:
    """One line of JSON. *key_id* is a hint for finding the key, and proves nothing."""
    signed = {"sig": base64.b64encode(signature).decode()}
    if key_id:
        signed = {"keyid": key_id, **signed}
    envelope = {
        "payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signed],
    }  # fmt: skip
    return json.dumps(envelope).encode() + b"\n"


def sign_statement(payload: bytes, signer: BytesSigner, *, key: bytes | None = None) -> bytes:
    """The envelope of *payload*, an in-toto statement. *key*: public, PEM or OpenPGP; the signature must be by it.

    Errors: HostFailed if the signer fails or prints no signature; Failure if it is by another key.
    """
    encoded = encode_pae(payload)
    signature = signer.sign_detached(encoded)
    if not signature or len(signature) > MAX_SIGNATURE:
        raise HostFailed(f"the signer of the provenance printed {len(signature)} bytes, no signature", hint=_HINT)
    key_id = ""
    if key is not None:
        key_id = verify_signature(encoded, signature, key)
    return make_envelope(payload, signature, key_id=key_id)


def verify_signature(data: bytes, signature: bytes, key: bytes) -> str:
    """The id of *key*, which has signed *data*: the fingerprint of an OpenPGP certificate, the SHA-256 of a PEM's DER.

    Errors: Failure if it has not; HostFailed if openssl is not there; ConfigError if *key* is none.
    """
    if not key.lstrip().startswith(_PEM):
        return verify_detached(data, signature, [key], where="the provenance").fingerprints[0]
    der = _decode_pem(key)
    with TemporaryDirectory(prefix="deb-mock-dsse-") as tmp:
        (Path(tmp) / "key").write_bytes(key)
        (Path(tmp) / "signature").write_bytes(signature)
        words = ["openssl", "dgst", "-sha256", "-verify", f"{tmp}/key", "-signature", f"{tmp}/signature"]
        done = run(words, stdin=data, check=False, timeout=TIMEOUT)
    if done.status != 0:
        raise Failure("the provenance: no good signature by sign.provenance_key", hint=_HINT)
    return hashlib.sha256(der).hexdigest()


def _decode_pem(key: bytes) -> bytes:
    lines: Sequence[bytes] = key.strip().splitlines()
    try:
        return base64.b64decode(b"".join(line for line in lines if not line.startswith(b"-")), validate=True)
    except ValueError as error:
        raise ConfigError("sign.provenance_key", f"is no public key in PEM: {error}") from error
