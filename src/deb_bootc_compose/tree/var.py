"""The audit of /var: every path has a rule, a declaration or an owner, or the compose fails.

A machine's /var is its own: an image's is used at most once, at first provisioning. So whatever packages left there is
moved below /usr (state that describes /usr), declared in tmpfiles.d (made at boot), or dropped. Standard library only.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import VarRule
from deb_bootc_compose.tree.systemdconf import load_names, load_tmpfiles
from debcore.errors import Failure

SYSIMAGE = "usr/lib/sysimage"
FACTORY = "usr/share/factory"


def _rules(action: str, *paths: str) -> tuple[VarRule, ...]:
    return tuple(VarRule(path=path, action=action) for path in paths)  # type: ignore[arg-type]


#: First match wins, after the manifest's rules. A rule for a path holds for all below it, unless it says tmpfiles.
BUILT_IN: tuple[VarRule, ...] = (
    # State that describes /usr and must roll back with it; registries that maintainer scripts in derived builds read.
    *_rules("image", "/var/lib/dpkg", "/var/cache/debconf", "/var/lib/ucf", "/var/lib/pam"),
    *_rules("image", "/var/lib/systemd/deb-systemd-helper-enabled", "/var/lib/systemd/deb-systemd-user-helper-enabled"),
    *_rules("image", "/var/lib/apt/extended_states", "/var/lib/shells.state"),
    *_rules("image", "/var/lib/sgml-base", "/var/lib/xml-core", "/var/lib/emacsen-common", "/var/lib/python"),
    # Caches that are made again where they are needed.
    *_rules("discard", "/var/cache/apt/*", "/var/lib/apt/*", "/var/cache/ldconfig", "/var/cache/adduser"),
    *_rules("discard", "/var/cache/man/*", "/var/cache/apparmor", "/var/cache/fontconfig"),
    *_rules("discard", "/var/cache/dictionaries-common"),
    *_rules("discard", "/var/lib/systemd/catalog", "/var/lib/systemd/random-seed", "/var/lib/man-db"),
    *_rules("discard", "/var/lib/dbus/machine-id", "/var/lib/wtmpdb/*", "/var/lib/dracut", "/var/lib/grub"),
    *_rules("discard", "/var/lib/initramfs-tools", "/var/lib/misc/*", "/var/lib/logrotate/*", "/var/lib/usbutils"),
    # Logs and spools of the build.
    *_rules("discard", "/var/log/*", "/var/backups/*", "/var/tmp/*", "/var/mail/*", "/var/cache/private/*"),  # noqa: S108
    # Aliases, declared by systemd itself.
    *_rules("discard", "/var/run", "/var/lock", "/var/spool/mail"),
    *_rules("tmpfiles", "/var/mail", "/var/opt", "/var/local", "/var/cache/apt", "/var/lib/apt", "/var/lib/wtmpdb",
        "/var/lib/misc"),
)  # fmt: skip

#: Without these apt refuses to run in an image derived from ours, and programs miss /var/tmp. (path, mode, user, group)
KEPT: tuple[tuple[str, str, str, str], ...] = (
    ("/var/log/apt", "0755", "root", "root"),
    ("/var/tmp", "1777", "root", "root"),  # noqa: S108 — a path of the image
    ("/var/lib/apt", "0755", "root", "root"),
    ("/var/lib/apt/lists", "0755", "root", "root"),
    ("/var/lib/apt/lists/partial", "0700", "_apt", "root"),
    ("/var/cache/apt", "0755", "root", "root"),
    ("/var/cache/apt/archives", "0755", "root", "root"),
    ("/var/cache/apt/archives/partial", "0700", "_apt", "root"),
)


@dataclass(frozen=True)
class Verdict:
    """What becomes of one path: `image`, `tmpfiles`, `discard`, `declared` (by a package's tmpfiles.d) or `unknown`."""

    path: str  #: absolute
    action: str
    rule: VarRule | None = None


def sysimage_name(path: str) -> str:
    """Name below /usr/lib/sysimage of state kept at *path*: its last component, longer where that is not telling."""
    parts = path.strip("/").split("/")
    return "-".join(parts[2:]) if parts[-1] == "extended_states" else parts[-1]


def is_kept(tree: Path, path: str) -> bool:
    """Whether *path* is the link that an earlier finish left in the place of state that the image keeps."""
    at = tree / path.lstrip("/")
    return at.is_symlink() and files.read_link(at) == os.path.relpath(
        f"/{SYSIMAGE}/{sysimage_name(path)}", path.rpartition("/")[0]
    )


def find_rule(path: str, rules: Iterable[VarRule]) -> VarRule | None:
    """The first rule for *path* or, unless it says tmpfiles, for a directory above it."""
    above = [path[:i] for i, c in enumerate(path) if c == "/" and i > 0]
    for rule in rules:
        if fnmatch.fnmatchcase(path, rule.path):
            return rule
        if rule.action != "tmpfiles" and any(fnmatch.fnmatchcase(p, rule.path) for p in above):
            return rule
    return None


def classify(
    paths: Sequence[tuple[str, bool]], *, rules: Sequence[VarRule], declared: frozenset[str], owned: frozenset[str]
) -> list[Verdict]:
    """Judge each (path, whether it is a regular file). Pure.

    Directories and links that tmpfiles.d declares stand; directories that a package owns get a line by themselves.
    """
    verdicts = []
    for path, is_file in paths:
        rule = find_rule(path, rules)
        if rule is not None:
            verdicts.append(Verdict(path, rule.action, rule))
        elif not is_file and path in declared:
            verdicts.append(Verdict(path, "declared"))
        elif not is_file and path in owned:
            verdicts.append(Verdict(path, "tmpfiles"))
        else:
            verdicts.append(Verdict(path, "unknown"))
    return verdicts


def declared_paths(tree: Path) -> frozenset[str]:
    """Paths that a line of tmpfiles.d makes, /var/run written as /run."""
    kinds = "dDqQvLCfFpcb"
    lines = [line for line in load_tmpfiles(tree) if line.kind[0] in kinds]
    return frozenset(re.sub(r"^/var/run(?=/|$)", "/run", line.path.rstrip("/") or "/") for line in lines)


def check_stale(rules: Sequence[VarRule], verdicts: Sequence[Verdict]) -> None:
    """Errors: Failure for a rule of the manifest that met no path."""
    used = {v.rule for v in verdicts}
    stale = [rule.path for rule in rules if rule not in used]
    if stale:
        raise Failure(f"var rules without any path: {', '.join(stale)}", hint="remove them from the manifest")


def check_known(verdicts: Sequence[Verdict]) -> None:
    """Errors: Failure naming the paths that nothing classifies."""
    unknown = [files.shown(v.path) for v in verdicts if v.action == "unknown"]
    if unknown:
        shown = "\n  ".join(unknown[:20]) + (f"\n  … and {len(unknown) - 20} more" if len(unknown) > 20 else "")
        raise Failure(
            f"{len(unknown)} path(s) below /var that no rule covers:\n  {shown}",
            hint="add a rule (image, tmpfiles or discard) for each to var.rules, or set var.fix: true for tmpfiles.d; "
            "deb-bootc-compose lint --fix COMPOSE shows rules that fit",
        )


class Names:
    """Names of numeric owners, as the tree's passwd and group have them."""

    def __init__(self, tree: Path) -> None:
        self._users = {int(f[2]): f[0] for f in reversed(load_names(tree, "passwd"))}
        self._groups = {int(f[2]): f[0] for f in reversed(load_names(tree, "group"))}

    def owner(self, path: Path) -> tuple[str, str]:
        """(user, group). Errors: Failure if a number has no name."""
        status = path.lstat()
        try:
            return self._users[status.st_uid], self._groups[status.st_gid]
        except KeyError as error:
            raise Failure(f"{path.name}: owner {status.st_uid}:{status.st_gid} has no name in the tree") from error


def tmpfiles_line(tree: Path, path: str, names: Names) -> str:
    """The line that makes *path* at boot as it is in the tree; that of a file wants its content kept (keep_content)."""
    at = tree / path.lstrip("/")
    text = f"{path}{files.read_link(at)}" if at.is_symlink() else path
    if any("\udc80" <= c <= "\udcff" for c in text):
        raise Failure(f"{files.shown(path)}: not UTF-8, so that no tmpfiles.d line can name it", hint="discard it")
    if at.is_symlink():
        return f"L {quote(path)} - - - - {quote(files.read_link(at))}"
    user, group = names.owner(at)
    mode = f"{at.stat().st_mode & 0o7777:04o}"
    if at.is_dir():
        return f"d {quote(path)} {mode} {user} {group} -"
    return f"C {quote(path)} {mode} {user} {group} - /{quote(FACTORY + path)}"


def keep_content(tree: Path, path: str) -> None:
    """A copy of the file *path* below /usr/share/factory, where its line of tmpfiles.d finds it."""
    at = tree / path.lstrip("/")
    files.write(tree, f"{FACTORY}{path}", at.read_bytes(), mode=at.stat().st_mode & 0o7777)


def quote(path: str) -> str:
    """*path* as one word of tmpfiles.d: specifiers doubled, blanks and backslashes as C escapes."""
    escaped = path.replace("%", "%%").replace("\\", "\\x5c")
    return re.sub(r"[\x00-\x20\x7f\"']", lambda m: f"\\x{ord(m[0]):02x}", escaped)
