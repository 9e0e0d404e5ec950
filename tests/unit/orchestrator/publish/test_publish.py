"""Suites by event, generations by compare-and-set, files by hash."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace

import pytest
import sqlalchemy as sa

from deb_orchestrator.dispatch.events import read_events
from deb_orchestrator.services.publish import (
    NewBinary,
    NewSource,
    NewSuite,
    add_to_suite,
    ensure_suite,
    find_apt_file,
    find_live,
    is_current,
    publish_with,
)
from deb_orchestrator.services.publish_sign import make_live
from deb_orchestrator.signer.model import SignAnswer
from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables_publish import binary_package, index_block, publication, suite, suite_binary
from debcore.aptrepo import PoolFile, parse_release
from debcore.blobs import BlobStore
from debcore.deb822 import Stanza, make_stanza, parse_stanzas
from debcore.errors import Failure
from debcore.openpgp import Signer, verify_detached, verify_inline


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def binary(name: str, version: str, arch: str = "amd64", *, source: str = "", content: str = "") -> NewBinary:
    fields = [("Package", name), ("Version", version), ("Architecture", arch), ("Description", "x")]
    if source:
        fields.insert(1, ("Source", source))
    return NewBinary(control=make_stanza(fields), sha256=digest(content or f"{name} {version} {arch}"), size=7)


def source(name: str, version: str, *, orig: str = "orig") -> NewSource:
    sums = f"\n {digest(orig)} 4 {name}_1.orig.tar.gz"
    dsc = make_stanza([("Source", name), ("Version", version), ("Checksums-Sha256", sums)])
    return NewSource(dsc=dsc, dsc_file=PoolFile(name="x.dsc", size=3, sha256=digest(f"{name} {version}")))


@pytest.fixture(autouse=True)
def trixie_local(db: Database) -> None:
    with db.write() as conn:
        assert ensure_suite(conn, NewSuite(name="trixie-local", arches=("amd64", "arm64")))
        assert not ensure_suite(conn, NewSuite(name="trixie-local"))


def add(db: Database, *packages: NewBinary | NewSource) -> int:
    with db.write() as conn:
        return add_to_suite(
            conn,
            "trixie-local",
            sources=[p for p in packages if isinstance(p, NewSource)],
            binaries=[p for p in packages if isinstance(p, NewBinary)],
        )


def held(db: Database, *, at: int | None = None) -> set[tuple[str, str, str]]:
    """What the suite holds now, or held at an event."""
    row = suite_binary.c
    when: sa.ColumnElement[bool] = row.revoked_event.is_(None)
    if at is not None:
        when = (row.created_event <= at) & sa.or_(row.revoked_event.is_(None), row.revoked_event > at)
    package = binary_package.c
    query = sa.select(package.name, package.version, package.arch).join(suite_binary, row.package_id == package.id)
    with db.read() as conn:
        return {(r.name, r.version, r.arch) for r in conn.execute(query.where(when))}


def fetch(db: Database, blobs: BlobStore, path: str) -> bytes:
    file = find_apt_file(db, blobs, path)
    assert file is not None, path
    data = file.data if file.data is not None else file.file.read_bytes() if file.file else b""
    assert len(data) == file.size
    assert hashlib.sha256(data).hexdigest() == file.sha256
    return data


def test_a_suite_at_a_past_event_is_a_query(db: Database) -> None:
    first = add(db, binary("aa", "1"), binary("bb", "1", "all"))
    second = add(db, binary("aa", "2"))
    assert held(db) == {("aa", "2", "amd64"), ("bb", "1", "all")}
    assert held(db, at=first) == {("aa", "1", "amd64"), ("bb", "1", "all")}
    assert held(db, at=second) == held(db)
    assert add(db, binary("aa", "2")) == second, "what is there already is no event"


def test_binaries_that_the_new_source_no_longer_builds_leave(db: Database) -> None:
    old = [binary("lib1", "1", source="lib"), binary("lib-doc", "1", "all", source="lib")]
    add(db, *old, binary("lib1", "1", "arm64", source="lib"))
    add(db, binary("lib2", "2", source="lib"))
    assert held(db) == {("lib2", "2", "amd64"), ("lib1", "1", "arm64"), ("lib-doc", "1", "all")}
    add(db, binary("lib2", "2", "arm64", source="lib"))
    assert held(db) == {("lib2", "2", "amd64"), ("lib2", "2", "arm64")}, "arch-all goes with the last of its source"


def test_a_bin_nmu_replaces_but_its_source_stays(db: Database) -> None:
    add(db, source("aa", "1"), binary("aa", "1"))
    add(db, binary("aa", "1+b10", source="aa (1)"))
    add(db, source("aa", "1"))
    assert held(db) == {("aa", "1+b10", "amd64")}
    with pytest.raises(Failure, match="newer than"):
        add(db, binary("aa", "1+b9", source="aa (1)"))


def test_one_content_under_one_name_and_version(db: Database) -> None:
    add(db, source("aa", "1-1"), binary("aa", "1-1"))
    with pytest.raises(Failure, match="another content"):
        add(db, binary("aa", "1-1", content="other"))
    with pytest.raises(Failure, match="another content"):
        add(db, source("aa", "1-2", orig="other"))
    with pytest.raises(Failure, match="another content"):
        add(db, binary("aa", "1:1-1"))  # the same file name: an epoch is not part of it
    assert held(db) == {("aa", "1-1", "amd64")}, "nothing of a refused transaction stays"


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (binary("aa", "1", "s390x"), "no architecture s390x"),
        (binary("../a", "1"), "no package name"),
        (binary("aa", "1/../2"), "no Debian version"),
        (NewBinary(control=Stanza((("Package", "aa"),)), sha256=digest("a"), size=1), "Version is missing"),
        (NewBinary(control=Stanza(()), sha256=digest("a"), size=1, component="../x"), "no component"),
        (source("aa", "1", orig="orig").__class__(
            dsc=make_stanza([("Source", "aa"), ("Version", "1"), ("Checksums-Sha256", f"\n {digest('x')} 1 ../x")]),
            dsc_file=PoolFile(name="a.dsc", size=1, sha256=digest("a"))), "not a plain file name"),
    ],
)  # fmt: skip
def test_hostile_records_are_refused(db: Database, package: NewBinary | NewSource, message: str) -> None:
    with pytest.raises(Failure, match=message):
        add(db, package)


def test_apt_finds_everything_through_inrelease(db: Database, blobs: BlobStore, signer: Signer) -> None:
    event = add(db, source("hello", "1"), binary("hello", "1"), binary("hello-doc", "1", "all"))
    published = publish_with(db, blobs, "trixie-local", signer)
    assert (published.generation, published.event, published.state) == (1, event, "live")
    key = fetch(db, blobs, "keys/trixie-local.asc")
    text = verify_inline(fetch(db, blobs, "dists/trixie-local/InRelease"), [key], where="InRelease").payload
    assert text == fetch(db, blobs, "dists/trixie-local/Release")
    verify_detached(text, fetch(db, blobs, "dists/trixie-local/Release.gpg"), [key], where="Release.gpg")
    release, files = parse_release(text)
    assert (release.suite, release.generation, release.architectures) == ("trixie-local", 1, ("amd64", "arm64"))
    plain = {f.path for f in files if not f.path.endswith((".gz", ".zst"))}
    assert plain == {"main/binary-amd64/Packages", "main/binary-arm64/Packages", "main/source/Sources"}
    for file in files:
        canonical = find_apt_file(db, blobs, f"dists/trixie-local/{file.path}")
        assert (canonical is None) == (file.path in plain)
        if canonical is not None:
            directory = file.path.rpartition("/")[0]
            assert len(fetch(db, blobs, f"dists/trixie-local/{directory}/by-hash/SHA256/{file.sha256}")) == file.size
            assert not canonical.immutable


def test_old_indexes_stay_when_a_generation_is_followed(db: Database, blobs: BlobStore, signer: Signer) -> None:
    add(db, binary("aa", "1"))
    publish_with(db, blobs, "trixie-local", signer)
    _, old = parse_release(fetch(db, blobs, "dists/trixie-local/Release"))
    add(db, binary("aa", "2"))
    with db.read() as conn:
        live = find_live(conn, "trixie-local")
        assert live is not None
        assert not is_current(conn, live)
    assert publish_with(db, blobs, "trixie-local", signer).generation == 2
    for file in old:
        if file.path.endswith(".gz"):
            directory = file.path.rpartition("/")[0]
            fetch(db, blobs, f"dists/trixie-local/{directory}/by-hash/SHA256/{file.sha256}")
    with db.read() as conn:
        events = [(e.type, e.data.get("generation")) for e in read_events(conn, 0)]
        states = conn.execute(sa.select(publication.c.state).order_by(publication.c.generation)).scalars().all()
    assert events == [("suite.changed", None), ("suite.published", 1), ("suite.changed", None), ("suite.published", 2)]
    assert states == ["superseded", "live"]


def test_the_stanzas_are_sorted_and_whole(db: Database, blobs: BlobStore, signer: Signer) -> None:
    add(db, binary("bb", "1"), binary("aa", "1.10"), binary("cc", "2", "arm64"), binary("aa-x", "1", "all"))
    publish_with(db, blobs, "trixie-local", signer)
    data = zlib.decompress(fetch(db, blobs, "dists/trixie-local/main/binary-amd64/Packages.gz"), 31)
    stanzas = list(parse_stanzas(data))
    assert [s["Package"] for s in stanzas] == ["aa", "aa-x", "bb"]
    assert stanzas[0]["Filename"] == "pool/main/a/aa/aa_1.10_amd64.deb"
    assert stanzas[0]["Size"] == "7"


def test_compressed_blocks_are_used_again_and_forgotten_in_time(db: Database, blobs: BlobStore, signer: Signer) -> None:
    def blocks() -> set[tuple[str, str, int]]:
        with db.read() as conn:
            c = index_block.c
            return {tuple(row) for row in conn.execute(sa.select(c.recipe, c.sha256, c.used_at))}

    add(db, binary("aa", "1"))
    publish_with(db, blobs, "trixie-local", signer)
    first = blocks()
    publish_with(db, blobs, "trixie-local", signer)
    assert blocks() == first
    with db.write() as conn:
        conn.execute(index_block.update().values(used_at=0))
    add(db, binary("aa", "2"))
    publish_with(db, blobs, "trixie-local", signer)
    left = blocks()
    assert left
    assert not [block for block in left if block[2] == 0], "the old ones went when new ones came"


def test_udebs_have_an_index_of_their_own(db: Database, blobs: BlobStore, signer: Signer) -> None:
    add(db, binary("aa", "1"), replace(binary("aa-udeb", "1"), suffix="udeb"))
    publish_with(db, blobs, "trixie-local", signer)

    def names(path: str) -> list[str]:
        data = zlib.decompress(fetch(db, blobs, f"dists/trixie-local/{path}/Packages.gz"), 31)
        return [stanza["Filename"] for stanza in parse_stanzas(data)]

    assert names("main/binary-amd64") == ["pool/main/a/aa/aa_1_amd64.deb"]
    assert names("main/debian-installer/binary-amd64") == ["pool/main/a/aa-udeb/aa-udeb_1_amd64.udeb"]
    assert find_apt_file(db, blobs, "dists/trixie-local/main/debian-installer/binary-arm64/Packages.gz") is None


def test_a_bad_signature_never_goes_live(db: Database, blobs: BlobStore, signer: Signer) -> None:
    add(db, binary("aa", "1"))
    publish_with(db, blobs, "trixie-local", signer)
    release = fetch(db, blobs, "dists/trixie-local/Release")
    with db.write() as conn:
        row = {"suite": "trixie-local", "event": 9, "state": "signing", "created_at": 0}
        conn.execute(publication.insert().values(generation=2, release_sha256=digest("lost"), **row))
        conn.execute(publication.insert().values(generation=3, release_sha256=BlobStore.name_of(release), **row))
    signed = SignAnswer(
        status="signed", inline=signer.sign_inline(release + b"X: y\n").decode(),
        detached=signer.sign_detached(release).decode(),
    )  # fmt: skip
    assert make_live(db, blobs, "trixie-local", 2, signed) == "refused"
    assert make_live(db, blobs, "trixie-local", 3, signed) == "refused"
    with db.read() as conn:
        reasons = conn.execute(sa.select(publication.c.reason).order_by(publication.c.generation)).scalars().all()
        assert conn.execute(sa.select(suite.c.live)).scalar() == 1
        assert [e.type for e in read_events(conn, 0)][-2:] == ["suite.refused", "suite.refused"]
    assert reasons[0] is None
    assert "no blob" in str(reasons[1])
    assert "another text" in str(reasons[2])


def test_a_late_signature_is_superseded_and_not_served(db: Database, blobs: BlobStore, signer: Signer) -> None:
    """Two generations at the signer at once: whichever answer comes last, the newer one stays live."""
    add(db, binary("aa", "1"))
    publish_with(db, blobs, "trixie-local", signer)
    release = fetch(db, blobs, "dists/trixie-local/Release")
    with db.write() as conn:
        row = {"suite": "trixie-local", "event": 9, "state": "signing", "created_at": 0}
        for generation in (2, 3):
            conn.execute(
                publication.insert().values(generation=generation, release_sha256=BlobStore.name_of(release), **row)
            )
    signed = SignAnswer(
        status="signed", inline=signer.sign_inline(release).decode(), detached=signer.sign_detached(release).decode()
    )
    assert make_live(db, blobs, "trixie-local", 3, signed) == "live"
    assert make_live(db, blobs, "trixie-local", 2, signed) == "superseded"
    assert make_live(db, blobs, "trixie-local", 3, signed) == "live", "the same answer again changes nothing"
    with db.read() as conn:
        live = find_live(conn, "trixie-local")
        assert live is not None
        assert live.generation == 3


OTHER_PATHS = (
    "", "pool", "pool/", "pool/main/a/a/b.deb", "dists/trixie-local", "dists/trixie-local/", "dists/x/InRelease",
    "dists/trixie-local/../trixie-local/InRelease", "dists/trixie-local/main/binary-amd64/Packages",
    "dists/trixie-local/main/binary-amd64/by-hash/SHA256/" + "0" * 64, "keys/x.asc", "keys/trixie-local",
    "../hub.sqlite", "/etc/passwd", "dists/trixie-local/%/by-hash/SHA256/" + "0" * 64,
)  # fmt: skip


def test_other_paths_are_not_there(db: Database, blobs: BlobStore, signer: Signer) -> None:
    publish_with(db, blobs, "trixie-local", signer)
    assert [path for path in OTHER_PATHS if find_apt_file(db, blobs, path)] == []
