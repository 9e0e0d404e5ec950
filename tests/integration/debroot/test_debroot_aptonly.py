"""The apt-only network on the real archive: apt installs, and nothing else gets anywhere."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from debcore.command import PIPE, Completed, spawn
from debcore.job import AptSource
from debroot.aptonly import AptOnly, open_archive
from debroot.bootstrap import host_arch, open_root
from debroot.resolve import fetch, resolve
from debroot.sandbox import Sandbox, run_in
from debroot.sources import find_host_sources
from debroot.store import Layer, Store

from .conftest import MAX_AGE

pytestmark = pytest.mark.root

SETUP = "set -e; tar -C / -x; export DEBIAN_FRONTEND=noninteractive; apt-get -q update >/dev/null; "


@pytest.fixture(scope="module")
def sources() -> tuple[AptSource, ...]:
    return find_host_sources("trixie")


@pytest.fixture(scope="module")
def base(store: Store, sources: tuple[AptSource, ...]) -> Layer:
    return open_root(store, sources=sources, suite="trixie", arch=host_arch(), variant="apt", max_age=MAX_AGE)


@pytest.fixture
def archive(store: Store, sources: tuple[AptSource, ...]) -> Iterator[AptOnly]:
    with open_archive(store, sources=sources, arch=host_arch(), max_age=MAX_AGE) as found:
        yield found


def run_script(archive: AptOnly, base: Layer, store: Store, script: str) -> Completed:
    box = Sandbox(lowers=base.lowers(), door=archive.door, suppress_sync=True)
    settings = make_tar(archive.files())
    return run_in(box, ["sh", "-c", SETUP + script], idmap=store.idmap, stdin=settings, capture=True, check=False)


def make_tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


GET = r"""
use IO::Socket::INET;
sub get { my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:3142", Timeout => 9) or die;
          print $s "$_[0]\r\n\r\n"; my $line = <$s>; $line =~ s/\r//; print "$_[0] -> $line"; }
get("GET /0/pool/main/h/hello/hello_99_all.deb HTTP/1.0");
get("GET /../../../../etc/passwd HTTP/1.0");
get("GET http://192.0.2.1/ HTTP/1.0");
get("CONNECT 192.0.2.1:443 HTTP/1.0");
get("POST /0/dists/trixie/InRelease HTTP/1.0");
get("nonsense");
for my $peer ("192.0.2.1:80", "1.1.1.1:53", "127.0.0.1:22") {
    print "$peer -> ", (IO::Socket::INET->new(PeerAddr => $peer, Timeout => 3) ? "REACHED" : "unreachable"), "\n";
}
"""


def test_apt_installs_and_all_else_is_refused(archive: AptOnly, base: Layer, store: Store) -> None:
    script = "apt-get -q -y install hello >/dev/null; hello; ! getent hosts example.org; perl -e '" + GET + "'"
    done = run_script(archive, base, store, script)
    assert done.status == 0, done.stderr.decode()
    lines = done.text.splitlines()
    assert lines[0] == "Hello, world!"
    answers = dict(line.split(" -> ", 1) for line in lines if " -> " in line)
    assert answers["GET /0/pool/main/h/hello/hello_99_all.deb HTTP/1.0"].startswith("HTTP/1.1 404")
    assert answers["GET /../../../../etc/passwd HTTP/1.0"].startswith("HTTP/1.1 404")
    assert answers["GET http://192.0.2.1/ HTTP/1.0"].startswith("HTTP/1.1 404")
    assert answers["CONNECT 192.0.2.1:443 HTTP/1.0"].startswith("HTTP/1.1 501")
    assert answers["POST /0/dists/trixie/InRelease HTTP/1.0"].startswith("HTTP/1.1 501")
    assert answers["nonsense"] == "not served"  # HTTP 0.9 has no status line
    assert [answers[peer] for peer in ("192.0.2.1:80", "1.1.1.1:53", "127.0.0.1:22")] == ["unreachable"] * 3
    said = "\n".join(archive.refused)
    for word in ("hello_99_all.deb", "etc/passwd", "http://192.0.2.1/", "CONNECT", "POST", "nonsense"):
        assert word in said
    assert len(archive.refused) == 6


def test_the_signature_is_checked_inside_too(archive: AptOnly, base: Layer, store: Store) -> None:
    files = archive.files()
    path = "etc/apt/sources.list.d/debootc.sources"
    files[path] = files[path].replace(b"Signed-By:", b"X-Not-Signed-By:")
    box = Sandbox(lowers=base.lowers(), door=archive.door)
    script = "tar -C / -x; rm -f /etc/apt/trusted.gpg.d/*; apt-get -q update"
    done = run_in(box, ["sh", "-c", script], idmap=store.idmap, stdin=make_tar(files), capture=True, check=False)
    assert done.status != 0
    assert b"not signed" in done.stderr


def test_new_packages_are_served_by_their_hashes(store: Store, sources: tuple[AptSource, ...], base: Layer) -> None:
    found = resolve(store, sources=sources, arch=base.arch, base=base, install=["hello"], max_age=MAX_AGE)
    fetch(store, found.packages)
    new = found.packages
    with open_archive(store, sources=sources, arch=base.arch, packages=new, max_age=MAX_AGE) as archive:
        script = "apt-get -q -y --print-uris install hello | grep -c 3142/new/; apt-get download hello; cat hello_*.deb"
        done = run_script(archive, base, store, f"cd /tmp; {script}")
    assert done.status == 0, done.stderr.decode()
    count, _, rest = done.stdout.partition(b"\n")
    assert int(count) == len(found.packages)
    package = next(p for p in found.packages if p.name == "hello")
    assert hashlib.sha256(rest[rest.index(b"!<arch>") :]).hexdigest() == package.sha256


HOLD = """
import sys
from pathlib import Path
from debroot.door import Door, Refusal
from debroot.sandbox import Sandbox, run_in

def answer(path):
    raise Refusal("nothing here")

lowers = tuple(Path(word) for word in sys.argv[1:])
box = Sandbox(lowers=lowers, door=Door(answer, print))
run_in(box, ["sh", "-c", "echo ready; exec sleep %(mark)s"])
"""


def test_it_dies_with_its_parent(base: Layer, find_processes: Callable[[str], list[int]]) -> None:
    mark = f"4711.{os.getpid()}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    argv = [sys.executable, "-c", HOLD % {"mark": mark}, *map(str, base.lowers())]
    process = spawn(argv, stdout=PIPE, env=environment)
    assert process.stdout is not None
    with process.stdout as stream:
        assert stream.readline() == b"ready\n"
        process.kill()
        process.wait()
    deadline = time.monotonic() + 120
    while find_processes(f"sleep {mark}"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
