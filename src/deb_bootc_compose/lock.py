"""The lock: everything that a compose is made of, exactly. With the same lock the same bytes come out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from debcore.errors import ConfigError, Failure
from debcore.path import write_file
from debroot.store import Package

#: What every tree begins with: its base stage, which depends on nothing that the manifest says.
BASE = ("?essential", "dpkg", "apt")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LockedPackage(Frozen):
    """One .deb. `uri` is where it was found; the hash is what counts."""

    name: str
    version: str
    arch: str
    sha256: Sha256
    size: int = 0  #: bytes
    filename: str = ""
    source: str | None = None
    source_version: str | None = None
    uri: str | None = None

    @classmethod
    def of(cls, package: Package) -> LockedPackage:
        return cls(
            name=package.name, version=package.version, arch=package.arch, sha256=package.sha256, size=package.size,
            filename=package.filename, source=package.source, source_version=package.source_version, uri=package.uri,
        )  # fmt: skip

    def package(self) -> Package:
        return Package(**self.model_dump())

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.name, self.version, self.arch, self.sha256


class LockedHub(Frozen):
    """The hub's suite as it was read."""

    suite: str
    event: int
    generation: int
    request: str | None = None


class LockedBase(Frozen):
    """The image that a derivative stands on, and what it says of itself."""

    kind: Literal["image", "commit"]
    digest: Annotated[str, StringConstraints(pattern=r"^(sha256:)?[0-9a-f]{64}$")]  #: OCI manifest, or OSTree commit
    name: str = ""  #: HOST/NAME of an image in a registry
    kargs: tuple[str, ...] = ()  #: kernel arguments
    packages: tuple[LockedPackage, ...] = ()


class LockedVariant(Frozen):
    """The stages of one variant's tree. `ids` is the id ledger that went in ("" for none)."""

    asked: tuple[str, ...]  #: what the manifest asked of apt
    base: tuple[LockedPackage, ...]
    archive: tuple[LockedPackage, ...]
    hub: tuple[LockedPackage, ...]
    ids: str = ""
    derived: LockedBase | None = None  #: what stands in the place of the base stage

    @property
    def stages(self) -> dict[str, tuple[LockedPackage, ...]]:
        """What each stage brings, lowest first. `derived`: the packages of the image below."""
        below = {"derived": self.derived.packages} if self.derived else {}
        return {**below, "base": self.base, "archive": self.archive, "hub": self.hub}

    @property
    def installed(self) -> dict[str, LockedPackage]:
        """By name:arch, a later stage over an earlier one."""
        return {f"{p.name}:{p.arch}": p for stage in self.stages.values() for p in stage}


class LockedImage(Frozen):
    """How the image before was made: its plan, and the bytes of its layers."""

    plan: dict[str, tuple[str, ...]]  #: layer → its source packages
    layers: dict[Sha256, Sha256]  #: diff_id → digest
    media_type: str


class LockedParent(Frozen):
    """What a commit follows: the commit that machines have which update to it."""

    commit: Sha256
    ref: str
    version: str
    compose: str | None = None  #: id of the compose that made it; None: found in a published repository
    digest: str | None = None  #: of that compose's OCI image
    image: LockedImage | None = None  #: what the layers of this compose's image begin with


class Lock(Frozen):
    """lock.json."""

    schema_: Literal["deb-bootc-compose-lock/1"] = Field(default="deb-bootc-compose-lock/1", alias="schema")
    suite: str
    timestamp: int  #: seconds since the epoch; of every file and of the commit
    version: str  #: of the commit and the image
    releases: dict[str, str]  #: `URI SUITE` -> sha256 of its Release file
    snapshots: dict[str, str] = {}  #: source -> the time as of which it was read
    hub: LockedHub | None = None
    variants: dict[str, LockedVariant]  #: by NAME.ARCH
    left_out: dict[str, str] = {}  #: by NAME.ARCH, of those that may fail: why they have no packages
    tools: dict[str, tuple[LockedPackage, ...]] = {}  #: roots whose programs made the outputs
    recipe: str = ""  #: SHA-256 over what the manifest says of the trees beside their packages
    #: By NAME.ARCH; a variant that is missing has no parent. None: decided when it is composed.
    parents: dict[str, LockedParent] | None = None

    @property
    def content(self) -> str:
        """SHA-256 over what decides the content of the outputs, beside timestamp and version."""
        stages = ("base", "archive", "hub")
        parts: dict[str, Any] = {
            "suite": self.suite,
            "recipe": self.recipe,
            "tools": {name: [package.key for package in packages] for name, packages in self.tools.items()},
            "variants": {
                name: [variant.asked, variant.ids, *([p.key for p in getattr(variant, stage)] for stage in stages)]
                for name, variant in self.variants.items()
            },
        }
        if derived := {name: one.derived.digest for name, one in self.variants.items() if one.derived}:
            parts["derived"] = derived
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def document(self) -> str:
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1, sort_keys=True) + "\n"


def load_lock(path: Path) -> Lock:
    """Errors: ConfigError if it is missing, damaged or of another version."""
    try:
        return Lock.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            str(path), f"cannot be read: {error.strerror}", hint="deb-bootc-compose lock makes one"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            str(path), f"is no lock of this version: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            hint="make a new one with: deb-bootc-compose lock",
        ) from error  # fmt: skip


def write_lock(path: Path, lock: Lock) -> None:
    write_file(path, lock.document())


def make_version(release: str, timestamp: int) -> str:
    """RELEASE.DATE.TIME, UTC."""
    return f"{release}.{datetime.fromtimestamp(timestamp, UTC):%Y%m%d.%H%M}"


def split_stages(
    base: Iterable[Package], whole: Iterable[Package], *, hub_uri: str | None
) -> tuple[tuple[Package, ...], tuple[Package, ...], tuple[Package, ...]]:
    """(base, archive, hub): what each stage adds. *base* is the archive's essential set, whatever the hub has newer."""
    bottom = sorted(base, key=lambda p: p.key)
    have = {package.key for package in bottom}
    rest = sorted((package for package in whole if package.key not in have), key=lambda p: p.key)
    is_hub = {package.key: hub_uri is not None and (package.uri or "").startswith(hub_uri) for package in rest}
    archive = tuple(package for package in rest if not is_hub[package.key])
    return tuple(bottom), archive, tuple(package for package in rest if is_hub[package.key])


def check_locked(
    lock: Lock, *, suite: str, asked: dict[str, tuple[str, ...]], snapshots: Mapping[str, str] | None = None
) -> None:
    """Errors: Failure if the manifest asks for other things than *lock* has: it is never filled up silently."""
    hint = "make a new lock with: deb-bootc-compose lock, or compose without --locked"
    if lock.suite != suite:
        raise Failure(f"the lock is of {lock.suite}, the manifest of {suite}", hint=hint)
    if lock.snapshots != (snapshots or {}):
        of, wanted = (", ".join(f"{k} at {v}" for k, v in sorted(one.items())) or "none"
                      for one in (lock.snapshots, snapshots or {}))  # fmt: skip
        raise Failure(f"the lock is of other snapshots ({of}) than the manifest ({wanted})", hint=hint)
    for name, packages in asked.items():
        locked = lock.variants.get(name)
        if locked is None and name in lock.left_out:
            continue
        if locked is None:
            raise Failure(f"the lock has no variant {name}", hint=hint)
        if set(locked.asked) != set(packages):
            differ = sorted(set(locked.asked) ^ set(packages))
            raise Failure(f"lock and manifest differ for {name}: {', '.join(differ)}", hint=hint)
