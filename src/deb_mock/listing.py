"""Whether the two places that a build directory may lie in list the same files in different orders.

A disk's file system commonly lists by hash or by block, tmpfs by age; which, the kernel decides, so it is tried.
"""

from __future__ import annotations

from dataclasses import replace

from deb_mock.surroundings import STANDARD
from deb_mock.workspace import open_workspace
from debroot.bootstrap import core_tools
from debroot.store import Store

#: So many that no two orders are the same by chance.
NAMES = tuple(f"file-{number * 7919 % 1000:03}" for number in range(32))
SCRIPT = 'mkdir listed && cd listed && touch "$@" && exec ls -U'


def is_listed_alike(store: Store) -> bool:
    """Whether a build directory in the other storage lists its files as one in the usual storage does."""
    orders = set()
    for other in (False, True):
        with open_workspace(store, core_tools(store), surroundings=replace(STANDARD, other_storage=other)) as space:
            orders.add(space.run(["sh", "-c", SCRIPT, "sh", *NAMES]).stdout)
    return len(orders) == 1
