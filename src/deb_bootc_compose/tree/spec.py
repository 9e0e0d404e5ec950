"""What a tree is made of, as values. Standard library only: the same values are used inside the sandbox."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from debcore.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AddFile:
    """One file (or, with `target`, one symlink) put into the tree after all packages."""

    path: str  #: absolute, as seen from inside the tree
    content: bytes = b""
    mode: int = 0o644
    target: str | None = None

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if not self.path.startswith("/") or self.path == "/" or {"", ".", ".."} & set(parts[1:]):
            raise ConfigError("add-files", f"{self.path!r} is not an absolute, plain path")
        if parts[1] in {"dev", "proc", "sys", "run", "tmp", "sysroot", "ostree", "boot"}:
            raise ConfigError("add-files", f"{self.path}: /{parts[1]} is not part of an image", hint="use /usr or /etc")


@dataclass(frozen=True, kw_only=True)
class Units:
    """Which units run. What packages enable by themselves is kept, unless it is in `disable` or masked."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    default_target: str | None = None  #: None: multi-user.target, or that of the tree below


@dataclass(frozen=True, kw_only=True)
class VarRule:
    """What becomes of one path below /var. `path` is a glob over the whole path; `*` also matches `/`.

    image: moved to /usr/lib/sysimage/<name>, a link in its place. tmpfiles: declared in tmpfiles.d, a file by way of
    /usr/share/factory. discard: not part of the image.
    """

    path: str
    action: Literal["image", "tmpfiles", "discard"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Whether /opt and /usr/local are state (links into /var) or part of the image (real, read-only directories)."""

    opt: Literal["var", "image"] = "var"
    usr_local: Literal["var", "image"] = "var"


@dataclass(frozen=True, kw_only=True)
class FinishOptions:
    """Everything that the finishing steps need to know beyond the tree itself."""

    add_files: tuple[AddFile, ...] = ()
    units: Units = Units()
    layout: Layout = Layout()
    var_rules: tuple[VarRule, ...] = ()
    var_fix: bool = False  #: write tmpfiles.d for unclassified paths instead of failing
    ids: str = ""  #: the id ledger, sysusers.d lines; "" on the first compose
    ids_strict: bool = False  #: a name that the ledger does not pin is an error
    first_boot: bool = True  #: machine-id `uninitialized` (presets apply at first boot), else empty
    os_release: tuple[tuple[str, str], ...] = ()  #: added to /usr/lib/os-release, such as ("VARIANT_ID", "server")
    kernel_arguments: tuple[str, ...] = ()  #: into /usr/lib/bootc/kargs.d
    dracut_modules: tuple[str, ...] = ()  #: beyond ostree and systemd
    dracut_omit: tuple[str, ...] = ()
    dpkg_options: tuple[str, ...] = ()  #: dpkg.cfg(5) lines that say which paths are not installed, see leftout.py
    remove_from_packages: tuple[tuple[str, ...], ...] = ()  #: (package, regular expression over whole paths, …)
    remove_files: tuple[str, ...] = ()  #: absolute
    postprocess: tuple[str, ...] = ()  #: scripts for /bin/sh -eu


#: Fields of FinishOptions that are lists of text.
LISTS = ("dracut_modules", "dracut_omit", "dpkg_options", "remove_files", "postprocess")


def options_to_json(options: FinishOptions) -> dict[str, Any]:
    """JSON-able form. Content of files as base64."""
    made = asdict(options)
    for entry in made["add_files"]:
        entry["content"] = base64.b64encode(entry["content"]).decode()
    return made


def options_from_json(data: dict[str, Any]) -> FinishOptions:
    """The reverse of `options_to_json`."""
    files = tuple(AddFile(**{**f, "content": base64.b64decode(f["content"])}) for f in data["add_files"])
    unit_values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["units"].items()}
    units = Units(**unit_values)
    rules = tuple(VarRule(**r) for r in data["var_rules"])
    rest = {k: data[k] for k in ("var_fix", "ids", "ids_strict", "first_boot")}
    rest |= {k: tuple(data[k]) for k in LISTS}
    return FinishOptions(
        add_files=files,
        units=units,
        layout=Layout(**data["layout"]),
        var_rules=rules,
        os_release=tuple((k, v) for k, v in data["os_release"]),
        kernel_arguments=tuple(data["kernel_arguments"]),
        remove_from_packages=tuple(tuple(rule) for rule in data["remove_from_packages"]),
        **rest,
    )


@dataclass
class State:
    """What finishing found out on its way; grows from step to step and comes back to the caller."""

    below: str = ""  #: where the finished tree is that this one is derived from; "" for none
    debs: str = ""  #: what the tree is made of: content of DEBS
    keep_initramfs: bool = False  #: that of the tree below, or of an earlier one, is still right
    earlier: str = ""  #: where a tree is whose initramfs is right
    kver: str = ""
    ostree_features: tuple[str, ...] = ()
    composefs: bool = False
    bytecode: tuple[str, ...] = ()  #: sources whose byte code is made again
    enabled: tuple[str, ...] = ()  #: units in the preset
    ids: str = ""  #: the ledger as it came out
    tmpfiles: list[str] = field(default_factory=list)  #: lines of our tmpfiles.d file
    var: dict[str, str] = field(default_factory=dict)  #: path below /var -> what became of it
