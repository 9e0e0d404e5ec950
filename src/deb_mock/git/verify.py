"""Signatures of tags and commits. git only hands out the object; what was signed is cut out of it here."""

from __future__ import annotations

from pathlib import Path

from deb_mock.dsc import default_keyrings
from deb_mock.git.repo import Repository
from deb_mock.policy import Demand
from debcore.errors import ConfigError, Failure
from debcore.openpgp import verify_detached

_BEGIN = b"-----BEGIN PGP SIGNATURE-----"


def judge_commit(repository: Repository, ref: str, commit: str, demand: Demand, *, where: str) -> str:
    """The sentence for the log: a signed tag vouches for its commit, otherwise the commit's own signature does.

    Errors: ConfigError if a signature is demanded and there is none, or it is not good.
    """
    if not demand.signed:
        return f"{ref}: {demand.unsigned()}"
    for kind, name in (("tag", ref), ("commit", commit)):
        if kind == "tag" and repository.git("cat-file", "-t", ref, check=False) != "tag":
            continue
        payload, signature = split_signature(repository.read_object(kind, name), kind=kind)
        if signature:
            prints = _verify(payload, signature, demand, where=f"{where} ({kind})")
            return f"{kind} {name}: its signature is demanded ({demand.why}) and good: {', '.join(prints)}"
    hint = "sign the tag (git tag -s) or the commit (git commit -S)"
    raise ConfigError(where, f"neither tag nor commit is signed, and a signature is demanded ({demand.why})", hint=hint)


def split_signature(raw: bytes, *, kind: str) -> tuple[bytes, bytes]:
    """(what was signed, signature or b"") of a commit or tag. Source: gitformat-signature(5)."""
    if kind == "tag":
        start = raw.find(b"\n" + _BEGIN)
        return (raw, b"") if start < 0 else (raw[: start + 1], raw[start + 1 :])
    head, gap, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    inside = False
    for line in head.split(b"\n"):
        if line.startswith(b"gpgsig "):
            inside = True
            signature.append(line.removeprefix(b"gpgsig "))
        elif inside and line.startswith(b" "):
            signature.append(line[1:])
        else:
            inside = False
            kept.append(line)
    text = b"\n".join(signature) + b"\n" if signature else b""
    return b"\n".join(kept) + gap + message, text


def _verify(payload: bytes, signature: bytes, demand: Demand, *, where: str) -> tuple[str, ...]:
    usable: list[Path] = [path for path in demand.keyrings or default_keyrings() if path.is_file()]
    if not usable:
        hint = "name one with --keyring, or install debian-keyring"
        raise ConfigError(where, f"a signature is demanded ({demand.why}), but there is no keyring", hint=hint)
    try:
        return verify_detached(payload, signature, [path.read_bytes() for path in usable], where=where).fingerprints
    except Failure as error:
        hint = f"looked in {', '.join(map(str, usable))}; --keyring adds another"
        raise ConfigError("", str(error), hint=hint) from error
