"""Rules for what the audit of /var does not know, put into a manifest as a person would put them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from deb_bootc_compose.manifest.document import Node, parse_document
from debcore.errors import Failure

#: What lies here is made again by whoever needs it.
PASSING = ("/var/cache/", "/var/log/", "/var/tmp/", "/var/backups/", "/var/spool/")  # noqa: S108 -- of the image

Rule = tuple[str, str]  #: (path, action)


def suggest(unknown: Iterable[tuple[str, bool]]) -> list[Rule]:
    """A rule for each (path, whether it is a file) that nothing classifies; one for a directory with all below it."""
    rules: list[Rule] = []
    above = ""
    paths = sorted(unknown)
    for path, _ in paths:
        if above and path.startswith(f"{above}/"):
            continue
        above = path
        below = any(other.startswith(f"{path}/") for other, _ in paths)
        if path.startswith(PASSING):
            rules.append((path, "discard"))
        else:  # what tmpfiles.d makes is named path by path: the rule of a directory does not hold for what is in it
            rules += [(path, "tmpfiles"), *([(f"{path}/*", "tmpfiles")] if below else [])]
    return rules


def edit(text: str, name: str, *, add: Sequence[Rule], drop: Iterable[int] = ()) -> str:
    """*text* of the manifest *name* with rules added below its top, and without those that stand in the lines *drop*.

    Errors: Failure if its `var` is written in a way that lines cannot be put into: the hint says which.
    """
    lines = text.split("\n")
    new = [f"- {{path: {quoted(path)}, action: {action}}}" for path, action in add]
    document = parse_document(text, name)
    assert isinstance(document.value, dict)
    at, indent, head = _place(document, lines)
    if at is None:
        raise Failure(
            f"{name}: `var` stands on one line, where no rule can be put", hint=f"add by hand: {'; '.join(new)}"
        )
    if new:
        lines[at:at] = [*head, *(f"{indent}{line}" for line in new)]
    gone = {number - 1 + (len(head) + len(new) if number > at else 0) for number in drop}
    return "\n".join(line for number, line in enumerate(lines) if number not in gone)


def _place(document: Node, lines: Sequence[str]) -> tuple[int | None, str, list[str]]:
    """Before which line rules go, their indentation, and what must stand above them."""
    assert isinstance(document.value, dict)
    end = len(lines) - 1 if lines and not lines[-1] else len(lines)
    held = document.value.get("var")
    if held is None:
        return end, "    ", ["var:", "  rules:"]
    if not isinstance(held.value, dict) or "{" in lines[document.key_mark("var").line - 1]:
        return None, "", []
    rules = held.value.get("rules")
    if rules is None:
        line = document.key_mark("var").line
        inner = lines[line]
        indent = inner[: len(inner) - len(inner.lstrip())] or "  "
        return line, f"{indent}  ", [f"{indent}rules:"]
    start = held.key_mark("rules").line
    if "[" in lines[start - 1] or not isinstance(rules.value, tuple) or not rules.value:
        return None, "", []
    first = lines[rules.value[0].mark.line - 1]
    return start, first[: len(first) - len(first.lstrip())], []


def quoted(path: str) -> str:
    """*path* as a word of YAML on one line."""
    return yaml.safe_dump(path, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()


def lines_of(origins: Sequence[str], path: Path) -> list[int]:
    """Numbers of the lines of *path* among *origins* (FILE:LINE)."""
    found = (origin.rpartition(":") for origin in origins)
    return [int(line) for file, _, line in found if Path(file) == path]
