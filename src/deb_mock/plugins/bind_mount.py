"""Show files and directories of this host to builds; read-only unless `readonly = false`.

Nothing of the host is part of a lock, so a build that saw something is never called reproducible.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, field_validator

from deb_mock import plugin
from debcore.errors import Failure

#: Places inside that are deb-mock's own.
RESERVED = ("/proc", "/sys", "/dev", "/build", "/run", "/tmp", "/var/tmp", "/etc", "/usr", "/var/lib/dpkg")  # noqa: S108


class Shown(BaseModel):
    """One of `dirs`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Path
    target: str
    readonly: bool = True

    @field_validator("source")
    @classmethod
    def check_source(cls, source: Path) -> Path:
        if not source.expanduser().is_absolute() or source == Path("/") or ".." in source.parts:
            raise ValueError(f"{source} is no absolute path below /")
        return source.expanduser()

    @field_validator("target")
    @classmethod
    def check_target(cls, target: str) -> str:
        path = Path(target)
        if not path.is_absolute() or path == Path("/") or ".." in path.parts:
            raise ValueError(f"{target!r} is no absolute path below /")
        for place in RESERVED:
            if path == Path(place) or path in Path(place).parents:
                raise ValueError(f"{target!r} would hide what every root has there")
        return str(path)


class Plugin(plugin.Plugin):
    """`dirs` (as in Mock): what is shown, and where."""

    api: ClassVar[int] = 1
    dirs: tuple[Shown, ...] = ()

    def mounts(self, build: plugin.Build) -> Sequence[plugin.Mount]:
        for shown in self.dirs:
            if not shown.source.exists():
                raise Failure(f"bind_mount: there is no {shown.source}", hint="see [plugins.bind_mount] dirs")
        return [plugin.Mount(source=d.source, target=d.target, readonly=d.readonly) for d in self.dirs]

    def influences(self) -> Sequence[str]:
        return [f"{shown.source} of the host" for shown in self.dirs]
