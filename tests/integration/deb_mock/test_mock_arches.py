"""Real packages for other architectures: cross-built, and in QEMU."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from debian.deb822 import Deb822
from debian.debfile import DebFile

from debcore.command import run
from debcore.job import Input, Job, JobDirectory, Target, Verify, load_lock
from debcore.openpgp import generate_key
from debroot.store import Store
from tests.integration.debroot.archive import serving

from .archive import Archive, make_package
from .conftest import Built, Tool

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800)]

#: The mirror at hand may lag behind in the pockets of architectures that few use.
PLAIN = ("--set", "archive.security=false", "--set", "archive.updates=false")


def check_built(built: Built, name: str, arch: str) -> Path:
    """The build's result is whole, and for *arch*."""
    assert built.status == 0, built.said + built.log[-2000:]
    assert built.result.arch == arch
    changes = Deb822((built.directory / f"{name}_{arch}.changes").read_text())
    buildinfo = Deb822((built.directory / f"{name}_{arch}.buildinfo").read_text())
    assert changes["Architecture"] == buildinfo["Architecture"] == arch
    return built.directory / f"{name}_{arch}.deb"


def read_machine(path: Path, program: str) -> str:
    """e_machine of a program in a .deb, as hexadecimal."""
    with closing(DebFile(path)) as deb:
        content = deb.data.get_content(program)
        assert isinstance(content, bytes)
        return content[18:20].hex()


#: e_machine of ELF, little-endian: EM_AARCH64.
AARCH64 = "b700"


