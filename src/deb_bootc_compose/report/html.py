"""HTML as values: text is escaped unless this module made it. Names come out of packages and logs: none is trusted."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from importlib import resources
from typing import Any

from debcore.cli import printable

_LINK = re.compile(r"https?://[!-~]+")


class Html(str):
    """Markup that was made here. Any other text is escaped when it is put into some."""

    __slots__ = ()


#: What may stand inside an element. None and False stand for nothing.
Child = object


def text(value: object) -> Html:
    """*value* as text: what steers a browser or a reader's eye (markup, controls, bidi marks) is made visible."""
    return Html(html.escape(printable(str(value)), quote=True))


def join(*children: Child) -> Html:
    """Tuples and lists are taken apart."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, list | tuple):
            parts.append(join(*child))
        elif child is not None and child is not False:
            parts.append(text(child))
    return Html("".join(parts))


def element(name: str, *children: Child, **attributes: Any) -> Html:
    """<name …>…</name>. Attributes are written with underscores (`class_`, `aria_label`); None leaves one out."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{said}>{join(*children)}</{name}>")


def link(url: str, *children: Child) -> Html:
    """A link to a web page; what has another scheme (javascript:) stays text."""
    if not _LINK.fullmatch(url):
        return join(*children)
    return element("a", *children, href=url, rel="noreferrer")


def code(value: object) -> Html:
    return element("code", value)


def table(head: list[Child], rows: list[list[Child]], *, numbers: tuple[int, ...] = ()) -> Html:
    """*numbers*: the columns that stand to the right. Scrolls by itself where the screen is narrow."""

    def cells(name: str, row: list[Child]) -> Html:
        return element(
            "tr", [element(name, cell, class_="number" if i in numbers else None) for i, cell in enumerate(row)]
        )

    body = element("tbody", [cells("td", row) for row in rows])
    return element("div", element("table", element("thead", cells("th", head)), body), class_="wide", tabindex="0")


def facts(rows: list[tuple[str, Child]]) -> Html:
    """Name and value, one a line; without those that have no value."""
    return element(
        "dl",
        [element("div", element("dt", name), element("dd", value)) for name, value in rows if value not in ("", None)],
    )


def cards(rows: list[tuple[str, Child, Child]]) -> Html:
    """(what, the figure, a word on it)."""
    return element(
        "div",
        [
            element("div", element("span", what), element("b", figure), element("small", note) if note else None)
            for what, figure, note in rows
        ],
        class_="cards",
    )


def page(title: str, *body: Child) -> str:
    """A whole document. Its policy lets a browser load and run nothing; the style sheet is named by its hash."""
    style = resources.files(__package__).joinpath("style.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = (
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", title),
        Html(f"<style>{style}</style>"),
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{join(*head)}</head>\n<body>{join(*body)}</body>\n</html>\n'
