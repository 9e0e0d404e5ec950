"""Opens .deb, .dsc, .changes and .buildinfo files of others in a process that can do nothing but answer JSON.

Started as `python -I -m deb_orchestrator.services.sealed KIND:FD…` with the files as open descriptors. Before it reads
a byte it gives up: network, other users' files (root becomes nobody), new privileges, new processes, writing files,
and more than MEMORY bytes and CPU seconds. Prints one JSON line for each file: {"fields": …} or {"error": …}.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from collections.abc import Sequence
from typing import IO, Any

from debcore.deb import read_control, read_file_names
from debcore.deb822 import Stanza, parse_stanza
from debcore.errors import Failure

MEMORY = 768 * 1024 * 1024  #: bytes
CPU = 60  #: seconds
MAX_TEXT = 4 * 1024 * 1024  #: bytes of a .dsc, .changes or .buildinfo

_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x40000000
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_NOBODY = 65534


def main(argv: Sequence[str]) -> int:
    seal()
    for word in argv:
        kind, fd = word.split(":")
        with os.fdopen(int(fd), "rb") as file:
            print(json.dumps(answer(kind, file)), flush=True)
    return 0


def seal() -> None:
    """Irrevocable. Namespaces are taken where the kernel grants them; all else is certain."""
    libc = ctypes.CDLL(None, use_errno=True)
    root = os.geteuid() == 0
    libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC | (_CLONE_NEWNS if root else _CLONE_NEWUSER))
    if root:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU), (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(limit, (value, value))


def answer(kind: str, file: IO[bytes]) -> dict[str, Any]:
    """What is printed for one file: {"fields": …} or {"error": …}."""
    try:
        if kind == "names":
            names = read_file_names(file, where="the .deb")
            return {"fields": {"names": b"\n".join(names).decode("utf-8", "surrogateescape")}}
        stanza = read_control(file, where="the .deb") if kind in ("deb", "udeb") else read_text(file)
        return {"fields": dict(stanza.fields)}
    except Failure as failure:
        return {"error": str(failure)}
    except MemoryError:
        return {"error": "too large"}


def read_text(file: IO[bytes]) -> Stanza:
    """The stanza of a .dsc, .changes or .buildinfo; a clear-text signature's frame is taken off, not verified."""
    raw = file.read(MAX_TEXT + 1)
    if len(raw) > MAX_TEXT:
        raise Failure(f"larger than {MAX_TEXT} bytes")
    text = raw.replace(b"\r\n", b"\n")
    if text.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\n"):
        body = text.partition(b"\n\n")[2].partition(b"\n-----BEGIN PGP SIGNATURE-----\n")[0] + b"\n"
        text = b"".join(line.removeprefix(b"- ") for line in body.splitlines(keepends=True))
    return parse_stanza(text.strip(b"\n") + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
