"""Debian's own apt, of two releases, reads what we publish and refuses what was touched."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest

from deb_orchestrator.services.hub import Hub, Principal
from deb_orchestrator.services.publish import find_apt_file, publish_with
from deb_orchestrator.services.publish_follow import follow_suite
from deb_orchestrator.services.publish_keys import keep_key, retire_key
from deb_orchestrator.services.publish_settings import store_settings
from deb_orchestrator.services.snapshots import make_snapshot
from deb_orchestrator.store.tables_publish import suite_key
from debcore.command import Completed
from debcore.hub.repos import SnapshotAsk, SuiteSettings
from debcore.openpgp import JointSigner, generate_key, load_signer
from debroot.store import Layer
from tests.integration.apt.conftest import SUITE, Archive, Served, make_deb, make_source, run_apt

pytestmark = pytest.mark.root


def succeeded(done: Completed) -> str:
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.status == 0, output
    return output


def failed(done: Completed) -> str:
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.status != 0, output
    return output


@pytest.fixture
def packages(archive: Archive, tmp_path: Path) -> None:
    """A program for this architecture that needs data for all, one in an older compression, and a source package."""
    archive.add_deb(make_deb(tmp_path, "tiny-data", "1.0", Source="tiny"))
    archive.add_deb(make_deb(tmp_path, "tiny", "1:1.0+b1", arch=archive.arch, kind="zstd", Source="tiny (1.0)",
                             Depends="tiny-data (>= 1.0)"))  # fmt: skip
    archive.add_deb(make_deb(tmp_path, "libtiny0", "2~rc1", kind="gzip"))
    archive.add_dsc(make_source(tmp_path, "tiny", "1.0"))


@pytest.mark.usefixtures("packages")
def test_update_install_and_source(archive: Archive, served: Served, root: Layer, tmp_path: Path) -> None:
    archive.publish()
    script = """
apt-get -q update
apt-get -q -y install tiny libtiny0
dpkg-query -W tiny tiny-data libtiny0
cat /usr/share/tiny/version
cd /tmp && apt-get -q source --download-only tiny
sha256sum tiny_1.0.dsc tiny_1.0.tar.xz
apt-cache policy tiny
apt-get indextargets --format '$(CREATED_BY) $(FILENAME)' | grep -v Translation
"""
    output = succeeded(run_apt(root, served, archive.signer.public_key(), script, tmp_path / "work"))
    assert "tiny\t1:1.0+b1" in output
    assert "libtiny0\t2~rc1" in output
    assert "WARNING" not in output
    indexes = [path for path in served.asked if "/binary-" in path or "/source/" in path]
    assert indexes
    assert all("/by-hash/SHA256/" in path for path in indexes), "apt follows Acquire-By-Hash"
    assert next(path for path in served.asked if path.startswith("dists")) == f"dists/{SUITE}/InRelease"


@pytest.mark.usefixtures("packages")
def test_the_classic_names_serve_tools_without_by_hash(
    archive: Archive, served: Served, root: Layer, tmp_path: Path
) -> None:
    archive.signer = load_signer(tmp_path / "key", backend="gpg")  # what hosts without sqop sign with
    archive.publish()
    for suffix in ("gz", "zst"):
        script = f"""
