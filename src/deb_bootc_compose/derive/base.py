"""A base from wherever the manifest says, into the store: its layout as it came, and its tree as a layer.

Both are named by the digest that the lock has, and every hash is checked on the way, so it does not matter who served
them. Source: OCI image-spec 1.1; ostree-pull-local(1), --untrusted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deb_bootc_compose.lock import LockedBase, LockedPackage
from deb_bootc_compose.oci.image import ARCHES
from deb_bootc_compose.ostree import Repository, object_name
from deb_bootc_compose.publish.registry import Registry, default_authfile, find_pusher, pull_image
from deb_bootc_compose.tree.outside import call, run_tools
from debcore.errors import CommandFailed, Failure
from debroot.sandbox import Bind
from debroot.store import Layer, Store

#: A checksum, so that nothing need be asked.
CHECKSUM = re.compile(r"[0-9a-f]{64}")
GONE = "the store was cleaned meanwhile: compose again"

#: Objects are checked as if a stranger had sent them, and copied: equal files must not become one.
CHECKOUT = (
    "set -e; ostree --repo=/scratch/repo init --mode=bare >&2\n"
    'ostree --repo=/scratch/repo pull-local --untrusted --disable-fsync /repo "$1" >&2\n'
    'ostree --repo=/scratch/repo checkout --union --force-copy "$1" /tree >&2\n'
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What to take: the manifest's `base`, and the digest if a lock has one."""

    base: Mapping[str, Any]
    arch: str
    suite: str
    digest: str | None = None


def tree_name(base: LockedBase) -> str:
    return f"{base.kind}-{base.digest.removeprefix('sha256:')[:24]}"


def layout_name(digest: str) -> str:
    return f"layout-{digest.removeprefix('sha256:')[:24]}"


def load_tree_below(store: Store, base: LockedBase) -> Layer:
    """Errors: Failure if the store has lost it."""
    found = store.find(tree_name(base))
    if found is None:
        raise Failure(f"the base {base.digest[:19]} is no longer in the store {store.path}", hint=GONE)
    return found


def load_layout_below(store: Store, base: LockedBase) -> Layer | None:
    """The layer whose root is the base's OCI layout; None for an OSTree commit. Errors: Failure as above."""
    if base.kind != "image":
        return None
    found = store.find(layout_name(base.digest))
    if found is None:
        raise Failure(f"the base {base.digest[:19]} is no longer in the store {store.path}", hint=GONE)
    return found


def take_base(store: Store, tools: Layer, wanted: Wanted, *, say: Say) -> LockedBase:
    """Bring the base into the store, if it is not there, and say what it is.

    Errors: Failure if it is missing, damaged, of another suite or architecture, or no image of ours.
    """
    if wanted.base["ostree"] is not None:
        locked = _take_commit(store, tools, wanted, say)
    else:
        locked = _take_image(store, tools, wanted, say)
    tree = load_tree_below(store, locked)
    told = call(
        store, tools, "deb_bootc_compose.derive.inside:describe", {}, binds=[Bind(source=tree.root, target="/tree")]
    )
    if told["codename"] and wanted.suite not in (told["codename"], "sid", "unstable"):
        raise Failure(f"the base is of {told['codename']}, the manifest of {wanted.suite}", hint="name its suite")
    packages = tuple(LockedPackage(**package) for package in told["packages"])
    if found := sorted({p.arch for p in packages} - {"all", wanted.arch}):
        raise Failure(f"the base is of {', '.join(found)}, the variant of {wanted.arch}", hint="name its architecture")
    return locked.model_copy(update={"kargs": tuple(told["kargs"]), "packages": packages})


def _take_image(store: Store, tools: Layer, wanted: Wanted, say: Say) -> LockedBase:
    digest, name = wanted.digest, ""
    if wanted.base["image"] is not None:
        said, _, at = wanted.base["image"].removeprefix("docker://").partition("@")
        where, slash, last = said.rpartition("/")
        name = f"{where}{slash}{last.partition(':')[0]}"
        digest = digest or at or None
        if digest is None or store.find(layout_name(digest)) is None:
            say(f"fetching the base {f'{name}@{digest[:19]}' if digest else said}")
            digest = _fetch(store, tools, wanted, name if digest else said, digest)
    else:
        layout = Path(wanted.base["oci"])
        digest = digest or find_digest(layout, wanted.arch)
        if store.find(layout_name(digest)) is None:
            say(f"taking the base {digest[:19]} from {layout}")
            _keep_layout(store, tools, layout, digest, wanted)
    locked = LockedBase(kind="image", digest=digest, name=name)
    key = tree_name(locked)
    with store.making(key):
        if store.find(key) is None:
            found = load_layout_below(store, locked)
            assert found is not None  # it is an image
            say("unpacking it")
            with store.workplace("root", "scratch") as place:
                binds = [
                    Bind(source=found.root, target="/layout"),
                    Bind(source=place / "root", target="/tree", readonly=False),
                    Bind(source=place / "scratch", target="/scratch", readonly=False),
                ]
                function = "deb_bootc_compose.derive.inside:unpack_layout"
                call(store, tools, function, {"digest": digest}, binds=binds, suppress_sync=True)
                _commit_tree(store, tools, place, key, wanted)
    return locked


