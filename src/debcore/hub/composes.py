"""Wire models of composes: what an image is made of, as deb-bootc-compose tells its hub, and as the hub shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from debcore.hub.model import Arch
from debcore.job.model import Sha256, Wire

#: Pungi's grammar of ids, and no more than a file name may have.
ComposeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$")]
Word = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]
#: Only these are shown as links.
Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=1000)]
Digest = Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64})?$")]
#: Bytes, as a database's integer bounds them.
Size = Annotated[int, Field(ge=0, lt=2**63)]
#: The word for the end of a compose whose images are used: their packages are kept.
FINISHED = ("FINISHED", "FINISHED_INCOMPLETE")


class ComposePackage(Wire):
    """A binary package of an image. `sha256` is its .deb's: by it the hub knows the build."""

    name: Word
    version: Word
    arch: Word
    source: Word = ""
    sha256: Sha256 | None = None


class ComposeGate(Wire):
    """A test of an image. `verdict`: passed, failed, not applicable, left out, not run."""

    name: Word
    verdict: Word
    seconds: float | None = Field(default=None, ge=0, le=1e9)


class ComposeDisk(Wire):
    path: Text
    type: Word = ""
    sha256: Sha256
    size: Size = 0


class ComposeVariant(Wire):
    """One image of a compose. What was not made is ""."""

    name: Word
    arch: Arch
    ref: Word = ""  #: OSTree's
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    container: Word = ""  #: its name, without digest or tag
    digest: Digest = ""  #: of the container image
    tags: tuple[Word, ...] = Field(default=(), max_length=64)
    disks: tuple[ComposeDisk, ...] = Field(default=(), max_length=64)
    gates: tuple[ComposeGate, ...] = Field(default=(), max_length=64)
    packages: tuple[ComposePackage, ...] = Field(default=(), max_length=20_000)

    @property
    def key(self) -> str:
        return f"{self.name}.{self.arch}"


class ComposeLink(Wire):
    title: Word
    url: Url


class ComposeFault(Wire):
    """A task whose last run failed."""

    task: Word
    message: Text
    hint: Text = ""


class ComposeAsk(Wire):
    """A compose as it now is. Told again it takes the place of what was told before."""

    type: Word
    label: Word = ""
    status: Annotated[str, StringConstraints(pattern=r"^[A-Z_]{1,32}$")]
    release: Word = ""  #: name and version, for people
    suite: Word = ""  #: of Debian's archive
    place: Text = ""  #: where its directory is
    variants: tuple[ComposeVariant, ...] = Field(default=(), max_length=64)
    links: tuple[ComposeLink, ...] = Field(default=(), max_length=64)
    faults: tuple[ComposeFault, ...] = Field(default=(), max_length=64)


class ComposeLine(Wire):
    """A compose in a list. `builds`: how many packages of it the hub has built."""

    id: str
    type: str
    label: str = ""
    status: str
    release: str = ""
    by: str
    told_at: datetime
    variants: tuple[str, ...] = ()  #: NAME.ARCH
    packages: int = 0
    builds: int = 0


class BuiltPackage(ComposePackage):
    build: int | None = None  #: of this hub


class ShownVariant(ComposeVariant):
    packages: tuple[BuiltPackage, ...] = ()


class ComposeShow(ComposeLine):
    suite: str = ""
    place: str = ""
    images: tuple[ShownVariant, ...] = ()
    links: tuple[ComposeLink, ...] = ()
    faults: tuple[ComposeFault, ...] = ()
