"""Taking results out of a root in one sandbox: the .changes, then the files that it names, then what dpkg says of them.

The sandbox sends tar streams; between the first and the second it is told what the .changes names, which is read here.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deb_mock.transfer import read_files_tar
from deb_mock.workspace import Workspace
from debroot.sandbox import start_in

#: Bytes of dpkg's description of all packages; what comes after them is left out.
MAX_DESCRIPTION = 64 << 20
#: $1 is the .changes, $2 and $3 the build user, $4 DESCRIBE. The first archive has no padding: its end is known then.
#: dpkg reads packages of strangers, so not as root.
TAKE = """tar --create --blocking-factor=1 --hard-dereference --file=- -- "$1" || exit
read -r names || exit 0
tar --create --hard-dereference --file=- -- $names || exit
setpriv --reuid="$2" --regid="$3" --clear-groups --no-new-privs sh -c "$4" sh $names 2> /dev/null || :
"""
DESCRIBE = """for deb; do
    case $deb in *.deb | *.udeb) ;; *) continue ;; esac
    printf "\\n%s\\n%s\\n\\n" "$deb" "$(printf %s "$deb" | tr -c "" -)"
    dpkg --info "$deb"; echo; dpkg --contents "$deb"
done
"""


@dataclass(frozen=True)
class Taken:
    """`status` of the sandbox's command, names of the `files` that came, and dpkg's `description` of the packages."""

    status: int
    files: Sequence[str]
    description: bytes = b""


def take_results(space: Workspace, first: str, target: Path, find_more: Callable[[], Sequence[str]]) -> Taken:
    """Copy the file *first* of the build directory to *target*, then those that *find_more* names once it is there.

    Names are of the form that collect.RESULT_NAME allows. What *find_more* raises ends the sandbox.
    """
    place = space.surroundings
    argv = ["sh", "-c", TAKE, "sh", first, str(place.uid), str(place.gid), DESCRIBE]
    coming, sent = os.pipe2(os.O_CLOEXEC)
    heard, telling = os.pipe2(os.O_CLOEXEC)
    with os.fdopen(coming, "rb") as stream, os.fdopen(telling, "wb", buffering=0) as tell:
        try:
            running = start_in(space.outside(), argv, idmap=space.store.idmap, stdin=heard, stdout=sent)
        finally:
            os.close(sent)
            os.close(heard)
        with running:
            files = _read(stream, target, record=tarfile.BLOCKSIZE)
            if first not in files:
                tell.close()
                return Taken(running.wait(), files)
            stream.read(tarfile.BLOCKSIZE)  # an archive ends with two blocks of zeros, and one has been read
            with suppress(BrokenPipeError):  # it has ended, and its status says more
                tell.write(" ".join(find_more()).encode() + b"\n")
            files += _read(stream, target)
            description = stream.read(MAX_DESCRIPTION)
            if stream.read(1):
                running.kill()
                return Taken(0, files, description.lstrip(b"\0"))
            return Taken(running.wait(), files, description.lstrip(b"\0"))


def _read(stream: IO[bytes], target: Path, *, record: int = tarfile.RECORDSIZE) -> list[str]:
    """Names of the files that came; none if the command ended before it wrote anything whole."""
    try:
        return read_files_tar(stream, target, record=record)
    except tarfile.ReadError:
        return []
