"""What bootc's importer does to an image, done with ostree(1) alone. Inside the sandbox; standard library only.

Each layer, in the C locale: /etc moved to /usr/etc, what lies below mount points dropped, `ostree commit --tree=tar`;
then a union checkout of all in order, whiteouts honoured, and one commit of the result. Source: ostree-ext of bootc,
store.rs and tar/write.rs.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import IO, Any

from deb_bootc_compose.oci.content import MOUNT_POINTS, hash_file
from deb_bootc_compose.oci.tar import END, Member, write_member
from debcore.command import run
from debcore.errors import CommandFailed, Failure

KINDS = {tarfile.REGTYPE: b"0", tarfile.LNKTYPE: b"1", tarfile.SYMTYPE: b"2", tarfile.DIRTYPE: b"5"}
XATTR = "SCHILY.xattr."
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
#: Lines of differences that are shown.
SHOWN = 50


def map_name(name: str) -> str | None:
    """Where the importer puts *name*; None if it drops it."""
    name = name.removeprefix("./").strip("/")
    first, _, rest = name.partition("/")
    if not name or (first in MOUNT_POINTS and rest):
        return None
    return f"usr/{name}" if first == "etc" else name


def rewrite(source: IO[bytes], sink: IO[bytes]) -> None:
    """The filter between a layer and ostree. Errors: Failure for a kind of file that OSTree cannot hold."""
    with tarfile.open(fileobj=source, mode="r|") as tar:
        for info in tar:
            name = map_name(info.name)
            if name is None:
                continue
            if info.type not in KINDS:
                raise Failure(f"layer entry {info.name} is a device node or fifo", hint="OSTree cannot hold one")
            kind = KINDS[info.type]
            target = (map_name(info.linkname) or "") if kind == b"1" else info.linkname
            pax = {k.removeprefix(XATTR): _bytes(v) for k, v in info.pax_headers.items() if k.startswith(XATTR)}
            member = Member(
                name=_bytes(name), kind=kind, mode=info.mode, uid=info.uid, gid=info.gid, mtime=int(info.mtime),
                size=info.size if kind == b"0" else 0, target=_bytes(target) if kind in b"12" else b"", xattrs=pax,
            )  # fmt: skip
            write_member(sink, member, tar.extractfile(info) if kind == b"0" else None)
    sink.write(END)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def unpack(blob: Path, media_type: str, target: Path) -> None:
    """The plain tar of one layer."""
    if media_type.endswith("+zstd"):
        run(["zstd", "-q", "-d", "-f", blob, "-o", target])
    elif media_type.endswith("+gzip"):
        with gzip.open(blob) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    else:
        shutil.copyfile(blob, target)


def load_manifest(layout: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(manifest, config) of the only image of *layout*, hashes checked. Errors: Failure."""
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(read_blob(layout, index["manifests"][0]["digest"]))
    return manifest, json.loads(read_blob(layout, manifest["config"]["digest"]))


def check_digest(digest: str) -> None:
    """Only sha256, whose blobs have names that are safe to join onto a path. Errors: Failure."""
    if not DIGEST.fullmatch(digest):
        raise Failure(f"{digest[:80]!r} is no sha256 digest", hint="the image is damaged")


def read_blob(layout: Path, digest: str) -> bytes:
    """Content of a small blob, its hash checked. Errors: Failure if it is missing or damaged."""
    return check_blob(layout, digest).read_bytes()


def check_blob(layout: Path, digest: str) -> Path:
    """Where it lies, its hash checked. Errors: Failure if it is missing or damaged."""
    check_digest(digest)
    path = layout / "blobs/sha256" / digest.removeprefix("sha256:")
    if not path.is_file():
        raise Failure(f"there is no blob {digest}", hint="give the layout as it was written")
    if f"sha256:{hash_file(path)}" != digest:
        raise Failure(f"blob {digest} has another content", hint="write the layout again")
    return path


