"""apt's indexes of one set of sources, in the store, and running apt on them with a configuration of its own.

Only here does anything inside a sandbox see the network, and nothing of what it gets is executed there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from debcore.command import Completed, find_program, run
from debcore.errors import CommandFailed, DepsUnmet, Failure, HostFailed, find_full
from debcore.job import AptSource
from debcore.path import check_file_name
from debroot import aspcud, owned
from debroot.aptconf import make_config, make_preferences, make_sources, parse_config_dump
from debroot.auth import find_auth, wrap
from debroot.debfile import parse_fields
from debroot.lists import UNREADABLE, find_damaged
from debroot.offer import OFFER, make_offer, make_offer_pins
from debroot.sandbox import ENVIRONMENT, Bind, Sandbox, run_in
from debroot.store import Layer, Package, Store

log = logging.getLogger(__name__)

CONF = "/tmp/conf"  # noqa: S108 -- inside the sandbox
STATE = "/tmp/state"  # noqa: S108

#: An update makes no caches: what asks next makes those that it needs. Source: apt's private-update.cc. Those of before
#: go, as apt does by itself else: a list of the same second and size would pass for the one that they were made of.
NO_CACHE = "-o pkgCacheFile::Generate=false"


@dataclass(frozen=True)
class SourceFile:
    """One file of a source package in the archive."""

    name: str
    uri: str
    size: int  #: bytes
    sha256: str


SOURCE_URI = re.compile(r"^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$", re.M)


def parse_source_uris(text: str) -> list[SourceFile]:
    """Lines of `apt-get source --print-uris` with Acquire::ForceHash=SHA256."""
    return [
        SourceFile(check_file_name(unquote(m[1].rsplit("/", 1)[-1]), where="the archive"), m[1], int(m[3]), m[4])
        for m in SOURCE_URI.finditer(text)
    ]


class Indexes:
    """One set of sources' indexes, kept in the store and used by one process at a time."""

    def __init__(
        self,
        store: Store,
        tools: Layer | None,
        sources: tuple[AptSource, ...],
        arch: str,
        *,
        foreign: str | None = None,
    ) -> None:
        self.key = hash_value(
            [[source.model_dump(mode="json") for source in sources], arch, *([foreign] if foreign else [])]
        )
        self._store, self._tools, self._sources, self._arch, self._foreign = store, tools, sources, arch, foreign
        self._asked_at = time.time()
        # an apt reads only caches of its own version
        self._place = store.path / "apt" / f"{self.key}-{tools.id[:8] if tools else 'host'}"
        self._lock = store.making(f"apt-{self.key}")

    def __enter__(self) -> Indexes:
        self._lock.__enter__()
        if not (self._place / "state").exists():
            self._place.mkdir(exist_ok=True, mode=0o711)
            owned.make_directories(self._place, ["state"], self._store.idmap)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._lock.__exit__(*exception)

    def update(self, max_age: float) -> None:
        """Check the Release files against the archive, and fetch the indexes that have changed."""
        stamp = self._place / "stamp"
        with suppress(OSError):
            checked_at = stamp.stat().st_mtime
            now = time.time()  # a check in the future was made by a clock that was wrong: it says nothing
            # another process that held the lock has checked since we asked: one check serves all who waited
            if now - checked_at >= 0 and (now - checked_at < max_age or checked_at > self._asked_at):
                return
            from debroot.unchanged import is_unchanged  # it loads an HTTP client

            if is_unchanged(self._sources, self._place / "state/lists", load_proxies()):
                stamp.touch()
                return
        log.info("Checking the package lists")
        # apt asks with the times of its lists, and HTTP's times have seconds: an archive may change twice in one
        script = (
            f"mkdir -p {STATE}/lists/partial {STATE}/cache/archives/partial {STATE}/log && "
            f"rm -f {STATE}/cache/*.bin && touch --no-create --date=@1 {STATE}/lists/*Release && "
            f"exec apt-get -q {NO_CACHE} update"
        )
        done = self.run_apt(["sh", "-c", script], status=b"", check=False)
        if done.status != 0:
            said = (done.stderr or done.stdout).decode("utf-8", "replace")
            raise CommandFailed(["apt-get", "update"], done.status, said, hint=explain_update(said))
        stamp.touch()

    @property
    def lists(self) -> Path:
        """Where apt keeps what it got from the archive."""
        return self._place / "state" / "lists"

    def package_lists(self) -> list[Path]:
        return sorted(path for path in self.lists.iterdir() if path.name.endswith("_Packages"))

    def release_hashes(self) -> dict[str, str]:
        found = sorted(p for p in self.lists.iterdir() if p.name.endswith(("_InRelease", "_Release")))
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    def open_lists(self) -> dict[str, IO[bytes]]:
        """apt's verified index files by its names of them, open: they stay what they are when the archive changes."""
        lists = self._place / "state" / "lists"
        return {path.name: path.open("rb") for path in lists.iterdir() if path.is_file() and path.name != "lock"}

    def solve(
        self,
        command: list[str],
        status: bytes,
        build_deps: str | None,
        *,
        recommends: bool,
        debs: Sequence[Package] = (),
        criteria: str | None = None,
        marks: bytes = b"",
    ) -> tuple[tuple[Package, ...], tuple[str, ...]]:
        """Run apt's solver, or for build dependencies aspcud with *criteria*; *debs* of the pool come before the
        archive's. *marks*: the root's extended_states, which say what was installed by itself. Errors: DepsUnmet."""
        files = {"control.dsc": build_deps.encode()} if build_deps is not None else {}
        words = ["apt-get", "-q", "--print-uris", *command, *([f"{CONF}/control.dsc"] if files else [])]
        if criteria and build_deps is not None:
            files = {"control": aspcud.make_control(build_deps, arch=self._arch).encode()}
            words = aspcud.make_command(f"{CONF}/control", criteria)
        if debs:
            files |= {OFFER: make_offer(self._store, debs)}
            files |= {"preferences": (make_preferences(self._sources) + "\n" + make_offer_pins(debs, status)).encode()}
            place = words.index("--print-uris")
            words[place:place] = [f"--with-source={CONF}/{OFFER}", "--allow-downgrades"]
        if marks:
            files["marks"] = marks
            words[1:1] = ["-o", f"Dir::State::extended_states={CONF}/marks"]
        done = self.run_apt(words, status=status, files=files, recommends=recommends, check=False)
        if done.status != 0 and self._repair(done.stderr.decode("utf-8", "replace")):
            done = self.run_apt(words, status=status, files=files, recommends=recommends, check=False)
        if done.status != 0:
            said = (done.stdout + done.stderr).decode("utf-8", "replace")
            raise DepsUnmet(explain_unmet(said), hint="check names, versions and sources; the archive may change")
        packages = parse_uris("".join(line for line in done.text.splitlines(True) if aspcud.NAME not in line))
        offered = {package.sha256: package for package in debs}
        fetched = [package for package in packages if package.sha256 not in offered]
        if fetched:
            names = [f"{p.name}:{p.arch}={p.version}" if p.arch != "all" else f"{p.name}={p.version}" for p in fetched]
            shown = self.run_apt(["apt-cache", "show", "--", *names], status=b"")
            packages = add_records(packages, shown.text)
        return tuple(offered.get(p.sha256, p) for p in packages), parse_removed(done.text)

    def _repair(self, said: str) -> bool:
        """Fetch everything anew if the stored indexes are damaged. False if they are not."""
        damaged = find_damaged(self._place / "state" / "lists")
        if damaged is None and not any(words in said for words in UNREADABLE):
            return False
        log.warning("The stored package lists are damaged (%s): fetching them again", damaged or said.strip()[-200:])
        owned.remove_names(self._place, ["state", "stamp"], self._store.idmap)
        owned.make_directories(self._place, ["state"], self._store.idmap)
        self.update(0)
        return True

    def find_exact(self, names: Sequence[str]) -> tuple[Package, ...]:
        """Those of *names* (`name=version`, `name:arch=version`) that these sources have; not an error if none."""
        shown = self.run_apt(["apt-cache", "show", "--", *names], status=b"", check=False).text
        records = [parse_fields(stanza) for stanza in shown.split("\n\n") if stanza.strip()]
        there = {(fields.get("package"), fields.get("version")) for fields in records}
        known = [word for word in names if (word.partition("=")[0].partition(":")[0], word.partition("=")[2]) in there]
        if not known:
            return ()
        done = self.run_apt(["apt-get", "-q", "--print-uris", "download", "--", *known], status=b"")
        return add_records(parse_uris(done.text), shown)

    def find_source(self, name: str, version: str | None) -> list[SourceFile]:
        """The files of a source package. Errors: Failure if no source of these has it."""
        wanted = f"{name}={version}" if version else name
        try:
            done = self.run_apt(["apt-get", "-q", "--print-uris", "--only-source", "source", wanted], status=b"")
        except CommandFailed as error:
            raise Failure(
                f"no source package {wanted} in the archive: {explain_unmet(error.output)}",
                hint="check the name, and that a version is written whole, with its epoch",
            ) from error
        return parse_source_uris(done.text)

    def run_apt(
        self,
        argv: list[str],
        *,
        status: bytes,
        files: Mapping[str, bytes] | None = None,
        recommends: bool = False,
        check: bool = True,
    ) -> Completed:
        """Run a program of apt with our configuration, on the host's network.

        Errors: HostFailed if the disk is full, which says nothing about packages or lists; CommandFailed if *check*.
        """
        with self._store.scratch() as conf:
            (conf / "sources.d").mkdir()
            (conf / "none").mkdir()
            content: dict[str, bytes] = {
                "apt.conf": make_config(
                    arch=self._arch, foreign=self._foreign, conf=CONF, state=STATE, status=f"{CONF}/status",
                    proxies=load_proxies(), recommends=recommends,
                ).encode(),
                "sources.d/debootc.sources": make_sources(self._sources).encode(),
                "preferences": make_preferences(self._sources).encode(),
                "status": status,
                **(files or {}),
            }  # fmt: skip
            for file, data in content.items():
                (conf / file).write_bytes(data)
                # apt takes its caches for stale when the time of a file differs: times follow from content
                at = int(hashlib.sha256(data).hexdigest()[:7], 16)
                os.utime(conf / file, (at, at))
            owned.show_all(conf)
            for directory in (conf, conf / "sources.d", conf / "none"):
                os.utime(directory, (0, 0))
            binds = (Bind(source=conf, target=CONF), Bind(source=self._place / "state", target=STATE, readonly=False))
            box = networked(self._tools, (*binds, *local_binds(self._sources)))
            auth = find_auth(uri for source in self._sources for uri in source.uris)
            words = wrap(argv, auth)
            done = run_in(box, words, idmap=self._store.idmap, stdin=auth or None, capture=True, check=False)
        said = (done.stderr or done.stdout).decode("utf-8", "replace")
        if done.status != 0 and (full := find_full(said)) is not None:
            raise HostFailed(f"no room for the package lists: {full}", hint=MAKE_ROOM)
        if done.status != 0 and check:
            raise CommandFailed(argv, done.status, said)
        return done


