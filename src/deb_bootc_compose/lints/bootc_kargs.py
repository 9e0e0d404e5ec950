"""Kernel arguments of the image are TOML of the form that bootc reads (K7)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from deb_bootc_compose.lints.model import Lint, Root

DIRECTORY = "usr/lib/bootc/kargs.d"


def check(root: Root) -> Iterator[str]:
    at = root.path / DIRECTORY
    if not at.exists() and not at.is_symlink():
        return
    if at.is_symlink() or not at.is_dir():
        yield f"/{DIRECTORY} is not a directory"
        return
    for path in sorted(at.glob("*.toml")):
        try:
            problem = find_problem(tomllib.loads(path.read_text("utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problem = str(error)
        if problem:
            yield f"/{DIRECTORY}/{path.name}: {problem}"


def find_problem(data: dict[str, Any]) -> str:
    """What is wrong with one parsed file, or ""."""
    unknown = sorted(set(data) - {"kargs", "match-architectures"})
    if unknown:
        return f"unknown key {', '.join(unknown)}"
    if "kargs" not in data:
        return "no key kargs"
    for key, value in data.items():
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            return f"{key} is not a list of strings"
    return ""


LINT = Lint(
    "bootc-kargs", "fatal", "bootc", "files in /usr/lib/bootc/kargs.d have kargs and match-architectures only", check
)
