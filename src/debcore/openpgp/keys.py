"""Keys as files: one armoured secret key each (mode 0600), made and used by whichever program the host has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from debcore.command import find_program
from debcore.errors import Failure, HostFailed
from debcore.openpgp import gnupg, sop
from debcore.openpgp.signer import Signer
from debcore.path import write_file


class Backend(NamedTuple):
    name: str
    make_secret_key: Callable[[str], bytes]
    load: Callable[[Path], Signer]


#: In order of preference for signing: sqop keeps no state and starts no agent.
BACKENDS: Mapping[str, Backend] = {
    "sqop": Backend("sqop", sop.make_secret_key, sop.SopSigner),
    "gpg": Backend("gpg", gnupg.make_secret_key, gnupg.GpgSigner),
}

#: For making keys: sqop's expire after three years and cannot be told otherwise, gpg's do not.
_MAKERS = ("gpg", "sqop")

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


def find_backend(name: str | None = None, *, order: Sequence[str] = tuple(BACKENDS)) -> Backend:
    """*name*, or the first of *order*, if installed. Errors: HostFailed if there is none."""
    for candidate in order:
        if name in (None, candidate) and find_program(candidate):
            return BACKENDS[candidate]
    raise HostFailed("no OpenPGP program to sign with", hint="apt install sqop (or gpg)")


def generate_key(path: Path, user_id: str, *, backend: str | None = None) -> Signer:
    """Make an ed25519 key without passphrase in *path*. Errors: HostFailed; Failure if the file is there."""
    if path.exists():
        raise Failure(f"{path}: there is a key already", hint="a key is never overwritten; move it away by hand")
    maker = find_backend(backend, order=_MAKERS)
    write_file(path, maker.make_secret_key(_UNSAFE.sub(" ", user_id)), mode=0o600)
    return load_signer(path, backend=backend)


def load_signer(path: Path, *, backend: str | None = None) -> Signer:
    """The key at *path*. Errors: HostFailed if no program can use it."""
    return find_backend(backend).load(path)
