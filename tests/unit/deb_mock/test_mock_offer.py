"""Which files of this host --extra-package means."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_mock.offer import find_debs
from debcore.errors import ConfigError, Failure


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in ("a_1_all.deb", "a-dbgsym_1_amd64.deb", "b_1_amd64.deb", "b_1_amd64.buildinfo"):
        (tmp_path / name).touch()
    (tmp_path / "b_1_amd64.changes").write_text(f"Checksums-Sha256:\n {'0' * 64} 0 b_1_amd64.deb\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["."], ["a_1_all.deb", "b_1_amd64.deb"]),
        (["b_1_amd64.changes"], ["b_1_amd64.deb"]),
        (["b_1_amd64.deb", "."], ["b_1_amd64.deb", "a_1_all.deb"]),
    ],
)
def test_packages_are_found_once_each(results: Path, words: list[str], names: list[str]) -> None:
    assert [path.name for path in find_debs([results / word for word in words])] == names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b_1_amd64.buildinfo", ""),
        ("gone.deb", None),
        ("x.changes", f"Checksums-Sha256:\n {'0' * 64} 0 gone_1_all.deb\n"),
        ("y.changes", f"Checksums-Sha256:\n {'0' * 64} 0 ../a_1_all.deb\n"),
    ],
)
def test_other_paths_are_refused(results: Path, name: str, text: str | None) -> None:
    if text is not None:
        (results / name).write_text(text)
    with pytest.raises((ConfigError, Failure)):
        find_debs([results / name])
