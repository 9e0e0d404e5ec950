"""No file name outside ASCII: bootc's importer reads layers in the C locale and fails on one (L11).

The only one in a usual Debian tree is a root certificate of ca-certificates (in UTF-8). It is removed together with all
links to it and its line in the configuration; whatever else is not ASCII is left to the lint, for it is data.
"""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State

CERTIFICATES = "usr/share/ca-certificates"
CONF = "etc/ca-certificates.conf"


def run(tree: Path, options: FinishOptions, state: State) -> None:
    del options, state
    gone = {entry.name for entry in files.walk(tree, CERTIFICATES) if not entry.name.isascii()}
    for name in gone:
        files.remove(tree / name)
    certs = tree / "etc/ssl/certs"
    removed = {n.rpartition("/")[2] for n in gone}
    # Links to links: c_rehash's hash links point to the named ones; go on until nothing dangles that did not before.
    while found := [e for e in files.walk(tree, "etc/ssl/certs") if e.is_link and _leads_to(e, removed)]:
        for entry in found:
            removed.add(entry.name.rpartition("/")[2])
            files.remove(certs / entry.name.rpartition("/")[2])
    text = files.read_text(tree, CONF)
    if text is not None and not text.isascii():
        mode = (tree / CONF).stat().st_mode & 0o7777
        files.write(tree, CONF, "".join(f"{x}\n" for x in text.splitlines() if x.isascii()), mode=mode)


def _leads_to(entry: files.Entry, names: set[str]) -> bool:
    return files.read_link(entry.path).rpartition("/")[2] in names
