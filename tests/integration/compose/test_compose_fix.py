"""A package leaves what no rule covers: `lint --fix` says which rules fit, writes them, and the compose goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status, list_composes
from tests.integration.compose.world import MANIFEST, Composer

pytestmark = [pytest.mark.root, pytest.mark.slow]

STALE = """\
packages: [aspell-en]
var:
  rules:
    # the packages of the base leave nothing here
    - {path: /var/lib/nobody-has-it, action: discard}
"""


@pytest.mark.timeout(3600)
def test_the_rules_that_lint_proposes_are_enough(composer: Composer, tmp_path: Path) -> None:
    composer.write(MANIFEST + STALE)
    words = ("--target", tmp_path, "--until", "tree")
    refusal = composer.refuse("build", composer.manifest, *words)
    assert "that no rule covers" in refusal.output
    assert "/var/lib/aspell" in refusal.output
    assert "lint --fix COMPOSE" in refusal.output
    (path,) = tmp_path.glob("Test-13-*")

    before = (composer.manifest / "compose.yaml").read_text()
    shown = composer.call("lint", path, "--fix").text
    assert "-    - {path: /var/lib/nobody-has-it, action: discard}\n" in shown
    assert "+    - {path: /var/lib/aspell" in shown
    assert (composer.manifest / "compose.yaml").read_text() == before, "only shown"

    composer.call("lint", path, "--fix", "--write")
    after = (composer.manifest / "compose.yaml").read_text()
    assert "nobody-has-it" not in after
    assert "# the packages of the base leave nothing here" in after
    composer.call("build", composer.manifest, *words)
    last: ComposeDirectory = list_composes(tmp_path)[-1]
    assert last.path != path
    assert last.status() is Status.FINISHED_INCOMPLETE
