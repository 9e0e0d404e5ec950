"""Every verb loads, and says what it is."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from deb_orchestrator.cli import VERBS, group


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_explains_itself(verb: str) -> None:
    shown = CliRunner().invoke(group, [verb, "--help"])
    assert shown.exit_code == 0, shown.output
    assert "Usage:" in shown.output


def test_the_list_of_verbs_loads_none_of_them() -> None:
    shown = CliRunner().invoke(group, ["--help"])
    assert all(verb in shown.output for verb in VERBS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cross", "arm64"), "is not ARCH=BUILDER"),
        (("--cross", "arm64=amd64"), "add --arch arm64"),
        (("--vary", "umask"), "needs --verify-reproducible"),
    ],
)
def test_a_target_that_means_nothing_is_refused_before_the_hub_is_asked(words: tuple[str, ...], message: str) -> None:
    line = ["target", "make", "--hub", "http://localhost:1", "port", "debian-trixie", *words]
    shown = CliRunner().invoke(group, line)
    assert (shown.exit_code, message in shown.output) == (2, True), shown.output
