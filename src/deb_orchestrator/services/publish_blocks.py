"""Indexes put together of blocks that are kept compressed, so that a publication reads and packs what changed.

A block is a run of packages of an index, and is known by their ids: what a package's stanza says never changes. Those
of an index are cut at package names chosen by a hash, so a package that comes or goes changes the block it is in. What
is left that costs what exists is to join the blocks of an index that changed, and to hash both forms and the plain one.
An index of the same blocks as an earlier one is that one.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from deb_orchestrator.services.publish_members import chunks
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.engine import Database, insert_new
from deb_orchestrator.store.tables_publish import index_block
from debcore.aptrepo import IndexFile, join_blocks
from debcore.aptrepo.paths import is_packed
from debcore.blobs import BlobStore
from debcore.compress import CODECS

#: Name and id of a package.
Entry = tuple[str, int]
#: Packages of a block on average, and at most.
MEAN, MOST = 128, 512
#: Blocks that are asked for, or made, at once.
_AT_ONCE = 400
#: Milliseconds after which the use of a cached block is noted again.
_NOTE_USE = 24 * 3600 * 1000
#: Milliseconds after its last use at which a cached block goes.
_FORGET = 30 * _NOTE_USE
#: pg_advisory_xact_lock key: hubs that keep blocks at the same time do it one after the other, in whatever order each
#: has them. SQLite has one writer anyway.
_LOCK = 0xDEB1
#: Changes when the text of a block would. Part of what blocks are known by.
_FORM = "stanzas-1"


class SqlBlockCache:
    """Compressed blocks in `index_block`. New ones are kept in memory until `flush`, outside other transactions."""

    def __init__(self, db: Database, conn: Connection) -> None:
        self._db, self._conn = db, conn
        self._new: dict[tuple[str, str], bytes] = {}
        self._used: list[tuple[str, str]] = []
        self._replaced: list[tuple[str, str]] = []
        self._note_before = now(conn) - _NOTE_USE

    def find(self, recipe: str, sha256: str) -> bytes | None:
        return self.find_many([recipe], [sha256]).get((recipe, sha256))

    def find_many(self, recipes: Sequence[str], names: Sequence[str]) -> dict[tuple[str, str], bytes]:
        """Those that are there, by recipe and name."""
        c = index_block.c
        query = sa.select(c.recipe, c.sha256, c.data, c.used_at).where(c.recipe.in_(recipes), c.sha256.in_(names))
        found = {key: self._new[key] for recipe in recipes for name in names if (key := (recipe, name)) in self._new}
        for row in self._conn.execute(query):
            found[row.recipe, row.sha256] = bytes(row.data)
            if row.used_at < self._note_before:
                self._used.append((row.recipe, row.sha256))
        return found

    def put(self, recipe: str, sha256: str, compressed: bytes) -> None:
        self._new[recipe, sha256] = compressed

    def replace(self, recipe: str, sha256: str, data: bytes) -> None:
        """As `put`, for what is known by its place and not by its content."""
        self._replaced.append((recipe, sha256))
        self.put(recipe, sha256, data)

    def flush(self) -> None:
        if not self._new and not self._used:
            return
        c = index_block.c
        with self._db.write() as conn:
            if conn.dialect.name == "postgresql":
                conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            at = now(conn)
            conn.execute(index_block.delete().where(c.used_at < at - _FORGET))
            for recipe in sorted({recipe for recipe, _ in self._used}):
                for names in chunks(sorted({name for of, name in self._used if of == recipe})):
                    conn.execute(index_block.update().where(c.recipe == recipe, c.sha256.in_(names)).values(used_at=at))
            for recipe, name in sorted(self._replaced):
                conn.execute(index_block.delete().where(c.recipe == recipe, c.sha256 == name))
            rows = [
                {"recipe": recipe, "sha256": sha256, "data": data, "used_at": at}
                for (recipe, sha256), data in sorted(self._new.items())
            ]
            if rows:
                conn.execute(insert_new(conn, index_block), rows)


def make_index(
    conn: Connection, cache: SqlBlockCache, blobs: BlobStore, path: str, package: Table, entries: Iterable[Entry]
) -> tuple[IndexFile, ...]:
    """The plain, gz and zst form of the index at *path*; *package* is the table of *entries*.

    Of one that was made before and that *blobs* has, the forms have no data.
    """
    blocks = {_name(package, ids): ids for ids in cut(entries)}
    whole = hashlib.sha256("\n".join(blocks).encode()).hexdigest()
    recipe = "-".join(["whole", _FORM, *(codec.recipe for codec in CODECS.values())])
    kept = cache.find(recipe, whole)
    if kept is not None:
        files = tuple(IndexFile(path + form, size, sha256, None) for form, size, sha256 in json.loads(kept))
        if all(blobs.has(file.sha256) for file in files if is_packed(file.path)):
            return files
    files = join_blocks(path, _pack(conn, cache, package, blocks))
    forms = [(file.path.removeprefix(path), file.size, file.sha256) for file in files]
    cache.replace(recipe, whole, json.dumps(forms).encode())
    return files


def cut(entries: Iterable[Entry]) -> Iterator[tuple[int, ...]]:
    """The ids of each block."""
    block: list[int] = []
    half = MEAN // 2
    for name, id_ in entries:
        full = len(block) >= half and zlib.crc32(name.encode()) % half == 0
        if block and (full or len(block) == MOST):
            yield tuple(block)
            block = []
        block.append(id_)
    if block:
        yield tuple(block)


def _pack(
    conn: Connection, cache: SqlBlockCache, package: Table, blocks: Mapping[str, tuple[int, ...]]
) -> Iterator[Mapping[str, bytes]]:
    """The forms of each block by codec, from the cache or made."""
    recipes = {name: f"{_FORM}-{codec.recipe}" for name, codec in CODECS.items()}
    names = iter(blocks)
    while some := list(islice(names, _AT_ONCE)):
        held = cache.find_many(list(recipes.values()), some)
        lacking = [name for name in some if any((recipe, name) not in held for recipe in recipes.values())]
        made = _make(conn, package, {name: blocks[name] for name in lacking})
        for name in some:
            if name in lacking:
                forms = next(made)
                for codec, data in forms.items():
                    cache.put(recipes[codec], name, data)
                yield forms
            else:
                yield {codec: held[recipe, name] for codec, recipe in recipes.items()}


def _make(conn: Connection, package: Table, blocks: Mapping[str, tuple[int, ...]]) -> Iterator[dict[str, bytes]]:
    """The forms of *blocks*, in order; the stanzas of a few are held at once."""
    query = sa.select(package.c.id, package.c.stanza)
    for some in _gather(blocks.values()):
        ids = [id_ for block in some for id_ in block]
        stanzas = {row.id: row.stanza for row in conn.execute(query.where(package.c.id.in_(ids)))}
        for block in some:
            text = "".join(f"{stanzas[id_]}\n" for id_ in block).encode()
            yield {name: codec.compress(text) for name, codec in CODECS.items()}


def _gather(blocks: Iterable[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """As many as one statement reads."""
    some: list[tuple[int, ...]] = []
    for block in blocks:
        if some and sum(map(len, some)) + len(block) > 2 * MOST:
            yield some
            some = []
        some.append(block)
    if some:
        yield some


def _name(package: Table, ids: tuple[int, ...]) -> str:
    return hashlib.sha256(f"{package.name}:{','.join(map(str, ids))}".encode()).hexdigest()