@pytest.mark.slow  # two cross builds
def test_a_job_asks_for_a_cross_build_and_its_verification(
    tool: Tool, sources: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = JobDirectory(tmp_path / "job")
    shutil.copytree(sources("hostname").parent, directory.path)
    outputs = [directory.output(path.name) for path in sorted(directory.path.iterdir())]
    directory.write_job(
        Job(
            job="7", source=sources("hostname").name, verify=Verify(vary=("-all", "+umask")),
            inputs=tuple(Input(path=o.path, sha256=o.sha256, size=o.size) for o in outputs),
            target=Target(preset="debian-trixie", arch="arm64", build_arch="amd64", build="any"),
        )
    )  # fmt: skip
    done = tool.run("build", "--job", directory.path)
    assert done.status == 0, done.stderr.decode()
    built = Built(done.status, done.stderr.decode(), directory.path)
    assert read_machine(check_built(built, "hostname_3.25", "arm64"), "usr/bin/hostname") == AARCH64
    assert built.result.reproducible is True
    report = json.loads((directory.path / "reproducible.json").read_text())
    assert list(report["varied"]) == ["umask"]
    assert "reproducible.json" in {output.path for output in built.result.outputs}


@pytest.mark.slow  # three builds, and cross compilers are installed twice
def test_a_cross_build_is_rebuilt_bit_for_bit(tool: Tool, sources: Callable[[str], Path], tmp_path: Path) -> None:
    """With the compilers of the lock beside the .buildinfo, which does not name them; and with the archive's."""
    dsc = sources("hostname")
    built = tool.build(dsc, tmp_path / "first", "--host", "arm64")
    check_built(built, "hostname_3.25", "arm64")
    words = ("--source", dsc, "--set", "archive.max_age=1h")
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(built.directory / "hostname_3.25_arm64.buildinfo", alone)
    for name, directory, place in (
        ("beside", built.directory, "the lock beside it"),
        ("alone", alone, "the archive as it is today, chosen by apt"),
    ):
        buildinfo, out = directory / "hostname_3.25_arm64.buildinfo", tmp_path / f"again-{name}"
        done = tool.run("rebuild", buildinfo, "--resultdir", out, *words)
        assert done.status == 0, done.stderr.decode()
        report = json.loads((out / "rebuild.json").read_text())
        assert set(report["artifacts"].values()) == {"equal"}
        assert set(report["artifacts"]) == set(built.debs())
        assert report["root"][place] > 0
        assert f"a .buildinfo does not name the cross compilers; they are from {place}" in report["notes"]
    offline = tool.run(
        "rebuild", alone / "hostname_3.25_arm64.buildinfo", "--offline", "--resultdir", tmp_path / "off", *words
    )
    assert offline.status == 3
    assert "does not name the cross compilers" in offline.stderr.decode()


@pytest.mark.slow
def test_hostname_is_cross_built_for_arm64(tool: Tool, sources: Callable[[str], Path], tmp_path: Path) -> None:
    built = tool.build(sources("hostname"), tmp_path / "out", "--host", "arm64")
    path = check_built(built, "hostname_3.25", "arm64")
    assert read_machine(path, "usr/bin/hostname") == AARCH64
    buildinfo = Deb822((tmp_path / "out" / "hostname_3.25_arm64.buildinfo").read_text())
    assert buildinfo["Build-Architecture"] == "amd64"
    installed = {(package.name, package.arch) for package in load_lock(tmp_path / "out" / "lock.json").packages}
    assert {("crossbuild-essential-arm64", "all"), ("libc6-dev", "arm64"), ("gcc", "amd64")} <= installed
    assert 'DEB_BUILD_PROFILES="cross nocheck"' in buildinfo["Environment"]
    assert "Foreign Architectures: arm64" in built.log
    assert "Can't exec" not in built.log


@pytest.mark.slow
def test_hostname_is_built_for_arm64_in_qemu(tool: Tool, sources: Callable[[str], Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("build", "-d", "trixie", "--arch", "arm64", sources("hostname"), "--resultdir", out)
    done = tool.run(*words, "--set", "archive.max_age=1h")
    path = check_built(Built(done.status, done.stderr.decode(), out), "hostname_3.25", "arm64")
    assert read_machine(path, "usr/bin/hostname") == AARCH64
    assert Deb822((out / "hostname_3.25_arm64.buildinfo").read_text())["Build-Architecture"] == "arm64"


@pytest.mark.slow
def test_a_32_bit_root_is_native(tool: Tool) -> None:
    done = tool.run(
        "run", "-d", "trixie", "--arch", "i386", *PLAIN, "--", "sh", "-c", "uname -m; dpkg --print-architecture"
    )
    assert (done.status, done.text.split()) == (0, ["i686", "i386"]), done.stderr
    assert run(["uname", "-m"]).text.strip() == "x86_64"


def test_a_binnmu_carries_its_entry(tool: Tool, sources: Callable[[str], Path], tmp_path: Path) -> None:
    reason, who = "Rebuild against libfoo2", "Ann Example <ann@example.org>"
    words = ("--binNMU", "2", "--make-binNMU", reason, "-m", who, "-d", "trixie", "--build-path", "/build/here")
    built = tool.build(sources("hostname"), tmp_path / "out", *words)
    path = check_built(built, "hostname_3.25+b2", "amd64")
    changes = Deb822((tmp_path / "out" / "hostname_3.25+b2_amd64.changes").read_text())
    assert (changes["Source"], changes["Version"]) == ("hostname (3.25)", "3.25+b2")
    assert (changes["Binary-Only"], changes["Distribution"]) == ("yes", "trixie")
    assert reason in changes["Changes"]
    with closing(DebFile(path)) as deb:
        control = deb.debcontrol()
        assert (control["Version"], control["Source"]) == ("3.25+b2", "hostname (3.25)")
    buildinfo = Deb822((tmp_path / "out" / "hostname_3.25+b2_amd64.buildinfo").read_text())
    assert buildinfo["Build-Path"] == "/build/here/hostname-3.25"
    entry = buildinfo["Binary-Only-Changes"]
    assert "hostname (3.25+b2) trixie; urgency=low, binary-only=yes" in entry
    assert f"-- {who}  " in entry
    assert built.result.version == "3.25+b2"
    assert "Source-Version: 3.25\n" in built.log


@pytest.mark.parametrize("arch", ["ppc64el", "s390x"])
def test_a_mirror_that_lacks_packages_of_an_architecture_is_told_what_they_are(
    tool: Tool, store_dir: Path, tmp_path: Path, arch: str
) -> None:
    """As mirrors do that carry few architectures in full: the index names what the pool does not have."""
    store, root = Store.open(store_dir), store_dir.parent / "partial-archive"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    archive = Archive(root, store, generate_key(tmp_path / "key", "Archive <a@example.org>"))
    packages = [
        make_package(store, tmp_path, name, "1.0", arch=arch, fields=fields)
        for name, fields in (
            ("base-files", ["Essential: yes"]),
            ("apt", []),
            ("build-essential", []),
            ("fakeroot", []),
        )
    ]
    archive.add_suite("trixie", packages, arch=arch)
    for package in packages:
        store.pool_path(package.sha256).unlink()
    with serving(root / "debian") as server:
        for name in ("apt", "fakeroot"):
            server.faults[next((root / "debian/pool").glob(f"{name}_*")).name] = "refuse"
        mirror = f"archive.mirror=http://127.0.0.1:{server.port}"
        done = tool.run("init", "-r", f"debian-trixie-{arch}", *archive.settings(), "--set", mirror)
    said = done.stderr.decode()
    assert done.status == 6, said
    assert f"does not serve 2 of 4 packages that its index names: apt 1.0 ({arch}), fakeroot 1.0 ({arch})" in said
    assert f"a mirror that carries {arch} in full: DEBOOTC_MIRROR=URI" in said
    assert [store.has([package]) for package in packages] == [True, False, True, False], "what came is kept"
    for package in packages:
        store.pool_path(package.sha256).unlink(missing_ok=True)
    shutil.rmtree(root)
