"""The layer store: immutable layers, locked while they are used, and a pool of .debs named by their hash.

FORMAT                    the version of this layout; a newer one is refused
layers/ID/{root,meta.json,lock}   complete and immutable (they appear by rename)
pool/HH/SHA256            .debs
roots/NAME/{states/,meta.json,lock}   named roots, kept between runs (debroot.named)
failed/ID/…               roots of builds that failed (debroot.kept)
plugins/NAME/KEY/         what plugins keep between builds (debroot.caches)
tmp/RANDOM/{…,lock}       being made or throw-away; with its lock free it is a leftover and reclaimed
resolved/, apt/           what apt said last, and its indexes
locks/NAME/lock           of what is being made, or used, and is not a directory of ours
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from debcore.errors import Failure
from debcore.path import sync_directory, write_file
from debroot import owned
from debroot.gc import NEW, discard, find_above, list_store, reclaim
from debroot.idmap import IdMap, find_idmap
from debroot.layers import Layer, Package, StoreEntry, describe_deb, layer_id
from debroot.locks import hold_shared, take_lasting, take_shared
from debroot.upper import leave_memory, make_place, memory_place, read_uppers

if TYPE_CHECKING:
    from debroot.bootstrap import Recipe
    from debroot.resolve import Resolution

log = logging.getLogger(__name__)

__all__ = ["Layer", "Package", "Store", "StoreEntry", "check_format", "default_path", "layer_id"]

#: Version of the layout on disk. A store with a higher one is refused.
FORMAT = 1

#: A layer stands on at most so many others; one more and it is made anew on its base.
MAX_DEPTH = 6


class Store:
    """One store: one user, one id map."""

    def __init__(self, path: Path, idmap: IdMap) -> None:
        self.path = path
        self.idmap = idmap
        self._held: dict[str, int] = {}
        weakref.finalize(self, _close_all, self._held)

    def release(self) -> None:
        """Let go of the layers that were found: what uses them has locks of its own."""
        _close_all(self._held)

    @classmethod
    def open(cls, path: Path | None = None, *, idmap: IdMap | None = None) -> Store:
        """Open or make the store at *path*, else at DEBOOTC_STORE, else /var/cache/deb-mock (root) or
        $XDG_CACHE_HOME/deb-mock. Errors: Failure if its format is newer than ours or its ids are of another map."""
        where = (path or default_path()).absolute()
        ids = idmap or find_idmap()
        mark = where / "FORMAT"
        try:
            where.mkdir(parents=True, exist_ok=True)
            for name in ("layers", "pool", "roots", "tmp", "resolved", "apt", "locks"):
                (where / name).mkdir(exist_ok=True)
                if name in ("layers", "roots", "tmp", "apt"):
                    (where / name).chmod(0o711)  # root inside passes through, and sees no names
            where.chmod(0o711)
            if not mark.exists():
                write_file(mark, f"{FORMAT} {ids.first} {ids.gid} {ids.count}\n")
            text = mark.read_text(errors="replace")
        except OSError as error:
            at = error.filename or where
            raise Failure(
                f"the store {where} cannot be used: {at}: {error.strerror}",
                hint="give it to the user who runs this, or name another store: export DEBOOTC_STORE=DIR",
            ) from error
        check_format(mark, text, ids)
        return cls(where, ids)

    def base(self, recipe: Recipe) -> Layer:
        """The base layer of *recipe*, made if it is missing (see bootstrap.make_base)."""
        from debroot.bootstrap import make_base

        return make_base(self, recipe)

    def extend(self, layer: Layer, resolution: Resolution) -> Layer:
        """*layer* plus exactly the packages of *resolution*: the layer that exists, or a new one."""
        from debroot.extend import extend_layer

        return extend_layer(self, layer, resolution)

    def find(self, layer_id: str) -> Layer | None:
        """The layer with this id, marked as used now and kept by its lock for as long as this Store lives.

        One that is damaged is taken out of the store, so that it is made anew.
        """
        path = self.path / "layers" / layer_id
        if layer_id not in self._held:
            try:
                self._held[layer_id] = take_shared(path)
            except (Failure, OSError):
                return None
        with suppress(OSError):
            os.utime(path / "meta.json")
        try:
            return read_layer(path, self.find)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("Layer %s is damaged (%s): it is made anew", layer_id, error)
        os.close(self._held.pop(layer_id))
        with suppress(Failure, OSError):  # what stands on it is found to be damaged in its turn
            discard(self, path, f"layer {layer_id}")
        return None

    @contextmanager
    def using(self, layer: Layer) -> Iterator[Layer]:
        """Hold the shared lock of *layer* and its parents. Errors: Failure if gc was faster."""
        with ExitStack() as held:
            for one in (layer, *layer.parents):
                held.enter_context(hold_shared(one.path))
            yield layer

    @contextmanager
    def making(self, key: str) -> Iterator[None]:
        """Only one process at a time makes what *key* names; the next finds it made."""
        fd = take_lasting(self.path / "locks" / key, exclusive=True)
        try:
            yield
        finally:
            os.close(fd)

    @contextmanager
    def workplace(self, *names: str, at: Path | None = None) -> Iterator[Path]:
        """A locked directory below tmp/ (or *at*) with empty sub-directories *names* owned by root inside; gone at
        exit. Those of killed processes are removed by the next call."""
        reclaim(self)
        place = (at or self.path / "tmp") / secrets.token_hex(8)
        new = place.with_name(f"{NEW}{place.name}")  # nobody takes it for a leftover before it is locked
        make_place(self, new)
        new.chmod(0o711)  # whatever the umask is
        (new / "lock").touch()
        with hold_shared(new):
            new.rename(place)
            try:
                if names:
                    owned.make_directories(place, names, self.idmap)
                yield place
            finally:
                if (place / "lock").exists():  # it was not renamed into its final place
                    owned.remove_tree(place, self.idmap)

    @contextmanager
    def throwaway(self, *, memory: bool = False) -> Iterator[Path]:
        """An empty directory, owned by root inside, for Sandbox.upper or as a scratch directory; gone at exit.

        It lies on the store's disk; with *memory* (asked of memory.choose_memory), or where overlayfs needs that, on
        tmpfs if there is one.
        """
        at = memory_place(self) if memory or read_uppers(self.path) == "memory" else None
        try:
            with self.workplace("upper", "work", at=at) as place:
                yield place / "upper"
        finally:
            if at is not None:
                leave_memory(self)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty private directory of the caller; gone at exit, or with the next gc if the caller is killed."""
        with self.workplace() as place:
            own = place / "own"
            own.mkdir(mode=0o700)
            yield own

    def commit_layer(self, place: Path, layer: Layer) -> Layer:
        """Rename the workplace *place* (with its `root`) to its final name; if another was faster, take theirs."""
        meta: dict[str, Any] = {
            "parents": [parent.id for parent in layer.parents],
            "packages": [asdict(package) for package in layer.packages],
            "arch": layer.arch,
            "suite": layer.suite,
            "size": owned.measure_tree(place / "root", self.idmap),
            "status": hash_status(place / "root"),
        }
        owned.remove_names(place, [p.name for p in place.iterdir() if p.name not in ("root", "lock")], self.idmap)
        write_file(place / "meta.json", json.dumps(meta))
        target = self.path / "layers" / layer.id
        if not target.exists():
            with suppress(FileExistsError):
                place.rename(target)
                sync_directory(target.parent)
        found = self.find(layer.id)
        if found is None:
            hint = "end the commands that use it (`deb-mock list` shows it), and run this again"
            raise Failure(f"layer {layer.id} is damaged and in use", hint=hint)
        return found

    def list(self) -> tuple[StoreEntry, ...]:
        """Layers, named roots and leftovers."""
        return list_store(self)

    def remove(self, layer_id: str) -> None:
        """Errors: Failure if another process uses it, or another layer or a named root stands on it."""
        if (fd := self._held.pop(layer_id, None)) is not None:
            os.close(fd)
        place = self.path / "layers" / layer_id
        discard(self, place, f"layer {layer_id}", lambda: find_above(self, layer_id))

    def keep_pool(self) -> None:
        """Keep gc away from the .debs until release(): what was found in the pool is about to be used."""
        if "pool" not in self._held:
            self._held["pool"] = take_lasting(self.path / "locks" / "pool")

    def pool_path(self, sha256: str) -> Path:
        """Where the .deb with this hash is, or would be."""
        return self.path / "pool" / sha256[:2] / sha256

    def add_deb(self, deb: Path, *, sha256: str | None = None) -> Package:
        """Copy a .deb into the pool and describe it by its control file. Errors: Failure if it is not *sha256*."""
        self.keep_pool()
        self.path.joinpath("pool").mkdir(exist_ok=True)
        digest = hashlib.sha256()
        incoming = self.path / "pool" / f"incoming-{secrets.token_hex(8)}"
        try:
            with deb.open("rb") as source, incoming.open("xb") as copy:
                while block := source.read(1 << 20):
                    digest.update(block)
                    copy.write(block)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise Failure(f"{deb.name} has SHA-256 {digest.hexdigest()}, not {sha256}", hint="fetch it again")
            target = self.pool_path(digest.hexdigest())
            target.parent.mkdir(exist_ok=True)
            package = describe_deb(incoming, digest.hexdigest())
            incoming.chmod(0o644)
            incoming.replace(target)
        finally:
            incoming.unlink(missing_ok=True)
        return package

    def drop_damaged(self, packages: Sequence[Package]) -> None:
        """Remove those of *packages* from the pool whose content is not what their name says."""
        self.keep_pool()
        for package in packages:
            path = self.pool_path(package.sha256)
            with suppress(FileNotFoundError), path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != package.sha256:
                    log.warning("%s %s is damaged in the pool: fetching it again", package.name, package.version)
                    path.unlink(missing_ok=True)

    def has(self, packages: Sequence[Package]) -> bool:
        """Whether the pool has all of them."""
        return not self.missing(packages)

    def missing(self, packages: Sequence[Package]) -> Sequence[Package]:
        return [p for p in packages if not self.pool_path(p.sha256).exists()]


