"""prepare-root.conf asks for what the tree's own ostree can do, and makes /sysroot read-only (P1–P3)."""

from __future__ import annotations

import configparser
from collections.abc import Iterator

from deb_bootc_compose.lints.baseimage_composefs import PLACES, read_conf
from deb_bootc_compose.lints.model import Lint, Root

NEEDS_COMPOSEFS = frozenset({"yes", "true", "1", "signed", "verity"})


def check(root: Root) -> Iterator[str]:
    texts = {place: text for place in PLACES if (text := root.read(place)) is not None}
    if len(texts) > 1:
        yield "prepare-root.conf is both in /etc and /usr/lib: initramfs and bootc would read different ones"
    for place, text in texts.items():
        try:
            conf = read_conf(text)
        except configparser.Error as error:
            yield f"/{place}: {error}"
            continue
        enabled = conf.get("composefs", "enabled", fallback="no").strip()
        can = root.ostree_features
        if enabled in NEEDS_COMPOSEFS and can is not None and "composefs" not in can:
            yield f"/{place}: composefs is {enabled!r}, but the image's ostree is built without it: it would not boot"
        if enabled == "signed" and can is not None and "ed25519" not in can:
            yield f"/{place}: composefs is 'signed', but the image's ostree cannot verify ed25519"
        if conf.get("sysroot", "readonly", fallback="false").strip() != "true":
            yield f"/{place}: sysroot.readonly is not true"


LINT = Lint("prepare-root", "fatal", "debian", "prepare-root.conf fits the ostree of the image", check)
