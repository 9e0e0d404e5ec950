"""Reading a source package's .dsc on the client's side, to name it to the hub."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pydantic import ValidationError

from debcore.errors import Failure
from debcore.hub.model import NeededPackage, SourceFile
from debcore.path import check_file_name

#: A .dsc larger than this is refused (bytes).
MAX_DSC = 4 * 1024 * 1024


def load_source(dsc: Path) -> tuple[NeededPackage, tuple[Path, ...]]:
    """What *dsc* names, with the paths of its files (the .dsc first); each hash is checked.

    Errors: Failure if a file is missing, has another size or hash than the .dsc says, or an evil name.
    """
    try:
        raw = dsc.read_bytes()
    except OSError as error:
        raise Failure(f"{dsc}: {error.strerror}", hint="give the path of a .dsc file") from error
    if len(raw) > MAX_DSC:
        raise Failure(f"{dsc} is larger than {MAX_DSC} bytes")
    fields = parse_fields(raw.decode("utf-8", "replace"))
    own = SourceFile(
        name=check_file_name(dsc.name, where=str(dsc)), sha256=hashlib.sha256(raw).hexdigest(), size=len(raw)
    )
    paths, files = [dsc], [own]
    for line in fields.get("checksums-sha256", "").split("\n"):
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 3 or not words[1].isdigit():
            raise Failure(f"{dsc}: bad line in Checksums-Sha256: {line.strip()!r}")
        name = check_file_name(words[2], where=f"{dsc}: Checksums-Sha256")
        _check_file(dsc.parent / name, sha256=words[0], size=int(words[1]), dsc=dsc)
        files.append(SourceFile(name=name, sha256=words[0], size=int(words[1])))
        paths.append(dsc.parent / name)
    if "source" not in fields or "version" not in fields or len(files) == 1:
        raise Failure(
            f"{dsc} lacks Source, Version or Checksums-Sha256", hint="is it a .dsc? Make one with: dpkg-source -b DIR"
        )
    try:
        needed = NeededPackage(
            source=fields["source"], version=fields["version"], dsc_sha256=own.sha256, files=tuple(files)
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise Failure(f"{dsc}: {first['loc'][0]}: {first['msg']}", hint="see deb-src-control(5)") from error
    return needed, tuple(paths)


def parse_fields(text: str) -> dict[str, str]:
    """The first paragraph's fields, names in lower case; an OpenPGP clear-text frame is skipped, not verified."""
    body = text.replace("\r\n", "\n")
    if body.lstrip().startswith("-----BEGIN PGP SIGNED MESSAGE-----"):
        body = body.split("\n\n", 1)[-1].split("-----BEGIN PGP SIGNATURE-----")[0]
        body = re.sub(r"^- ", "", body, flags=re.MULTILINE)
    fields: dict[str, str] = {}
    last = ""
    for line in body.lstrip("\n").split("\n"):
        if not line.strip():
            break
        if line[0] in " \t":
            if last:
                fields[last] += "\n" + line.strip()
        elif ":" in line:
            key, value = line.split(":", 1)
            last = key.strip().lower()
            fields[last] = value.strip()
    return fields


def _check_file(path: Path, *, sha256: str, size: int, dsc: Path) -> None:
    if path.is_symlink() or not path.is_file():
        raise Failure(
            f"{path} is missing, and {dsc.name} names it", hint="download it beside the .dsc (dget, apt source)"
        )
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if path.stat().st_size != size or actual != sha256:
        raise Failure(f"{path} is not the file that {dsc.name} names: hash or size differ", hint="download it again")
