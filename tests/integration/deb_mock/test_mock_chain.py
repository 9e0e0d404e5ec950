"""Chains of tiny packages and of real ones: order, what follows sees what was built, stops and goings on."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from deb_mock.api import Cancel, ChainPlan, Event, Status, Store, ask_chain, load_chain, run_chain
from debcore.command import run
from debcore.job import read_events
from tests.integration.deb_mock.conftest import unique_sleep
from tests.integration.deb_mock.test_mock_git_sources import commit_all, start_repository
from tests.integration.deb_mock.test_mock_stop import check_nothing_left, mentioned, running, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

FRESH = ("--set", "archive.max_age=1h", "-r", "debian-trixie-amd64")
#: A word that only the tests of this file carry.
SLEEP = unique_sleep()


@pytest.fixture
def chain(tool: Any, tmp_path: Path) -> Callable[..., Any]:
    """`deb-mock chain` in this test's directory, to the end: (status, what --json printed, what was said)."""

    def go(*words: str | Path, verb: str = "chain") -> tuple[int, dict[str, Any], str]:
        options = ("--resultdir", tmp_path / "chain", *FRESH) if verb == "chain" else (tmp_path / "chain",)
        done = tool.run(verb, "--json", *options, *words)
        return done.status, json.loads(done.text) if done.text else {}, done.stderr.decode()

    return go


def states(report: dict[str, Any]) -> dict[str, str]:
    return {member["source"]: member["state"] for member in report["members"]}


def reused(report: dict[str, Any]) -> set[str]:
    return {member["source"] for member in report["members"] if member["reused"]}


def uses(*names: str) -> dict[str, Any]:
    """A package whose build fails unless *names* are installed."""
    tests = " && ".join(f"grep -q data /usr/share/{name}/data" for name in names)
    return {"build": tests, "fields": [f"Build-Depends: {', '.join(names)}"]}


def test_each_source_is_built_on_what_those_before_it_gave(native: Any, chain: Any, tmp_path: Path, tool: Any) -> None:
    top = native(name="top", **uses("left", "right"))
    left, right = native(name="left", **uses("bottom")), native(name="right", **uses("bottom"))
    bottom = native(name="bottom")
    status, report, said = chain(top, left, right, bottom)
    assert status == 0, said
    assert report["levels"] == [["bottom"], ["left", "right"], ["top"]]
    assert set(states(report).values()) == {"built"}
    assert "left needs bottom — Build-Depends: bottom" in said
    assert "top: Building top 1.0" in said  # lines of builds that run at once carry their source's name
    check_nothing_left(tool.store)
    index = (tmp_path / "chain" / "Packages").read_text()
    assert index.count("\nFilename: ./") == 4

    status, report, said = chain(top, left, right, bottom)
    assert status == 0
    assert reused(report) == {"top", "left", "right", "bottom"}

    (left / "news").write_text("a change")
    status, report, said = chain(verb="resume")
    assert status == 0, said
    assert reused(report) == {"right", "bottom"}


def test_sources_that_need_each_other_are_refused_before_anything_is_built(
    native: Any, chain: Any, tmp_path: Path
) -> None:
    status, _, said = chain(native(name="egg", **uses("hen")), native(name="hen", **uses("egg")))
    assert status == 3
    assert "egg → hen → egg" in said
    assert "closes it" in said
    assert not list((tmp_path / "chain").glob("*_1.0"))


FAILS = {"build": "echo 'tiny.c:1:1: error: made by a test'; false"}


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ((), {"bad": "failed", "needy": "skipped", "after": "waiting"}),
        (("--continue",), {"bad": "failed", "needy": "skipped", "after": "built"}),
    ],
)
def test_a_failure_stops_what_needs_it(
    native: Any, chain: Any, option: Sequence[str], expected: dict[str, str]
) -> None:
    trees = [native(name="bad", **FAILS), native(name="needy", **uses("bad")), native(name="after")]
    status, report, said = chain(*trees, "--jobs", "1", *option)
    assert status == 4, said
    assert states(report) == expected
    assert "made by a test" in said
    assert "deb-mock resume" in said
    assert "skipped  needy (needs bad)" in said


