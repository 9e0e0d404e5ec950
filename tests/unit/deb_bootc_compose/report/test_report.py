"""The report of a compose: what it shows, and that nothing in it can act."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.directory import Status
from deb_bootc_compose.journal import Entry
from deb_bootc_compose.records import write_records
from deb_bootc_compose.report.compose import make_report, write_report
from deb_bootc_compose.report.html import element, link, page, text
from deb_bootc_compose.report.plot import duration, find_ticks, size_text, top
from deb_bootc_compose.report.timeline import make_timeline
from deb_bootc_compose.tasks.metadata import installed_sizes, load_controls
from debcore.command import run
from debcore.errors import Failure
from debroot.store import Store
from tests.unit.deb_bootc_compose.report.world import (
    BUILT,
    COMMIT,
    DIGEST,
    KEY,
    PACKAGES,
    locked,
    look,
    make_compose,
    make_lock,
)

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m\u202e</style>'


def test_it_says_what_was_made(tmp_path: Path) -> None:
    seen = look(make_report(make_compose(tmp_path)))
    for said in (
        "Example-13-", "FINISHED", "test", "RC-1.0", "trixie-local, event 7, generation 2",
        "example/trixie/amd64/server", COMMIT, DIGEST, "ABCD", "6.12-amd64", "latest", "e" * 64, "bootc-client",
        "secure boot yes", "boot after 21 s",
        "3 of 3", "33.0 MB in 2 layers", "glibc", "site-agent", "1.0+local1",
    ):  # fmt: skip
        assert said in seen.text, said
    assert "script" not in seen.tags
    assert "initrd after" not in seen.text


def test_installed_sizes_are_shown_where_all_are_known(tmp_path: Path) -> None:
    compose = make_compose(tmp_path, lock=make_lock(hub=()))
    assert "4.5 MB in 2 packages; the .debs" in look(make_report(compose)).text
    known = {f"{p.name}": {"sha256": p.sha256, "size": p.size, "installed_size": 7_000_000} for p in PACKAGES}
    document = {"payload": {"debs": {"server": {"amd64": {"glibc_2.41-12": known}}}}}
    (compose.metadata / "debs.json").write_text(json.dumps(document))
    assert "14.0 MB in 2 packages; Installed-Size" in look(make_report(compose)).text
    del known["bash"]
    (compose.metadata / "debs.json").write_text(json.dumps(document))
    assert "4.5 MB in 2 packages; the .debs" in look(make_report(compose)).text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    bad = locked(EVIL, EVIL, source=EVIL)
    layer = {"name": EVIL, "digest": EVIL, "size": 5}
    made = make_report(make_compose(tmp_path, lock=make_lock(bad), layers=[layer]))
    assert "<script" not in made
    assert "\x1b" not in made
    assert "\u202e" not in made
    seen = look(made)
    assert "<script>alert(1)</script>" in seen.text
    failed = look(make_report(make_compose(tmp_path / "two", fail=f"tree.{KEY}", message=EVIL)))
    assert "<script>alert(1)</script>" in failed.text


def test_the_policy_allows_its_own_style_only() -> None:
    made = page("x")
    style = re.search("<style>(.*)</style>", made, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in made


def test_values_become_markup_only_here() -> None:
    assert text("<&\"'\x00") == "&lt;&amp;&quot;&#x27;\\x00"
    assert element("p", "<b>", [None, False, element("b", 0)], class_="x", title='"') == (
        '<p class="x" title="&quot;">&lt;b&gt;<b>0</b></p>'
    )
    assert link("javascript:alert(1)", "here") == "here"
    assert link('https://example.org/" onclick="', "x") == "x"
    assert link("https://example.org/a&b", "x") == '<a href="https://example.org/a&amp;b" rel="noreferrer">x</a>'


def test_a_compose_that_failed_says_why(tmp_path: Path) -> None:
    seen = look(make_report(make_compose(tmp_path, fail=f"lint.{KEY}", message="2 findings")))
    assert "What failed" in seen.text
    assert "2 findings" in seen.text
    assert "mend it" in seen.text
    assert "0 of 2" in seen.text  # lint failed; boot was not run
    assert "not run" in seen.text


def test_one_that_failed_before_its_lock_has_no_packages(tmp_path: Path) -> None:
    compose = make_compose(tmp_path, fail="lock")
    compose.lock_path.unlink()
    seen = look(make_report(compose))
    assert "Size by package" not in seen.text
    assert "DOOMED" in seen.text


def test_damage_is_a_failure_and_never_costs_a_compose(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    compose = make_compose(tmp_path)
    compose.manifest_path.write_text('{"manifest": []}')
    with pytest.raises(Failure, match="cannot be reported on"):
        make_report(compose)
    with caplog.at_level(logging.WARNING):
        write_report(compose, status=Status.FINISHED)
    assert "no report.html" in caplog.text
    assert not (compose.path / "report.html").exists()


def test_it_is_written_with_the_status_that_is_due(tmp_path: Path) -> None:
    compose = make_compose(tmp_path)
    (compose.path / "STATUS").write_text("STARTED\n")
    write_report(compose, status=Status.TERMINATED)
    seen = look((compose.path / "report.html").read_text())
    assert "TERMINATED" in seen.text
    assert "STARTED" not in seen.text


def test_the_verb(tmp_path: Path) -> None:
    compose = make_compose(tmp_path)
    out = tmp_path / "out.html"
    done = CliRunner().invoke(group, ["report", str(compose.path), "--output", str(out)], catch_exceptions=False)
    assert done.output == f"{out}\n"
    shown = CliRunner().invoke(group, ["report", str(compose.path), "-o", "-"], catch_exceptions=False)
    assert shown.output == out.read_text()


def entry(at: float, type_: str, task: str = "") -> Entry:
    minutes, seconds = divmod(at, 60)
    return Entry(1, f"2026-11-27T10:{int(minutes):02}:{seconds:06.3f}Z", type_, {"task": task})


@pytest.mark.parametrize(
    ("entries", "spans", "total", "breaks"),
    [
        ([], [], 0, ()),
        (
            [entry(0, "compose.started"), entry(1, "task.started", "a"), entry(3, "task.finished", "a"),
             entry(3, "task.started", "b"), entry(4, "task.failed", "b")],
            [("a", 1, 3, "done"), ("b", 3, 4, "failed")], 4, (),
        ),
        (  # killed, and resumed after 50 minutes
            [entry(0, "compose.started"), entry(0, "task.started", "a"), entry(2, "task.finished", "a"),
             entry(2, "task.started", "b"), entry(5, "task.started", "c"), entry(3000, "compose.resumed"),
             entry(3001, "task.started", "b"), entry(3003, "task.finished", "b")],
            [("a", 0, 2, "done"), ("b", 2, 5, "stopped"), ("c", 5, 5, "stopped"), ("b", 6, 8, "done")], 8, (5,),
        ),
        (  # the clock goes back
            [entry(100, "compose.started"), entry(101, "task.started", "a"), entry(50, "task.finished", "a"),
             entry(51, "task.started", "b"), entry(53, "task.finished", "b")],
            [("a", 1, 1, "done"), ("b", 2, 4, "done")], 4, (),
        ),
    ],
)  # fmt: skip
def test_time_by_task(
    entries: list[Entry], spans: list[tuple[str, float, float, str]], total: float, breaks: tuple[float, ...]
) -> None:
    made = make_timeline(entries)
    assert [(s.name, s.start, s.end, s.state) for s in made.spans] == spans
    assert (made.total, made.breaks) == (total, breaks)


@pytest.mark.parametrize("total", [0.5, 7, 59, 144, 3000, 90_000, 5_000_000])
def test_ticks_are_few_and_round(total: float) -> None:
    ticks = list(find_ticks(total))
    assert 1 <= len(ticks) <= 7
    assert ticks[0][0] == 0
    assert ticks[-1][0] <= total


def test_words_for_figures() -> None:
    sizes = [size_text(n) for n in (0, 999, 1000, 99_949, 99_950, 999_499, 999_500, -2_500_000, 10**15)]
    assert sizes == ["0 B", "999 B", "1.0 kB", "99.9 kB", "100 kB", "999 kB", "1.0 MB", "−2.5 MB", "1000 TB"]
    times = [duration(s) for s in (0, 1.25, 30, 89.4, 90, 144, 5399, 5400, 7260)]
    assert times == ["0 s", "1.2 s", "30 s", "89 s", "1:30 min", "2:24 min", "89:59 min", "1:30 h", "2:01 h"]


def test_the_largest_and_the_rest() -> None:
    shown = list(top([("a", 1), ("b", 5), ("c", 3), ("d", 1)], 2))
    assert [(bar.label, bar.size, bar.style) for bar in shown] == [
        ("b", 5, "bar"), ("c", 3, "bar"), ("2 others", 2, "rest"),
    ]  # fmt: skip
    assert [bar.label for bar in top([("a", 1)], 2)] == ["a"]


def test_installed_sizes_come_out_of_the_debs(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    control = "Package: x\nVersion: 1\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: x\n"
    (root / "DEBIAN/control").write_text(control + "Installed-Size: 12\n")
    run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", root, tmp_path / "x.deb"])
    store = Store.open(tmp_path / "store")
    package = store.add_deb(tmp_path / "x.deb")
    one = locked("x").model_copy(update={"sha256": package.sha256})
    controls = dict(load_controls(store, make_lock(one, locked("gone"))))
    assert installed_sizes(controls) == {package.sha256: 12 * 1024}
    assert controls[package.sha256].maintainer == "A <a@example.org>"


@pytest.mark.parametrize(
    ("record", "targets"),
    [
        ({"build": 12, "url": "https://hub.example.org/builds/12"}, ["https://hub.example.org/builds/12"]),
        ({"build": 12, "url": None}, []),
        ({"build": EVIL, "url": "javascript:alert(1)"}, []),
    ],
)
def test_packages_of_the_hub_name_their_build(tmp_path: Path, record: dict[str, object], targets: list[str]) -> None:
    compose = make_compose(tmp_path)
    write_records(compose, {BUILT.sha256: record})
    seen = look(make_report(compose))
    assert seen.targets == targets
    assert "build 12" in seen.text or record["build"] == EVIL
