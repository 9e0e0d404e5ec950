"""What a person reads when build dependencies cannot be met."""

from __future__ import annotations

from deb_mock.outcome import describe
from deb_mock.unmet import make_report
from debcore.job import Result, Status, Unmet, UnmetStep

APT = """The following packages have unmet dependencies:
 builddeps:/tmp/conf/control.dsc : Depends: postfix but it is not installable
E: Unable to correct problems, you have held broken packages."""
CONFLICT = Unmet(
    kind="conflict", package="postfix 3", clause="mail-transport-agent", other="exim4 4",
    chain=(UnmetStep(package="build-dependencies", depends="postfix"),),
)  # fmt: skip


def test_the_proof_comes_first_and_is_said_once() -> None:
    report = make_report(APT, (CONFLICT,), hint="h")
    lines = list(describe(Result(job="1", status=Status.DEPS, failure=report), log="build.log"))
    said = "postfix 3 conflicts with mail-transport-agent, which exim4 4 is or provides"
    assert lines[0] == f"dependencies cannot be met in stage resolve (dependency): {said}"
    assert sum(said in line for line in lines) == 1
    assert "  | build-dependencies : Depends: postfix but it is not installable" in lines
    assert lines[-1] == "  [h]"


def test_without_a_proof_apts_own_line_is_the_message() -> None:
    assert make_report(APT, (), hint="").message == "build-dependencies : Depends: postfix but it is not installable"
