"""Packages that were built before come before the archive's, by their hash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debcore.job import Lock
from tests.integration.deb_mock.test_mock_named import make_deb

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

#: Fails unless what is installed is the package that the test built, and not the archive's.
USES = "grep -q data /usr/share/{name}/data"


def locked(directory: Path) -> dict[str, tuple[str, str]]:
    lock = Lock.model_validate_json((directory / "lock.json").read_bytes())
    return {package.name: (package.version, package.sha256) for package in lock.packages}


def test_a_built_package_is_a_build_dependency(native: Callable[..., Path], tool: Any, tmp_path: Path) -> None:
    first = tool.build(native(name="firstborn"), tmp_path / "first")
    assert first.status == 0, first.said
    tree = native(name="second", build=USES.format(name="firstborn"), fields=["Build-Depends: firstborn (>= 1.0)"])
    assert tool.build(tree, tmp_path / "without").status == 5
    second = tool.build(tree, tmp_path / "second", "--extra-package", str(tmp_path / "first"))
    assert second.status == 0, second.said + second.log[-2000:]
    assert locked(tmp_path / "second")["firstborn"] == ("1.0", first.debs()["firstborn_1.0_all.deb"])


def test_it_wins_over_the_archives_newer_one_of_the_same_name(
    native: Callable[..., Path], tool: Any, tmp_path: Path
) -> None:
    first = tool.build(native(name="cowsay"), tmp_path / "first")
    assert first.status == 0, first.said
    tree = native(name="second", build=USES.format(name="cowsay"), fields=["Build-Depends: cowsay"])
    changes = next((tmp_path / "first").glob("*.changes"))
    second = tool.build(tree, tmp_path / "second", "--extra-package", str(changes))
    assert second.status == 0, second.said + second.log[-2000:]
    assert locked(tmp_path / "second")["cowsay"] == ("1.0", first.debs()["cowsay_1.0_all.deb"])


def test_a_newer_one_replaces_what_the_base_has(native: Callable[..., Path], tool: Any, tmp_path: Path) -> None:
    tree = native(name="hostname")  # every root of trixie has 3.25
    for path in (tree / "debian" / "changelog", tree / "debian" / "control"):
        path.write_text(path.read_text().replace("(1.0)", "(99.0)"))
    first = tool.build(tree, tmp_path / "first")
    assert first.status == 0, first.said
    second = tool.build(
        native(name="second", build=USES.format(name="hostname")),
        tmp_path / "second",
        "--extra-package",
        first.directory,
    )
    assert second.status == 0, second.said + second.log[-2000:]
    assert locked(tmp_path / "second")["hostname"][0] == "99.0"


def test_an_older_one_that_another_needs_replaces_the_bases(
    native: Callable[..., Path], tool: Any, tmp_path: Path
) -> None:
    """What a binNMU left in the archive is newer than what its source gives when it is built again."""
    make_deb(tmp_path, "hostname")  # version 1; every root of trixie has 3.25
    make_deb(tmp_path, "needs-old", fields="Depends: hostname (= 1)\n")
    tree = native(build="dpkg -s needs-old hostname", fields=["Build-Depends: needs-old"])
    built = tool.build(tree, tmp_path / "out", "--extra-package", str(tmp_path))
    assert built.status == 0, built.said + built.log[-2000:]
    assert locked(tmp_path / "out")["hostname"][0] == "1"


def test_what_is_no_package_is_refused(native: Callable[..., Path], tool: Any, tmp_path: Path) -> None:
    fake = tmp_path / "fake_1_all.deb"
    fake.write_text("no archive")
    built = tool.build(native(), tmp_path / "out", "--extra-package", str(fake))
    assert built.status == 3, built.said
    assert "no Debian package" in built.said
    assert not (tmp_path / "out").exists()
