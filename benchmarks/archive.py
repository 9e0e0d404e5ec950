"""A simulated archive of any size up to 70,000 packages, with the control data of trixie's main for amd64.

Sources come in an order that is random and always the same, each with all of its packages, until there are enough.
There are some 69,000 in trixie; what is missing to a larger number are the first ones again under another name. The
lists are those that apt verified; they and all that is made of them are kept in `cache()`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache as once
from itertools import islice
from pathlib import Path

from deb_orchestrator.services.publish import NewBinary, NewSource
from deb_orchestrator.services.publish_import import source_of
from debcore.aptrepo import PoolFile
from debcore.deb822 import Stanza, parse_stanzas
from debcore.path import replacing
from debroot.bootstrap import core_tools
from debroot.indexes import Indexes
from debroot.sources import find_host_sources
from debroot.store import Store

ARCH = "amd64"
#: Seconds that apt's look at the archive is good for.
FRESH_S = 30 * 86400.0
_ARCHIVE_FIELDS = ("Filename", "Size", "MD5sum", "SHA256", "Description-md5")


@dataclass(frozen=True)
class Packages:
    """*binaries*: control stanzas; *sources*: stanzas of Sources, those of which the binaries are built."""

    binaries: tuple[Stanza, ...]
    sources: tuple[Stanza, ...]


def cache() -> Path:
    """Where things stay between two runs: beside the tests' store."""
    place = Path(os.environ["DEBOOTC_STORE"]).parent / "scale"
    place.mkdir(parents=True, exist_ok=True)
    return place


def store() -> Store:
    return Store.open(Path(os.environ["DEBOOTC_STORE"]))


@once
def load_packages(count: int) -> Packages:
    """*count* binaries and their sources."""
    binaries, sources = load_list("Packages"), load_list("Sources")
    of_source: dict[str, list[Stanza]] = {}
    for one in binaries.values():
        of_source.setdefault(source_of(one)[0], []).append(one)
    order = sorted(sources, key=lambda name: hashlib.sha256(name.encode()).digest())
    chosen = list(islice((one for name in order for one in of_source.get(name, ())), count))
    names = {source_of(one)[0] for one in chosen}
    again = (one.updated(Package=f"{one['Package']}-again") for one in tuple(chosen))
    chosen += islice(again, count - len(chosen))
    if len(chosen) != count:
        raise SystemExit(f"there are no {count} packages in trixie, not even twice")
    return Packages(tuple(chosen), tuple(sources[name] for name in order if name in names))


def load_list(kind: str) -> dict[str, Stanza]:
    """The newest stanza of each package in trixie's main; *kind* is Packages or Sources."""
    path = cache() / kind
    if not path.exists():
        _copy_list(kind, path)
    found: dict[str, Stanza] = {}
    with path.open("rb") as file:
        for stanza in parse_stanzas(file, where=kind):
            found.setdefault(stanza["Package"], stanza)
    return found


def _copy_list(kind: str, path: Path) -> None:
    sources = find_host_sources("trixie", source=True)
    with Indexes(store(), core_tools(store()), sources, ARCH) as indexes:
        indexes.update(FRESH_S)
        lists = [one for one in indexes.lists.iterdir() if re.search(rf"_{kind}$", one.name)]
        with replacing(path) as new:
            # The release first: it has nearly all.
            new.write(b"\n".join(one.read_bytes() for one in sorted(lists, key=lambda p: -p.stat().st_size)))


def make_deb(control: Stanza) -> bytes:
    """A .deb with this control data and no files; the same each time."""
    fields = control.without(*_ARCHIVE_FIELDS)
    members = [("debian-binary", b"2.0\n"), ("control.tar.gz", _tar({"./control": str(fields).encode()}))]
    out = b"!<arch>\n"
    for name, data in [*members, ("data.tar.gz", _tar({}))]:
        out += f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return out


def _tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), compresslevel=1, mtime=0)


def deb_path(directory: Path, control: Stanza) -> Path:
    version = control["Version"].rpartition(":")[2]
    return directory / f"{control['Package']}_{version}_{control['Architecture']}.deb"


def write_debs(directory: Path, binaries: Sequence[Stanza]) -> list[Path]:
    """The .debs of *binaries* in *directory*; those that are there stay."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for control in binaries:
        path = deb_path(directory, control)
        if not path.exists():
            path.write_bytes(make_deb(control))
        paths.append(path)
    return paths


def changed(binaries: Sequence[Stanza], count: int, round_: int) -> list[Stanza]:
    """*count* of *binaries*, spread over all of them, rebuilt from the same source: a higher version for each round."""
    step = len(binaries) // count
    picked = [(one, *source_of(one)) for one in binaries[step // 2 :: step][:count]]
    return [
        one.updated(Source=f"{source} ({version})", Version=f"{one['Version']}+bench{round_}")
        for one, source, version in picked
    ]


def new_binaries(binaries: Sequence[Stanza]) -> Iterator[NewBinary]:
    for control in binaries:
        data = make_deb(control)
        fields = control.without(*_ARCHIVE_FIELDS)
        yield NewBinary(control=fields, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def new_sources(sources: Sequence[Stanza]) -> Iterator[NewSource]:
    for one in sources:
        own = next(line.split() for line in one["Checksums-Sha256"].split("\n") if line.endswith(".dsc"))
        md5 = next(line.split() for line in one["Files"].split("\n") if line.endswith(".dsc"))
        dsc = one.without("Package", "Directory", "Priority", "Section").updated(
            Source=one["Package"],
            **{name: _without_dsc(one[name]) for name in ("Files", "Checksums-Sha256")},
        )
        yield NewSource(dsc=dsc, dsc_file=PoolFile(name=own[2], size=int(own[1]), sha256=own[0], md5=md5[0]))


def _without_dsc(listed: str) -> str:
    return "\n".join(line for line in listed.split("\n") if not line.endswith(".dsc"))
