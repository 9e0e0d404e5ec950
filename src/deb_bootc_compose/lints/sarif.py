"""Findings as a SARIF log, which code hosts show beside changes. Pure. Source: OASIS SARIF 2.1.0, chapter 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from deb_bootc_compose.lints.check import Judged
from deb_bootc_compose.lints.registry import LINTS

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"fatal": "error", "warning": "warning"}


def make_sarif(found: Mapping[str, Sequence[Judged]]) -> dict[str, Any]:
    """One log with a run for each tree of *found* (by NAME.ARCH); what is waived is suppressed, with its reason."""
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(name, judged) for name, judged in found.items()]}


def _run(name: str, judged: Sequence[Judged]) -> dict[str, Any]:
    rules = [
        {
            "id": lint.name,
            "shortDescription": {"text": lint.text},
            "defaultConfiguration": {"level": LEVELS[lint.level]},
            "properties": {"origin": lint.origin},
        }
        for lint in LINTS
    ]
    numbers = {lint.name: number for number, lint in enumerate(LINTS)}
    driver = {"name": "deb-bootc-compose lint", "version": version("deb-bootc-ecosystem"), "rules": rules}
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": name},
        "results": [_result(name, one, numbers) for one in judged],
    }


def _result(name: str, judged: Judged, numbers: Mapping[str, int]) -> dict[str, Any]:
    finding = judged.finding
    result: dict[str, Any] = {
        "ruleId": finding.lint,
        "ruleIndex": numbers[finding.lint],
        "level": LEVELS[finding.level],
        "message": {"text": finding.message},
        # A finding is of a tree, not of a file of a checkout.
        "locations": [{"logicalLocations": [{"name": name, "kind": "module"}]}],
    }
    if judged.waiver is not None:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": judged.waiver.reason,
             "properties": {"until": judged.waiver.last_day}}
        ]  # fmt: skip
    return result
