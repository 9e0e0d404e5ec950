"""Writing an OCI image layout from a tree, inside the sandbox: the ids read here are the ids of the image.

Standard library and zstd(1). Source: OCI image-spec 1.1, image-layout.md, layer.md, config.md.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from deb_bootc_compose.lints.utf8 import is_utf8
from deb_bootc_compose.oci import derived
from deb_bootc_compose.oci import plan as planning
from deb_bootc_compose.oci.content import MOUNT_POINTS, hash_file, read_xattrs
from deb_bootc_compose.oci.history import load_uploads
from deb_bootc_compose.oci.tar import END, Member, write_member
from deb_bootc_compose.tree import dpkg, files
from debcore.command import run
from debcore.errors import Failure

LAYER = "application/vnd.oci.image.layer.v1.tar+"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
WHITEOUT = ".wh."  #: how names begin that remove others


class HashingFile:
    """A file that knows the SHA-256 and the number of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> None:
        self._file.write(data)
        self.digest.update(data)
        self.size += len(data)


def make_member(entry: files.Entry, link_to: str | None) -> Member:
    """The tar entry of *entry*; with *link_to*, a hard link to that earlier name. All times are 0."""
    name = os.fsencode(entry.name)
    status = entry.stat
    kind, size, target, xattrs = b"0", status.st_size, b"", {}
    if entry.is_dir:
        kind, size = b"5", 0
    elif entry.is_link:
        kind, size, target = b"2", 0, os.fsencode(files.read_link(entry.path))
    elif link_to is not None:
        kind, size, target = b"1", 0, os.fsencode(link_to)
    if kind in (b"0", b"5"):
        xattrs = read_xattrs(entry.path)
    mode = 0o777 if kind == b"2" else status.st_mode & 0o7777
    return Member(
        name=name, kind=kind, mode=mode, uid=status.st_uid, gid=status.st_gid, size=size, target=target, xattrs=xattrs
    )


def check_entry(entry: files.Entry) -> None:
    """Errors: Failure for what no layer can hold, or what is read from one as something else."""
    if not (entry.is_dir or entry.is_file or entry.is_link):
        why = "is a device node, fifo or socket"
    elif entry.name.rpartition("/")[2].startswith(WHITEOUT):
        why = "would be read as the removal of another file"
    elif not is_utf8(entry.name) or (entry.is_link and not is_utf8(files.read_link(entry.path))):
        why = "has a name or target that is not UTF-8"
    else:
        return
    raise Failure(f"an image cannot hold /{files.shown(entry.name)}: it {why}", hint="rename it, or leave it out")


def load_packages(tree: Path) -> planning.Packages:
    """What the dpkg database and the changelogs of *tree* say."""
    installed = dpkg.load_installed(tree)
    binaries: dict[str, list[str]] = {}
    for package in installed:
        binaries.setdefault(package.source, []).append(package.name)
    return planning.Packages(dpkg.load_owners(tree), binaries, load_uploads(tree, installed))


def make_layers(
    tree: Path,
    previous: Mapping[str, list[str]],
    max_layers: int,
    rules: list[planning.Rule],
    *,
    by_name: bool,
    only: frozenset[str] | None = None,
) -> tuple[planning.Plan, dict[str, list[files.Entry]]]:
    """The plan, and for each layer its entries in order, the directories above them included.

    A directory without files goes to its owner's layer, so that nothing of the tree is lost. *only*: the names that
    need be in a layer (None: all).
    """
    entries = {e.name: e for e in files.walk(tree) if e.name.split("/")[0] not in MOUNT_POINTS or "/" not in e.name}
    for entry in entries.values():
        check_entry(entry)
    packages = load_packages(tree)
    grouping = planning.Grouping(packages, rules)
    paths = [
        planning.Path(
            e.name, e.stat.st_size, (e.stat.st_dev, e.stat.st_ino) if e.is_file and e.stat.st_nlink > 1 else None
        )
        for e in entries.values()
        if not e.is_dir and (only is None or e.name in only)
    ]
    plan = planning.make_plan(
        paths, packages, grouping=grouping, previous=previous, by_name=by_name, max_layers=max_layers
    )
    homes = {f"source:{source}": layer for layer, sources in plan.sources.items() for source in sources}
    wanted: dict[str, set[str]] = {layer: set() for layer in plan.layers}
    for name, layer in plan.assigned.items():
        wanted[layer] |= {name, *_above(name)}
    placed = set().union(*wanted.values())
    for name in entries:
        if name not in placed and (only is None or name in only):
            group = grouping.find(name)
            layer = next((x for x in (homes.get(group, group), "files") if x in wanted), plan.layers[-1])
            wanted[layer] |= {name, *_above(name)}
    order = {name: i for i, name in enumerate(sorted(entries, key=os.fsencode))}
    return plan, {layer: [entries[n] for n in sorted(names, key=order.__getitem__)] for layer, names in wanted.items()}


def _above(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def write_tar(sink: HashingFile, entries: list[files.Entry], hidden: frozenset[str] = frozenset()) -> None:
    """All *entries* of one layer, after whiteouts of the *hidden* names: layer.md, Whiteouts."""
    for name in sorted(hidden, key=os.fsencode):
        directory, slash, last = name.rpartition("/")
        write_member(sink, Member(name=os.fsencode(f"{directory}{slash}{WHITEOUT}{last}"), kind=b"0", mode=0o644))
    first: dict[tuple[int, int], str] = {}
    for entry in entries:
        key = (entry.stat.st_dev, entry.stat.st_ino)
        link_to = first.get(key) if entry.is_file and entry.stat.st_nlink > 1 else None
        if entry.is_file and link_to is None:
            first[key] = entry.name
        member = make_member(entry, link_to)
        if member.kind == b"0":
            with entry.path.open("rb") as content:
                write_member(sink, member, content)
        else:
            write_member(sink, member)
    sink.write(END)


def compress(source: Path, target: Path, compression: str) -> None:
    """zstd (level 3, one thread) or gzip (level 6, no name, no time)."""
    if compression == "zstd":
        run(["zstd", "-q", "-3", "-T1", "--no-progress", "-f", source, "-o", target])
        return
    with source.open("rb") as plain, target.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, 0) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)


