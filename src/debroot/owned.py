"""Files that belong to the id map. Root handles them itself; a user does it as root inside a sandbox over the host's /.

A user's own directories become writable for all while a sandbox works in them, as ids inside may not enter otherwise.
Their names are random, and no directory above them can be listed by others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from debcore.command import Completed
from debcore.errors import HostFailed
from debroot.idmap import IdMap

INSIDE = "/tmp/owned"  # noqa: S108 -- inside the sandbox


def make_directories(place: Path, names: Sequence[str], idmap: IdMap) -> None:
    """Empty directories below *place*, owned by root inside, mode 0755."""
    if os.geteuid() == 0:
        for name in names:
            (place / name).mkdir()
            (place / name).chmod(0o755)  # whatever the umask is
            os.chown(place / name, *idmap.owner)
        return
    with _opened(place):
        _run_owned(place, ["mkdir", "-m", "755", *(f"{INSIDE}/{name}" for name in names)], idmap)


def show_all(directory: Path) -> None:
    """Let every id read what is below *directory*, whatever the umask was when it was written."""
    for name, _, files in os.walk(directory):
        Path(name).chmod(0o755)
        for file in files:
            path = Path(name, file)
            path.chmod(path.stat().st_mode | 0o444)


def remove_names(place: Path, names: Sequence[str], idmap: IdMap) -> None:
    """Remove entries of *place*, whoever owns what is in them."""
    if os.geteuid() == 0:
        for name in names:
            _remove(place / name)
        return
    foreign = [name for name in names if _is_foreign(place / name)]
    if foreign:
        with _opened(place):
            _run_owned(place, ["rm", "-rf", "--", *(f"{INSIDE}/{name}" for name in foreign)], idmap)
    for name in names:
        _remove(place / name)


def remove_tree(place: Path, idmap: IdMap) -> None:
    """Remove a directory of ours with everything in it; the lock goes last, so that a killed removal is found."""
    names = [path.name for path in place.iterdir() if path.name != "lock"]
    remove_names(place, names, idmap)
    (place / "lock").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        place.rmdir()


def copy_content(source: Path, target: Path, idmap: IdMap) -> None:
    """Copy what is in *source* into *target*, both owned by root inside; extents are shared where the disk can."""
    from debroot.sandbox import Bind, Sandbox, run_in

    binds = (Bind(source=source, target=f"{INSIDE}/from"), Bind(source=target, target=f"{INSIDE}/to", readonly=False))
    argv = ["cp", "-a", "--reflink=auto", f"{INSIDE}/from/.", f"{INSIDE}/to/"]
    run_in(Sandbox(root=Path("/"), binds=binds), argv, idmap=idmap, capture=True)


def measure_tree(tree: Path, idmap: IdMap) -> int:
    """Bytes of the blocks below *tree*; hard links count once."""
    if os.geteuid() == 0:
        from debroot.isolate.watch import sum_disk

        fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return sum_disk(fd)
        finally:
            os.close(fd)
    done = _run_owned(tree, ["du", "-s", "--block-size=1", INSIDE], idmap)
    return int(done.text.split()[0])


def _is_foreign(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and path.stat().st_uid != os.geteuid()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _opened(place: Path) -> Iterator[None]:
    place.chmod(0o777)
    try:
        yield
    finally:
        place.chmod(0o711)


def _run_owned(directory: Path, argv: Sequence[str], idmap: IdMap) -> Completed:
    from debroot.sandbox import Bind, Sandbox, run_in

    box = Sandbox(root=Path("/"), binds=(Bind(source=directory, target=INSIDE, readonly=False),))
    try:
        return run_in(box, argv, idmap=idmap, capture=True)
    except HostFailed as error:
        raise HostFailed(f"{directory}: {error}", hint=error.hint or "run `deb-mock doctor`") from error
