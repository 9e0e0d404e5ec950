"""Passwords for archives that ask for one: those of the host's apt, and of the file that DEBOOTC_APT_AUTH names.

They reach a file system in memory inside the tools root, for the time of one call of apt, and no place beside it: no
address, lock, log, result or layer has them. Only entries for the machines that are asked are handed over.
Source: apt_auth.conf(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from debcore.errors import ConfigError

VARIABLE = "DEBOOTC_APT_AUTH"
#: Where apt finds them, inside: /tmp is a file system of its own there.
PLACE = "/tmp/auth.conf"  # noqa: S108 -- inside the sandbox
#: Writes its input there, and becomes the command that follows.
_HAND_OVER = f'umask 077 && cat > {PLACE} && exec "$@" < /dev/null'
_HINT = "lines are: machine HOST[:PORT][/PATH] login NAME password WORD; for plain http: machine http://HOST…"


@dataclass(frozen=True)
class Entry:
    """`machine` as it was written: with a scheme, port and path or without."""

    machine: str
    login: str
    password: str

    @property
    def host(self) -> str:
        """In lower case, without port."""
        return (urlsplit(self.machine if "://" in self.machine else f"//{self.machine}").hostname or "").lower()


def find_auth(uris: Iterable[str], *, root: Path = Path("/")) -> bytes:
    """What apt is to know to reach *uris*, as text of an auth.conf; empty if there is nothing. Errors: ConfigError."""
    hosts = {(urlsplit(uri).hostname or "").lower() for uri in uris} - {""}
    entries = [one for one in load_entries(root) if one.host in hosts] if hosts else []
    return "".join(f"machine {e.machine} login {e.login} password {e.password}\n" for e in entries).encode()


def wrap(argv: Sequence[str], auth: bytes) -> list[str]:
    """*argv* for a sandbox whose input is *auth*; unchanged without it."""
    return ["sh", "-c", _HAND_OVER, "sh", *argv] if auth else [*argv]


def load_entries(root: Path = Path("/")) -> list[Entry]:
    """The named file's first: apt takes the first that fits. What of the host's own we may not read is left out."""
    named = os.environ.get(VARIABLE, "").strip()
    found = _load(Path(named), needed=True) if named else []
    host = root / "etc/apt"
    for path in (host / "auth.conf", *sorted(host.glob("auth.conf.d/*.conf"))):
        found += _load(path, needed=False)
    return found


def _load(path: Path, *, needed: bool) -> list[Entry]:
    try:
        return parse_auth(path.read_text(encoding="utf-8"), name=str(path))
    except (OSError, UnicodeDecodeError) as error:
        if not needed:
            return []
        raise ConfigError(str(path), f"cannot be read: {error}", hint=f"{VARIABLE} names it") from error


def parse_auth(text: str, *, name: str) -> list[Entry]:
    """Errors: ConfigError, which quotes nothing of it."""
    words = " ".join(line for line in text.splitlines() if not line.lstrip().startswith("#")).split()
    found: list[Entry] = []
    at: dict[str, str] = {}
    if len(words) % 2:
        raise ConfigError(name, "a word has no value", hint=_HINT)
    for key, value in [*zip(words[::2], words[1::2], strict=True), ("machine", "")]:
        if key not in ("machine", "login", "password"):
            raise ConfigError(name, "there is a word that is none of machine, login, password", hint=_HINT)
        if key == "machine":
            if at and set(at) != {"machine", "login", "password"}:
                raise ConfigError(name, "a machine lacks its login or its password", hint=_HINT)
            found += [Entry(**at)] if at else []
            at = {}
        elif not at:
            raise ConfigError(name, "it does not begin with a machine", hint=_HINT)
        at |= {key: value}
    return found
