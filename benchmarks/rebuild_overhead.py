#!/usr/bin/env python3
"""A rebuild whose dependencies are known: what each tool adds to dpkg-buildpackage, deb-mock beside Debian's sbuild.

    rebuild_overhead.py [COUNT=3] [PACKAGE…=hostname cowsay dash]

Overhead is the wall time of the whole process less the time of dpkg-buildpackage itself, as each tool's own log has it.
sbuild is trixie's, in unshare mode, inside a sandbox with the host's network: *installed* with its defaults (indexes
and root brought up to date), *tuned* without those and with its roots on tmpfs. Runs are interleaved.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.measure import BIN, print_table, spread
from debcore.command import run
from debroot.aptconf import make_sources
from debroot.bootstrap import open_root, tools_root
from debroot.idmap import IdMap
from debroot.sandbox import Bind, Sandbox, run_in, start_in
from debroot.sources import find_host_sources
from debroot.store import Layer, Store
from tests.integration.deb_mock.oracle import PACKAGES

PRESET = "debian-trixie-amd64"
#: As oracle.py's, with a network and a root that is brought up to date.
SBUILD = """set -eu
echo 'tester:x:2000:2000::/srv/home:/bin/sh' >> /etc/passwd
echo 'tester:x:2000:' >> /etc/group
echo tester:65536:65536 > /etc/subuid
echo tester:65536:65536 > /etc/subgid
mkdir -p /srv/home /srv/tmp
chmod 1777 /srv/tmp
[ -z "$2" ] || mount -t tmpfs -o mode=1777 tmpfs /srv/tmp
chown 2000:2000 /srv/home
cp /in/source/* /srv/home/
cd /srv/home
dsc=$1 tuned=$2
[ -z "$tuned" ] || set -- --no-apt-update --no-apt-upgrade --no-apt-distupgrade
[ -n "$tuned" ] || set --
exec setpriv --reuid=2000 --regid=2000 --clear-groups \\
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv/home TMPDIR=/srv/tmp LOGNAME=tester USER=tester \\
    sbuild --dist=trixie --chroot-mode=unshare --chroot=/in/chroot.tar "$@" --arch-all \\
    --no-run-lintian --no-run-piuparts --no-run-autopkgtest \\
    --build-path=/build/reproducible-path --nolog --verbose "$dsc"
"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    packages = sys.argv[2:] or ["hostname", "cowsay", "dash"]
    store = Store.open()
    tools = tools_root(store, packages=PACKAGES)
    rows = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        chroot = scratch / "chroot.tar"
        write_chroot(store, chroot)
        for package in packages:
            dsc = fetch(package, scratch)
            run_deb_mock(dsc, scratch)  # so that the dependency layer exists
            figures: dict[str, list[float]] = defaultdict(list)
            for _ in range(count):
                figures["deb-mock"].append(run_deb_mock(dsc, scratch))
                figures["sbuild installed"].append(run_sbuild(store, tools, dsc, chroot, tuned=False))
                figures["sbuild tuned"].append(run_sbuild(store, tools, dsc, chroot, tuned=True))
            best = sorted(figures["deb-mock"])[count // 2]
            for tool, values in figures.items():
                rows.append((package, tool, spread(values), f"{sorted(values)[count // 2] / best:.1f}"))
    header = ("package", "tool", f"overhead, s, median of {count} (min–max)", "times deb-mock's")
    print_table("Rebuild: overhead over dpkg-buildpackage", header, rows)


def fetch(package: str, scratch: Path) -> Path:
    out = scratch / package
    argv = [BIN / "deb-mock", "source", package, "-r", PRESET, "--resultdir", out, "--json"]
    return Path(json.loads(run([str(word) for word in argv]).stdout)["dsc"])


def run_deb_mock(dsc: Path, scratch: Path) -> float:
    out = scratch / "result"
    shutil.rmtree(out, ignore_errors=True)
    start = time.perf_counter()
    run([str(BIN / "deb-mock"), "build", str(dsc), "-r", PRESET, "--resultdir", str(out)])
    whole = time.perf_counter() - start
    stages = json.loads((out / "result.json").read_text())["stages"]
    return float(whole - sum(stage["seconds"] for stage in stages if stage["name"] == "build"))


def run_sbuild(store: Store, tools: Layer, dsc: Path, chroot: Path, *, tuned: bool) -> float:
    binds = (
        Bind(source=chroot, target="/in/chroot.tar"),
        Bind(source=dsc.parent, target="/in/source"),
        Bind(source=Path("/sys"), target="/sys"),  # sbuild wants one; ours has none beside the host's network
    )
    with store.throwaway() as upper:
        box = Sandbox(lowers=tools.lowers(), upper=upper, binds=binds, network="host")
        ids = IdMap(store.idmap.first, 2 * store.idmap.count)
        reader, writer = os.pipe()
        argv = ["sh", "-c", SBUILD, "sh", dsc.name, "tuned" if tuned else ""]
        start = time.perf_counter()
        building = 0.0
        with start_in(box, argv, idmap=ids, stdout=writer, stderr=writer) as running:
            os.close(writer)
            lines, began = [], 0.0
            with os.fdopen(reader, errors="replace") as log:
                for line in log:
                    lines.append(line)
                    if line.startswith("Command: dpkg-buildpackage"):
                        began = time.perf_counter()
                    elif line.startswith("Build finished at") and began:
                        building = time.perf_counter() - began
            status = running.wait()
        whole = time.perf_counter() - start
    if status != 0 or not building:
        raise SystemExit("sbuild failed:\n" + "".join(lines[-40:]))
    return whole - building


def write_chroot(store: Store, tarball: Path) -> None:
    """A buildd root of trixie as sbuild would have it: with the mirror in its apt sources."""
    sources = find_host_sources("trixie")
    layer = open_root(store, sources=sources, suite="trixie", arch="amd64", variant="buildd", packages=())
    listing = tarball.with_name("mirror.sources")
    listing.write_text(make_sources(sources))
    listing.chmod(0o644)
    script = (
        "cp /in/mirror.sources /etc/apt/sources.list.d/mirror.sources; rm -f /etc/apt/sources.list; "
        "apt-get -qq update >&2; "
        "exec tar -C / --one-file-system --exclude=./proc/* --exclude=./sys/* --exclude=./dev/* --exclude=./in "
        "-cf - ."
    )
    binds = (Bind(source=listing, target="/in/mirror.sources"),)
    box = Sandbox(lowers=layer.lowers(), tmpfs=(), binds=binds, network="host")
    with tarball.open("wb") as file:
        run_in(box, ["sh", "-c", script], idmap=store.idmap, stdout=file)
    tarball.chmod(0o644)


if __name__ == "__main__":
    main()
