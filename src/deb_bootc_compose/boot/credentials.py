"""Credentials that people name on the command line. Source: systemd.system-credentials(7), systemd-creds(1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from debcore.errors import ConfigError

#: systemd's rule: a file name without a colon. Ours is narrower by what nobody needs.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@~-]{0,199}")

#: Bytes of one value: it travels as one word of QEMU's command line.
LARGEST = 64 * 1024

WHERE = "--credential"
KEYS = "ssh.authorized_keys.root"


def parse_credentials(words: Iterable[str]) -> dict[str, bytes]:
    """From `NAME=VALUE` and `NAME=@FILE`. Errors: ConfigError naming the word."""
    found: dict[str, bytes] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not NAME.fullmatch(name):
            raise ConfigError(WHERE, f"{word[:60]!r} names no credential", hint="NAME=VALUE, or NAME=@FILE")
        if name in found:
            raise ConfigError(WHERE, f"{name} is there twice")
        content = _load(name, Path(value[1:])) if value.startswith("@") else value.encode()
        if len(content) > LARGEST:
            raise ConfigError(WHERE, f"{name} is larger than {LARGEST} bytes, which is what a machine takes")
        found[name] = content
    return found


def merge_credentials(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> dict[str, bytes]:
    """*theirs* over *ours*; who may log in as root is a list of keys, and both are let in."""
    merged = {**ours, **theirs}
    if KEYS in ours and KEYS in theirs:
        merged[KEYS] = ours[KEYS].rstrip(b"\n") + b"\n" + theirs[KEYS]
    return merged


def _load(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)  # enough to see that it is too much
    except OSError as error:
        raise ConfigError(WHERE, f"{name}: {path} cannot be read: {error.strerror}") from error
