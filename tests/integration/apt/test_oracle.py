"""apt-ftparchive says what Packages, Sources, Contents and Translation should hold."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from deb_orchestrator.services.publish import find_apt_file
from deb_orchestrator.services.publish_follow import follow_suite
from debcore.deb822 import Stanza, parse_stanzas
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer
from tests.integration.apt.conftest import SUITE, Archive, make_deb, make_source

pytestmark = pytest.mark.root

#: Fields that only one side writes: sums that apt no longer asks for.
SUMS = ("MD5sum", "SHA1", "SHA512", "Checksums-Sha1", "Checksums-Sha512")


def ours_raw(archive: Archive, path: str) -> bytes:
    file = find_apt_file(archive.db, archive.blobs, f"dists/{SUITE}/{path}.gz")
    assert file is not None
    assert file.file is not None
    return zlib.decompress(file.file.read_bytes(), 31)


def ours(archive: Archive, path: str) -> dict[str, Stanza]:
    return {stanza["Package"]: stanza for stanza in parse_stanzas(ours_raw(archive, path))}


def theirs(ftparchive: Layer, pool: Path, verb: str) -> dict[str, Stanza]:
    sandbox = Sandbox(lowers=ftparchive.lowers(), binds=(Bind(source=pool, target="/srv/pool"),), cwd="/srv")
    done = run_in(sandbox, ["apt-ftparchive", verb, "pool"], capture=True)
    return {stanza["Package"]: stanza.without(*SUMS) for stanza in parse_stanzas(done.stdout)}


def test_same_fields_as_apt_ftparchive(archive: Archive, ftparchive: Layer, tmp_path: Path) -> None:
    debs = [
        make_deb(tmp_path, "libtiny0", "1:2~rc1", arch=archive.arch, Source="tiny (2)", Multi_Arch="same"),
        make_deb(tmp_path, "tiny-data", "1.0", Source="tiny", Tag="a::b, c::d", Homepage="https://example.org/"),
    ]
    dsc = make_source(tmp_path, "tiny", "1.0")
    for deb in debs:
        archive.add_deb(deb)
    archive.add_dsc(dsc)
    archive.publish()
    pool = tmp_path / "pool/main/t/tiny"
    pool.mkdir(parents=True)
    for path in (debs[0], debs[1], dsc, dsc.with_name("tiny_1.0.tar.xz")):
        name = path.name.replace("1:", "")
        (pool / name).write_bytes(path.read_bytes())

    packages = ours(archive, f"main/binary-{archive.arch}/Packages")
    expected = theirs(ftparchive, tmp_path / "pool", "packages")
    assert {name: dict(stanza) for name, stanza in packages.items()} == {n: dict(s) for n, s in expected.items()}

    source = ours(archive, "main/source/Sources")["tiny"]
    oracle = theirs(ftparchive, tmp_path / "pool", "sources")["tiny"]
    lines = ("Files", "Checksums-Sha256")  # the same in another order
    assumed = (*lines, "Priority", "Section")  # apt-ftparchive takes these from an override file
    assert dict(source.without(*assumed)) == dict(oracle.without(*assumed))
    for field in lines:
        assert sorted(source[field].split("\n")) == sorted(oracle[field].split("\n"))


GENERATE = """
Dir {{ ArchiveDir "/tmp/archive"; CacheDir "/tmp"; }};
Default {{ Packages::Compress "."; Translation::Compress "."; LongDescription "false"; }};
Tree "dists/x" {{ Sections "main"; Architectures "{arch}"; Directory "pool"; SrcDirectory "none"; }};
"""


def test_same_contents_and_translation_as_apt_ftparchive(archive: Archive, ftparchive: Layer, tmp_path: Path) -> None:
    debs = [
        make_deb(tmp_path, "libtiny0", "1:2", arch=archive.arch, kind="zstd"),
        make_deb(tmp_path, "tiny-data", "1.0", kind="gzip"),
        make_deb(tmp_path, "tiny-doc", "1.0", kind="none"),
    ]
    pool = tmp_path / "tree/pool"
    pool.mkdir(parents=True)
    for deb in debs:
        archive.add_deb(deb)
        (pool / deb.name.replace("1:", "")).write_bytes(deb.read_bytes())
    archive.publish()
    follow_suite(archive.db, archive.blobs, SUITE)
    archive.publish()

    (tmp_path / "tree/conf").write_text(GENERATE.format(arch=archive.arch))
    sandbox = Sandbox(lowers=ftparchive.lowers(), binds=(Bind(source=tmp_path / "tree", target="/srv"),))
    script = f"""
cp -r /srv /tmp/archive
cd /tmp/archive
mkdir -p dists/x/main/i18n dists/x/main/binary-{archive.arch}
apt-ftparchive generate conf
apt-ftparchive contents pool
echo =====
cat dists/x/main/i18n/Translation-en
"""
    done = run_in(sandbox, ["sh", "-ec", script], capture=True).stdout
    contents, _, translation = done.partition(b"=====\n")
    # apt-ftparchive takes sections from an override file.
    assert read_contents(ours_raw(archive, f"main/Contents-{archive.arch}").replace(b" misc/", b" ")) == (
        expected := read_contents(contents)
    )
    assert len(expected) == 3
    entries = {entry["Package"]: dict(entry) for entry in parse_stanzas(translation)}
    assert {e["Package"]: dict(e) for e in parse_stanzas(ours_raw(archive, "main/i18n/Translation-en"))} == entries
    assert len(entries) == 3


def read_contents(data: bytes) -> list[list[str]]:
    return [line.rsplit(None, 1) for line in data.decode().splitlines()]
