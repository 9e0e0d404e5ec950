"""sbuild's options as ours: none is silently ignored, and statuses mean what sbuild's mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from deb_mock.buildlog import BuildLog
from deb_mock.buildtype import NothingToBuild, add_relations, choose_parts
from deb_mock.cli.sbuild import command
from deb_mock.commands import Commands, expand
from deb_mock.dialect import check_word
from deb_mock.dsc import load_dsc
from deb_mock.outcome import report_of, sbuild_status
from deb_mock.sbuild.environment import pass_environment
from deb_mock.sbuild.front import EXIT_STATUSES, tell_about_configuration
from deb_mock.sbuild.options import OPTIONS
from deb_mock.sbuild.records import choose_names
from deb_mock.sbuild.translate import make_order, parse_repository
from deb_mock.source import DscSource
from debcore.errors import ConfigError, Failure
from debcore.job import CheckFinding, CheckReport, FailureReport, Output, Result, Status
from tests.unit.deb_mock.test_mock_sources import write_dsc


@pytest.fixture
def parse(tmp_path: Path) -> Callable[..., Any]:
    """parse(option…): the order that a command line amounts to, for hello_1.dsc."""
    source = DscSource(load_dsc(write_dsc(tmp_path)))

    def call(*words: str) -> Any:
        context = command.make_context("sbuild", list(words))
        given = {key: value for key, value in context.params.items() if key not in ("what", "as_json")}
        return make_order(source, given, tmp_path)

    return call


def test_every_option_has_one_meaning() -> None:
    names = [name for option in OPTIONS for name in option.names]
    assert len(names) == len(set(names))
    assert all(option.text and option.kind in ("works", "idle", "refused") for option in OPTIONS)


def test_what_debrebuild_says_is_understood(parse: Any, tmp_path: Path) -> None:
    (tmp_path / "chroot.tar").write_bytes(b"")
    order = parse(
        "--build=amd64", "--host=amd64", "--no-source", "--arch-any", "--no-arch-all",
        f"--chroot={tmp_path}/chroot.tar", "--chroot-mode=unshare", "--dist=unstable", "--no-run-lintian",
        "--no-run-piuparts", "--no-run-autopkgtest", "--no-apt-update", "--no-apt-upgrade", "--no-apt-distupgrade",
        "--verbose", "--nolog", "--bd-uninstallable-explainer=", "--build-path=/build/reproducible-path",
        "--dsc-dir=hello-1.0", "hello_1.dsc",
    )  # fmt: skip
    assert (order.choice.settings.build.type, order.distribution, order.choice.suite) == ("any", "unstable", "sid")
    assert order.tree == "/build/reproducible-path/hello-1.0"
    assert order.chroot == tmp_path / "chroot.tar"
    assert parse("--build=amd64", "--host=arm64", "hello_1.dsc").choice.is_cross
    assert not order.choice.is_cross


def test_options_become_settings(parse: Any) -> None:
    order = parse(
        "-d", "t", "-A", "-s", "--no-arch-any", "--profiles=nocheck,nodoc", "-j3", "--debbuildopts=-sa --lint",
        "--add-depends=a (>= 1), b", "--add-conflicts-indep=c", "--extra-repository=deb [trusted=yes] file:///r ./",
        "--build-path", "/b/", "--force-orig-source",
    )  # fmt: skip
    build = order.choice.settings.build
    assert (build.type, build.profiles, build.parallel, order.distribution) == (
        "source,all",
        ("nocheck", "nodoc"),
        3,
        "testing",
    )
    assert order.options == ("-sa", "--lint", "-sa")
    assert order.fields == {"Build-Depends": "a (>= 1), b", "Build-Conflicts-Indep": "c"}
    assert (order.surroundings.directory, order.extra[0].trusted) == ("/b", True)


def test_a_binnmu_and_its_resolver_are_sbuilds(parse: Any) -> None:
    words = ("--binNMU=2", "--make-binNMU=Rebuild", "-m", "Ann <ann@example.org>", "-d", "experimental")
    order = parse(*words, "--build-dep-resolver=aspcud", "--aspcud-criteria=-removed,-new")
    assert (order.built_version("1.0-1"), order.build_type) == ("1.0-1+b2", "any")
    archive = order.choice.settings.archive
    assert (archive.resolver, archive.aspcud_criteria) == ("aspcud", "-removed,-new")
    trailer = " -- A <a@b.c>  Thu, 01 Jan 2026 00:00:00 +0000"
    entry = f"hello (1.0-1+b3) sid; urgency=low, binary-only=yes\n\n  * x\n\n{trailer}"
    assert parse(f"--binNMU-changelog={entry}", "-d", "sid").built_version("1.0-1") == "1.0-1+b3"


def test_checks_run_when_asked_for_and_never_fail_the_build(parse: Any) -> None:
    assert parse("--lintian-opts=-I --pedantic").gate is None
    gate = parse("--run-piuparts", "--run-lintian", "--lintian-opts=-i --profile 'a b'", "--lintian-opt=-q").gate
    assert (gate.checks, gate.as_sbuild) == (("lintian", "piuparts"), True)
    assert gate.options == {"lintian": ("-i", "--profile", "a b", "-q"), "piuparts": ()}


@pytest.mark.parametrize(
    ("name", "outcome", "findings", "word"),
    [
        ("lintian", "passed", (), "pass"),
        ("lintian", "passed", ("info",), "info"),
        ("lintian", "passed", ("info", "warning"), "warn"),
        ("lintian", "failed", ("error",), "fail"),
        ("lintian", "not-run", ("not-run",), "error"),
        ("piuparts", "passed", ("warning",), "pass"),
        ("piuparts", "not-run", ("not-run",), "fail"),
        ("autopkgtest", "not-run", ("no-tests",), "no tests"),
        ("autopkgtest", "not-run", ("not-run",), "fail"),
        ("blhc", "failed", ("error",), ""),
    ],
)
def test_the_summary_has_sbuilds_words_for_checks(name: str, outcome: Any, findings: Any, word: str) -> None:
    judged = tuple(CheckFinding(level="info", tag=tag, action="ignore") for tag in findings)
    counts = dict.fromkeys(findings, 1)
    assert check_word(CheckReport(name=name, outcome=outcome, findings=judged, counts=counts)) == word


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--binNMU=2"], "needs a reason"),
        (["--binNMU=x", "--make-binNMU=y"], "is no number"),
        (["--chroot-mode=schroot"], "schroot is not supported"),
        (["--no-arch-any", "--no-arch-all"], "nothing is left"),
        (["--jobs=many"], "no number"),
        (["--dsc-dir=../x"], "no plain name"),
        (["--build-path=../x"], "no plain absolute"),
        (["--chroot=./missing.tar"], "no file"),
        (["--debbuildopt=--build=source"], "decided elsewhere"),
        (["--extra-repository=nonsense"], "no line of sources.list"),
        (["--dist=nowhere"], "no preset"),
        (["--run-lintian", "--lintian-opts='"], "No closing quotation"),
        (["--run-autopkgtest", "--autopkgtest-opts=-- null"], "decided elsewhere"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(parse: Any, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse(*words)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.kind == "refused"], ids=lambda o: o.key)
def test_a_refused_option_says_what_to_use(option: Any, capsys: pytest.CaptureFixture[str]) -> None:
    words = [option.names[-1], *(["x"] if option.value else [])]
    with pytest.raises(click.exceptions.Exit) as caught:
        command.make_context("sbuild", words)
    said = capsys.readouterr().err
    assert caught.value.exit_code == 1
    assert option.names[-1] in said
    assert option.text in said


def test_an_unknown_option_is_an_error_and_not_a_failed_package() -> None:
    with pytest.raises(click.exceptions.Exit) as caught:
        command.make_context("sbuild", ["--no-such-option"])
    assert caught.value.exit_code == 1
    assert command.callback is not None
    given = command.make_context("sbuild", ["--source", "--no-source"]).params
    assert command.callback(**given) == 1


def test_statuses_are_sbuilds() -> None:
    words = {status: sbuild_status(Result(job="1", status=status)) for status in Status}
    assert {status: EXIT_STATUSES[word] for status, word in words.items()} == {
        Status.BUILT: 0, Status.FAILED: 2, Status.LIMIT: 2, Status.DEPS: 3, Status.HOST: 3, Status.INVALID: 1,
        Status.CANCELLED: 1,
    }  # fmt: skip
    with pytest.raises(NothingToBuild) as caught:
        choose_parts("binary", architectures=["arm64"], arch="amd64", name="hello")
    report = report_of(caught.value, stage="source")
    assert sbuild_status(Result(job="1", status=Status.INVALID, failure=report)) == "skipped"
    other = FailureReport(stage="source", kind="input", message="x")
    assert sbuild_status(Result(job="1", status=Status.INVALID, failure=other)) == "failed"


def test_escapes_are_replaced_and_cannot_smuggle_a_command() -> None:
    escapes = {"p": "/build/hello-1", "SBUILD_PKGBUILD_DIR": "/build/hello-1", "%": "%", "d": "/tmp/a b;rm"}
    assert expand("ls %p %SBUILD_PKGBUILD_DIR 100%%", escapes) == "ls /build/hello-1 /build/hello-1 100%"
    with pytest.raises(Failure, match="not take that as one word"):
        expand("cat %d", escapes)
    for command_ in ("%SBUILD_SHELL", "%s", "ls %r"):
        with pytest.raises(Failure, match="not supported"):
            expand(command_, escapes)


def test_options_for_packing_are_options(parse: Any) -> None:
    order = parse("--dpkg-source-opts=-Zgzip -z9", "--dpkg-source-opt=--extend-diff-ignore=a b", "hello_1.dsc")
    assert order.source_options == ("-Zgzip", "-z9", "--extend-diff-ignore=a b")
    for word in ("--build", "directory", "--extract"):
        with pytest.raises(ConfigError, match="no option of packing"):
            parse(f"--dpkg-source-opt={word}", "hello_1.dsc")


def test_a_shell_is_opened_when_something_fails(parse: Any) -> None:
    order = parse("--anything-failed-commands=%SBUILD_SHELL", "--build-failed-commands=ls", "hello_1.dsc")
    assert (order.debug, order.commands.by_stage["build-failed"]) == (True, ("ls",))
    order = parse("--anything-failed-commands=ls %p", "hello_1.dsc")
    assert (order.debug, order.commands.by_stage["build-failed"]) == (False, ("ls %p",))


def test_a_command_on_this_host_is_logged_and_its_failure_counts(tmp_path: Path) -> None:
    log = BuildLog(tmp_path / "log")
    commands = Commands({"pre-build": (f"echo %d > {tmp_path}/out; echo said", "false", "echo never")}, {"d": "/x.dsc"})
    with pytest.raises(Failure, match="pre-build-commands"):
        commands.run("pre-build", log)
    commands.run("post-build", log)
    log.close()
    text = (tmp_path / "log").read_text()
    assert (tmp_path / "out").read_text() == "/x.dsc\n"
    assert "| Pre Build Commands" in text
    assert "\nsaid\n" in text
    assert "E: Command 'false' failed to run." in text
    assert "never" not in text


def test_the_build_sees_what_a_buildinfo_records() -> None:
    seen = pass_environment(
        {"DEB_BUILD_OPTIONS": "nocheck", "CFLAGS": "-O0", "LANG": "C", "LC_ALL": "de_DE", "LC_TIME": "C",
         "SSH_AUTH_SOCK": "/x", "HOME": "/root", "SOURCE_DATE_EPOCH": "1", "AWS_SECRET": "x"}
    )  # fmt: skip
    assert list(seen) == ["CFLAGS", "DEB_BUILD_OPTIONS", "LANG", "LC_TIME", "SOURCE_DATE_EPOCH"]


def test_a_repository_line_is_one_apt_source() -> None:
    source = parse_repository("deb-src [check-valid-until=no] https://example.org/debian sid main contrib", "KEY")
    assert (source.types, source.suites, source.components) == (("deb-src",), ("sid",), ("main", "contrib"))
    assert (source.signed_by, source.trusted, source.check_valid_until) == ("KEY", False, False)
    with pytest.raises(ConfigError, match="arch"):
        parse_repository("deb [arch=i386] https://example.org/debian sid main", None)


def test_relations_are_appended() -> None:
    fields = add_relations({"Build-Depends": "a,\n b,\n"}, {"Build-Depends": "c", "Build-Conflicts": "d"})
    assert fields == {"Build-Depends": "a,\n b, c", "Build-Conflicts": "d"}


def test_perl_configuration_is_named_and_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".sbuildrc").write_text(f"system('touch {tmp_path}/ran');\n1;\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SBUILD_CONFIG", raising=False)
    tell_about_configuration()
    assert "~/.sbuildrc is Perl code and is not executed" in caplog.text
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("status", "log", "expected"),
    [
        (
            Status.BUILT,
            "hello_1_amd64-NOW.build",
            {
                "hello_1_all.deb": "hello_1_all.deb",
                "other-name_1_all.deb": "other-name_1_all.deb",
                "hello_1_amd64.provenance.json": "hello_1_amd64.provenance.json",
                "buildroot.json": "hello_1_amd64.buildroot.json",
                "lock.json": "hello_1_amd64.lock.json",
                "build.log": "hello_1_amd64-NOW.build",
            },
        ),
        (Status.FAILED, None, {"lock.json": "hello_1_amd64.lock.json"}),
    ],
)
def test_records_are_named_after_the_build(status: Status, log: str | None, expected: dict[str, str]) -> None:
    kinds = {
        "hello_1_all.deb": "deb", "other-name_1_all.deb": "deb", "hello_1_amd64.provenance.json": "file",
        "buildroot.json": "file", "lock.json": "lock", "build.log": "log", "hw_info.log": "log",
    }  # fmt: skip
    outputs = tuple(Output(path=p, kind=k, size=1, sha256="0" * 64) for p, k in kinds.items())
    result = Result(job="x", attempt=1, status=status, source="hello", version="1", outputs=outputs)
    assert choose_names(result, stem="hello_1_amd64", log=log) == expected
