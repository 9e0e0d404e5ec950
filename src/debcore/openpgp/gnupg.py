"""Signing with GnuPG in a home directory of one call: made, used, its agent ended, removed.

gpg 2 signs only through gpg-agent, which it starts by itself and leaves running; so each call ends what it started.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from debcore.command import run
from debcore.openpgp.armor import dearmor
from debcore.openpgp.fingerprint import v4_fingerprint

#: Seconds. Includes the start of the agent.
_TIMEOUT = 120.0
_PREFIX = "debootc-gpg-"
#: In each home, locked while it is used: its user may live in another process namespace and share our /dev/shm.
_LOCK = "in-use"


def make_secret_key(user_id: str) -> bytes:
    with _home() as home:
        run([*_gpg(home), "--quick-generate-key", user_id, "ed25519", "sign", "never"], timeout=_TIMEOUT)
        return run([*_gpg(home), "--armor", "--export-secret-keys"], timeout=_TIMEOUT).stdout


class GpgSigner:
    """The `Signer` of an unencrypted secret key in the file *key*."""

    def __init__(self, key: Path) -> None:
        self._key = key

    @cached_property
    def fingerprint(self) -> str:
        return v4_fingerprint(dearmor(self.public_key()))

    def sign_inline(self, data: bytes) -> bytes:
        return self._use("--clearsign", stdin=data)

    def sign_detached(self, data: bytes, *, armor: bool = True) -> bytes:
        return self._use(*(["--armor"] if armor else []), "--detach-sign", stdin=data)

    def public_key(self) -> str:
        return self._use("--armor", "--export").decode()

    def _use(self, *action: str, stdin: bytes | None = None) -> bytes:
        with _home() as home:
            run([*_gpg(home), "--import", self._key], timeout=_TIMEOUT)
            return run([*_gpg(home), "--digest-algo", "SHA512", *action], stdin=stdin, timeout=_TIMEOUT).stdout


def _gpg(home: Path) -> list[str | Path]:
    return [
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--quiet",
        "--no-tty",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    ]


@contextmanager
def _home() -> Iterator[Path]:
    # Memory where there is one; a short name, for the agent's socket lies in it (108 bytes, unix(7)).
    memory = Path("/dev/shm")  # noqa: S108  # a directory of mode 0700 is made in it
    parent = memory if memory.is_dir() else Path(tempfile.gettempdir())
    for stale in parent.glob(f"{_PREFIX}*"):
        if _is_abandoned(stale):
            _remove(stale)
    made = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    home = made.with_name(made.name.removeprefix("."))
    with (made / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.rename(home)  # only now others may look at it
        try:
            yield home
        finally:
            _remove(home)


def _is_abandoned(home: Path) -> bool:
    """True if it is ours and its process was killed: the agent and a copy of the key are still there."""
    with suppress(OSError):
        if home.lstat().st_uid != os.geteuid():
            return False
        with (home / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def _remove(home: Path) -> None:
    run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, timeout=_TIMEOUT)
    shutil.rmtree(home, ignore_errors=True)
