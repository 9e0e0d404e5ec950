"""What a suite costs does not grow with it: statements are counted, for time would tell of the machine. Both databases.

benchmarks/scale_publish.py measures.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from deb_orchestrator.dispatch.events import NewEvent, append_events, last_event
from deb_orchestrator.services import publish_list
from deb_orchestrator.services.publish import NewBinary, NewSource, NewSuite, add_to_suite, ensure_suite, publish_suite
from deb_orchestrator.services.publish_blocks import MOST, SqlBlockCache, cut
from deb_orchestrator.services.publish_index import draft_publication
from deb_orchestrator.services.publish_members import Holding
from deb_orchestrator.services.suite_view import load_view
from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables_publish import binary_package, index_block, publication_file, suite_binary
from debcore.aptrepo import PoolFile
from debcore.blobs import BlobStore
from debcore.compress import ZSTD
from debcore.deb822 import make_stanza, parse_stanzas
from debcore.errors import Failure
from tests.contract.publish.conftest import HubJobs
from tests.contract.statements import count_statements

SUITE = "trixie-local"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make_binary(name: str, version: str = "1", *, content: str = "") -> NewBinary:
    fields = [("Package", name), ("Version", version), ("Architecture", "amd64"), ("Description", "x")]
    sha256 = digest(content or f"{name} {version}")
    return NewBinary(control=make_stanza([*fields, ("Source", f"{name} (1)")]), sha256=sha256, size=7)


def make_source(name: str) -> NewSource:
    sums = f"\n {digest(name)} 4 {name}_1.orig.tar.gz"
    dsc = make_stanza([("Source", name), ("Version", "1"), ("Checksums-Sha256", sums)])
    return NewSource(dsc=dsc, dsc_file=PoolFile(name="x.dsc", size=3, sha256=digest(f"{name}.dsc")))


def add(db: Database, names: Sequence[str], *, version: str = "1", to: str = SUITE) -> None:
    with db.write() as conn:
        sources = [make_source(name) for name in names] if version == "1" else []
        add_to_suite(conn, to, sources=sources, binaries=[make_binary(name, version) for name in names])


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{n:04}" for n in range(count)]


def test_an_import_needs_as_many_statements_for_400_packages_as_for_4(db: Database) -> None:
    with count_statements(db) as few:
        add(db, names("few", 4))
    with count_statements(db) as many:
        add(db, names("many", 400))
    assert len(many) <= len(few) + 2, "one more statement for each chunk of 500 files"


def test_a_publication_reads_what_changed_and_not_what_there_is(
    db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk
) -> None:
    with db.write() as conn:
        ensure_suite(conn, NewSuite(name="small"))
    counted: dict[str, list[str]] = {}
    count_blocks = sa.select(sa.func.count()).where(index_block.c.recipe.like("stanzas-%"))
    for suite, size in (("small", 4), (SUITE, 1500)):
        add(db, names(suite, size), to=suite)
        publish_suite(db, blobs, suite)
        jobs.work(desk)
        add(db, names(suite, size)[2:3], version="2", to=suite)
        with count_statements(db) as statements, db.read() as conn:
            before = conn.execute(count_blocks).scalar_one()
            publish_suite(db, blobs, suite)
        with db.read() as conn:
            after = conn.execute(count_blocks).scalar_one()
        jobs.work(desk)
        counted[suite] = list(statements)
        assert after - before == 2, "one block of Packages in two forms; Sources are what they were"
    assert len(counted[SUITE]) == len(counted["small"])
    assert sum("stanza" in one for one in counted[SUITE]) == 1, "stanzas are read once: of the block that changed"
    lists = [one for one in counted[SUITE] if "version_key" in one]
    assert all("binary_package.name IN" in one for one in lists), "of names that moved, and of no others"
    assert len(lists) == 1


def test_what_is_put_together_of_kept_blocks_is_what_the_suite_holds(
    db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk
) -> None:
    every = names("p", 700)
    add(db, every)
    publish_suite(db, blobs, SUITE)
    jobs.work(desk)
    add(db, every[100:103], version="2")
    add(db, ["p-0100x", "zz"])
    publish_suite(db, blobs, SUITE)
    jobs.work(desk)
    with db.read() as conn:
        files = conn.execute(sa.select(publication_file).where(publication_file.c.generation == 2)).all()
    by_path = {row.path: row for row in files}
    path = "main/binary-amd64/Packages"
    plain = zlib.decompressobj(31)
    data, texts = blobs.read(by_path[f"{path}.gz"].sha256), []
    while data:
        texts.append(plain.decompress(data))
        data, plain = plain.unused_data, zlib.decompressobj(31)
    text = b"".join(texts)
    assert (by_path[path].sha256, by_path[path].size) == (hashlib.sha256(text).hexdigest(), len(text))
    found = [(stanza["Package"], stanza["Version"]) for stanza in parse_stanzas(text)]
    expected = {name: "2" if name in every[100:103] else "1" for name in [*every, "p-0100x", "zz"]}
    assert found == sorted(expected.items())
    assert by_path[f"{path}.zst"].size > len(ZSTD.compress(b""))


def test_blocks_are_cut_by_names_and_end_somewhere() -> None:
    entries = [(f"package-{n:05}", n) for n in range(5000)]
    blocks = list(cut(entries))
    assert [id_ for block in blocks for id_ in block] == list(range(5000))
    assert max(map(len, blocks)) <= MOST
    without = list(cut([entry for entry in entries if entry[1] != 2500]))
    assert len(set(blocks) ^ set(without)) <= 6, "one package less changes its block, and at most its neighbours"
    same = list(cut([("one-name", n) for n in range(3 * MOST)]))
    assert max(map(len, same)) <= MOST
    assert list(cut([])) == []


def test_two_contents_of_one_package_in_one_call_are_refused(db: Database) -> None:
    with pytest.raises(Failure, match="another content"), db.write() as conn:
        add_to_suite(conn, SUITE, binaries=[make_binary("aa"), make_binary("aa", content="other")])
    with db.read() as conn:
        assert conn.execute(sa.select(binary_package.c.id)).first() is None


def test_a_kept_list_brought_up_to_date_is_what_all_of_it_would_be(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_list, "_RENEW", 4)
    seen = []

    def compare() -> None:
        with db.read() as conn:
            cache, view = SqlBlockCache(db, conn), load_view(conn, SUITE)
            for kind in ("source", "binary"):
                found = publish_list.list_members(conn, cache, view, kind, last_event(conn))
                assert found == publish_list._read(conn, view, kind)
                seen.append(len(found))
        cache.flush()

    add(db, names("p", 30))
    compare()
    add(db, ["p-0003"], version="2")  # in place of another, and few: no list is kept of it
    compare()
    add(db, ["aa", "p-0003x", "zz"])
    add(db, names("p", 9), version="3")  # some of which moved twice since a list was kept
    compare()
    with db.write() as conn:
        ids = (
            conn.execute(sa.select(binary_package.c.id).where(binary_package.c.name.in_(["aa", "p-0007"])))
            .scalars()
            .all()
        )
        n = append_events(conn, [NewEvent(type="suite.removed", data={"suite": SUITE})])
        Holding(suite_binary, SUITE).change(conn, n, gone=ids, come=())
    compare()
    compare()
    assert seen == [30, 30, 30, 30, 33, 33, 33, 31, 33, 31]
    with db.write() as conn:  # whatever was kept, a list that does not count what there is is not believed
        lost = sa.select(binary_package.c.id).where(binary_package.c.name == "p-0010")
        conn.execute(suite_binary.delete().where(suite_binary.c.package_id.in_(lost)))
    compare()
    assert seen[-2:] == [33, 30]


def test_an_index_of_which_nothing_changed_is_not_put_together_again(
    db: Database, blobs: BlobStore, jobs: HubJobs, desk: Desk
) -> None:
    add(db, names("p", 5))
    publish_suite(db, blobs, SUITE)
    jobs.work(desk)
    add(db, ["p-0002"], version="2")
    draft = draft_publication(db, blobs, SUITE)
    packed = {file.path: file for file in draft.files if file.path.endswith(".gz")}
    assert packed["main/source/Sources.gz"].data is None
    assert packed["main/binary-amd64/Packages.gz"].data is not None
    same = packed["main/source/Sources.gz"]
    assert len(blobs.read(same.sha256)) == same.size
    blobs.path(same.sha256).unlink()
    again = {file.path: file for file in draft_publication(db, blobs, SUITE).files}
    assert again[same.path].data is not None, "what is not there is made"
    assert again[same.path].sha256 == same.sha256
