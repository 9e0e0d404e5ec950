"""The two builders, each as its user would run it: deb-mock, and trixie's sbuild (unshare) with its own resolver.

sbuild is given nothing of deb-mock's but a buildd root with the same mirror and its lists: it resolves and installs by
itself. Its roots lie on tmpfs.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from benchmarks.measure import BIN, ROOT
from benchmarks.packages.records import Record, hash_debs
from benchmarks.rebuild_overhead import PRESET, SBUILD, write_chroot
from deb_mock.classify import explain, read_lines
from debcore.command import run
from debcore.errors import LimitHit
from debroot.bootstrap import tools_root
from debroot.idmap import IdMap
from debroot.sandbox import Bind, Sandbox, start_in
from debroot.store import Store
from tests.integration.deb_mock.oracle import PACKAGES

#: Seconds for one build.
PATIENCE = 3600
#: Seconds after which sbuild's root is made anew.
CHROOT_AGE = 6 * 3600


def fetch(name: str, directory: Path) -> str:
    """Get the source package *name* of trixie; what deb-mock said if it cannot be had."""
    argv = [BIN / "deb-mock", "source", name, "-r", PRESET, "--set", "archive.max_age=1h", "--resultdir", directory]
    done = run([str(word) for word in argv], check=False)
    return "" if done.status == 0 else done.stderr.decode("utf-8", "replace").strip()


def build_with_deb_mock(dsc: Path, version: str, results: Path) -> Record:
    shutil.rmtree(results, ignore_errors=True)
    words = ["-r", PRESET, "--resultdir", str(results), "--json"]
    words += ["--set", f"limits.time={PATIENCE}s", "--set", "archive.max_age=1h"]
    start = time.perf_counter()
    done = run([str(BIN / "deb-mock"), "build", str(dsc), *words], check=False)
    seconds = time.perf_counter() - start
    try:
        result = json.loads(done.text)
    except ValueError:
        said = done.stderr.decode("utf-8", "replace").strip()
        return Record(version, f"exit status {done.status}", seconds, said[-400:], commit=find_commit())
    failure = result["failure"] or {}
    said = f"{failure['stage']}, {failure['kind']}: {failure['message']}" if failure else ""
    return Record(version, result["status"], seconds, said, hash_debs(results), find_commit())


def build_with_sbuild(dsc: Path, version: str, results: Path) -> Record:
    store = Store.open()
    chroot = find_chroot(store, results.parent.parent)
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    binds = (
        Bind(source=chroot, target="/in/chroot.tar"),
        Bind(source=dsc.parent, target="/in/source"),
        Bind(source=Path("/sys"), target="/sys"),  # sbuild wants one; ours has none beside the host's network
    )
    log = results / "build.log"
    start = time.perf_counter()
    with store.throwaway() as upper, log.open("wb") as output:
        box = Sandbox(lowers=tools_root(store, packages=PACKAGES).lowers(), upper=upper, binds=binds, network="host")
        ids = IdMap(store.idmap.first, 2 * store.idmap.count)
        argv = ["sh", "-c", SBUILD, "sh", dsc.name, "tuned"]
        try:
            with start_in(box, argv, idmap=ids, stdout=output, stderr=output, timeout=PATIENCE) as running:
                status = "built" if running.wait() == 0 else "failed"
        except LimitHit:
            status = "limit"
        for deb in sorted((upper / "srv" / "home").glob("*.*deb")):
            shutil.copyfile(deb, results / deb.name)
    said = "" if status == "built" else explain(read_lines(log), stage="build").message
    return Record(version, status, time.perf_counter() - start, said, hash_debs(results))


def find_chroot(store: Store, directory: Path) -> Path:
    tarball = directory / "chroot.tar"
    if not tarball.is_file() or time.time() - tarball.stat().st_mtime > CHROOT_AGE:
        write_chroot(store, tarball)
    return tarball


def find_commit() -> str:
    """Of this tree; DEBOOTC_COMMIT where it is no git checkout."""
    done = run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], check=False)
    return done.text.strip() or os.environ.get("DEBOOTC_COMMIT", "")
