"""Builds that must fail: the right class and exit status, the first real error, a hint, and nothing left behind."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from debcore.command import run
from debcore.job import Status

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


def test_a_compile_error_is_found(native: Any, tool: Any, tmp_path: Path) -> None:
    tree = native(build="printf 'int main(void)\\n{\\n return x;\\n}\\n' > m.c; echo ok; cc -c m.c")
    built = tool.build(tree, tmp_path / "out")
    assert (built.status, built.result.status) == (4, Status.FAILED)
    failure = built.result.failure
    assert (failure.stage, failure.kind) == ("build", "compile")
    assert "m.c:3:9: error: ‘x’ undeclared" in failure.message
    data = (tmp_path / "out" / "build.log").read_bytes()
    assert data[failure.log_offset :].decode().startswith("m.c:3:9: error")
    assert "m.c:3:9: error" in built.said
    assert len(built.said.splitlines()) < 40
    assert not list((tmp_path / "out").glob("*.deb"))
    assert "\nStatus: attempted\n" in built.log
    assert "\nFail-Stage: build\n" in built.log


def test_unsatisfiable_dependencies(native: Any, tool: Any, tmp_path: Path) -> None:
    tree = native(fields=["Build-Depends: no-such-package-anywhere, hostname (>= 99:1)"])
    built = tool.build(tree, tmp_path / "out")
    assert (built.status, built.result.status) == (5, Status.DEPS)
    failure = built.result.failure
    assert (failure.stage, failure.kind) == ("resolve", "dependency")
    assert "no-such-package-anywhere" in built.said
    assert "environment.ready" not in [event.type for event in built.events]
    assert "\nStatus: given-back\n" in built.log


@pytest.mark.parametrize("to", ["example.org 80", "192.0.2.1 80"])
def test_a_build_has_no_network(native: Any, tool: Any, tmp_path: Path, to: str) -> None:
    host, port = to.split()
    code = (
        f"use IO::Socket::INET; IO::Socket::INET->new(PeerAddr=>q({host}),PeerPort=>{port},Timeout=>5) or die qq($$@)"
    )
    loop = "use IO::Socket::INET; IO::Socket::INET->new(Listen=>1,LocalAddr=>q(127.0.0.1)) or die; print qq(loop)"
    built = tool.build(native(build=f"perl -e '{loop}' && perl -e '{code}'"), tmp_path / "out")
    assert built.status == 4, built.said
    assert "loop" in built.log
    assert built.result.failure.kind == "network", built.said
    assert "Policy 4.9" in built.said


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An apt repository with one package whose postinst tries the network."""
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN" / "control").write_text(
        "Package: phones-home\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n"
    )
    postinst = package / "DEBIAN" / "postinst"
    postinst.write_text("#!/usr/bin/perl\nuse IO::Socket::INET;\nIO::Socket::INET->new('192.0.2.1:80') or die $!;\n")
    postinst.chmod(0o755)
    root = tmp_path / "repository"
    binary = root / "dists" / "local" / "main" / "binary-amd64"
    binary.mkdir(parents=True)
    (root / "pool").mkdir()
    deb = root / "pool" / "phones-home_1_all.deb"
    run(["dpkg-deb", "--root-owner-group", "--build", package, deb])
    content = deb.read_bytes()
    control = (package / "DEBIAN" / "control").read_text()
    entry = f"{control}Filename: pool/{deb.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    (binary / "Packages").write_text(entry)
    digest = hashlib.sha256(entry.encode()).hexdigest()
    (root / "dists" / "local" / "Release").write_text(
        "Suite: local\nCodename: local\nArchitectures: amd64 all\nComponents: main\n"
        f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {digest} {len(entry)} main/binary-amd64/Packages\n"
    )
    return root


def test_a_maintainer_script_has_no_network(native: Any, tool: Any, tmp_path: Path, repository: Path) -> None:
    configuration = tmp_path / "config" / "deb-mock"
    configuration.mkdir(parents=True)
    (configuration / "config.toml").write_text(
        f'[[archive.extra]]\nuris = ["file:{repository}"]\nsuites = ["local"]\ntrusted = true\n'
    )
    tmp_path.chmod(0o755)
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    built = tool.build(native(fields=["Build-Depends: phones-home"]), tmp_path / "out", env=env)
    assert built.status == 5, built.said + built.log
    assert built.result.failure.stage == "install"
    assert "Network is unreachable" in built.log
    assert "phones-home" in built.said


