"""Signing results after the build, on the host: the key is the external signer's, and never ours or the sandbox's.

The order is debsign's: the .dsc, then the .buildinfo with the new hash of the .dsc, then the .changes with the new
hashes of both. All are signed aside and take their places together, so a signer that fails leaves unsigned results.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deb_mock.buildinfo import strip_signature
from debcore.command import run
from debcore.errors import CommandFailed, Failure, HostFailed
from debcore.job import JobDirectory, Output
from debcore.openpgp import verify_inline
from debcore.path import write_file

log = logging.getLogger(__name__)

#: In this order.
KINDS = ("dsc", "buildinfo", "changes")
#: Seconds for one signature; a person may have to touch a token.
TIMEOUT = 300.0
_HASHES: Mapping[str, Callable[[bytes], str]] = {
    "Files": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "Checksums-Md5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "Checksums-Sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    "Checksums-Sha256": lambda data: hashlib.sha256(data).hexdigest(),
}


class TextSigner(Protocol):
    """The part of debcore.openpgp.Signer that is needed here."""

    def sign_inline(self, data: bytes) -> bytes: ...


@dataclass(frozen=True)
class CommandSigner:
    """A program that reads a text and prints it clear-signed."""

    argv: tuple[str, ...]

    def sign_inline(self, data: bytes) -> bytes:
        try:
            return run(self.argv, stdin=data, timeout=TIMEOUT).stdout
        except CommandFailed as error:
            hint = "the results are there, unsigned; sign them with debsign, or correct sign.command and build again"
            raise HostFailed(f"signing failed: {error}", hint=hint) from error


def sign_results(
    directory: Path, outputs: Sequence[Output], signer: TextSigner, *, certificates: Sequence[bytes] = ()
) -> tuple[Output, ...]:
    """Sign what *outputs* has of .dsc, .buildinfo and .changes in *directory*; the outputs as they are then.

    What the signer prints must be the text that it was given, and signed by one of *certificates* if there are any.
    Errors: HostFailed or Failure, with every file as it was.
    """
    signed: dict[str, bytes] = {}
    for kind in KINDS:
        for output in outputs:
            if output.kind == kind:
                text = update_hashes((directory / output.path).read_bytes(), signed)
                signed[output.path] = _sign(signer, text, output.path, certificates)
    for name, content in signed.items():
        write_file(directory / name, content)
    job = JobDirectory(directory)
    log.info("Signed %s", ", ".join(signed))
    return tuple(job.output(o.path, o.kind) if o.path in signed else o for o in outputs)


def update_hashes(text: bytes, files: Mapping[str, bytes]) -> bytes:
    """*text* (a .changes or .buildinfo) with the sizes and hashes of *files* (name → content) as they are now.

    Only words of the lines that name the file change: the rest stays as dpkg wrote it.
    """
    lines, field = [], ""
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        words = line.split()
        if line and line[0] not in " \t":
            field = line.partition(":")[0]
        elif field in _HASHES and len(words) >= 3 and words[-1] in files:
            content = files[words[-1]]
            line = " " + " ".join([_HASHES[field](content), str(len(content)), *words[2:]])
        lines.append(line)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _sign(signer: TextSigner, text: bytes, name: str, certificates: Sequence[bytes]) -> bytes:
    signed = signer.sign_inline(text)
    hint = "sign.command must read a text and print it clear-signed, as gpg --clearsign does"
    try:
        inside = strip_signature(signed, where=name)
    except Failure as error:
        raise HostFailed(f"the signer printed no signed {name}", hint=hint) from error
    if _lines(inside) != _lines(text):
        raise HostFailed(f"the signer printed another text than {name}", hint=hint)
    if certificates:
        verify_inline(signed, certificates, where=name)
    return signed


def _lines(text: bytes) -> list[bytes]:
    """Without blanks at ends of lines, which a clear text signature does not cover. Source: RFC 9580, 7."""
    return [line.rstrip() for line in text.rstrip().split(b"\n")]
