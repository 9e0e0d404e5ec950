"""All of `bootc container lint` and Debian's own checks; what is not waived stops the compose."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from deb_bootc_compose.lints.check import Report, Waiver, check_tree
from deb_bootc_compose.lints.sarif import make_sarif
from deb_bootc_compose.lock import load_lock
from deb_bootc_compose.tasks.tree import open_tree
from deb_bootc_compose.worker import Done, Task
from debcore.errors import BuildFailed
from debcore.path import write_file

BOOTC = "the image has bootc: its `bootc container lint` counts as a lint"


def run_task(task: Task) -> Done:
    # The day is the lock's: the same lock gives the same verdict.
    today = datetime.fromtimestamp(load_lock(task.compose.lock_path).timestamp, UTC).date()
    waivers = [make_waiver(given) for given in task.params["waive"]]
    with open_tree(task) as (store, tree):
        report = check_tree(
            store, tree, waivers=waivers, today=today, filesystem=task.params.get("filesystem", "ext4"),
            only=task.params.get("only", ()),
        )  # fmt: skip
    path = task.compose.logs / f"lint.{task.params['key']}.json"
    write_file(path, report.to_json() + "\n")
    sarif = make_sarif({task.params["key"]: report.results})
    write_file(path.with_suffix(".sarif"), json.dumps(sarif, indent=1, ensure_ascii=False) + "\n")
    if report.asked_bootc:
        task.say(BOOTC)
    for judged in report.results:
        if judged.waiver is not None:
            task.say(f"waived: {judged.finding.lint}: {judged.finding.message} ({judged.waiver.reason})")
    for waiver in report.unused:
        task.say(f"the waiver of {waiver.lint} waives nothing")
    if not report.ok:
        raise BuildFailed(explain(report), hint=f"correct the manifest or waive with a reason; all findings: {path}")
    waived = sorted({j.finding.lint for j in report.results if j.waiver is not None})
    task.say(f"no finding{f' but {len(waived)} waived' if waived else ''}")
    return Done({"waived": waived, "asked_bootc": report.asked_bootc}, (str(path.relative_to(task.compose.path)),))


def make_waiver(given: dict[str, Any]) -> Waiver:
    until = date.fromisoformat(given["until"]) if given["until"] else date.max
    return Waiver(lint=given["rule"], reason=given["reason"], until=until, path=given["path"])


def explain(report: Report) -> str:
    lines = [f"{finding.lint}: {finding.message}" for finding in report.failed]
    more = f"\n  … and {len(lines) - 10} more" if len(lines) > 10 else ""
    ended = "".join(
        f"\n  the waiver of {one.lint} ended on {one.last_day} ({one.reason})" for one in report.expired
    )  # fmt: skip
    findings = "1 finding" if len(lines) == 1 else f"{len(lines)} findings"
    return f"{findings}:\n  " + "\n  ".join(lines[:10]) + more + ended