echo 'Acquire::By-Hash "no"; Acquire::CompressionTypes::Order "{suffix}";' >/etc/apt/apt.conf.d/98test
rm -rf /var/lib/apt/lists && mkdir -p /var/lib/apt/lists/partial
apt-get -q update && apt-get -q -y install tiny
"""
        served.asked.clear()
        succeeded(run_apt(root, served, archive.signer.public_key(), script, tmp_path / "work"))
        assert any(path.endswith(f"/Packages.{suffix}") for path in served.asked)


@pytest.mark.usefixtures("packages")
def test_the_signature_is_demanded(archive: Archive, served: Served, root: Layer, tmp_path: Path) -> None:
    archive.publish()
    stranger = generate_key(tmp_path / "stranger", "Stranger")
    update = "apt-get -q update -o APT::Update::Error-Mode=any"
    output = failed(run_apt(root, served, stranger.public_key(), update, tmp_path / "work"))
    assert re.search(r"NO_PUBKEY|Missing key|not signed|couldn't be verified", output)

    served.tamper = lambda path, data: data.replace(b"Label: ", b"Label: x") if path.endswith("Release") else data
    output = failed(run_apt(root, served, archive.signer.public_key(), update, tmp_path / "work"))
    assert re.search(r"BADSIG|not signed|couldn't be verified|invalid|isn't correctly signed", output, re.IGNORECASE)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("touched", ["Packages", "deb"])
def test_a_touched_file_is_refused(archive: Archive, served: Served, root: Layer, tmp_path: Path, touched: str) -> None:
    archive.publish()

    def tamper(path: str, data: bytes) -> bytes:
        hit = "/binary-" in path if touched == "Packages" else path.endswith("tiny-data_1.0_all.deb")
        return data[:-1] + bytes([data[-1] ^ 1]) if hit else data

    served.tamper = tamper
    script = "apt-get -q update -o APT::Update::Error-Mode=any\napt-get -q -y install tiny\n"
    output = failed(run_apt(root, served, archive.signer.public_key(), script, tmp_path / "work"))
    assert re.search(r"Hash Sum mismatch|unexpected size|mirror sync|Read error|compressed", output, re.IGNORECASE)


@pytest.mark.usefixtures("packages")
def test_apt_in_a_loop_while_generations_follow(archive: Archive, served: Served, root: Layer, tmp_path: Path) -> None:
    """20 publications under a running apt: each update is one whole generation, none mixes two."""
    archive.publish()
    debs = [make_deb(tmp_path, "moving", f"1.{i}") for i in range(20)]
    done = threading.Event()
    faults: list[BaseException] = []

    def publish() -> None:
        try:
            for deb in debs:
                archive.add_deb(deb)
                archive.publish()
                done.wait(0.4)
        except BaseException as fault:
            faults.append(fault)
        finally:
            (tmp_path / "work/stop").write_text("")

    script = """
n=0
while :; do
    last=$(test -e /work/stop && echo yes || echo no)
    apt-get -q update -o APT::Update::Error-Mode=any >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
    n=$((n + 1))
    apt-cache show moving 2>/dev/null | sed -n 's/^Version: //p' >>/tmp/seen
    test "$last" = yes && break
done
echo "updates $n"
sort -V -c /tmp/seen
uniq /tmp/seen | wc -l
apt-get -q -y install moving >/dev/null
cat /usr/share/moving/version
"""
    thread = threading.Thread(target=publish)
    (tmp_path / "work").mkdir()
    thread.start()
    try:
        output = succeeded(run_apt(root, served, archive.signer.public_key(), script, tmp_path / "work"))
    finally:
        done.set()
        thread.join()
    assert not faults
    match = re.search(r"updates (\d+)", output)
    assert match
    assert int(match[1]) >= 3
    assert "\n1.19\n" in output


@pytest.mark.usefixtures("packages")
def test_a_generation_may_follow_between_any_two_requests(
    archive: Archive, served: Served, root: Layer, tmp_path: Path
) -> None:
    """The race itself, each time: the suite moves on right after apt was given InRelease."""
    debs = iter([make_deb(tmp_path, "moving", f"1.{i}") for i in range(6)])
    archive.publish()

    def move_on(path: str, data: bytes) -> bytes:
        if path.endswith("InRelease") and (deb := next(debs, None)):
            archive.add_deb(deb)
            archive.publish()
        return data

    served.tamper = move_on
    script = (
        "for i in 1 2 3 4 5 6 7; do apt-get -q update -o APT::Update::Error-Mode=any; done\napt-cache show moving\n"
    )
    assert "Version: 1.5" in succeeded(run_apt(root, served, archive.signer.public_key(), script, tmp_path / "work"))


@pytest.mark.usefixtures("packages")
def test_apt_takes_contents_translation_and_xz(archive: Archive, served: Served, root: Layer, tmp_path: Path) -> None:
    with archive.db.write() as conn:
        store_settings(conn, SUITE, SuiteSettings(xz=True, valid_s=86400))
    archive.publish()
    follow_suite(archive.db, archive.blobs, SUITE)
    archive.publish()
    script = """