def test_what_failed_is_built_when_it_is_mended(native: Any, chain: Any) -> None:
    trees = [native(name="good"), native(name="bad", **FAILS), native(name="needy", **uses("good", "bad"))]
    assert chain(*trees, "--continue")[0] == 4
    rules = trees[1] / "debian" / "rules"
    rules.write_text(rules.read_text().replace("; false", ""))
    status, report, said = chain(verb="resume")
    assert status == 0, said
    assert reused(report) == {"good"}


@pytest.mark.slow
def test_recurse_finds_what_control_files_do_not_say(native: Any, chain: Any) -> None:
    """`needy` wants a name that only the built package of `late` provides."""
    needy, late = native(name="needy", fields=["Build-Depends: secret-name"]), native(name="late", build="sleep 3")
    rules = late / "debian" / "rules"
    rules.write_text(rules.read_text().replace("dpkg-gencontrol", "dpkg-gencontrol -DProvides=secret-name"))
    assert states(chain(needy, late, "--continue")[1]) == {"needy": "failed", "late": "built"}
    status, report, said = chain(needy, late, "--recurse")
    assert status == 0, said
    assert "tried again" in said
    assert states(report) == {"needy": "built", "late": "built"}


def test_kill_9_loses_only_what_was_running(native: Any, chain: Any, tool: Any, tmp_path: Path) -> None:
    first, second = native(name="first"), native(name="second", build=SLEEP, fields=["Build-Depends: first"])
    process = tool.start("chain", "--resultdir", tmp_path / "chain", *FRESH, first, second)
    wait_for(lambda: running(SLEEP))
    process.kill()
    process.wait()
    wait_for(lambda: not mentioned(SLEEP))
    rules = second / "debian" / "rules"
    rules.write_text(rules.read_text().replace(SLEEP, "true"))
    status, report, said = chain(verb="resume")
    assert status == 0, said
    assert reused(report) == {"first"}
    check_nothing_left(tool.store)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_chain_leaves_nothing_and_says_how_to_go_on(
    native: Any, tool: Any, tmp_path: Path, signum: signal.Signals
) -> None:
    trees = [native(name="first"), native(name="second", build=SLEEP, fields=["Build-Depends: first"]),
             native(name="third", build=SLEEP)]  # fmt: skip
    with (tmp_path / "said").open("wb") as said:
        process = tool.start("chain", "--resultdir", tmp_path / "chain", "--jobs", "3", *FRESH, *trees, stderr=said)
    wait_for(lambda: (tmp_path / "chain" / "first_1.0" / "result.json").exists())
    wait_for(lambda: running(SLEEP))
    process.send_signal(signum)
    assert process.wait(120) == 128 + signum
    wait_for(lambda: not mentioned(SLEEP))
    check_nothing_left(tool.store)
    text = (tmp_path / "said").read_text()
    assert f"1 of 3 are built; go on with: deb-mock resume {tmp_path / 'chain'}" in text
    assert not (tmp_path / "chain" / "second_1.0" / "result.json").exists()


def test_two_chains_do_not_share_a_directory(native: Any, tool: Any, chain: Any, tmp_path: Path) -> None:
    process = tool.start("chain", "--resultdir", tmp_path / "chain", *FRESH, native(name="one", build=SLEEP))
    try:
        wait_for(lambda: running(SLEEP))
        status, _, said = chain(native(name="two"))
        assert status == 3
        assert "another chain works in" in said
    finally:
        process.terminate()
        process.wait(120)


def used_packages(directory: Path) -> dict[str, str]:
    """Name → sha256 of what stood in the root of a build."""
    return {p["name"]: p["sha256"] for p in json.loads((directory / "lock.json").read_text())["packages"]}


def built_package(directory: Path, name: str) -> str:
    """The sha256 of a .deb that the chain in *directory* made."""
    deb = next(path for path in directory.glob(f"*/{name}_*.deb"))
    return run(["sha256sum", deb]).text.split()[0]


def test_a_package_of_the_archive_is_fetched_once_and_used(native: Any, chain: Any, tmp_path: Path) -> None:
    user = native(name="user", build="dpkg-query -W cowsay", fields=["Build-Depends: cowsay"])
    status, report, said = chain(user, "cowsay")
    assert status == 0, said
    assert report["levels"] == [["cowsay"], ["user"]]
    assert used_packages(tmp_path / "chain" / "user_1.0")["cowsay"] == built_package(tmp_path / "chain", "cowsay")
    assert list((tmp_path / "chain" / "sources" / "cowsay").glob("*.dsc"))
    assert "Fetching" not in chain(user, "cowsay")[2]


