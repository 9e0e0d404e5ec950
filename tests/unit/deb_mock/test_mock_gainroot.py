"""Reading Rules-Requires-Root from a build directory that a package has written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deb_mock.gainroot import read_requires_root

CONTROL = Path("tree/debian/control")


@pytest.fixture
def control(tmp_path: Path) -> Path:
    path = tmp_path / "build" / CONTROL
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("Source: a\nRules-Requires-Root: binary-targets \n", "binary-targets"),
        ("Source: a\nrules-requires-root:no\n\nPackage: a\n", "no"),
        ("Source: a\n\nPackage: a\nRules-Requires-Root: binary-targets\n", ""),
        ("Source: a\n", ""),
    ],
)
def test_only_the_source_paragraph_counts(tmp_path: Path, control: Path, text: str, field: str) -> None:
    control.write_text(text)
    assert read_requires_root(tmp_path / "build", CONTROL) == field


def test_a_link_never_leads_out(tmp_path: Path, control: Path) -> None:
    (tmp_path / "secret").write_text("Rules-Requires-Root: binary-targets\n")
    control.symlink_to(tmp_path / "secret")
    assert read_requires_root(tmp_path / "build", CONTROL) is None
    control.unlink()
    control.symlink_to("../../../secret")
    assert read_requires_root(tmp_path / "build", CONTROL) is None


def test_what_is_no_plain_file_is_left_to_the_sandbox(tmp_path: Path, control: Path) -> None:
    os.mkfifo(control)
    assert read_requires_root(tmp_path / "build", CONTROL) is None