def networked(tools: Layer | None, binds: tuple[Bind, ...]) -> Sandbox:
    """A sandbox on the host's network for apt: the tools root, or the host's own / while there is none."""
    env = {**ENVIRONMENT, "APT_CONFIG": f"{CONF}/apt.conf", "DEBIAN_FRONTEND": "noninteractive"}
    if tools is None:
        return Sandbox(root=Path("/"), binds=binds, network="host", env=env)
    return Sandbox(lowers=tools.lowers(), binds=binds, network="host", env=env)


def local_binds(sources: Sequence[AptSource]) -> tuple[Bind, ...]:
    """Repositories in directories of the host are shown at their own path."""
    paths = [Path(unquote(urlsplit(u).path)) for s in sources for u in s.uris if urlsplit(u).scheme in ("file", "copy")]
    return tuple(Bind(source=path, target=str(path)) for path in dict.fromkeys(paths))


def load_proxies() -> dict[str, str]:
    """Proxies of the host's apt, and of the environment."""
    found: dict[str, str] = {}
    if find_program("apt-config") is not None:
        found = parse_config_dump(run(["apt-config", "dump"]).text)
    for scheme in ("http", "https"):
        if value := os.environ.get(f"{scheme}_proxy"):
            found.setdefault(f"Acquire::{scheme}::Proxy", value)
    return found


