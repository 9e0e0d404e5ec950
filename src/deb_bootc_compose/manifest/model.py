"""What a manifest may say. Unknown keys are errors; schemas/compose.json is made from these classes."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from deb_bootc_compose.manifest.words import (
    Arch,
    DracutModule,
    HostPath,
    ImagePath,
    Locale,
    Name,
    Package,
    PackageFiles,
    Ref,
    Removable,
    Script,
    SnapshotId,
    Suite,
    Unit,
)


def kebab(name: str) -> str:
    return name.replace("_", "-")


class Strict(BaseModel):
    """Frozen; keys are written with dashes; no key that is not declared, no value of another type."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=kebab, validate_by_name=True, validate_by_alias=True
    )


class Release(Strict):
    """What is composed. `short` and `version` begin the compose id."""

    name: str = Field(min_length=1, max_length=120)
    short: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$", max_length=40)]
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=40)]
    type: Literal["fast", "ga", "updates", "updates-testing", "eus", "aus", "els", "tus", "e4s"] = "ga"


class ComposeKind(Strict):
    """Pungi's grammar: the type gives the letter in the compose id; a label is NAME-X.Y."""

    type: Literal["production", "nightly", "test", "ci", "development"] = "nightly"
    label: Annotated[
        str,
        StringConstraints(
            pattern=r"^(EA|DevelPhaseExit|InternalAlpha|Alpha|InternalSnapshot|Beta|Snapshot|RC|Update|SecurityFix)"
            r"-[0-9]+(\.[0-9]+)?$"
        ),
    ] | None = None  # fmt: skip


class Source(Strict):
    """One apt source, deb822 semantics (sources.list(5)). `signed-by`: a keyring file on this host.

    `snapshot`: as it was at that time; null: as it is, whatever the manifest says for all; "": as that says.
    """

    name: Name
    uris: tuple[Annotated[str, StringConstraints(pattern=r"^(https?|file|copy)://?[^\s]+$")], ...] = Field(min_length=1)
    suites: tuple[Suite, ...] = Field(min_length=1)
    components: tuple[str, ...] = ("main",)
    signed_by: HostPath | None = None
    trusted: bool = False  #: no signature is checked
    pin: int | None = None  #: apt_preferences(5) priority
    snapshot: SnapshotId | None = ""

    @model_validator(mode="after")
    def _signed_or_trusted(self) -> Source:
        if (self.signed_by is None) is not self.trusted:
            raise ValueError("a source needs `signed-by` (a keyring file), or says `trusted: true` and has none")
        return self


class HubTarget(Strict):
    """The target of the hub that builds; null: the one that `deb-orchestrator up` makes ready for the suite."""

    target: Name | None = None
    #: The suite as of that event. Nothing is built for it then, and it must be named by `target`.
    event: Annotated[int, Field(ge=1, lt=2**63)] | Literal["latest"] = "latest"
    pin: int = 990  #: apt_preferences(5) priority of what was built, over the archive's 500


class Build(Strict):
    """A package to be built from source: a directory of ours, or one of the archive's with a version suffix."""

    source: HostPath | None = None  #: a source package's directory (debian/ inside), relative to the file
    archive: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?$")] | None = None
    suffix: Annotated[str, StringConstraints(pattern=r"^\+[a-z0-9][a-z0-9.+~]*$", max_length=30)] | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _one_origin(self) -> Build:
        if (self.source is None) is (self.archive is None):
            raise ValueError("a build names either `source` (a directory) or `archive` (a source package's name)")
        if self.archive is not None and self.suffix is None:
            raise ValueError('a rebuilt archive package needs `suffix`, such as "+local1", to sort above the archive')
        if self.source is not None and self.suffix is not None:
            raise ValueError("`suffix` is for `archive`: the version of a directory stands in its debian/changelog")
        return self

    @property
    def label(self) -> str:
        """A short name for people and for task ids."""
        return (self.archive or "").partition("=")[0] or (self.source or "").rstrip("/").rpartition("/")[2]


class AddFile(Strict):
    """A file of ours put into the tree, after the packages."""

    source: HostPath = Field(alias="from")  #: relative to the manifest file
    to: ImagePath
    mode: Annotated[str, StringConstraints(pattern=r"^0?[0-7]{3,4}$")] = "0644"


class Units(Strict):
    """systemd units; `enable` and `disable` become presets."""

    enable: tuple[Unit, ...] = ()
    disable: tuple[Unit, ...] = ()
    mask: tuple[Unit, ...] = ()
    default_target: Unit | None = None  #: null: multi-user.target, or that of the base


class Waiver(Strict):
    """A lint that may fail: the reason is printed, and after `until` it fails again. `path`: only what names it."""

    rule: Name
    reason: str = Field(min_length=3)
    until: datetime.date | None = None
    path: str = ""


class Lint(Strict):
    waive: tuple[Waiver, ...] = ()


