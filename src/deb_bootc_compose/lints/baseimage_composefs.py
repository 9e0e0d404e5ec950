"""prepare-root.conf switches composefs on, or lets it be, or makes the root transient (P1, P2)."""

from __future__ import annotations

import configparser
from collections.abc import Iterator

from deb_bootc_compose.lints.baseimage_root import TEMPLATE
from deb_bootc_compose.lints.model import Lint, Root

PLACES = ("etc/ostree/prepare-root.conf", "usr/lib/ostree/prepare-root.conf")
ON = frozenset({"yes", "true", "1", "maybe", "signed", "verity"})


def read_conf(text: str) -> configparser.ConfigParser:
    """A GLib key file, as far as prepare-root.conf goes. Errors: configparser.Error."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.read_string(text)
    return parser


def check(root: Root) -> Iterator[str]:
    yield from _check_one(root, "")
    if (root.path / TEMPLATE).is_dir():
        yield from _check_one(root, f"{TEMPLATE}/")


def _check_one(root: Root, below: str) -> Iterator[str]:
    shown = f"/{below}: " if below else ""
    text = next((t for t in (root.read(f"{below}{place}") for place in PLACES) if t is not None), None)
    if text is None:
        yield f"{shown}there is no prepare-root.conf"
        return
    try:
        conf = read_conf(text)
    except configparser.Error as error:
        yield f"{shown}prepare-root.conf: {error}"
        return
    enabled = conf.get("composefs", "enabled", fallback="no").strip()
    transient = conf.get("root", "transient", fallback="false").strip()
    if enabled not in ON and transient != "true":
        yield f"{shown}prepare-root.conf: composefs.enabled is {enabled!r} and root.transient is not true"


LINT = Lint("baseimage-composefs", "warning", "bootc", "prepare-root.conf enables composefs or a transient root", check)
