"""The top of the tree: what is state becomes a relative link into /var, mount points are empty (L2–L8, L10).

Relative, because installers mount the root elsewhere. What packages left in /root goes to /usr/share/factory and is put
in place at boot; anything in /home, /srv, /mnt, /media or /opt is data that an update could never change, so it fails.
"""

from __future__ import annotations

import os
from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State
from deb_bootc_compose.tree.var import FACTORY, Names, quote
from debcore.errors import Failure

#: name -> (target of the link, mode of the target, None where somebody else makes it)
STATE_DIRECTORIES = {
    "home": ("var/home", "0755"),
    "root": ("var/roothome", "0700"),
    "srv": ("var/srv", "0755"),
    "mnt": ("var/mnt", "0755"),
    "media": ("run/media", None),
}


def run(tree: Path, options: FinishOptions, state: State) -> None:
    names = Names(tree)
    directories = dict(STATE_DIRECTORIES)
    if options.layout.opt == "var":
        directories["opt"] = ("var/opt", "0755")
    for name, (target, mode) in directories.items():
        path = tree / name
        if mode is not None:
            state.tmpfiles.append(f"d /{target} {mode} root root -")
        if path.is_symlink():
            continue
        if name == "root":
            _keep_files(tree, path, state, names)
        elif path.is_dir() and any(path.iterdir()):
            found = ", ".join(sorted(p.name for p in path.iterdir())[:5])
            raise Failure(f"the tree has content in /{name}: {found}", hint=f"/{name} is state: put content below /usr")
        files.remove(path)
        path.symlink_to(target)
    if options.layout.usr_local == "var" and not (tree / "usr/local").is_symlink():
        _move_usr_local(tree, state, names)
    _make_mount_points(tree)
    _set_useradd_home(tree)


def _keep_files(tree: Path, root: Path, state: State, names: Names) -> None:
    for entry in files.walk(tree, "root"):
        inner = entry.name.partition("/")[2]
        kept = f"{FACTORY}/var/roothome/{inner}"
        mode = f"{entry.stat.st_mode & 0o7777:04o}"
        user, group = names.owner(entry.path)
        if entry.is_dir:
            state.tmpfiles.append(f"d {quote('/var/roothome/' + inner)} {mode} {user} {group} -")
        elif entry.is_file:
            files.write(tree, kept, entry.path.read_bytes(), mode=entry.stat.st_mode & 0o777)
            state.tmpfiles.append(f"C {quote('/var/roothome/' + inner)} {mode} {user} {group} - /{quote(kept)}")
    del root


def _move_usr_local(tree: Path, state: State, names: Names) -> None:
    """Directories are declared; a file would never be updated on a machine, so it fails."""
    state.tmpfiles.append("d /var/usrlocal 0755 root root -")
    for entry in files.walk(tree, "usr/local"):
        inner = entry.name.removeprefix("usr/local/")
        if entry.is_dir:
            user, group = names.owner(entry.path)
            mode = f"{entry.stat.st_mode & 0o7777:04o}"
            state.tmpfiles.append(f"d {quote('/var/usrlocal/' + inner)} {mode} {user} {group} -")
        elif entry.is_link:
            state.tmpfiles.append(f"L {quote('/var/usrlocal/' + inner)} - - - - {quote(files.read_link(entry.path))}")
        else:
            raise Failure(
                f"the tree has a file in /usr/local: {inner}",
                hint="set layout.usr-local: image, or have the package install below /usr",
            )
    files.link(tree, "usr/local", "../var/usrlocal")


def _make_mount_points(tree: Path) -> None:
    """/boot and what hides below mounts is emptied: device nodes and the build's leftovers end here."""
    tree.chmod(0o755)  # whatever umask made it
    for name in ("dev", "proc", "sys", "run", "tmp", "boot", "sysroot"):
        path = tree / name
        if path.is_symlink() or not path.is_dir():
            files.remove(path)
            path.mkdir()
        files.empty(path)
        path.chmod(0o1777 if name == "tmp" else 0o755)
        os.chown(path, os.geteuid(), os.getegid())  # root inside; a mount may have left nobody
    files.remove(tree / "ostree")
    (tree / "ostree").symlink_to("sysroot/ostree")


def _set_useradd_home(tree: Path) -> None:
    """`useradd` without -d makes /var/home/NAME, so that passwd names the real directory."""
    text = files.read_text(tree, "etc/default/useradd")
    if text is not None:
        lines = [line for line in text.splitlines() if not line.startswith("HOME=")]
        files.write(tree, "etc/default/useradd", "\n".join([*lines, "HOME=/var/home"]) + "\n")
