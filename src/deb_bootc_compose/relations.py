"""Read the control files of a lock's packages, out of their .debs."""

from __future__ import annotations

from pathlib import Path

from deb_bootc_compose.compare.composes import Debs
from deb_bootc_compose.directory import find_compose, list_composes
from deb_bootc_compose.lock import Lock, LockedVariant, load_lock
from deb_bootc_compose.manifest.load import find_manifest
from deb_bootc_compose.why import Installed, Relations, describe
from debcore.deb import load_control
from debcore.errors import Failure

LOCK = "compose.lock.json"


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

    Errors: Failure naming a .deb that cannot be had or read.
    """
    debs.prefetch(list(variant.installed.values()))
    found: dict[str, Installed] = {}
    for stage in ("base", "archive", "hub"):
        for locked in getattr(variant, stage):
            deb = debs.find(locked)
            if deb is None:
                raise Failure(f"{locked.name} {locked.version} cannot be had", hint="its control file is needed")
            found[locked.name] = describe(load_control(deb), source=locked.source or locked.name, stage=stage)
    hard = Relations(found, variant.asked)
    reached = package in hard.reached() if package else hard.reached() >= found.keys()
    return hard if reached else Relations(found, variant.asked, soft=True)
