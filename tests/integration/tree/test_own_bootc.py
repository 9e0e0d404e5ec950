"""A package of the name bootc in a tree: what it says of the image counts. Debian has none, so the test makes one.

It takes the words that bootc takes and prints what bootc prints.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import pytest

from deb_bootc_compose.lints.check import check_tree
from deb_bootc_compose.lints.model import Finding
from deb_bootc_compose.lints.own import ask_bootc
from deb_bootc_compose.tree import stages
from deb_bootc_compose.tree.make import TreeSpec, make_tree
from debcore.command import run
from debroot.store import Layer, Package, Store

pytestmark = pytest.mark.root

PROGRAM = """\
#!/bin/sh
set -eu
test "$*" = "container lint --no-truncate --rootfs /run/image"
test -x /run/image/usr/bin/bootc
! touch /run/image/usr/written 2>/dev/null
test "$(ls /sys/class/net)" = lo
if [ -e /run/image/usr/share/bootc/bad ]; then
    echo "Failed lint: var-run: Not a symlink: var/run"
    echo "error: Linting: Checks failed: 1" >&2
    exit 1
fi
echo "Checks passed: 14"
"""


def make_bootc(store: Store, where: Path, *, version: str, bad: bool) -> Package:
    package = where / f"bootc-{version}"
    (package / "usr/bin").mkdir(parents=True)
    (package / "usr/bin/bootc").write_text(PROGRAM)
    (package / "usr/bin/bootc").chmod(0o755)
    if bad:
        (package / "usr/share/bootc").mkdir(parents=True)
        (package / "usr/share/bootc/bad").touch()
    (package / "DEBIAN").mkdir()
    fields = "Section: admin\nPriority: optional\nMaintainer: Nobody <nobody@example.org>\nDescription: stand-in\n"
    (package / "DEBIAN/control").write_text(f"Package: bootc\nVersion: {version}\nArchitecture: all\n{fields}")
    deb = where / f"bootc_{version}_all.deb"
    run(["dpkg-deb", "--root-owner-group", "-b", package, deb], extra_env={"SOURCE_DATE_EPOCH": "1"})
    return store.add_deb(deb)


def test_the_bootc_of_a_root_is_asked(store: Store, spec: TreeSpec) -> None:
    """It sees the image read-only and no network."""
    base = stages.make_base_stage(store, spec.base, suite=spec.suite, arch=spec.arch, log=None)
    with store.workplace("root") as place:
        root = place / "root"
        stages.copy_merged(store, base, root)
        (root / "usr/bin/bootc").write_text(PROGRAM)
        (root / "usr/bin/bootc").chmod(0o755)
        assert ask_bootc(store, root, arch=spec.arch) == []
        (root / "usr/share/bootc").mkdir()
        (root / "usr/share/bootc/bad").touch()
        found = ask_bootc(store, root, arch=spec.arch)
    assert found == [Finding("var-run", "fatal", "the image's bootc: Not a symlink: var/run")]


@pytest.mark.slow
@pytest.mark.parametrize("bad", [False, True])
def test_a_tree_with_bootc_is_judged_by_it(
    store: Store, tools: Layer, spec: TreeSpec, tmp_path: Path, bad: bool
) -> None:
    """And needs no waiver for having none."""
    package = make_bootc(store, tmp_path, version="2", bad=bad)
    tree = make_tree(store, dataclasses.replace(spec, hub=(package,)), tools=tools)
    report = check_tree(store, tree, today=date(2026, 1, 1), tools=tools)
    store.remove(tree.layer.id)
    assert report.asked_bootc
    assert [finding.lint for finding in report.failed] == (["var-run"] if bad else [])
