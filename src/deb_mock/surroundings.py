"""What a build can see of the place where it runs: path, user, host name, locale, time zone … as one value.

Builds have the same surroundings everywhere, because they decide whether two builds give the same bytes. Only a
rebuild (from a .buildinfo) and a check of reproducibility choose others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from debcore.errors import ConfigError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Names and shell environment as sbuild's, so that packages cannot tell the difference."""

    directory: str = "/build/reproducible-path"  #: the source tree is unpacked in it
    hostname: str = "sbuild"
    domain: str = ""
    user: str = "sbuild"
    uid: int = 1000
    gid: int = 1000
    umask: int = 0o022  #: of dpkg-buildpackage
    sanitize: bool = True  #: dpkg-buildpackage --sanitize-env, which sets its own umask and LC_COLLATE
    env: Mapping[str, str] = field(default_factory=dict)  #: wins over everything else in the environment
    unset: frozenset[str] = frozenset()  #: variables that are not set after all
    personality: tuple[str, ...] = ()  #: options of setarch(8), together in one call: a second one undoes the first
    processors: str | None = None  #: mask of taskset(1); None: all
    other_storage: bool = False  #: the build directory lies in memory where it would lie on disk, and the reverse

    @property
    def mount(self) -> str:
        """Where the directory that holds the build is mounted."""
        return "/build" if self.directory.startswith("/build/") else self.directory

    @property
    def wrapper(self) -> list[str]:
        """What stands in front of dpkg-buildpackage."""
        setarch = ["setarch", *self.personality] if self.personality else []
        return [*setarch, *(["taskset", self.processors] if self.processors else [])]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The complete environment of the build user. Source: sbuild 0.89 Build.pm; dpkg-buildpackage adds its own."""
        values = {
            "HOME": "/sbuild-nonexistent",
            "LC_ALL": "C.UTF-8",
            "LOGNAME": self.user,
            "PATH": PATH,
            "SHELL": "/bin/sh",
            "TZ": "UTC",
            "USER": self.user,
            **(extra or {}),
            **self.env,
        }
        return {name: value for name, value in values.items() if name not in self.unset}

    def set_up(self) -> str:
        """Makes the user and its directory. No useradd: the account files of the layer are known, and login.defs may
        differ."""
        name, ids = self.user, f"{self.uid}:{self.gid}"
        return f"""set -eu
grep -q '^{name}:' /etc/passwd || {{
    echo '{name}:x:{ids}:Debian source builder,,,:/nonexistent:/bin/sh' >> /etc/passwd
    echo '{name}:x:{self.gid}:' >> /etc/group
    [ ! -e /etc/shadow ] || echo '{name}:!:19000:0:99999:7:::' >> /etc/shadow
    [ ! -e /etc/gshadow ] || echo '{name}:!::' >> /etc/gshadow
}}
chmod 0755 {self.mount}
install -d -m 0755 -o {self.uid} -g {self.gid} {self.directory}
"""


#: Where a build directory would hide a part of the root, or not be a plain directory.
RESERVED = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "usr", "var")


def check_directory(path: str) -> str:
    """*path* as a build directory. Errors: ConfigError if a build cannot be there."""
    words = path.split("/")
    plain = re.fullmatch(r"(?:/[A-Za-z0-9][A-Za-z0-9._+~-]*){2,}", path) is not None and len(path) < 256
    if not plain or words[1] in RESERVED:
        hint = "an absolute directory of at least two parts that is no part of the system, such as /build/hello"
        raise ConfigError("--build-path", f"{path!r} cannot be a build directory", hint=hint)
    return path


STANDARD = Surroundings()
