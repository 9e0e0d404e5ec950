#!/usr/bin/env python3
"""A chain of packages of which each needs the one before: `deb-mock chain`, and sbuild called for one after the other.

    chain_of_ten.py [LENGTH=10]

sbuild is trixie's, in unshare mode, inside a sandbox with the host's network, with what was built so far as
--extra-package: *installed* with its defaults, *tuned* without bringing indexes and root up to date and with its roots
on tmpfs. The packages do nothing, so that all of it is overhead; both sides start with a base root and no layer.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import BIN, print_table
from benchmarks.rebuild_overhead import PRESET, write_chroot
from debcore.command import run
from debroot.bootstrap import tools_root
from debroot.idmap import IdMap
from debroot.sandbox import Bind, Sandbox, run_in
from debroot.store import Layer, Store
from tests.integration.deb_mock.conftest import make_native
from tests.integration.deb_mock.oracle import PACKAGES

SBUILD = """set -eu
echo 'tester:x:2000:2000::/srv/home:/bin/sh' >> /etc/passwd
echo 'tester:x:2000:' >> /etc/group
echo tester:65536:65536 > /etc/subuid
echo tester:65536:65536 > /etc/subgid
mkdir -p /srv/home /srv/tmp
chmod 1777 /srv/tmp
[ "$1" = installed ] || mount -t tmpfs -o mode=1777 tmpfs /srv/tmp
options=
[ "$1" = installed ] || options='--no-apt-update --no-apt-upgrade --no-apt-distupgrade'
shift
cp /in/source/*.dsc /in/source/*.tar.* /srv/home/
chown -R 2000:2000 /srv/home
cd /srv/home
for dsc; do
    extra=
    for deb in *.deb; do [ ! -e "$deb" ] || extra="$extra --extra-package=/srv/home/$deb"; done
    setpriv --reuid=2000 --regid=2000 --clear-groups \\
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv/home TMPDIR=/srv/tmp LOGNAME=tester USER=tester \\
        sbuild --dist=trixie --chroot-mode=unshare --chroot=/in/chroot.tar $options $extra --arch-all \\
        --no-run-lintian --no-run-piuparts --no-run-autopkgtest \\
        --build-path=/build/reproducible-path --nolog --verbose "$dsc"
done
"""


def main() -> None:
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    store = Store.open()
    tools = tools_root(store, packages=PACKAGES)
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as name:
        place = Path(name)
        place.chmod(0o755)
        sources = make_links(place, length)
        write_chroot(store, place / "chroot.tar")
        times = {"deb-mock chain": chain(sources, place / "first"), "deb-mock chain, layers there": 0.0}
        for kind in ("tuned", "installed"):
            times[f"sbuild {kind}, one by one"] = run_sbuild(store, tools, sources, place / "chroot.tar", kind)
        times["deb-mock chain, layers there"] = chain(sources, place / "second")
    base = times["deb-mock chain"]
    rows = [
        (how, f"{seconds:.1f}", f"{seconds / length:.2f}", f"{seconds / base:.1f}") for how, seconds in times.items()
    ]
    print_table(f"{length} packages, each needs the one before", ("how", "s", "s each", "times the first"), rows)


def make_links(place: Path, length: int) -> list[Path]:
    """Source packages link0 … of which each checks that the one before is installed. New in each run: the store must
    not know them."""
    found = []
    stamp = f"{time.time_ns():x}"
    for number in range(length):
        before = f"link{number - 1}"
        fields = [f"Build-Depends: {before}"] if number else []
        check = f"dpkg-query -W {before}" if number else "true"
        tree = make_native(place / "trees", name=f"link{number}", build=f"{check} # {stamp}", fields=fields)
        run(["dpkg-source", "-b", tree.name], cwd=tree.parent)
        found.append(tree.parent / f"link{number}_1.0.dsc")
    return found


def chain(sources: list[Path], out: Path) -> float:
    start = time.perf_counter()
    run([BIN / "deb-mock", "chain", "-r", PRESET, "--resultdir", out, *reversed(sources)])
    return time.perf_counter() - start


def run_sbuild(store: Store, tools: Layer, sources: list[Path], chroot: Path, kind: str) -> float:
    binds = (
        Bind(source=chroot, target="/in/chroot.tar"),
        Bind(source=sources[0].parent, target="/in/source"),
        Bind(source=Path("/sys"), target="/sys"),  # sbuild wants one; ours has none beside the host's network
    )
    with store.throwaway() as upper:
        box = Sandbox(lowers=tools.lowers(), upper=upper, binds=binds, network="host")
        ids = IdMap(store.idmap.first, 2 * store.idmap.count)
        start = time.perf_counter()
        argv = ["sh", "-c", SBUILD, "sh", kind, *(dsc.name for dsc in sources)]
        done = run_in(box, argv, idmap=ids, capture=True, check=False)
        seconds = time.perf_counter() - start
    if done.status != 0 or done.text.count("\nStatus: successful\n") != len(sources):
        raise SystemExit("sbuild failed:\n" + done.text[-3000:])
    return seconds


if __name__ == "__main__":
    main()