@pytest.mark.slow
def test_a_real_library_and_what_is_built_on_it(sources: Any, native: Any, chain: Any, tmp_path: Path) -> None:
    user = native(name="user", build="test -e /usr/include/yaml.h", fields=["Build-Depends: libyaml-dev"])
    status, report, said = chain(user, sources("libyaml"), "--set", "build.options=nocheck")
    assert status == 0, said
    assert report["levels"] == [["libyaml"], ["user"]]
    for name in ("libyaml-dev", "libyaml-0-2"):
        assert used_packages(tmp_path / "chain" / "user_1.0")[name] == built_package(tmp_path / "chain", name)


def test_what_the_next_source_needs_is_installed_meanwhile(native: Any, chain: Any, tmp_path: Path) -> None:
    name = f"slow{secrets.token_hex(4)}"  # the layer with it must not stand from an earlier run
    slow = native(name=name, build="sleep 15")
    needy = native(name="needy", fields=[f"Build-Depends: {name}, figlet"])
    status, _, said = chain(needy, slow)
    assert status == 0, said
    events = [e for e in read_events(tmp_path / "chain" / "needy_1.0" / "events.jsonl") if e.type == "stage.ended"]
    assert "install" in [event.data["stage"] for event in events]
    assert said.index("Preparing what needy needs") < said.index(f"{name} 1.0 built")
    # the layer with figlet stood, and one package came on top of it
    assert "Installing 1 package on layer" in said[said.index(f"{name} 1.0 built") :]


@pytest.mark.slow  # three builds, and git in a root of its own
def test_git_repositories_are_members(native: Any, chain: Any, tmp_path: Path) -> None:
    bottom, top = native(name="bottom"), native(name="top", **uses("bottom"))
    for tree in (bottom, top):
        start_repository(tree)
    (bottom / "not-committed").write_text("and not built")
    status, report, said = chain(f"{top}#HEAD", f"{bottom}#debian/latest")
    assert status == 0, said
    assert report["levels"] == [["bottom"], ["top"]]
    log = (tmp_path / "chain" / "bottom_1.0" / "build.log").read_text()
    assert "refs/heads/debian/latest is commit" in log
    assert reused(chain(verb="resume")[1]) == {"bottom", "top"}
    (top / "news").write_text("a change")
    commit_all(top, "News")
    status, report, said = chain(verb="resume")
    assert status == 0, said
    assert reused(report) == {"bottom"}


def test_a_chain_from_python(native: Any, tool: Any, tmp_path: Path) -> None:
    trees = [native(name="top", **uses("bottom")), native(name="bottom")]
    order = ask_chain(trees, preset="debian-trixie-amd64", settings={"archive.max_age": "1h"}, jobs=1)
    plans, events = list[ChainPlan](), list[tuple[str, str]]()
    token, store = Cancel(), Store.open(tool.store)

    def stop_at_top(name: str, event: Event) -> None:
        events.append((name, event.type))
        if (name, event.type, event.data.get("stage")) == ("top", "stage.started", "root"):
            token.set()

    report = run_chain(order, tmp_path / "chain", store=store, on_plan=plans.append, on_event=stop_at_top, cancel=token)
    assert (report.status, plans) == (Status.CANCELLED, [report.plan])
    assert [(m.source, m.state) for m in report.members] == [("top", "waiting"), ("bottom", "built")]
    assert str(report.plan.edges[0]) == "top needs bottom — Build-Depends: bottom"
    assert ("bottom", "build.complete") in events
    check_nothing_left(tool.store)

    output: list[str] = []
    report = run_chain(
        load_chain(tmp_path / "chain"), tmp_path / "chain", store=store, on_output=lambda name, _: output.append(name)
    )
    assert (report.status, report.complete) == (Status.BUILT, True)
    assert [member.source for member in report.members if member.reused] == ["bottom"]
    assert set(output) == {"top"}
    assert sorted(p.name for p in report.files() if p.suffix == ".deb") == ["bottom_1.0_all.deb", "top_1.0_all.deb"]
