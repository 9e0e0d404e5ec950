"""diffoscope on two builds of a package: from a tools root, in the sandbox, with a limit on all that it uses."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deb_mock.buildlog import BuildLog
from deb_mock.step import run_logged
from deb_mock.transfer import write_files_tar
from deb_mock.workspace import Workspace, open_workspace
from debcore.errors import HostFailed
from debcore.job import Limits
from debroot.bootstrap import tools_root
from debroot.store import Store

log = logging.getLogger(__name__)

PACKAGES = ("diffoscope-minimal", "binutils", "bzip2", "file", "gettext", "xxd", "xz-utils", "zstd")
LIMITS = Limits(memory=2 << 30, disk=8 << 30, processes=512, silence_s=None)
#: Seconds for one pair of packages.
TIMEOUT = 600.0
#: Bytes of one report.
MAX_REPORT = 8 << 20
#: Lines of the summary.
MAX_LINES = 40
#: Packages that are explained; one that differs usually shows why the others do.
MAX_PACKAGES = 4


def explain_differences(
    store: Store, names: Sequence[str], first: Path, second: Path, target: Path
) -> tuple[tuple[str, ...], list[str]]:
    """Compare the packages *names* of the directories *first* and *second*; reports are written to *target*.

    Returns the paths that differ, and the names of the reports. Errors: HostFailed, LimitHit.
    """
    lines: list[str] = []
    written: list[str] = []
    layer = tools_root(store, packages=PACKAGES)
    with open_workspace(store, layer, limits=LIMITS) as space:
        for name in names[:MAX_PACKAGES]:
            reports = [f"{name}.diffoscope.{kind}" for kind in ("html", "json")]
            _compare(space, name, first / name, second / name, reports)
            came = space.get(reports, target)
            written += came
            if reports[1] in came:
                lines += [f"{name}: {path}" for path in read_paths((target / reports[1]).read_bytes())]
    return tuple(lines[:MAX_LINES]), written


def _compare(space: Workspace, name: str, first: Path, second: Path, reports: Sequence[str]) -> None:
    space.run(["mkdir", "-p", "first", "second"])
    space.put(lambda stream: write_files_tar({f"first/{name}": first, f"second/{name}": second}, stream))
    argv = [
        "diffoscope", "--no-progress", "--exclude-directory-metadata=yes", f"--max-report-size={MAX_REPORT}",
        "--max-diff-block-lines=200", f"--html={reports[0]}", f"--json={reports[1]}", f"first/{name}", f"second/{name}",
    ]  # fmt: skip
    with TemporaryDirectory(prefix="deb-mock-diffoscope-") as scratch:
        said = BuildLog(Path(scratch) / "log")
        try:
            sandbox = space.sandbox(limited=True, env={"HOME": "/tmp"})  # noqa: S108 -- inside the sandbox
            ran = run_logged(sandbox, argv, said, idmap=space.store.idmap, timeout=TIMEOUT)
        finally:
            said.close()
        if ran.status not in (0, 1):  # diffoscope(1): 1 is "they differ"
            text = said.path.read_text(errors="replace").strip().splitlines()
            raise HostFailed(f"diffoscope failed with status {ran.status}: {(text or ['it printed nothing'])[-1]}")


def read_paths(raw: bytes) -> Iterator[str]:
    """The innermost things that differ, from diffoscope's JSON: `data.tar.xz › ./usr/bin/tool › readelf …`."""
    if len(raw) > 2 * MAX_REPORT:
        return
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return
    yield from _walk(document, ())


def _walk(node: Any, above: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(node, dict) or len(above) > 20:
        return
    details = node.get("details")
    here = (*above, str(node.get("source1", ""))[:200])
    if isinstance(details, list) and details:
        for detail in details:
            yield from _walk(detail, here)
    else:
        yield " › ".join(here[1:]) or "its bytes"
