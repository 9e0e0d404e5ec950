"""Putting an added changelog entry (see `addition`) into an unpacked source."""

from __future__ import annotations

from datetime import UTC, datetime

from deb_mock.buildlog import BuildLog
from deb_mock.dsc import Dsc
from deb_mock.order import Order
from deb_mock.transfer import write_bytes_tar
from deb_mock.workspace import Workspace
from debcore.cli import printable
from debcore.errors import BuildFailed, CommandFailed

ENTRY = ".added-entry"
#: $1 is the build directory; the changelog is a file of the package, so only its content is replaced.
PREPEND = f"""set -e
cat "$1/{ENTRY}" debian/changelog > "$1/{ENTRY}.new"
cat "$1/{ENTRY}.new" > debian/changelog
rm "$1/{ENTRY}" "$1/{ENTRY}.new"
"""


def add_entry(order: Order, space: Workspace, build_log: BuildLog, dsc: Dsc, tree: str) -> None:
    """Prepend the order's addition to debian/changelog of *tree*. Errors: BuildFailed, ConfigError."""
    assert order.addition is not None
    build_log.subsubsection("Hack binNMU version")
    try:
        date = space.run(["dpkg-parsechangelog", "--show-field", "Date"], cwd=tree).text.strip()
        text = order.addition.text(
            source=dsc.source, version=dsc.version, distribution=order.target_distribution,
            arch=order.choice.host_arch, date=date, now=datetime.now(UTC),
        )  # fmt: skip
        space.put(lambda stream: write_bytes_tar({ENTRY: text.encode()}, stream))
        space.run(["sh", "-c", PREPEND, "sh", order.surroundings.directory], cwd=tree)
    except CommandFailed as error:
        raise BuildFailed("debian/changelog cannot be extended", hint=printable(error.output[-400:])) from error
    build_log.line(f"Created changelog entry for binNMU version {order.built_version(dsc.version)}")
