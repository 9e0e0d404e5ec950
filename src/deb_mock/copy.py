"""Files into a named root and out of it.

Paths inside are looked up inside, as in a chroot. What comes out is hostile: a stream is read, never unpacked by name.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from deb_mock.transfer import feeding, read_tree_tar, write_tree_tar
from debcore.errors import CommandFailed, Failure
from debroot.named import NamedRoot
from debroot.sandbox import run_in, start_in

#: Puts what tar unpacks to its place: into DEST if that is a directory, else as DEST.
COPY_IN = """set -eu
dest=$1 name=$2
case $dest in */) mkdir -p -- "$dest" ;; esac
if [ -d "$dest" ]; then target=${dest%/}/$name; else target=$dest; fi
mkdir -p -- "$(dirname -- "$target")"
new=$(mktemp -d -p "$(dirname -- "$target")" .copyin-XXXXXX)
trap 'rm -rf -- "$new"' EXIT
tar --extract --no-same-owner --preserve-permissions --file=- --directory="$new"
if [ -e "$target" ] || [ -L "$target" ]; then
    cp -a --remove-destination -T -- "$new/x" "$target"
else
    mv -T -- "$new/x" "$target"
fi
"""

COPY_OUT = """set -eu
path=$(readlink -e -- "$1") || { echo "$1: no such file or directory inside" >&2; exit 1; }
cd "$(dirname -- "$path")"
exec tar --create --hard-dereference --one-file-system --file=- -- "$(basename -- "$path")"
"""


def copy_in(root: NamedRoot, sources: Sequence[Path], dest: str) -> None:
    """Copy files and directories of the host to *dest* inside, owned by root there; modes and times are kept.

    Errors: Failure if one cannot be read, or does not fit.
    """
    if not dest.startswith("/"):
        raise Failure(f"{dest}: the path inside begins with /", hint="for example /srv/")
    if len(sources) > 1 and not dest.endswith("/"):
        dest += "/"  # several files go into a directory
    for source in sources:
        real = source.resolve()
        if not (real.is_file() or real.is_dir()):
            raise Failure(f"{source} is neither a file nor a directory", hint="name what is to be copied into the root")
        argv = ["sh", "-c", COPY_IN, "sh", dest, real.name or "root"]
        try:
            with feeding(lambda stream, real=real: write_tree_tar(real, "x", stream, skip=frozenset())) as stdin:  # type: ignore[misc]
                run_in(root.sandbox(), argv, idmap=root.store.idmap, stdin=stdin, capture=True)
        except CommandFailed as error:
            raise Failure(f"{source} cannot be copied to {dest}: {error.output.strip()}") from error


def copy_out(root: NamedRoot, paths: Sequence[str], dest: Path) -> list[str]:
    """Copy files and directories from inside to *dest* of the host; returns what was left out, which is everything
    but plain files, directories and symbolic links that stay in what is copied.

    Errors: Failure if something is missing inside, is there already, or does not fit.
    """
    if len(paths) > 1 and not dest.is_dir():
        raise Failure(f"{dest} is no directory", hint="several things are copied into a directory that exists")
    left_out = []
    for path in paths:
        name = Path(path).name or "root"
        target = dest / name if dest.is_dir() else dest
        if target.is_dir() and not target.is_symlink():
            raise Failure(f"{target} exists already", hint="remove it, or copy to another place")
        if not target.parent.is_dir():
            raise Failure(f"{target.parent} does not exist", hint=f"mkdir -p {target.parent}")
        left_out += _copy_one(root, path, target)
    return left_out


def _copy_one(root: NamedRoot, path: str, target: Path) -> list[str]:
    free = shutil.disk_usage(target.parent).free
    with (
        tempfile.TemporaryDirectory(dir=target.parent, prefix=".copyout-") as scratch,
        tempfile.TemporaryFile() as said,
    ):
        new = Path(scratch) / "x"
        reading, writing = os.pipe2(os.O_CLOEXEC)
        with os.fdopen(reading, "rb") as stream:
            try:
                argv = ["sh", "-c", COPY_OUT, "sh", path]
                running = start_in(root.sandbox(), argv, idmap=root.store.idmap, stdout=writing, stderr=said)
            finally:
                os.close(writing)
            with running:
                try:
                    left_out = read_tree_tar(stream, new, limit=free)
                except Failure as error:
                    raise _explain(path, said, str(error)) from error
                status = running.wait()
        if status != 0 or not (new.exists() or new.is_symlink()):
            raise _explain(path, said, "the root sent nothing")
        if stat.S_ISDIR(new.lstat().st_mode):
            mode = new.stat().st_mode  # a directory that is not writable cannot be moved
            new.chmod(0o700)
            new.rename(target)
            target.chmod(stat.S_IMODE(mode))
        else:
            new.replace(target)
    return left_out


def _explain(path: str, said: IO[bytes], otherwise: str) -> Failure:
    said.seek(0)
    text = said.read(4096).decode("utf-8", "replace").strip()
    return Failure(f"{path} cannot be copied out: {text or otherwise}")
