#!/usr/bin/env python3
"""The first build of a package, whose dependencies must be installed: deb-mock beside Debian's sbuild and cowbuilder.

    first_build.py [COUNT=3] [PACKAGE…=hostname cowsay libfontenc]

Overhead is the wall time of the whole process less the time of dpkg-buildpackage, as each tool's own log has it. All
have a root of build-essential and nothing else of the package's. deb-mock's layers of dependencies are removed before
each run; *kept* still has the .debs, as cowbuilder has from its second run on, *fetched* has none. sbuild is
trixie's, in unshare mode: *installed* with its defaults, *tuned* without bringing indexes and root up to date and
with its roots on tmpfs. cowbuilder is trixie's, with its defaults,
in a root of its own. Runs are
interleaved.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import PIPE, STDOUT
from typing import Any

from benchmarks.measure import BIN, print_table, spread
from benchmarks.rebuild_overhead import PRESET, fetch, run_deb_mock, run_sbuild, write_chroot
from debcore.command import run
from debroot.bootstrap import tools_root
from debroot.store import Layer, Store
from tests.integration.deb_mock.oracle import PACKAGES
from tests.integration.deb_mock.oracle import write_chroot as write_root

#: pbuilder-satisfydepends-apt needs nothing more inside; the default one needs aptitude.
PBUILDERRC = """\
DISTRIBUTION=trixie
PBUILDERSATISFYDEPENDSCMD=/usr/lib/pbuilder/pbuilder-satisfydepends-apt
USENETWORK=yes
USESYSFS=no
"""
COWBUILDER = """\
mount -t proc proc "$1/proc" && mount -t devpts -o ptmxmode=666 devpts "$1/dev/pts" &&
exec chroot "$1" cowbuilder --build --configfile /etc/pbuilderrc --debbuildopts -b "$2"
"""
APT = {"DEBIAN_FRONTEND": "noninteractive", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}


@dataclass(frozen=True)
class Peers:
    """Debian's tools: their own roots, and the root that each builds in."""

    store: Store
    sbuild: Layer
    chroot: Path  #: sbuild's tarball
    host: Path  #: a root with cowbuilder and its base.cow, owned by root outside too


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    packages = sys.argv[2:] or ["hostname", "cowsay", "libfontenc"]
    store = Store.open()
    rows = []
    if os.geteuid() != 0:
        raise SystemExit("cowbuilder builds as root only: run this as root")
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        peers = Peers(store, tools_root(store, packages=PACKAGES), scratch / "chroot.tar", scratch / "host")
        write_chroot(store, peers.chroot)
        make_cowbuilder(peers)
        os.environ["DEBOOTC_STORE"] = str(scratch / "store")  # deb-mock's own, so that no layer stands in it
        for package in packages:
            rows += compare(package, count, peers, scratch)
    header = ("package", "tool", f"overhead, s, median of {count} (min–max)", "times deb-mock's with .debs kept")
    print_table("First build: overhead over dpkg-buildpackage", header, rows)


def compare(package: str, count: int, peers: Peers, scratch: Path) -> list[tuple[Any, ...]]:
    """Rows of one package: tool, spread, ratio."""
    dsc = fetch(package, scratch)
    run([str(BIN / "deb-mock"), "init", "-r", PRESET])
    ours = Ours.read(scratch / "store")
    run_deb_mock(dsc, scratch)  # fetches the .debs, as the next one does
    run_cowbuilder(peers, dsc)
    figures: dict[str, list[float]] = defaultdict(list)
    for _ in range(count):
        ours.forget(debs=False)
        figures["deb-mock, .debs kept"].append(run_deb_mock(dsc, scratch))
        figures["cowbuilder, .debs kept"].append(run_cowbuilder(peers, dsc))
        ours.forget(debs=True)
        figures["deb-mock, .debs fetched"].append(run_deb_mock(dsc, scratch))
        figures["sbuild installed"].append(run_sbuild(peers.store, peers.sbuild, dsc, peers.chroot, tuned=False))
        figures["sbuild tuned"].append(run_sbuild(peers.store, peers.sbuild, dsc, peers.chroot, tuned=True))
    best = median(figures["deb-mock, .debs kept"])
    return [(package, tool, spread(values), f"{median(values) / best:.1f}") for tool, values in figures.items()]


@dataclass(frozen=True)
class Ours:
    """What deb-mock's store held before a package was built for the first time."""

    path: Path
    layers: frozenset[str]
    files: frozenset[Path]  #: .debs and apt's answers

    @classmethod
    def read(cls, path: Path) -> Ours:
        return cls(path, frozenset(layers_of(path)), frozenset(files_of(path)))

    def forget(self, *, debs: bool) -> None:
        """Remove what was added since: layers, apt's answers, and the .debs if *debs*."""
        store = Store.open(self.path)
        for layer in reversed(layers_of(self.path)):
            if layer not in self.layers:
                store.remove(layer)
        for path in files_of(self.path):
            if path not in self.files and (debs or path.parent.name == "resolved"):
                path.unlink()


def layers_of(store: Path) -> list[str]:
    """Ids, those that stand on others after them."""
    metas = {path.parent.name: json.loads(path.read_text()) for path in store.glob("layers/*/meta.json")}
    return sorted(metas, key=lambda name: len(metas[name]["parents"]))


def files_of(store: Path) -> list[Path]:
    return [*store.glob("pool/*/*"), *store.glob("resolved/*")]


def make_cowbuilder(peers: Peers) -> None:
    """A root with cowbuilder, and in it base.cow: the tree that sbuild has as a tarball, and cowdancer."""
    tools = tools_root(peers.store, packages=("cowbuilder",))
    tarball = peers.chroot.with_name("host.tar")
    write_root(peers.store, tools, tarball)
    cow = peers.host / "var/cache/pbuilder/base.cow"
    for place, what in ((peers.host, tarball), (cow, peers.chroot)):
        place.mkdir(parents=True, exist_ok=True)
        run(["tar", "-C", place, "--numeric-owner", "-xpf", what])
    for place in (peers.host, cow):
        for name in ("resolv.conf", "hosts"):
            shutil.copyfile(Path("/etc") / name, place / "etc" / name)
        for name, minor in DEVICES.items():
            run(["mknod", "-m", "666", place / "dev" / name, "c", "1", str(minor)])
        (place / "dev" / "pts").mkdir(exist_ok=True)
        (place / "dev" / "ptmx").symlink_to("pts/ptmx")
    run(["chroot", cow, "apt-get", "-qqy", "install", "--no-install-recommends", "cowdancer"], env=APT)
    (peers.host / "etc" / "pbuilderrc").write_text(PBUILDERRC)
    tarball.unlink()


def run_cowbuilder(peers: Peers, dsc: Path) -> float:
    """Overhead of one build, s."""
    source = peers.host / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(dsc.parent, source)
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", COWBUILDER, "sh"]
    began = ended = 0.0
    lines = []
    start = time.perf_counter()
    with subprocess.Popen(
        [*argv, peers.host, f"/source/{dsc.name}"], stdout=PIPE, stderr=STDOUT, text=True
    ) as building:
        for line in building.stdout or ():
            lines.append(line)
            if line.startswith("dpkg-buildpackage: info: source package"):
                began = time.perf_counter()
            elif line.startswith("dpkg-buildpackage: info:"):
                ended = time.perf_counter()
    whole = time.perf_counter() - start
    if building.returncode != 0 or not began or not ended:
        raise SystemExit("cowbuilder failed:\n" + "".join(line for line in lines if not line.startswith("rm: ")))
    return whole - (ended - began)


if __name__ == "__main__":
    main()
