"""The sandbox's side of taking a base: a layout is copied with every hash checked, unpacked, and asked what it is.

Standard library and zstd(1). Source: OCI image-spec 1.1, image-layout.md and layer.md (whiteouts).
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tomllib
from pathlib import Path
from typing import Any

from deb_bootc_compose.oci.content import hash_file
from deb_bootc_compose.oci.importer import KINDS, XATTR, check_digest, read_blob, unpack
from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.dpkg import DEBS
from debcore.errors import Failure
from debcore.path import inside

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
KARGS = "usr/lib/bootc/kargs.d"


def take_layout(*, digest: str, source: str = "/source", out: str = "/out") -> dict[str, Any]:
    """Copy the image *digest* of one layout into another, and only that. Errors: Failure if a blob is not its name."""
    here, there = Path(source), Path(out)
    (there / "blobs/sha256").mkdir(parents=True)
    manifest = json.loads(read_blob(here, digest))
    if "layers" not in manifest:
        raise Failure(f"{digest} is an index of several images", hint="name the image of one architecture")
    for blob in (digest, manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])):
        check_digest(blob)
        name = f"blobs/sha256/{blob.removeprefix('sha256:')}"
        if not (here / name).is_file():
            raise Failure(f"the base lacks its blob {blob}", hint="copy the whole layout")
        shutil.copyfile(here / name, there / name)
        if f"sha256:{hash_file(there / name)}" != blob:
            raise Failure(f"the base's blob {blob} has another content", hint="fetch the base again")
    return {}


def unpack_layout(
    *, digest: str, layout: str = "/layout", tree: str = "/tree", scratch: str = "/scratch"
) -> dict[str, Any]:
    """Unpack the image *digest* into the empty directory *tree*. Errors: Failure if a layer is not its diff_id."""
    manifest = json.loads(read_blob(Path(layout), digest))
    config = json.loads(read_blob(Path(layout), manifest["config"]["digest"]))
    plain = Path(scratch, "layer.tar")
    for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        unpack(Path(layout, "blobs/sha256", layer["digest"].removeprefix("sha256:")), layer["mediaType"], plain)
        if f"sha256:{hash_file(plain)}" != diff_id:
            raise Failure(f"the diff_id {diff_id} is not that of its layer", hint="the base is damaged")
        with tarfile.open(plain) as tar:
            apply_layer(tar, Path(tree))
    plain.unlink(missing_ok=True)
    return settle(tree=tree)


def apply_layer(tar: tarfile.TarFile, tree: Path) -> None:
    """One layer over *tree*: first what it hides, then what it has.

    Errors: Failure for a device node or fifo, and for a name that is no path below the tree.
    """
    members = [(name, info) for info in tar.getmembers() if (name := _name(info))]
    for name, _ in members:
        directory, _, last = name.rpartition("/")
        if last == OPAQUE:
            if (hidden := inside(tree, directory)).is_dir():  # else the directory is new in this layer
                files.empty(hidden)
        elif last.startswith(WHITEOUT):
            files.remove(files.make_parents(tree, f"{directory}/{last.removeprefix(WHITEOUT)}".lstrip("/")))
    parents: dict[str, Path] = {}
    for name, info in members:
        directory, _, last = name.rpartition("/")
        if last.startswith(WHITEOUT):
            continue
        if directory not in parents:
            parents[directory] = files.make_parents(tree, name).parent
        _put(tar, info, parents[directory] / last, tree)


def _name(info: tarfile.TarInfo) -> str:
    """Relative, "" for the top. What a whiteout hides is a name too: `.wh...` would be the directory above."""
    name = info.name.removeprefix("./").strip("/")
    words = [] if name in ("", ".") else name.split("/")
    hidden = words[-1].removeprefix(WHITEOUT) if words else "top"
    if {"", ".", ".."} & {*words, hidden}:
        raise Failure(f"the layer has the name {info.name!r}", hint="the base is damaged")
    return "/".join(words)


def _put(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path, tree: Path) -> None:
    kind = KINDS.get(info.type)
    if kind is None:
        raise Failure(f"layer entry {info.name} is a device node or fifo", hint="OSTree cannot hold one")
    if kind != b"5" or path.is_symlink() or not path.is_dir():
        files.remove(path)
    if kind == b"1":
        target = files.make_parents(tree, info.linkname.removeprefix("./").lstrip("/"))
        os.link(target, path, follow_symlinks=False)
        return
    if kind == b"2":
        path.symlink_to(info.linkname)
    elif kind == b"5":
        path.mkdir(exist_ok=True)
    else:
        content = tar.extractfile(info)
        assert content is not None  # a regular file has some
        with path.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
    os.chown(path, info.uid, info.gid, follow_symlinks=False)
    if kind != b"2":
        path.chmod(info.mode & 0o7777)
        for key, value in info.pax_headers.items():
            if key.startswith(XATTR):
                os.setxattr(path, key.removeprefix(XATTR), value.encode("utf-8", "surrogateescape"))


def settle(*, tree: str = "/tree") -> dict[str, Any]:
    """The form in which a finish leaves a tree: /etc at the top, all times 0."""
    top = Path(tree)
    if (top / "usr/etc").is_dir() and not (top / "etc").exists():
        (top / "usr/etc").rename(top / "etc")
    for name in ("dev", "proc", "sys", "run", "tmp", "boot", "sysroot"):
        (top / name).mkdir(exist_ok=True)
    for entry in reversed([*files.walk(top)]):
        os.utime(entry.path, (0, 0), follow_symlinks=False)
    os.utime(top, (0, 0))
    return {}


def describe(*, tree: str = "/tree") -> dict[str, Any]:
    """What a base says of itself: packages with hashes, kernel arguments, code name of its suite.

    Errors: Failure if it is no image of this program.
    """
    top = Path(tree)
    debs = files.read_text(top, DEBS)
    if debs is None:
        raise Failure(
            f"the base has no /{DEBS}: it does not say what it is made of",
            hint="a base is an image that deb-bootc-compose made; one of an older version must be composed again",
        )
    kargs = [
        word for _, text in files.read_drop_ins(top, KARGS, suffix=".toml") for word in tomllib.loads(text)["kargs"]
    ]
    release = dict(
        line.partition("=")[::2] for line in (files.read_text(top, "usr/lib/os-release") or "").splitlines() if line
    )
    return {
        "packages": json.loads(debs), "kargs": kargs, "codename": release.get("VERSION_CODENAME", "").strip('"')
    }  # fmt: skip