class Users(Strict):
    """`ledger`: a file of fixed user and group ids, sysusers.d lines, made by the first compose; drift from it fails.

    Without one, `ids` are its lines in the manifest itself, and with `previous` the ids of the compose before are it.
    `strict`: a name that it does not pin fails too.
    """

    ledger: HostPath | None = None
    ids: tuple[Annotated[str, StringConstraints(pattern=r"^[ug] [^\n]+$", max_length=500)], ...] = ()
    previous: bool = False
    strict: bool = False

    @model_validator(mode="after")
    def _one_ledger(self) -> Users:
        if sum((self.ledger is not None, bool(self.ids), self.previous)) > 1:
            raise ValueError("the ids are pinned by one of `ledger` (a file), `ids` (lines) and `previous`")
        return self


class Layout(Strict):
    """/opt and /usr/local: state below /var, or read-only parts of the image."""

    opt: Literal["var", "image"] = "var"
    usr_local: Literal["var", "image"] = "var"


class VarRule(Strict):
    """What becomes of paths below /var (a glob): kept in the image, declared in tmpfiles.d, or left out."""

    path: ImagePath
    action: Literal["image", "tmpfiles", "discard"]


class Var(Strict):
    """Every path that packages leave in /var must be classified; `fix` writes tmpfiles.d for what is not."""

    rules: tuple[VarRule, ...] = ()
    fix: bool = False


class Base(Strict):
    """The image that a derivative stands on: `oci`, `image` or `ostree`. The lock pins it by digest or checksum.

    oci: an OCI image layout, such as compose/VARIANT/ARCH/oci of a compose. image: HOST/NAME:TAG or
    HOST/NAME@sha256:… in a registry. ostree: a repository, with a ref or a checksum as `commit`.
    """

    oci: HostPath | None = None
    image: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][!-~]*[/][!-~]+$", max_length=400)] | None = None
    insecure: bool = False  #: the registry speaks plain HTTP, or nobody vouches for its certificate
    ostree: HostPath | None = None
    commit: Ref | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Base:
        if sum(one is not None for one in (self.oci, self.image, self.ostree)) != 1:
            raise ValueError("a base names one of `oci`, `image` and `ostree`")
        if (self.ostree is None) is not (self.commit is None):
            raise ValueError("`ostree` (a repository) and `commit` (a ref or a checksum) go together")
        if self.insecure and self.image is None:
            raise ValueError("`insecure` is for a registry: `image`")
        return self


#: Kinds of documentation, and where each is. Source: Debian Policy 12; hier(7).
Documentation = Literal["copyright", "changelogs", "doc", "man", "info", "help", "lintian", "doc-base"]


class Documents(Strict):
    """What of the packages' documentation is installed. Copyright files always are: Debian Policy 12.5."""

    keep: tuple[Documentation, ...] = ()


class Boot(Strict):
    """dracut's modules beyond `ostree` and `systemd`, and those that it leaves out. The kernel's words are `kargs`."""

    dracut_modules: tuple[DracutModule, ...] = ()
    dracut_omit: tuple[DracutModule, ...] = ()

    @model_validator(mode="after")
    def _boots(self) -> Boot:
        if needed := {"ostree", "systemd", *self.dracut_modules} & {*self.dracut_omit}:
            raise ValueError(f"`dracut-omit` has {min(needed)!r}, which the initramfs is to have")
        return self


class Tree(Strict):
    """Content: what a `*.tree.yaml`, the top of compose.yaml and a variant may say. Lists of includes append."""

    base: Base | None = None  #: null: everything is made from packages
    recommends: bool = False
    packages: tuple[Package, ...] = ()
    exclude_packages: tuple[Package, ...] = ()
    add_files: tuple[AddFile, ...] = ()
    units: Units = Units()
    kargs: tuple[Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=500)], ...] = ()
    documentation: Documents | None = None  #: null: all of it
    install_langs: tuple[Locale, ...] = ()  #: whose translations are installed; none: all
    remove_from_packages: tuple[PackageFiles, ...] = ()  #: [PACKAGE, REGEX…]: its files whose whole path matches
    remove_files: tuple[Removable, ...] = ()
    postprocess: tuple[Script, ...] = ()  #: run by /bin/sh -eu in the tree, after files are added
    boot: Boot = Boot()
    layout: Layout = Layout()
    grow: bool | None = None  #: onto a larger disk, at boot; null: where the image has systemd-repart
    var: Var = Var()
    os_release: dict[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")], str] = {}  #: added to it
    users: Users = Users()
    lint: Lint = Lint()


class OstreeOutput(Strict):
    """The commit; `sign` false leaves it unsigned. `url`: where running systems fetch updates from."""

    sign: bool = True
    url: Annotated[str, StringConstraints(pattern=r"^(https?|file)://[!-~]+$", max_length=1000)] | None = None


class LayerRule(Strict):
    """A layer of its own for what is named: packages or sources (globs; a source goes as a whole), paths (globs)."""

    name: Name
    packages: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?\[\].+-]+$", max_length=120)], ...] = ()
    paths: tuple[ImagePath, ...] = ()

    @model_validator(mode="after")
    def _names_something(self) -> LayerRule:
        if not (self.packages or self.paths):
            raise ValueError("a layer names `packages`, `paths`, or both")
        return self


