"""The derivative of docs/howto/derivative.md: its preset as it is printed there, on an archive made and signed here."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from debian.deb822 import Deb822

from deb_mock.config import choose
from deb_mock.roots import find_sources, make_base
from debcore.command import run
from debcore.openpgp import Signer, generate_key
from debroot.layers import describe_deb
from debroot.localrepo import make_repository
from debroot.resolve import fetch
from debroot.store import Package, Store

from .conftest import PRESET, REPOSITORY, Built, Tool

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


def make_release_package(store: Store, place: Path) -> Package:
    """acme-release: what makes dpkg-vendor say Acme."""
    tree = place / "acme-release"
    for name, text in {
        "DEBIAN/control": "Package: acme-release\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\n"
        "Description: Acme\n",
        "etc/dpkg/origins/acme": "Vendor: Acme\nVendor-URL: https://acme.example/\nParent: Debian\n",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    deb = place / "acme-release.deb"
    run(["env", "SOURCE_DATE_EPOCH=0", "dpkg-deb", "--root-owner-group", "--build", tree, deb])
    package = describe_deb(deb, hashlib.sha256(deb.read_bytes()).hexdigest())
    store.add_deb(deb, sha256=package.sha256)
    return package


@pytest.fixture(scope="module")
def archive(store_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Signer]]:
    """Debian's packages of a root and one of Acme's, in a suite acme1 signed by Acme's key."""
    store, place = Store.open(store_dir), tmp_path_factory.mktemp("acme")
    choice = choose(preset=PRESET)
    base = make_base(store, choice, find_sources(choice), max_age=3600)
    root = store_dir.parent / "derivative-archive"  # hard links to the pool: the same file system
    shutil.rmtree(root, ignore_errors=True)
    packages = [*base.packages, make_release_package(store, place)]
    fetch(store, packages)  # gc may have removed what roots were made of
    make_repository(store, packages, root, suite="acme1", arch="amd64")
    signer = generate_key(place / "key", "Acme <archive@acme.example>")
    release = root / "dists/acme1/Release"
    text = f"Date: {formatdate(usegmt=True)}\n{release.read_text()}"
    release.unlink()
    (release.parent / "InRelease").write_bytes(signer.sign_inline(text.encode()))
    yield root, signer
    shutil.rmtree(root)


def write_preset(config: Path, mirror: Path, key: str) -> None:
    """The page's preset, with an archive that exists."""
    page = (REPOSITORY / "docs/howto/derivative.md").read_text()
    text = page.partition("```toml\n")[2].partition("```")[0]
    (config / "deb-mock/presets").mkdir(parents=True)
    (config / "acme.asc").write_text(key)
    text = re.sub(r'^mirror = ".*"$', f'mirror = "file:{mirror}"', text, count=1, flags=re.M)
    text = re.sub(r'^keyring = ".*"$', f'keyring = "{config}/acme.asc"', text, count=1, flags=re.M)
    assert f"file:{mirror}" in text
    (config / "deb-mock/presets/acme.toml").write_text(text)


def test_the_derivative_of_the_page_builds(
    tool: Tool, archive: tuple[Path, Signer], native: Callable[..., Path], tmp_path: Path
) -> None:
    mirror, signer = archive
    write_preset(tmp_path / "config", mirror, signer.public_key())
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    listed = tool.run("list", "presets", env=env).text
    assert "Acme 1, made from Debian 13" in listed
    tree = native(suite="acme1", build="dpkg-vendor --query Vendor > vendor")
    done = tool.run("build", tree, "--resultdir", tmp_path / "out", env=env)
    built = Built(done.status, done.stderr.decode(), tmp_path / "out")
    assert built.status == 0, built.said + (built.log[-2000:] if (tmp_path / "out").is_dir() else "")
    assert "acme-amd64 (the changelog says acme1)" in built.said
    buildinfo = Deb822(next((tmp_path / "out").glob("*.buildinfo")).read_text())
    assert buildinfo["Build-Origin"] == "Acme"
    assert Deb822(next((tmp_path / "out").glob("*.changes")).read_text())["Distribution"] == "acme1"
    assert built.event("environment.ready")


def test_a_derivatives_archive_needs_its_own_key(tool: Tool, archive: tuple[Path, Signer], tmp_path: Path) -> None:
    mirror, _ = archive
    write_preset(tmp_path / "config", mirror, generate_key(tmp_path / "other", "O <o@example.org>").public_key())
    done = tool.run("init", "-r", "acme", env={"XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert done.status != 0
    assert "key does not match" in done.stderr.decode()
