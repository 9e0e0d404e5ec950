"""lintian: Debian Policy and packaging mistakes. Source: lintian(1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deb_mock.checks.bed import Bed
from deb_mock.checks.model import Check, Finding, Found, Level, NotRun

#: lintian's letters. X is experimental, C a classification that says nothing about quality.
LETTERS: dict[str, Level] = {
    "E": "error",
    "W": "warning",
    "I": "info",
    "P": "pedantic",
    "X": "experimental",
    "O": "override",
}
LINE = re.compile(r"^([EWIPXO]): (\S+)(?: (?:source|binary|changes|udeb))?: ([a-z0-9][A-Za-z0-9.+/-]*)(?: (.*))?$")
OPTIONS = (
    "--no-cfg", "--display-info", "--pedantic", "--display-experimental", "--show-overrides", "--tag-display-limit=0",
    "--color=never", "--fail-on=none",
)  # fmt: skip


def parse_tags(text: str) -> Iterator[Finding]:
    """Lines such as `E: hello source: some-tag detail [file:1]`."""
    for line in text.splitlines():
        if match := LINE.match(line):
            yield Finding(LETTERS[match[1]], match[3], match[2], (match[4] or "").strip())


def run_check(bed: Bed) -> Found:
    layer = bed.tools(CHECK.packages)
    subject = bed.subject
    named_dsc = next((path for path in subject.files if path.suffix == ".dsc"), None)
    source = subject.dsc.all_files if subject.dsc else ()
    files = {path.name: path for path in (subject.changes, *subject.files, *source)}
    what = [subject.changes.name, *([subject.dsc.name] if subject.dsc and not named_dsc else [])]
    findings: list[Finding] = []
    if named_dsc and not source:
        what = [path.name for path in subject.files if path.suffix in (".deb", ".udeb")]
        text = "a file of the source package is not beside the .changes"
        findings.append(Finding("not-run", "source-incomplete", subject.source, text))
    with bed.open(layer, files) as space:
        ran = bed.run(space, ["lintian", *bed.options(CHECK.name), *OPTIONS, *what])
    if ran.status != 0:
        raise NotRun(f"lintian itself failed with status {ran.status}; see its log")
    return Found((*findings, *parse_tags(ran.text)), bed.version_of(layer, "lintian"))


CHECK = Check("lintian", "the package follows Debian Policy and good practice", ("lintian",), run_check)