def write_layer(
    name: str,
    entries: list[files.Entry],
    out: Path,
    compression: str,
    known: dict[str, dict[str, Any]],
    hidden: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Write one layer into *out*/blobs and describe it. A layer of *known* with the same diff_id is taken as it is.

    Errors: Failure if it would be packed to other bytes, and the image that has them is not at hand.
    """
    blobs = out / "blobs/sha256"
    plain = out / f"{name.replace(':', '-').replace('/', '-')}.tar"
    with plain.open("wb") as file:
        sink = HashingFile(file)
        write_tar(sink, entries, hidden)
    diff_id = sink.digest.hexdigest()
    old = known.get(diff_id)
    before = Path("/previous/blobs/sha256") / str(old["digest"]) if old is not None else None
    if before is not None and before.is_file() and hash_file(before) == before.name:
        digest = before.name
        shutil.copyfile(before, blobs / digest)
    else:
        packed = plain.with_suffix(".packed")
        compress(plain, packed, compression)
        digest = hash_file(packed)
        if old is not None and digest != old["digest"]:
            raise Failure(
                f"layer {name} is as in the image before, but was packed by other tools then",
                hint="keep the compose before where it was, or begin anew with --previous none",
            )
        packed.rename(blobs / digest)
    plain.unlink()
    (blobs / digest).chmod(0o644)
    return {
        "name": name,
        "diff_id": diff_id,
        "digest": digest,
        "media_type": LAYER + compression,
        "size": (blobs / digest).stat().st_size,
        "plain_size": sink.size,
        "entries": len(entries),
        "reused": old is not None,
    }


def put_json(out: Path, data: Any) -> tuple[str, int]:
    """Store *data* as a blob: canonical JSON. Returns (digest, size)."""
    content = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(content).hexdigest()
    path = out / "blobs/sha256" / digest
    path.write_bytes(content)
    path.chmod(0o644)
    return digest, len(content)


def write(
    *,
    config: dict[str, Any],
    annotations: dict[str, str],
    tag: str,
    compression: str,
    max_layers: int,
    previous: dict[str, Any],
    rules: Sequence[Mapping[str, Any]] = (),
    by_name: bool = False,
    base: str = "",
    tree: str = "/tree",
    out: str = "/out",
) -> dict[str, Any]:
    """Write the layout into the empty directory *out*. *previous*: of the image before, `plan` and `layers` as in
    layers.json; or {}. *rules*: layers that the manifest asks for. Errors: Failure.

    *base*: digest of the image in the layout /base whose tree is /below: its layers come first, as they are, and ours
    hold what differs.
    """
    where = Path(out)
    (where / "blobs/sha256").mkdir(parents=True)
    below = derived.load_base(Path("/base"), base) if base else derived.NOTHING
    change = derived.compare(Path(tree), Path("/below")) if base else derived.Change(None, frozenset())
    room = max_layers - len(below.layers)
    if room < planning.FEWEST:
        raise Failure(
            f"the base has {len(below.layers)} layers, and max-layers is {max_layers}",
            hint=f"raise container.max-layers to {len(below.layers) + planning.FEWEST} (128 at most)",
        )
    asked = [planning.Rule(rule["name"], tuple(rule["packages"]), tuple(rule["paths"])) for rule in rules]
    plan, layers = make_layers(
        Path(tree), previous.get("plan", {}), room, asked, by_name=by_name, only=change.names
    )  # fmt: skip
    order = plan.layers
    if change.hidden:  # below all others of ours, so that a name may come back as something else
        order, layers = ("removed", *order), {"removed": [], **layers}
    wanted = LAYER + compression  # what was packed otherwise is packed anew: the manifest's choice holds for all layers
    known = {layer["diff_id"]: layer for layer in previous.get("layers", []) if layer["media_type"] == wanted}
    with ThreadPoolExecutor(max_workers=2) as pool:
        ours = list(
            pool.map(
                lambda name: write_layer(
                    name, layers[name], where, compression, known, change.hidden if name == "removed" else frozenset()
                ),
                order,
            )
        )
    made = [*derived.copy_layers(below, Path("/base"), where), *ours]
    created = config["created"]
    history = [{"created": created, "created_by": f"deb-bootc-compose {layer['name']}"} for layer in ours]
    labels = {**below.labels, **config["config"]["Labels"]}
    config = {
        **config,
        "config": {**config["config"], "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer['diff_id']}" for layer in made]},
        "history": [*below.history, *history],
    }
    config_digest, config_size = put_json(where, config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": f"sha256:{config_digest}", "size": config_size},
        "layers": [
            {"mediaType": layer["media_type"], "digest": f"sha256:{layer['digest']}", "size": layer["size"]}
            for layer in made
        ],
        "annotations": annotations,
    }
    digest, size = put_json(where, manifest)
    platform = {"architecture": config["architecture"], "os": config["os"]}
    named = {"org.opencontainers.image.ref.name": tag} if tag else {}
    entry = {
        "mediaType": MANIFEST,
        "digest": f"sha256:{digest}",
        "size": size,
        "platform": platform,
        "annotations": named,
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (where / "index.json").write_text(json.dumps(index, sort_keys=True, separators=(",", ":")))
    (where / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return {"digest": digest, "size": size, "config": config_digest, "plan": dict(plan.sources), "layers": made}
