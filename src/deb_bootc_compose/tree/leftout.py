"""What of the packages' files is not installed: documentation and translations, as path filters of dpkg.

The filters hold while the packages of the compose install. They do not stay in the image: what somebody installs on top
of it is whole. Source: dpkg(1), --path-exclude: the last filter that matches counts, `*` also matches `/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Kind of documentation that lies outside of /usr/share/doc -> where.
PLACES = {
    "man": ("/usr/share/man/*",),
    "info": ("/usr/share/info/*",),
    "help": ("/usr/share/help/*", "/usr/share/gnome/help/*", "/usr/share/doc/kde/HTML/*"),
    "lintian": ("/usr/share/lintian/*",),
    "doc-base": ("/usr/share/doc-base/*",),
}
COPYRIGHT = "/usr/share/doc/*/copyright"
CHANGELOGS = ("/usr/share/doc/*/changelog*", "/usr/share/doc/*/NEWS*")

LOCALE = re.compile(r"(?P<language>[a-z]+)(?P<country>_[A-Z]+)?(?P<code>\.[^@]+)?(?P<modifier>@.+)?")


def make_filters(documentation: Mapping[str, Any] | None, languages: Sequence[str]) -> tuple[str, ...]:
    """Lines of dpkg.cfg(5). *documentation*: None for all of it, or its `keep`. *languages*: none for all of them."""
    kept = None if documentation is None else frozenset(documentation["keep"])
    return (*_of_languages(languages), *_of_documentation(kept))


def _of_documentation(kept: frozenset[str] | None) -> Iterator[str]:
    if kept is None:
        return
    if "doc" not in kept:
        yield "path-exclude=/usr/share/doc/*"
        yield f"path-include={COPYRIGHT}"
    for pattern in CHANGELOGS:
        if "changelogs" in kept and "doc" not in kept:
            yield f"path-include={pattern}"
        elif "changelogs" not in kept and "doc" in kept:
            yield f"path-exclude={pattern}"
    for kind, patterns in PLACES.items():
        if kind not in kept:
            yield from (f"path-exclude={pattern}" for pattern in patterns)


def _of_languages(languages: Sequence[str]) -> Iterator[str]:
    """Messages, and manual pages and help in other languages than English, whose directories have no name of one."""
    if not languages:
        return
    yield "path-exclude=/usr/share/locale/*"
    yield "path-include=/usr/share/locale/locale.alias"
    yield "path-exclude=/usr/share/man/*/man*/*"
    yield "path-exclude=/usr/share/help/*/*"
    yield "path-include=/usr/share/help/C/*"
    for name in sorted({name for language in languages for name in names_of(language)}):
        for place in ("locale", "man", "help"):
            yield f"path-include=/usr/share/{place}/{name}/*"


def names_of(locale: str) -> list[str]:
    """Directories in which gettext looks for the messages of *locale*: glibc's explodename.c."""
    match = LOCALE.fullmatch(locale)
    if match is None:  # C and POSIX have no translations
        return []
    language, country, code, modifier = (match[part] or "" for part in ("language", "country", "code", "modifier"))
    codes = {code, code.lower().replace("-", ""), ""}
    return sorted({f"{language}{c}{k}{m}" for c in {country, ""} for k in codes for m in {modifier, ""}})