cat >/etc/apt/apt.conf.d/98test <<'EOF'
Acquire::CompressionTypes::Order "xz";
Acquire::IndexTargets::deb::Contents {
    MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)"; ShortDescription "Contents"; Description "Contents";
    KeepCompressed "true";
};
EOF
apt-get -q update -o APT::Update::Error-Mode=any
/usr/lib/apt/apt-helper cat-file $(apt-get indextargets --format '$(FILENAME)' 'Created-By: Contents')
apt-cache show tiny-data
apt-get -q -y install tiny
apt-get -q update -o APT::Update::Error-Mode=any -o Acquire::By-Hash=no
"""
    output = succeeded(run_apt(root, served, archive.signer.public_key(), script, tmp_path / "work"))
    assert re.search(r"^usr/share/tiny-data/version +misc/tiny-data$", output, re.MULTILINE)
    assert "Description-md5" in output
    assert "WARNING" not in output
    found = find_apt_file(archive.db, archive.blobs, f"dists/{SUITE}/main/binary-{archive.arch}/Packages.xz")
    assert found is not None
    assert any(path.endswith(f"/by-hash/SHA256/{found.sha256}") for path in served.asked), "apt took the xz form"


@pytest.mark.usefixtures("packages")
def test_a_suite_as_it_was(archive: Archive, served: Served, root: Layer, tmp_path: Path) -> None:
    archive.add_deb(make_deb(tmp_path, "moving", "1.0"))
    archive.publish()
    hub = Hub(db=archive.db, blobs=archive.blobs, state=tmp_path)
    made = make_snapshot(hub, Principal(name="t", scope="admin"), SUITE, SnapshotAsk(), base_url=served.url)
    archive.add_deb(make_deb(tmp_path, "moving", "2.0"))
    archive.publish()
    publish_with(archive.db, archive.blobs, made.name, archive.signer)
    script = f"""
apt-get -q update -o APT::Update::Error-Mode=any
apt-cache policy moving | grep Candidate
sed -i 's/ {SUITE} / {made.name} /' /etc/apt/sources.list.d/local.list
apt-get -q update -o APT::Update::Error-Mode=any
apt-cache policy moving | grep Candidate
apt-get -q -y install moving
"""
    output = succeeded(run_apt(root, served, archive.signer.public_key(), script, tmp_path / "work"))
    assert re.findall(r"Candidate: (\S+)", output) == ["2.0", "1.0"]
    assert "W: " not in output

    live = f"dists/{SUITE}/InRelease"
    old = find_apt_file(archive.db, archive.blobs, f"dists/{made.name}/InRelease")
    assert old is not None
    assert old.file is not None
    text = old.file.read_bytes()
    served.tamper = lambda path, data: text if path == live else data
    script = "apt-get -q update\n"
    output = (done := run_apt(root, served, archive.signer.public_key(), script, tmp_path / "work")).stderr.decode()
    assert "Conflicting distribution" in output, (done.status, output)


@pytest.mark.usefixtures("packages")
def test_clients_that_hold_either_key_go_on(archive: Archive, served: Served, root: Layer, tmp_path: Path) -> None:
    archive.publish()
    old, new = archive.signer, generate_key(tmp_path / "key2", "Next key")
    with archive.db.write() as conn:
        conn.execute(suite_key.insert().values(suite=SUITE, number=2, state="asked", created_at=1))
        assert keep_key(conn, SUITE, 2, new.public_key())
    archive.signer = JointSigner([new, old])
    archive.publish()
    update = "apt-get -q update -o APT::Update::Error-Mode=any\napt-get -q -y install tiny\n"
    both = find_apt_file(archive.db, archive.blobs, f"keys/{SUITE}.asc")
    assert both is not None
    assert both.data is not None
    for key in (old.public_key(), new.public_key(), both.data.decode()):
        succeeded(run_apt(root, served, key, update, tmp_path / "work"))

    with archive.db.write() as conn:
        retire_key(conn, SUITE, old.fingerprint)
    archive.signer = new
    archive.publish()
    succeeded(run_apt(root, served, both.data.decode(), update, tmp_path / "work"))
    failed(run_apt(root, served, old.public_key(), update, tmp_path / "work"))
