"""Whether a layer still is what was installed: dpkg compares each file with the checksum that its package brought."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from debcore.errors import Failure, HostFailed
from debroot.emulate import find_emulation
from debroot.gc import discard
from debroot.sandbox import Sandbox, run_in

if TYPE_CHECKING:
    from debroot.store import Layer, Store


def find_damage(store: Store, layer: Layer) -> str | None:
    """The first file of *layer* that is not what its package brought; None if all are. Takes seconds.

    Source: dpkg(1), --verify: the third character is 5 where the checksum differs.
    """
    try:
        box = Sandbox(lowers=layer.lowers(), emulation=find_emulation(store, layer.arch))
        done = run_in(box, ["dpkg", "--verify"], idmap=store.idmap, capture=True, check=False)
    except HostFailed as error:
        return str(error)
    for line in done.text.splitlines():
        if line[2:3] == "5" or (line.startswith("missing") and not _is_finished(layer)):
            return line.strip()
    said = done.stderr.decode("utf-8", "replace").strip()
    return said.splitlines()[-1] if said or done.status < 0 or done.status > 1 else None


def remove_damaged(store: Store) -> tuple[tuple[str, str], ...]:
    """Check every layer that has a dpkg database; remove the damaged ones that nobody uses, to be made anew.

    Returns (id, what is wrong) of all damaged ones.
    """
    found = []
    for entry in store.list():
        if entry.kind != "layer" or not entry.packages:
            continue
        layer = store.find(entry.id)
        damage = "it cannot be read" if layer is None else find_damage(store, layer)
        if damage is not None:
            found.append((entry.id, damage))
            store.release()
            with suppress(Failure):
                discard(store, store.path / "layers" / entry.id, f"layer {entry.id}")
    return tuple(found)


def _is_finished(layer: Layer) -> bool:
    """Whether it is a tree that a tool has finished its own way (its id begins with a word): such may lack files."""
    return "-" in layer.id