class ContainerOutput(Strict):
    """The OCI image layout. `plan`: layers keep what they held in the image before, or follow from names alone."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$", max_length=200)]
    tags: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")], ...] = ("latest",)
    compression: Literal["gzip", "zstd"] = "zstd"
    max_layers: int = Field(default=64, ge=8, le=128)
    plan: Literal["kept", "by-name"] = "kept"
    layers: tuple[LayerRule, ...] = ()  #: a name may stand once
    labels: dict[str, str] = {}

    @model_validator(mode="after")
    def _named_once(self) -> ContainerOutput:
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError("two of `layers` have one name")
        return self


class ImageOutput(Strict):
    """A disk image. Sizes in MiB; `size` null: as large as the content needs."""

    type: Literal["raw", "qcow2", "vmdk", "vhd"] = "qcow2"
    size: int | None = Field(default=None, ge=512, le=1024 * 1024)
    filesystem: Literal["ext4", "xfs"] = "ext4"


class Outputs(Strict):
    ostree: OstreeOutput = OstreeOutput()
    container: ContainerOutput | None = None
    images: tuple[ImageOutput, ...] = ()

    @model_validator(mode="after")
    def _one_filesystem(self) -> Outputs:
        if len({image.filesystem for image in self.images}) > 1:
            raise ValueError("all `images` of a variant have one `filesystem`: make a variant for each")
        return self

    @property
    def filesystem(self) -> str:
        """Of the root of the disk images, and of those that only the gates boot."""
        return self.images[0].filesystem if self.images else "ext4"


class Variant(Tree):
    """One image. Its content keys go over those of compose.yaml and its includes."""

    arches: tuple[Arch, ...] = Field(min_length=1)
    #: Those of `arches` that may fail: the compose is then FINISHED_INCOMPLETE, and nothing of them is published.
    failable: tuple[Arch, ...] = ()
    ref: Ref
    outputs: Outputs = Outputs()
    #: What must pass before anything is published: `update` and `rollback` need a compose before this one. Where the
    #: image has bootc, `boot` and `update` try that too. `repoclosure` is one of the lints, and can be had alone.
    tests: tuple[Literal["lint", "repoclosure", "boot", "update", "rollback", "fallback"], ...] = (
        "lint",
        "boot",
        "update",
        "rollback",
    )
    sbom: tuple[Literal["spdx", "cyclonedx"], ...] = ("spdx", "cyclonedx")  #: the forms in which it is written
    require_previous: bool = False  #: where there is no compose before, `update` and `rollback` fail


class Retention(Strict):
    """Which composes `gc` leaves of each release and type, the newest first; its own options go over this."""

    keep: int = Field(default=5, ge=0)  #: finished ones
    failed: int = Field(default=1, ge=0)  #: failed or killed ones


class Publish(Strict):
    latest_link: bool = True  #: TARGET/latest-SHORT-VERSION
    retention: Retention = Retention()


class Notification(Strict):
    """A program of this host, called at each change of status and phase in Pungi's protocol.

    `timeout`: seconds of one call.
    """

    script: HostPath  #: relative to the manifest file
    timeout: int = Field(default=60, ge=1, le=3600)


class Compose(Strict):
    """compose.yaml without its content keys."""

    schema_: Literal["deb-bootc-compose/1"] = Field(alias="schema")
    release: Release
    compose: ComposeKind = ComposeKind()
    suite: Suite
    variables: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")], str] = {}
    security: Literal["host", "none"] = "host"  #: none: compose without the security suite
    updates: bool = True  #: SUITE-updates of the host's mirror
    check_valid_until: bool = True  #: false for archives that stand still (the host's mirror, all `sources`)
    sources: tuple[Source, ...] = ()  #: none: the host's Debian mirror
    #: Debian's sources, and those with @SNAPSHOTID@ in their URIs, as they were at that time.
    snapshot: SnapshotId | None = None
    #: Who keeps what Debian's archive was. DEBOOTC_SNAPSHOTS in the environment goes over it.
    snapshot_service: Annotated[
        str, StringConstraints(pattern=r"^(https?|file)://[!-~]*@SNAPSHOTID@[!-~]*$", max_length=1000)
    ] | None = None  # fmt: skip
    hub: HubTarget = HubTarget()
    builds: tuple[Build, ...] = ()
    publish: Publish = Publish()
    notifications: tuple[Notification, ...] = ()


class VariantSpec(Strict):
    """One variant on one architecture, ready to be made."""

    name: Name
    arch: Arch
    variant: Variant

    @property
    def failable(self) -> bool:
        return self.arch in self.variant.failable