def read_layer(path: Path, find: Callable[[str], Layer | None]) -> Layer:
    """The layer in the directory *path*. Errors: OSError, ValueError, KeyError or TypeError if it is not whole."""
    meta = json.loads((path / "meta.json").read_text())
    packages = tuple(Package(**fields) for fields in meta["packages"])
    parents = []
    for name in meta["parents"]:
        if (parent := find(name)) is None:
            raise ValueError(f"{name} below it is gone")
        parents.append(parent)
    if not (path / "root").is_dir():
        raise ValueError("its tree is gone")
    if meta.get("status") is not None and meta["status"] != hash_status(path / "root"):
        raise ValueError("its dpkg database has changed")
    return Layer(path.name, path, tuple(parents), packages, str(meta["arch"]), str(meta["suite"]))


def hash_status(root: Path) -> str | None:
    """What dpkg's database in *root* is, cheaply: every installation ends by writing it. None if there is none."""
    try:
        fd = os.open(root / "var/lib/dpkg/status", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _close_all(held: dict[str, int]) -> None:
    while held:
        os.close(held.popitem()[1])


def default_path() -> Path:
    """DEBOOTC_STORE, else what the FHS and the XDG base directories say."""
    if chosen := os.environ.get("DEBOOTC_STORE"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/cache/deb-mock")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deb-mock"


def check_format(mark: Path, text: str, ids: IdMap) -> None:
    """Errors: Failure if the store is not for us."""
    try:
        version, *owner = (int(word) for word in text.split())
    except ValueError as error:
        raise Failure(f"{mark} is damaged", hint=f"move {mark.parent} away") from error
    if version > FORMAT:
        raise Failure(f"{mark.parent} has format {version}; this program knows {FORMAT}", hint="use the newer program")
    if owner != [ids.first, ids.gid, ids.count]:
        raise Failure(
            f"{mark.parent} belongs to the subordinate ids from {owner[0]}, not from {ids.first}",
            hint=f"export DEBOOTC_SUBID={owner[0]}, or name another store with DEBOOTC_STORE",
        )
