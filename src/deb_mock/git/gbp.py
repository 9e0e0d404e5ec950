"""debian/gbp.conf as data, and where git-buildpackage keeps upstream's tarball. Nothing is interpolated or executed.

Source: gbp.conf(5), gbp-buildpackage(1) of git-buildpackage 0.9.38.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass

from debcore.errors import ConfigError

#: Branches that hold a package where HEAD does not. Source: DEP-14, and gbp's own default.
DEBIAN_BRANCHES = ("debian/latest", "debian/unstable", "debian/sid", "debian/main", "debian/master", "master", "main")
#: A gbp.conf larger than this is refused, bytes.
MAX_CONF = 1 << 16
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/~%()-]*")
_COMPRESSION = {"gz": "gz", "gzip": "gz", "xz": "xz", "bz2": "bz2", "bzip2": "bz2", "auto": "", "": ""}


@dataclass(frozen=True)
class GbpConf:
    """The keys of gbp.conf that say where things are."""

    debian_branch: str = ""
    upstream_tag: str = "upstream/%(version)s"
    upstream_branch: str = "upstream"
    upstream_tree: str = "TAG"  #: TAG, BRANCH, SLOPPY, or the name of a commit
    pristine_tar: bool = False
    compression: str = ""  #: "": gz, or what pristine-tar has
    submodules: bool = False


def parse_gbp_conf(text: str, *, where: str) -> GbpConf:
    """Sections DEFAULT and buildpackage. Errors: ConfigError on a file that is none, and on a value that is no name."""
    if len(text) > MAX_CONF:
        raise ConfigError(where, f"larger than {MAX_CONF} bytes: that is no gbp.conf")
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigError(where, f"cannot be read: {str(error).splitlines()[0]}") from error
    section = "buildpackage" if parser.has_section("buildpackage") else parser.default_section
    values = {key: value.strip().strip("'\"") for key, value in parser[section].items() if value is not None}

    def word(key: str, default: str) -> str:
        value = values.get(key) or default
        if value and not _REF.fullmatch(value):
            raise ConfigError(f"{where}:{key}", f"{value[:80]!r} is no name of a branch or tag")
        return value

    def flag(key: str) -> bool:
        return values.get(key, "").lower() in ("true", "1", "yes", "on")

    compression = values.get("compression", "")
    if compression not in _COMPRESSION:
        raise ConfigError(f"{where}:compression", f"{compression[:80]!r} is none of gzip, xz, bzip2, auto")
    return GbpConf(
        debian_branch=word("debian-branch", ""),
        upstream_tag=word("upstream-tag", GbpConf.upstream_tag),
        upstream_branch=word("upstream-branch", GbpConf.upstream_branch),
        upstream_tree=word("upstream-tree", "TAG"),
        pristine_tar=flag("pristine-tar"),
        compression=_COMPRESSION[compression],
        submodules=flag("submodules"),
    )


def format_tag(pattern: str, version: str) -> str:
    """The tag of *version* by gbp's *pattern*: `%(version)s`, or `%(version%A%B)s` with A replaced by B.

    Source: gbp.conf(5), TAG FORMATTING; DEP-14 for `:` and `~`, which git does not allow.
    """

    def put(match: re.Match[str]) -> str:
        old, new = match["old"], match["new"]
        text = version if old is None else version.replace(old.replace("\\%", "%"), (new or "").replace("\\%", "%"))
        text = re.sub(r"\.(?=\.|$|lock$)", ".#", text)
        return text.replace("~", "_").replace(":", "%")

    return re.sub(r"%\((?:hversion|version)(?:%(?P<old>[^%)]+)%(?P<new>[^%)]*))?\)s", put, pattern)


def find_orig_trees(conf: GbpConf, version: str) -> tuple[str, ...]:
    """Where upstream's tree may be, best first, as git names it."""
    tag = f"refs/tags/{format_tag(conf.upstream_tag, version)}"
    if conf.upstream_tree.upper() in ("TAG", "SLOPPY"):
        # many repositories tag upstream's own way, whatever gbp.conf says or does not say
        return (tag, f"refs/tags/upstream/{version.replace('~', '_')}", f"refs/tags/v{version}", f"refs/tags/{version}")
    if conf.upstream_tree.upper() == "BRANCH":
        return (f"refs/heads/{conf.upstream_branch}",)
    return (format_tag(conf.upstream_tree, version),)