URI = re.compile(r"^'([^']+)' (\S+)_(\S+)_(\S+)\.deb (\d+) SHA256:([0-9a-f]{64})$", re.M)


def parse_uris(text: str) -> tuple[Package, ...]:
    """Lines of `apt-get --print-uris` with Acquire::ForceHash=SHA256. Errors: Failure on a .deb without SHA-256."""
    found = {
        Package(
            name=unquote(m[2]), version=unquote(m[3]), arch=unquote(m[4]), size=int(m[5]), sha256=m[6], uri=m[1]
        )
        for m in URI.finditer(text)
    }  # fmt: skip
    lines = sum(1 for line in text.splitlines() if re.match(r"'[^']+' \S+\.deb \d+", line))
    if lines != len(found):
        raise Failure("the archive lists packages without SHA-256", hint="use an archive with current indexes")
    return tuple(sorted(found, key=lambda p: (p.name, p.arch)))


def parse_removed(text: str) -> tuple[str, ...]:
    """Names below `The following packages will be REMOVED:`."""
    match = re.search(r"^The following packages will be REMOVED:\n((?:  .*\n)+)", text, re.M)
    return tuple(word.rstrip("*") for word in match[1].split()) if match else ()


def add_records(packages: Sequence[Package], shown: str) -> tuple[Package, ...]:
    """Source, source version and Filename from the records that `apt-cache show` printed."""
    records = {}
    for stanza in shown.split("\n\n"):
        fields = parse_fields(stanza)
        records[fields.get("sha256", "")] = fields
    found = []
    for package in packages:
        fields = records.get(package.sha256, {})
        source, _, version = fields.get("source", "").partition(" ")
        found.append(
            replace(
                package,
                filename=fields.get("filename", ""),
                source=source or None,
                source_version=version.strip("() ") or None,
            )
        )
    return tuple(found)


