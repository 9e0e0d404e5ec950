"""Dependencies that cannot be met are proved: the clause, the package that has it, the chain that leads there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from debcore.command import run

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]


@pytest.fixture
def deb(tmp_path: Path) -> Callable[..., Path]:
    """An empty .deb with relations."""

    def make(name: str, *relations: str) -> Path:
        tree = tmp_path / "trees" / name
        (tree / "DEBIAN").mkdir(parents=True)
        fields = [f"Package: {name}", "Version: 1", "Architecture: all", "Maintainer: A <a@example.org>", *relations]
        (tree / "DEBIAN" / "control").write_text("\n".join([*fields, "Description: x", ""]))
        (tmp_path / "debs").mkdir(exist_ok=True)
        run(["dpkg-deb", "--root-owner-group", "--build", tree, tmp_path / "debs"])
        return tmp_path / "debs"

    return make


def test_a_chain_to_what_is_missing(native: Any, tool: Any, deb: Callable[..., Path], tmp_path: Path) -> None:
    deb("chain-a", "Depends: chain-b")
    debs = deb("chain-b", "Depends: nobody-has (>= 2)")
    tree = native(fields=["Build-Depends: chain-a, nobody-else"])
    built = tool.build(tree, tmp_path / "out", "--extra-package", str(debs))
    assert built.status == 5, built.said
    first, second = sorted(built.result.failure.unmet, key=lambda unmet: str(unmet.clause))
    assert (first.kind, first.package, first.clause) == ("missing", "build-dependencies", "nobody-else")
    assert (second.kind, second.package, second.clause) == ("missing", "chain-b 1", "nobody-has (>= 2)")
    assert [step.package for step in second.chain] == ["build-dependencies", "chain-a 1"]
    assert "chain-b 1 needs nobody-has (>= 2), which no package is or provides" in built.said
    assert "build-dependencies needs chain-a → chain-a 1 needs chain-b" in built.said
    assert "output-version: 1.2" in built.log  # dose3's own report, as log readers look for it
    assert "\nFail-Stage: install-deps\n" in built.log


def test_two_that_exclude_each_other(native: Any, tool: Any, deb: Callable[..., Path], tmp_path: Path) -> None:
    deb("either", "Conflicts: thing")
    debs = deb("other", "Provides: thing")
    built = tool.build(native(fields=["Build-Depends: either, other"]), tmp_path / "out", "--extra-package", str(debs))
    assert built.status == 5, built.said
    (unmet,) = built.result.failure.unmet
    assert (unmet.kind, unmet.package, unmet.clause, unmet.other) == ("conflict", "either 1", "thing", "other 1")
    assert "either 1 conflicts with thing, which other 1 is or provides" in built.said
