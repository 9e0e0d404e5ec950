"""A bare repository inside a sandbox: made from a directory of this host or a URL, and asked questions."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deb_mock.git.local import write_repository_tar
from deb_mock.surroundings import STANDARD
from deb_mock.transfer import write_bytes_tar, write_files_tar
from deb_mock.workspace import Workspace
from debcore.command import Completed
from debcore.errors import CommandFailed, ConfigError, Failure, HostFailed, LimitHit
from debroot.sandbox import run_in

#: Where the user of the sandbox works, and the repository in it.
HOME = STANDARD.directory
DIRECTORY = f"{HOME}/repository"
CONFIG_NAME = "gitconfig"
#: Seconds that a clone, and any other step, may take.
CLONE_TIME = 3600.0
STEP_TIME = 1800.0
#: Bytes of a list that are read; a list that is longer is an error.
LISTING = 16 << 20
_HEAD = f'set -o pipefail; "$@" | head -c {LISTING}'
#: What git sees in place of the user's configuration.
CONFIG = """[core]
\thooksPath = /dev/null
\tautocrlf = false
\tattributesFile = /dev/null
[safe]
\tdirectory = *
[transfer]
\tfsckObjects = true
[fsck]
\tzeroPaddedFilemode = ignore
\tmissingSpaceBeforeDate = ignore
\tbadTimezone = ignore
[gc]
\tauto = 0
[tar]
\tumask = 022
[protocol]
\tallow = never
[protocol "https"]
\tallow = always
[protocol "http"]
\tallow = always
"""
#: Files are exported as they are stored, byte for byte, whatever .gitattributes says.
ATTRIBUTES = "* !text !crlf !eol !ident !filter !working-tree-encoding !export-ignore !export-subst\n"
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": f"{HOME}/{CONFIG_NAME}",
    "GIT_TERMINAL_PROMPT": "0",
}
_COMMIT = re.compile(r"[0-9a-f]{40,64}")


@dataclass(frozen=True)
class Repository:
    """Questions to the repository in `space`; all answers are bounded."""

    space: Workspace

    def git(self, *words: str, check: bool = True) -> str:
        """What git prints, at most LISTING bytes; "" where it fails and *check* is not set."""
        done = self._run(words, check=check)
        return done.text.strip() if done.status == 0 else ""

    def find_commit(self, name: str) -> str | None:
        """The commit that a branch, tag or hash names."""
        found = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False)
        return found if _COMMIT.fullmatch(found) else None

    def read(self, commit: str, path: str, *, limit: int = 8 << 20) -> bytes | None:
        """The file *path* of *commit*, or None. Errors: ConfigError above *limit* bytes, or if it is a link."""
        listed = self.git("ls-tree", "-l", "--full-tree", commit, "--", path)
        if not listed:
            return None
        mode, kind, blob, size, *_ = listed.split()
        if kind != "blob" or mode == "120000":
            raise ConfigError(f"{commit[:12]}:{path}", "is no plain file")
        if int(size) > limit:
            raise ConfigError(f"{commit[:12]}:{path}", f"has {size} bytes, and {limit} are allowed")
        return run_bounded(self.space, ["git", f"--git-dir={DIRECTORY}", "cat-file", "blob", blob]).stdout

    def read_object(self, kind: str, name: str) -> bytes:
        """A commit or an annotated tag as git stores it."""
        return self._run(["cat-file", kind, name]).stdout

    def find_submodule(self, commit: str) -> str | None:
        """The path of one, if there is any."""
        script = f'git --git-dir={DIRECTORY} ls-tree -r --full-tree "$1" | grep -m 1 "^160000 "'
        listed = run_bounded(self.space, ["sh", "-c", script, "sh", commit], check=False).text
        return listed.strip().partition("\t")[2] or None

    def list_branches(self) -> list[str]:
        return self.git("for-each-ref", "--count=12", "--format=%(refname:short)", "refs/heads").split()

    def _run(self, words: Sequence[str], *, check: bool = True) -> Completed:
        argv = ["bash", "-c", _HEAD, "bash", "git", f"--git-dir={DIRECTORY}", *words]
        return run_bounded(self.space, argv, check=check)


def run_bounded(space: Workspace, argv: Sequence[str], *, cwd: str = HOME, check: bool = True) -> Completed:
    """Run *argv* in *space* without network, within its limits and STEP_TIME. Errors: CommandFailed, LimitHit."""
    sandbox = space.sandbox(cwd=cwd, env={**ENVIRONMENT, "HOME": HOME}, limited=True)
    return run_in(sandbox, argv, idmap=space.store.idmap, capture=True, check=check, timeout=STEP_TIME)


def open_repository(space: Workspace, place: str | Path) -> Repository:
    """Bring the repository at *place* into *space*. Errors: ConfigError, Failure, HostFailed."""
    space.put(lambda stream: write_bytes_tar({CONFIG_NAME: CONFIG.encode()}, stream))
    if isinstance(place, str):
        _clone(space, place)
    else:
        config = {"repository/config": b"[core]\n\tbare = true\n"}
        space.put(lambda stream: write_bytes_tar(config, stream))
        space.put(lambda stream: write_repository_tar(place, "repository", stream))
        space.run(["mkdir", "-p", f"{DIRECTORY}/refs/heads", f"{DIRECTORY}/objects"])
    space.put(lambda stream: write_bytes_tar({"repository/info/attributes": ATTRIBUTES.encode()}, stream))
    repository = Repository(space)
    if not repository.git("rev-parse", "--git-dir", check=False):
        raise ConfigError(str(place), "git cannot read this repository", hint="try in it: git fsck")
    return repository


def _clone(space: Workspace, url: str) -> None:
    """Get all branches and tags. This sandbox sees the network, and nothing else of the host."""
    env = {key: value for key, value in os.environ.items() if key.lower() in ("http_proxy", "https_proxy", "no_proxy")}
    trusted = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    if trusted.is_file():  # whom this host trusts
        space.put(lambda stream: write_files_tar({"trusted.pem": trusted}, stream))
        env["GIT_SSL_CAINFO"] = f"{HOME}/trusted.pem"
    sandbox = replace(space.sandbox(limited=True, env={**ENVIRONMENT, **env}), network="host")
    argv = ["git", "clone", "--quiet", "--bare", "--template=", "--no-recurse-submodules", "--", url, DIRECTORY]
    try:
        run_in(sandbox, argv, idmap=space.store.idmap, capture=True, timeout=CLONE_TIME)
    except LimitHit as error:
        hint = "raise it with --set source.max_size=20G"
        raise Failure(f"{url} is too large, or took longer than {CLONE_TIME:g} s", hint=hint) from error
    except CommandFailed as error:
        said = error.output.strip().splitlines()[-1:] or ["git said nothing"]
        hint = "check the URL and the network; a repository that wants a login must be cloned by yourself"
        kind = Failure if "not found" in said[0] else HostFailed
        raise kind(f"{url} cannot be cloned: {said[0]}", hint=hint) from error
