"""The shipped examples resolve; those of other kinds than the server are composed, and boot, in the slow tier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.cli.init import TEMPLATES, find_examples
from deb_bootc_compose.lock import BASE
from deb_bootc_compose.manifest.load import Manifest, load_manifest
from deb_bootc_compose.sources import archive_sources
from debroot.resolve import resolve
from debroot.sources import CHECK_VALID_UNTIL
from debroot.store import Store

pytestmark = pytest.mark.root

DAY = 86400.0
#: What an image of each is known by.
TELLING = {
    "minimal": "openssh-server", "server": "linux-image-cloud-amd64", "composefs": "libcomposefs1",
    "workstation": "gnome-shell", "particle": "distrobox",
}  # fmt: skip


@pytest.fixture(autouse=True)
def a_mirror_may_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one at hand may serve forky's indexes after they have expired; nothing else of the examples changes."""
    monkeypatch.setenv(CHECK_VALID_UNTIL, "no")


def sources_of(manifest: Manifest) -> dict[str, Any]:
    compose = manifest.compose
    return {"suite": compose.suite, "security": compose.security, "updates": compose.updates, "sources": []}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(TEMPLATES))
def test_every_example_can_be_composed_of_what_the_archive_has(store_dir: Path, name: str) -> None:
    """Nothing is fetched but indexes. What is built from source is left out: nothing of the others needs it."""
    manifest = load_manifest(find_examples() / name)
    built = {build.label for build in manifest.compose.builds}
    store = Store.open(store_dir)
    (spec,) = manifest.specs
    wanted = [package for package in spec.variant.packages if package not in built]
    found = resolve(
        store, sources=archive_sources(sources_of(manifest)), arch=spec.arch, install=[*BASE, *wanted],
        recommends=spec.variant.recommends, max_age=DAY,
    )  # fmt: skip
    names = {package.name for package in found.packages}
    assert {*wanted, TELLING[name]} <= names
    assert sum(name.startswith("linux-image-") and name[12].isdigit() for name in names) == 1, "exactly one kernel"
