"""debrebuild of Debian 13 drives our `sbuild`: a package of the archive, bit for bit, from a snapshot-shaped server.

All of it runs in one sandbox with loopback only, deb-mock included. The server has the names of the services that
debrebuild asks, and what they would serve: exactly the packages of the .buildinfo, signed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debcore.job import Lock
from debcore.openpgp import generate_key
from debroot.bootstrap import tools_root
from debroot.idmap import IdMap
from debroot.localrepo import make_repository
from debroot.resolve import fetch
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Package, Store
from tests.integration.deb_mock.conftest import REPOSITORY

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(1500)]

PACKAGES = (
    "devscripts", "equivs", "apt-utils", "mmdebstrap", "gpgv", "mount", "uidmap", "libstring-shellquote-perl",
    "libwww-perl", "libdpkg-perl", "dpkg-dev", "python3-requests", "python3-debian", "python3-click",
    "python3-pydantic", "python3-rich", "python3-zstandard",
)  # fmt: skip
MOMENT = "20260101T000000Z"
#: metasnap's answer: every package was in trixie's main at that moment; and the files of the snapshot.
SERVER = """
import http.server, re, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):  # debrebuild's proxy asks with the whole URL
        self.path = re.sub("^http://[^/]+", "", self.path)
        super().do_GET()
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        archive = re.search(r'name="archive".*?\\r\\n\\r\\n(.*?)\\r\\n', text, re.S)[1]
        asked = re.search(r'name="pkgs".*?\\r\\n\\r\\n(.*?)\\r\\n', text, re.S)[1].split(",")
        words = [re.fullmatch("([^:]+):([^=]+)=(.*)", one).groups() for one in asked]
        body = "".join(f"{n} {a} {v} trixie main MOMENT MOMENT\\n" for n, a, v in words).encode()
        self.send_response(200 if archive == "debian" else 404)
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", 80), lambda *a: Handler(*a, directory="/srv/served")).serve_forever()
""".replace("MOMENT", MOMENT)
SCRIPT = """set -eu
names=$(grep -ohE '(snapshot|metasnap)[.]debian[.](org|net)' /usr/bin/debootsnap | sort -u | tr '\\n' ' ')
echo "127.0.0.1 localhost $names" > /tmp/hosts
mount --bind /tmp/hosts /etc/hosts
printf '#!/bin/sh\\nexec python3 -c "from deb_mock.cli import main; main()" "$@"\\n' > /usr/local/bin/deb-mock
chmod 755 /usr/local/bin/deb-mock
cp /opt/sbuild /usr/local/bin/sbuild
cp /in/key.asc /usr/share/keyrings/test.asc
mkdir -p /srv/in /srv/out
cp /in/source/* /srv/in/
cd /srv
python3 /in/server.py 2> /tmp/server.log &
for n in 1 2 3 4 5 6 7 8 9; do
    perl -MIO::Socket::INET -e 'exit !IO::Socket::INET->new("127.0.0.1:80")' && break
    sleep 1
done
export PYTHONPATH=/opt/code DEBOOTC_STORE=/srv/store DEBOOTC_SUBID=65536 TMPDIR=/srv/tmp HOME=/root
debrebuild --builder=sbuild+unshare --buildresult=/srv/out /srv/in/*.buildinfo
"""


def make_snapshot(store: Store, lock: Lock, directory: Path, key: Path) -> None:
    """What the snapshot service would serve at MOMENT: the packages of *lock*."""
    packages = [
        Package(name=p.name, version=p.version, arch=p.arch, sha256=p.sha256, size=p.size, filename=p.filename)
        for p in lock.packages
    ]
    place = directory / "archive" / "debian" / MOMENT
    place.parent.mkdir(parents=True)
    fetch(store, packages)  # gc may have removed what roots were made of
    make_repository(store, packages, place, suite="trixie", arch="amd64")
    signer = generate_key(key, "Snapshot <snapshot@example.org>")
    release = place / "dists" / "trixie" / "Release"
    text = b"Date: Thu, 01 Jan 2026 00:00:00 UTC\n" + release.read_bytes()
    (release.parent / "InRelease").write_bytes(signer.sign_inline(text))
    key.with_suffix(".asc").write_text(signer.public_key())


def test_debrebuild_gives_the_same_package(
    builds: Callable[..., Any], sources: Callable[[str], Path], tool: Any, tmp_path: Path
) -> None:
    built = builds("hostname")
    store = Store.open(tool.store)
    lock = Lock.model_validate_json((built.directory / "lock.json").read_bytes())
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "source").mkdir()
    for path in (*sources("hostname").parent.iterdir(), next(built.directory.glob("*.buildinfo"))):
        (tmp_path / "source" / path.name).write_bytes(path.read_bytes())
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with store.workplace("upper", "work", "store", "tmp") as place:
        (place / "tmp").chmod(0o1777)
        make_snapshot(store, lock, place / "served", tmp_path / "key")
        (tmp_path / "key.asc").chmod(0o644)
        binds = (
            Bind(source=tmp_path, target="/in"),
            Bind(source=place / "served", target="/srv/served"),
            Bind(source=REPOSITORY / "src", target="/opt/code"),
            Bind(source=REPOSITORY / "packaging" / "sbuild" / "sbuild", target="/opt/sbuild"),
            Bind(source=place / "store", target="/srv/store", readonly=False),
            Bind(source=place / "tmp", target="/srv/tmp", readonly=False),
        )
        box = Sandbox(
            lowers=tools_root(store, packages=PACKAGES).lowers(), upper=place / "upper", binds=binds, suppress_sync=True
        )
        ids = IdMap(store.idmap.first, 2 * store.idmap.count)
        done = run_in(box, ["bash", "-c", SCRIPT], idmap=ids, check=False, capture=True)
    said = done.text + done.stderr.decode("utf-8", "replace")
    assert done.status == 0, said[-6000:]
    assert "sbuild (deb-mock)" in said
    assert "checking hostname_" in said
    assert "all OK" in said