def replay(
    *, commit: str, known: dict[str, Any], layout: str = "/layout", repo: str = "/repo", scratch: str = "/scratch"
) -> dict[str, Any]:
    """Import *layout* into a new repository and compare the result with *commit* of *repo*.

    *known*: what the import of layers gave before, by digest. As bootc does, only layers that are new are imported
    then; if what comes out is not the commit's tree, or cannot be told without a checkout, all are imported.
    """
    place = Path(scratch)
    mine = place / "repo"
    run(["ostree", f"--repo={mine}", "init", "--mode=bare"])
    manifest, config = load_manifest(Path(layout))
    layers = list(zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True))
    taken, made = {}, {}
    for number, (layer, diff_id) in enumerate(layers):
        digest = layer["digest"]
        if known.get(digest, {}).get("diff_id") == diff_id:
            check_blob(Path(layout), digest)
            taken[digest] = known[digest]
        else:
            _import_layer(place, Path(layout), layer, diff_id, number)
            made[digest] = {"diff_id": diff_id, "entries": _entries(mine, f"layer/{number}")}
    said = {"equal": True, "differences": [], "layers": len(layers), "taken": len(taken), "made": made}
    if taken:
        found = [(taken | made)[layer["digest"]]["entries"] for layer, _ in layers]
        if merge_entries(found) == _entries(Path(repo), commit):
            return said
        said["taken"] = 0
        for number, (layer, diff_id) in enumerate(layers):
            if layer["digest"] in taken:
                _import_layer(place, Path(layout), layer, diff_id, number)
    for number in range(len(layers)):
        words = ["checkout", "--union", "--whiteouts", "--require-hardlinks", f"layer/{number}", f"{place}/merged"]
        run(["ostree", f"--repo={mine}", *words])
    words = ["commit", "--no-bindings", "--branch=merged", f"--tree=dir={place}/merged", "--link-checkout-speedup"]
    run(["ostree", f"--repo={mine}", *words, "--fsync=false"])
    ours, theirs = _root(mine, "merged"), _root(Path(repo), commit)
    differences = [] if ours == theirs else _diff(_list(mine, "merged"), _list(Path(repo), commit))
    return {**said, "equal": ours == theirs, "differences": differences}


def _import_layer(place: Path, layout: Path, layer: dict[str, Any], diff_id: str, number: int) -> None:
    plain, mapped = place / "layer.tar", place / "mapped.tar"
    unpack(layout / "blobs/sha256" / layer["digest"].removeprefix("sha256:"), layer["mediaType"], plain)
    if f"sha256:{hash_file(plain)}" != diff_id:
        raise Failure(f"layer {number}: the diff_id is not that of its content", hint="write the layout again")
    with plain.open("rb") as source, mapped.open("wb") as sink:
        rewrite(source, sink)
    _commit_tar(place / "repo", mapped, f"layer/{number}")


def merge_entries(layers: list[dict[str, str]]) -> dict[str, str] | None:
    """The union checkout of *layers* in order; None where a checkout has to decide.

    That is where a layer hides something, where a directory meets another kind of file, and where directories differ.
    """
    merged: dict[str, str] = {}
    for entries in layers:
        for path, entry in entries.items():
            if path.rpartition("/")[2].startswith(".wh."):
                return None
            below = merged.get(path, entry)
            if entry != below and "d" in (entry[0], below[0]):
                return None
        merged |= entries
    return merged


def _entries(repo: Path, commit: str) -> dict[str, str]:
    """{path: kind and checksum}: of a directory its metadata alone, of a file all that OSTree knows of it."""
    lines = run(["ostree", f"--repo={repo}", "ls", "-R", "-C", commit, "/"]).text.splitlines()
    told = [line.partition(" /") for line in lines if " /" in line]
    return {f"/{path.split(' -> ')[0]}": f"{about[0]}{about.split()[-1]}" for about, _, path in told}


def _commit_tar(repo: Path, tar: Path, branch: str) -> None:
    words = [
        "commit",
        "--no-bindings",
        "--tar-autocreate-parents",
        f"--branch={branch}",
        f"--tree=tar={tar}",
        "--fsync=false",
    ]
    try:
        run(["ostree", f"--repo={repo}", *words], extra_env={"LC_ALL": "C", "LANG": "C"})
    except CommandFailed as error:
        raise Failure(
            f"{branch} cannot be imported: {error.output.strip()}", hint="bootc would refuse the image"
        ) from error


def _root(repo: Path, commit: str) -> list[str]:
    """Checksums of the root's content and metadata."""
    return run(["ostree", f"--repo={repo}", "ls", "-C", "-d", commit, "/"]).text.split()[-3:-1]


def _list(repo: Path, commit: str) -> dict[str, str]:
    """{path: everything that `ostree ls` says of it, attributes and checksum included}."""
    lines = run(["ostree", f"--repo={repo}", "ls", "-R", "-C", "-X", commit, "/"]).text.splitlines()
    return {line[line.index(" /") + 1 :].split(" -> ")[0]: line for line in lines if " /" in line}


def _diff(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Paths that differ; directories whose only difference is what is below them are left out."""
    found = []
    for path in sorted(set(ours) | set(theirs)):
        mine, other = ours.get(path, "missing"), theirs.get(path, "missing")
        if mine != other and not (mine.startswith("d") and mine.split()[:3] == other.split()[:3]):
            found.append(f"{path}: image: {mine} | commit: {other}")
    return found[:SHOWN]