def _commit_tree(store: Store, tools: Layer, place: Path, key: str, wanted: Wanted) -> None:
    bind = Bind(source=place / "root", target="/tree")
    told = call(store, tools, "deb_bootc_compose.derive.inside:describe", {}, binds=[bind])
    packages = tuple(LockedPackage(**package).package() for package in told["packages"])
    store.commit_layer(place, Layer(key, place, (), packages, wanted.arch, wanted.suite))


def find_digest(layout: Path, arch: str) -> str:
    """The image of *arch* in a layout. Errors: Failure if there is none, or more than one."""
    try:
        index = json.loads((layout / "index.json").read_bytes())
        wanted = ARCHES[arch][0]
        found = {
            str(one["digest"])
            for one in index["manifests"]
            if one.get("platform", {}).get("architecture", wanted) == wanted
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            f"{layout} is no OCI image layout: {error}", hint="name the directory compose/VARIANT/ARCH/oci of a compose"
        ) from error
    if len(found) != 1:
        raise Failure(f"{layout} has {len(found)} images for {arch}", hint="name a layout with one")
    return found.pop()


def _keep_layout(store: Store, tools: Layer, source: Path, digest: str, wanted: Wanted) -> None:
    key = layout_name(digest)
    with store.making(key):
        if store.find(key) is not None:
            return
        with store.workplace("root") as place:
            binds = [
                Bind(source=source.resolve(), target="/source"),
                Bind(source=place / "root", target="/out", readonly=False),
            ]
            call(store, tools, "deb_bootc_compose.derive.inside:take_layout", {"digest": digest}, binds=binds)
            store.commit_layer(place, Layer(key, place, (), (), wanted.arch, wanted.suite))


def _fetch(store: Store, tools: Layer, wanted: Wanted, name: str, digest: str | None) -> str:
    registry = Registry(name=name, authfile=default_authfile(), insecure=wanted.base["insecure"])
    arch = ARCHES[wanted.arch][0]
    with store.workplace("out") as place:
        pull_image(store, find_pusher(store, wanted.suite), registry, digest, place / "out", arch=arch)
        found = find_digest(place / "out", wanted.arch)
        if digest is not None and found != digest:
            # the digest may be that of an index; the lock has the one of the image
            manifest = json.loads((place / "out/index.json").read_bytes())
            if wanted.digest is not None or len(manifest["manifests"]) != 1:
                raise Failure(f"{name}@{digest[:19]} is {found}", hint="the registry does not hold what the lock names")
        _keep_layout(store, tools, place / "out", found, wanted)
    return found


def _take_commit(store: Store, tools: Layer, wanted: Wanted, say: Say) -> LockedBase:
    path, asked = Path(wanted.base["ostree"]), wanted.digest or wanted.base["commit"]
    if wanted.digest is not None:
        known = LockedBase(kind="commit", digest=wanted.digest)
        if store.find(tree_name(known)) is not None:
            return known
    if not (path / "objects").is_dir():
        raise Failure(f"{path} is no OSTree repository", hint="name the directory with objects/ and refs/")
    repository = Repository(store, tools, path)
    checksum = asked if CHECKSUM.fullmatch(asked) else _resolve_ref(repository, asked)
    locked = LockedBase(kind="commit", digest=checksum)
    key = tree_name(locked)
    with store.making(key):
        if store.find(key) is None:
            if not (path / object_name(checksum, "commit")).is_file():
                raise Failure(f"{path} has no commit {checksum[:12]}", hint="ostree refs lists what it has")
            say(f"taking the base {checksum[:12]} from {path}, every object checked")
            with store.workplace("root", "scratch") as place:
                binds = [
                    Bind(source=path.resolve(), target="/repo"),
                    Bind(source=place / "root", target="/tree", readonly=False),
                    Bind(source=place / "scratch", target="/scratch", readonly=False),
                ]
                argv = ["sh", "-c", CHECKOUT, "sh", checksum]
                try:
                    run_tools(store, tools, argv, binds=binds, suppress_sync=True)
                except CommandFailed as error:
                    raise Failure(
                        f"the commit {checksum[:12]} cannot be taken: {error.output.strip()}",
                        hint=f"check it: ostree fsck --repo={path}",
                    ) from error
                call(store, tools, "deb_bootc_compose.derive.inside:settle", {}, binds=binds)
                _commit_tree(store, tools, place, key, wanted)
    return locked


def _resolve_ref(repository: Repository, ref: str) -> str:
    try:
        return repository.run("rev-parse", ref, readonly=True).decode().strip()
    except CommandFailed as error:
        raise Failure(f"{repository.path} has no ref {ref}", hint="ostree refs lists what it has") from error
