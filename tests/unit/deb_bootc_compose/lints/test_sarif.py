from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.lints.check import Waiver, judge
from deb_bootc_compose.lints.model import Finding
from deb_bootc_compose.lints.registry import LINTS
from deb_bootc_compose.lints.sarif import make_sarif
from debcore.errors import BuildFailed

WAIVER = Waiver(lint="bootc-client", reason="updates by OSTree only", until=date(2099, 1, 1))


def test_findings_and_what_was_waived() -> None:
    findings = [
        Finding("kernel", "fatal", "no kernel \u202e in <b>usr</b>"),
        Finding("bootc-client", "warning", "none"),
    ]
    report = judge(findings, [WAIVER], today=date(2026, 1, 1))
    log = json.loads(json.dumps(make_sarif({"server.amd64": report.results})))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["automationDetails"] == {"id": "server.amd64"}
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [lint.name for lint in LINTS]
    kernel, client = run["results"]
    assert (kernel["ruleId"], kernel["level"], kernel["message"]["text"]) == ("kernel", "error", findings[0].message)
    assert rules[kernel["ruleIndex"]]["id"] == "kernel"
    assert "suppressions" not in kernel
    assert client["suppressions"][0]["justification"] == "updates by OSTree only"


def test_the_verb_writes_it(tmp_path: Path) -> None:
    (tmp_path / "root/usr").mkdir(parents=True)
    path = tmp_path / "lint.sarif"
    called = CliRunner().invoke(group, ["lint", str(tmp_path / "root"), "--sarif", str(path), "--json"])
    assert isinstance(called.exception, BuildFailed)
    (run,) = json.loads(path.read_text())["runs"]
    (shown,) = json.loads(called.output).values()
    assert [one["ruleId"] for one in run["results"]] == [one["lint"] for one in shown] != []