def test_silence_and_time_are_limited(native: Any, tool: Any, tmp_path: Path) -> None:
    tree = native(build="echo begin; sleep 600")
    silent = tool.build(tree, tmp_path / "silent", "--set", "limits.silence=3s")
    assert (silent.status, silent.result.failure.kind) == (7, "silence")
    late = tool.build(tree, tmp_path / "late", "--set", "limits.time=8s")
    assert (late.status, late.result.failure.kind) == (7, "time")


@pytest.mark.parametrize(
    ("kind", "limit", "command"),
    [
        ("disk", "limits.disk=50M", "head -c 300M /dev/zero > big; sleep 60"),
        ("memory", "limits.memory=100M", "perl -e '$$x = q(a) x 400000000; sleep 60'"),
    ],
)
def test_a_limit_is_not_the_packages_fault(
    native: Any, tool: Any, tmp_path: Path, kind: str, limit: str, command: str
) -> None:
    built = tool.build(native(build=command), tmp_path / "out", "--set", limit)
    assert (built.status, built.result.status, built.result.failure.kind) == (7, Status.LIMIT, kind), built.said


def make_dsc(directory: Path, tool: Any, tree: Path) -> Path:
    done = tool.run("source", tree, "--resultdir", directory)
    assert done.status == 0, done.stderr.decode()
    return next(directory.glob("*.dsc"))


def test_bad_source_packages_are_refused(native: Any, tool: Any, tmp_path: Path) -> None:
    dsc = make_dsc(tmp_path / "good", tool, native())
    text = dsc.read_text()
    tar = dsc.with_name("tiny_1.0.tar.xz")

    def refused(name: str, change: str, *words: str) -> Any:
        directory = tmp_path / name
        directory.mkdir()
        shutil.copy(tar, directory)
        (directory / dsc.name).write_text(change)
        built = tool.build(directory / dsc.name, tmp_path / f"{name}-out", *words)
        assert built.status == 3, built.said
        assert "[" in built.said  # the next step
        assert not list((tmp_path / f"{name}-out").glob("*.deb"))
        return built

    digest = hashlib.sha256(tar.read_bytes()).hexdigest()
    assert "SHA-256" in refused("checksum", text.replace(digest, "0" * 64)).said
    assert "plain file name" in refused("dots", text.replace("tiny_1.0.tar.xz", "../tiny_1.0.tar.xz")).said
    assert "is not signed" in refused("unsigned", text, "--require-signature").said


def test_a_signature_is_verified_where_it_is_demanded(native: Any, tool: Any, tmp_path: Path) -> None:
    dsc = make_dsc(tmp_path / "good", tool, native())
    mine, other = tmp_path / "mine.asc", tmp_path / "other.asc"
    for path in (mine, other):
        path.write_bytes(run(["sqop", "generate-key", "A Tester <tester@example.org>"]).stdout)
    certificates = {path: run(["sqop", "extract-cert"], stdin=path.read_bytes()).stdout for path in (mine, other)}
    signed = run(["sqop", "inline-sign", "--as=clearsigned", mine], stdin=dsc.read_bytes()).stdout
    dsc.write_bytes(signed)
    for path, certificate in certificates.items():
        path.with_suffix(".gpg").write_bytes(run(["sqop", "dearmor"], stdin=certificate).stdout)
    words = ("--require-signature", "--keyring")
    good = tool.build(dsc, tmp_path / "out", *words, str(mine.with_suffix(".gpg")))
    assert good.status == 0, good.said
    bad = tool.build(dsc, tmp_path / "out2", *words, str(other.with_suffix(".gpg")))
    assert bad.status == 3
    assert "signature" in bad.said
    dsc.write_bytes(signed.replace(b"Standards-Version: 4.7.0", b"Standards-Version: 4.7.1"))
    tampered = tool.build(dsc, tmp_path / "out3", *words, str(mine.with_suffix(".gpg")))
    assert tampered.status == 3
