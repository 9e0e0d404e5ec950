"""The tree that was finished before with the same packages below and the same options: its initramfs may be right."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress

from deb_bootc_compose.tree.outside import call
from deb_bootc_compose.tree.spec import FinishOptions, options_to_json
from debcore.path import write_file
from debroot.sandbox import Bind
from debroot.store import Layer, Store

log = logging.getLogger(__name__)


def name_finish(below: Layer, options: FinishOptions, code: str) -> str:
    """One name for all trees that differ in nothing but the packages of the hub."""
    data = json.dumps({"below": below.id, "options": options_to_json(options), "code": code}, sort_keys=True)
    return f"finished-{hashlib.sha256(data.encode()).hexdigest()}"


def remember(store: Store, name: str, *, tree: Layer, hub: Layer) -> None:
    """The newest tree of that name is the one that is asked."""
    write_file(store.path / "resolved" / name, json.dumps({"tree": tree.id, "hub": hub.id}))


def find_alike(store: Store, name: str, hub: Layer, *, tools: Layer) -> Layer | None:
    """The tree that was finished before, if dracut would make its initramfs again on top of *hub*."""
    tree = before = None
    with suppress(OSError, ValueError, KeyError):
        note = json.loads((store.path / "resolved" / name).read_bytes())
        tree, before = store.find(note["tree"]), store.find(note["hub"])
    if tree is None or before is None:
        return None
    with store.using(tree), store.using(before):
        binds = [
            Bind(source=before.root, target="/before"), Bind(source=hub.root, target="/now"),
            Bind(source=tree.root, target="/kept"),
        ]  # fmt: skip
        arguments = {"before": "/before", "now": "/now", "kept": "/kept"}
        told = call(store, tools, "deb_bootc_compose.tree.reuse:is_same_initramfs", arguments, binds=binds)
    log.info("the initramfs of %s is %s", tree.id, "the same" if told["same"] else "made again")
    return tree if told["same"] else None
