"""Running the lints on a tree of the store, with waivers: each has a reason and ends on a day.

A tree that has bootc is judged by that too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from deb_bootc_compose.lints.model import Finding
from deb_bootc_compose.lints.own import CLIENT, ask_bootc
from deb_bootc_compose.lints.registry import LINTS
from deb_bootc_compose.tree.make import Tree, find_tools
from deb_bootc_compose.tree.outside import call
from debcore.errors import ConfigError
from debroot.sandbox import Bind
from debroot.store import Layer, Store

#: The set of names a waiver may use.
NAMES = frozenset(lint.name for lint in LINTS)


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """Findings of one lint that are accepted until a day (the last one that counts). `path`: only messages with it."""

    lint: str
    reason: str
    until: date
    path: str = ""

    def __post_init__(self) -> None:
        if self.lint not in NAMES:
            raise ConfigError("lint.waive", f"there is no lint {self.lint!r}", hint="`deb-bootc-compose lint --list`")
        if not self.reason.strip():
            raise ConfigError("lint.waive", f"the waiver of {self.lint} has no reason", hint="say why it is accepted")

    @property
    def last_day(self) -> str | None:
        """ISO 8601; None if it has no end."""
        return None if self.until == date.max else self.until.isoformat()

    def covers(self, finding: Finding, today: date) -> bool:
        return finding.lint == self.lint and self.path in finding.message and today <= self.until


@dataclass(frozen=True)
class Judged:
    """A finding and the waiver that accepts it, if there is one."""

    finding: Finding
    waiver: Waiver | None


@dataclass(frozen=True)
class Report:
    """What all lints said about one tree."""

    results: tuple[Judged, ...]
    expired: tuple[Waiver, ...]  #: waivers that would have covered a finding, but have ended
    unused: tuple[Waiver, ...]  #: waivers that covered nothing
    strict: bool  #: warnings count as failures
    asked_bootc: bool = False  #: the tree has bootc, and what that found is in `results`

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Findings that stop a compose: fatal ones without a waiver, with `strict` warnings too."""
        open_ones = (r.finding for r in self.results if r.waiver is None)
        return tuple(f for f in open_ones if f.level == "fatal" or self.strict)

    @property
    def ok(self) -> bool:
        return not self.failed

    def to_json(self) -> str:
        """One object: ok, findings (with reason and until where waived), expired and unused waivers, and all lints."""
        findings = [
            {
                **asdict(r.finding),
                "waived": r.waiver.reason if r.waiver else None,
                "until": r.waiver.last_day if r.waiver else None,
            }
            for r in self.results
        ]
        lints = [{"name": x.name, "level": x.level, "origin": x.origin, "text": x.text} for x in LINTS]
        data = {
            "ok": self.ok,
            "strict": self.strict,
            "asked_bootc": self.asked_bootc,
            "findings": findings,
            "expired": [_waiver_json(w) for w in self.expired],
            "unused": [_waiver_json(w) for w in self.unused],
            "lints": lints,
        }
        return json.dumps(data, indent=1, ensure_ascii=False)


def _waiver_json(waiver: Waiver) -> dict[str, str | None]:
    return {"lint": waiver.lint, "reason": waiver.reason, "until": waiver.last_day, "path": waiver.path}


def judge(findings: Sequence[Finding], waivers: Sequence[Waiver], *, today: date, strict: bool = True) -> Report:
    """Apply *waivers* to *findings*. Pure."""
    results, used, expired = [], set(), []
    for finding in findings:
        waiver = next((w for w in waivers if w.covers(finding, today)), None)
        used.add(waiver)
        results.append(Judged(finding, waiver))
        ended = [w for w in waivers if waiver is None and w.covers(finding, w.until)]
        expired += [w for w in ended if w not in expired]
    unused = tuple(w for w in waivers if w not in used and w not in expired)
    return Report(tuple(results), tuple(expired), unused, strict)


def check_root(
    store: Store, tools: Layer, root: Path, features: Sequence[str] | None, *, filesystem: str = "ext4"
) -> list[Finding]:
    """All findings of the tree at *root* (of the id map); *features* of its own ostree, None if not known.

    *filesystem*: of the root of its disk images.
    """
    arguments = {"ostree_features": None if features is None else list(features), "filesystem": filesystem}
    bind = Bind(source=root, target="/tree")
    answer = call(store, tools, "deb_bootc_compose.lints.registry:lint", arguments, binds=[bind])
    return [Finding(**found) for found in answer["findings"]]


def check_tree(
    store: Store,
    tree: Tree,
    *,
    waivers: Sequence[Waiver] = (),
    today: date,
    strict: bool = True,
    tools: Layer | None = None,
    filesystem: str = "ext4",
    only: Sequence[str] = (),
) -> Report:
    """Run all lints on *tree*, whose disk images have a root of *filesystem*, and its own `bootc container lint`.

    *only*: names of the lints that count; none: all do.

    Errors: CommandFailed if it cannot be read.
    """
    tools = tools or find_tools(store, tree.layer.suite)
    findings = check_root(store, tools, tree.root, tree.ostree_features, filesystem=filesystem)
    if only:
        return judge([one for one in findings if one.lint in only], waivers, today=today, strict=strict)
    has_bootc = not any(finding.lint == CLIENT for finding in findings)
    if has_bootc:
        findings += ask_bootc(store, tree.root, arch=tree.layer.arch)
    return replace(judge(findings, waivers, today=today, strict=strict), asked_bootc=has_bootc)
