"""Read the control files of a lock's packages, out of their .debs."""

from __future__ import annotations

import logging
from pathlib import Path

from deb_bootc_compose.compare.composes import Debs
from deb_bootc_compose.directory import find_compose, list_composes
from deb_bootc_compose.lock import Lock, LockedPackage, LockedVariant, load_lock
from deb_bootc_compose.manifest.load import find_manifest
from deb_bootc_compose.why import Installed, Relations, describe
from debcore.deb import load_control
from debcore.errors import Failure

log = logging.getLogger(__name__)

LOCK = "compose.lock.json"
UNKNOWN_SHOWN = 10


def find_lock(what: str | None) -> Lock:
    """*what*: a lock file, a compose (directory or id), a manifest's directory; None: the directory one is in.

    Errors: Failure if there is neither a compose nor a lock.
    """
    if what and Path(what).is_file():
        return load_lock(Path(what))
    place = Path(what or "")
    targets = [find_manifest(Path()).resolve().parent / "composes"]
    if what and not (place / "compose.yaml").is_file():
        return load_lock(find_compose(what, targets).lock_path)
    locked = [
        one for one in list_composes(find_manifest(place).resolve().parent / "composes") if one.lock_path.is_file()
    ]
    if locked:
        return load_lock(locked[-1].lock_path)
    if (place / LOCK).is_file():
        return load_lock(place / LOCK)
    raise Failure("there is no compose here and no lock", hint="name one, or make a lock: deb-bootc-compose lock")


def load_relations(debs: Debs, variant: LockedVariant, package: str | None = None) -> Relations:
    """Of *variant*. Recommends count where *package* is there for nothing else; without it, where apt took them.

    A .deb that cannot be had or read is a package of which only the lock's words are known.
    """
    debs.prefetch(list(variant.installed.values()))
    found: dict[str, Installed] = {}
    for stage in ("base", "archive", "hub"):
        for locked in getattr(variant, stage):
            found[locked.name] = _describe(debs, locked, stage)
    hard = Relations(found, variant.asked)
    reached = package in hard.reached() if package else hard.reached() >= found.keys()
    return hard if reached else Relations(found, variant.asked, soft=True)


def _describe(debs: Debs, locked: LockedPackage, stage: str) -> Installed:
    source = locked.source or locked.name
    deb = debs.find(locked)
    if deb is not None:
        try:
            return describe(load_control(deb), source=source, stage=stage)
        except Failure as error:
            log.warning("%s %s cannot be read: %s", locked.name, locked.version, error)
    return Installed(
        name=locked.name, version=locked.version, source=source, stage=stage, size=0, wants=(), provides=(),
        essential=False, known=False,
    )  # fmt: skip


def say_unknown(relations: Relations) -> str:
    """What the answers lack, for a person; "" if they lack nothing."""
    names = [f"{one.name} {one.version}" for one in relations.packages.values() if not one.known]
    if not names:
        return ""
    more = len(names) - UNKNOWN_SHOWN
    shown = ", ".join(names[:UNKNOWN_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"without the .deb of {shown}: neither size nor needs are known, so what only they need seems unwanted"
