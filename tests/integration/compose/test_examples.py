"""The shipped examples resolve; those of other kinds than the server are composed, and boot, in the slow tier."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.cli.init import TEMPLATES, find_examples
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.lock import BASE, load_lock
from deb_bootc_compose.manifest.load import Manifest, load_manifest
from deb_bootc_compose.sources import archive_sources
from debroot.resolve import resolve
from debroot.sources import CHECK_VALID_UNTIL
from debroot.store import Store
from tests.integration.compose.world import Composer

pytestmark = pytest.mark.root

DAY = 86400.0
#: What an image of each is known by.
TELLING = {
    "minimal": "openssh-server", "server": "linux-image-cloud-amd64", "composefs": "libcomposefs1",
    "workstation": "gnome-shell", "particle": "distrobox",
}  # fmt: skip


@pytest.fixture
def a_mirror_may_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one at hand may serve forky's indexes after they have expired; nothing else of the examples changes."""
    monkeypatch.setenv(CHECK_VALID_UNTIL, "no")


def sources_of(manifest: Manifest) -> dict[str, Any]:
    compose = manifest.compose
    return {"suite": compose.suite, "security": compose.security, "updates": compose.updates, "sources": []}


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("a_mirror_may_stand_still")
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


class Done:
    """A compose that was made, and what its tasks said."""

    def __init__(self, printed: bytes) -> None:
        document = json.loads(printed)
        self.directory = ComposeDirectory(Path(document["path"]))
        self.status: str = document["status"]
        self.results = read_results(self.directory.journal_path)

    def metadata(self, name: str) -> Any:
        return json.loads((self.directory.metadata / name).read_text())["payload"]


@pytest.fixture
def compose(tmp_path: Path, store_dir: Path) -> Callable[..., Done]:
    """compose(TEMPLATE, OPTION…): the example as `init` writes it, composed."""

    def call(template: str, *options: str) -> Done:
        work = tmp_path / template
        composer = Composer(work, {"XDG_STATE_HOME": str(tmp_path / "state")}, patience=7200)
        composer.call("init", work, "--template", template)
        written = (work / "compose.yaml").read_text()
        composer.write(written.replace("# check-valid-until: false", "check-valid-until: false"))
        done = composer.call("build", work, "--target", tmp_path / "composes", "--json", *options)
        return Done(done.stdout)

    return call


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_forky_boots_with_a_composefs_root(compose: Callable[..., Done]) -> None:
    done = compose("composefs")
    assert done.status == "FINISHED"
    boot = done.results["boot.composefs.amd64"]
    assert boot["composefs"]
    assert boot["secure_boot"]
    report = json.loads((done.directory.logs / "boot.composefs.amd64.json").read_text())
    (root,) = [mount for mount in report["mounts"] if mount["target"] == "/"]
    assert (root["source"], root["fstype"], root["writable"]) == ("composefs", "overlay", False)
    assert done.results["tree.composefs.amd64"]["features"].count("composefs") == 1


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("template", ["particle", "workstation"])
def test_a_desktop_becomes_a_commit_and_a_container_image(compose: Callable[..., Done], template: str) -> None:
    done = compose(template, "--until", "replay")
    key = f"{template}.amd64"
    assert {f"{kind}.{key}" for kind in ("tree", "lint", "commit", "container", "replay")} <= set(done.results)
    lock = load_lock(done.directory.lock_path)
    assert TELLING[template] in {package.name for package in lock.variants[key].installed.values()}


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_arm64_is_composed_beside_amd64(compose: Callable[..., Done], tmp_path: Path, store_dir: Path) -> None:
    """Through emulation, to a machine that boots; one index names both."""
    text = (find_examples() / "minimal/compose.yaml").read_text()
    text = text.replace("arches: [amd64]", "arches: [amd64, arm64]")
    composer = Composer(tmp_path / "both", {"XDG_STATE_HOME": str(tmp_path / "state")}, patience=7200)
    shutil.copytree(find_examples() / "minimal", composer.manifest)
    composer.write(text)
    target = tmp_path / "composes"
    done = Done(composer.call("build", composer.manifest, "--target", target, "--json").stdout)
    assert done.status == "FINISHED"
    arm = done.results["tree.minimal.arm64"]
    assert arm["kver"].endswith("-arm64")
    assert done.results["replay.minimal.arm64"]["equal"]
    boot = done.results["boot.minimal.arm64"]  # AAVMF, shim and GRUB of arm64; the disk was checked by its task
    assert boot["kernel"] == arm["kver"]
    assert boot["secure_boot"]
    (index,) = done.results["publish"]["indexes"].values()
    assert index["arches"] == ["amd64", "arm64"]
    layout = json.loads((done.directory.path / index["path"] / "index.json").read_text())
    blob = done.directory.path / index["path"] / "blobs/sha256" / layout["manifests"][0]["digest"][7:]
    platforms = [one["platform"]["architecture"] for one in json.loads(blob.read_text())["manifests"]]
    assert platforms == ["amd64", "arm64"]
    image = done.results["image.minimal.arm64"]["images"][0]
    assert image["deployment"].endswith(f"{done.results['commit.minimal.arm64']['commit']}.0")
