"""Checking signatures with gpgv against exactly the certificates given."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from debcore.command import run
from debcore.errors import Failure
from debcore.openpgp.armor import dearmor


@dataclass(frozen=True)
class Verified:
    """At least one good signature by a certificate that was given, and none that is bad or by a revoked key.

    A key that has expired since is no fault: sources in the archive are older than their makers' keys.
    """

    payload: bytes  #: what was signed, and nothing before or after it
    fingerprints: tuple[str, ...]  #: primary keys of the good signatures
    expired: bool = False  #: one of them is by a key that has expired


def verify_inline(signed: bytes, certificates: Sequence[str | bytes], *, where: str) -> Verified:
    """The text inside a cleartext signature. Errors: Failure naming *where*, if it is not signed well."""
    with tempfile.TemporaryDirectory(prefix="gpgv-") as tmp:
        directory = Path(tmp)
        (directory / "signed").write_bytes(signed)
        payload = directory / "payload"
        prints, expired = _run_gpgv(directory, certificates, ["--output", payload, directory / "signed"], where)
        return Verified(payload.read_bytes(), prints, expired)


def verify_detached(data: bytes, signature: bytes, certificates: Sequence[str | bytes], *, where: str) -> Verified:
    """Errors: Failure naming *where*, if *signature* (armoured or not) is none of *data*."""
    with tempfile.TemporaryDirectory(prefix="gpgv-") as tmp:
        directory = Path(tmp)
        (directory / "data").write_bytes(data)
        (directory / "signature").write_bytes(dearmor(signature))
        prints, expired = _run_gpgv(directory, certificates, [directory / "signature", directory / "data"], where)
        return Verified(data, prints, expired)


def _run_gpgv(
    directory: Path, certificates: Sequence[str | bytes], arguments: Sequence[str | Path], where: str
) -> tuple[tuple[str, ...], bool]:
    keyring = directory / "keyring"
    keyring.write_bytes(b"".join(dearmor(certificate) for certificate in certificates))
    command: list[str | Path] = [
        "gpgv",
        "--homedir",
        directory,
        "--weak-digest",
        "SHA1",
        "--status-fd",
        "1",
        "--keyring",
        keyring,
    ]
    done = run([*command, *arguments], check=False, timeout=60.0)
    status = [line.split()[1:] for line in done.text.splitlines() if line.startswith("[GNUPG:] ")]
    # VALIDSIG <fingerprint> … <fingerprint of the primary key>; doc/DETAILS of GnuPG
    prints = tuple(words[-1] for words in status if words[0] == "VALIDSIG" and len(words) >= 11)
    revoked = [words[1] for words in status if words[0] == "REVKEYSIG"]  # for gpgv still a valid signature
    if done.status != 0 or not prints or revoked:
        missing = [words[1] for words in status if words[0] == "NO_PUBKEY"]
        reason = f"signed by the unknown key {missing[0]}" if missing else "no good signature"
        reason = f"signed by the revoked key {revoked[0]}" if revoked else reason
        raise Failure(f"{where}: {reason}", hint="sign it with a key that the target accepts")
    return prints, any(words[0] == "EXPKEYSIG" for words in status)