MAKE_ROOM = "make room where the store lies (deb-mock gc --max-size 20G), or point DEBOOTC_STORE to a larger disk"


def explain_update(output: str) -> str:
    """What to do when the indexes cannot be had."""
    if "401  Unauthorized" in output:
        return ASKS_WHO
    if "is expired" in output or "is not valid yet" in output:
        return "the mirror has not been updated, or the clock of this machine is wrong; DEBOOTC_MIRROR names another"
    if "NO_PUBKEY" in output or "not signed" in output or "signature" in output.lower():
        return "the source's key does not match: check signed_by, or upgrade debian-archive-keyring"
    failed = re.search(r"^E: Failed to fetch (\S+)", output, re.MULTILINE)
    if failed and re.search("unexpected size|Hash Sum mismatch|sync in progress", output):
        return f"the mirror changed while it was read: run this again ({failed[1]} does not fit its Release)"
    return "check the network and the source's address; DEBOOTC_MIRROR names another mirror"


#: What to do about an archive that wants to know who asks.
ASKS_WHO = (
    "it wants a password: put it into a file as apt_auth.conf(5) says, and name that: export DEBOOTC_APT_AUTH=FILE"
)


def explain_unmet(output: str) -> str:
    """apt's own words from the point where they matter."""
    for start in ("The following packages have unmet dependencies:", "E: "):
        position = output.find(start)
        if position >= 0:
            return output[position:].strip()
    return output.strip()


def hash_value(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]
