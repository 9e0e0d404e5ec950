"""The host's own apt sources, turned towards another suite. No host name is built in.

Source: sources.list(5), apt-secure(8).
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from debcore.crc24 import checksum_line
from debcore.errors import Failure
from debcore.job import AptSource

#: Suites without pockets for security and updates.
ROLLING = frozenset({"sid", "unstable", "experimental", "rc-buggy"})

#: Where Debian's own keyring lies: trixie and newer, then older releases.
KEYRINGS = ("usr/share/keyrings/debian-archive-keyring.pgp", "usr/share/keyrings/debian-archive-keyring.gpg")

#: The environment variable that lets the host's mirror stand still; tools roots come from it too.
CHECK_VALID_UNTIL = "DEBOOTC_CHECK_VALID_UNTIL"

ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


@dataclass(frozen=True)
class HostSource:
    """One (URI, suite) pair of the host's configuration."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None  #: a path, an armoured key, fingerprints, or None


def find_host_sources(
    suite: str, *, security: bool = True, updates: bool = True, source: bool = False, root: Path = Path("/")
) -> tuple[AptSource, ...]:
    """The host's source whose InRelease says Origin: Debian, for *suite* (a codename or `sid`), each with its key.

    *security* and *updates* add the suite's pockets where the suite has them (sid and experimental have none);
    *source* adds deb-src. DEBOOTC_MIRROR and DEBOOTC_SECURITY_MIRROR (URIs) override what the host says.
    With DEBOOTC_CHECK_VALID_UNTIL=no their indexes may have expired: for a mirror that stands still.
    *root*: whose /etc/apt and /var/lib/apt are read. Errors: Failure with a hint if there is no such source or key.
    """
    configured = load_host_sources(root)
    types: tuple[Literal["deb", "deb-src"], ...] = ("deb", "deb-src") if source else ("deb",)
    pockets = suite not in ROLLING
    main = _find_archive(configured, "Debian", "DEBOOTC_MIRROR", root)
    suites = (suite, f"{suite}-updates") if pockets and updates else (suite,)
    found = [_make_source(main, suites, types, root)]
    if security and pockets:
        archive = _find_archive(configured, "Debian-Security", "DEBOOTC_SECURITY_MIRROR", root)
        found.append(_make_source(archive, (f"{suite}-security",), types, root))
    return tuple(found)


def load_host_sources(root: Path = Path("/")) -> list[HostSource]:
    """Every enabled deb source below *root*/etc/apt, in apt's order."""
    apt = root / "etc/apt"
    files = [apt / "sources.list"]
    if (apt / "sources.list.d").is_dir():
        files += sorted((apt / "sources.list.d").iterdir())
    found: list[HostSource] = []
    for file in files:
        if file.suffix not in (".list", ".sources") or not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        found += parse_deb822(text) if file.suffix == ".sources" else parse_one_line(text)
    return found


LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>[^#]*)")


def parse_one_line(text: str) -> list[HostSource]:
    """The `deb` lines of a sources.list; deb-src lines say nothing that we need."""
    found = []
    for line in text.splitlines():
        match = LINE.match(line.strip())
        if match is None:
            continue
        options = dict(word.partition("=")[::2] for word in (match["options"] or "").split())
        signed_by = options.get("signed-by") or None
        found.append(HostSource(match["uri"], match["suite"], tuple(match["components"].split()), signed_by))
    return found


def parse_deb822(text: str) -> list[HostSource]:
    """The enabled stanzas of a .sources file that have the type deb."""
    found = []
    for fields in _stanzas(text):
        if fields.get("enabled", "yes").lower() in ("no", "false", "without", "off", "disable"):
            continue
        if "deb" not in fields.get("types", "").split():
            continue
        signed_by = fields.get("signed-by") or None
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                found.append(HostSource(uri, suite, components, signed_by))
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            # a lone dot stands for an empty line, as in an inline key
            fields[name] = f"{fields.get(name, '')}\n{'' if line.strip() == '.' else line.strip()}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def _find_archive(configured: Iterable[HostSource], label: str, variable: str, root: Path) -> HostSource:
    """The first source whose Release file has Origin Debian and *label*, or what *variable* says."""
    override = os.environ.get(variable, "").strip()
    if override:
        return HostSource(override, "", ("main",), None)
    for source in configured:
        release = load_release(source, root)
        if release.get("origin") == "Debian" and release.get("label") == label:
            return source
    what = "security archive" if "Security" in label else "archive"
    raise Failure(
        f"the host's apt sources name no Debian {what} (none whose InRelease says Origin: Debian, Label: {label})",
        hint=f"run `sudo apt update`, or name one: export {variable}=URI",
    )


def load_release(source: HostSource, root: Path = Path("/")) -> dict[str, str]:
    """The head of the Release file that the host's apt has for *source*, keys in lower case; empty if it has none."""
    lists = root / "var/lib/apt/lists"
    for name in ("InRelease", "Release"):
        file = lists / f"{list_name(source.uri, source.suite)}_{name}"
        try:
            with file.open(encoding="utf-8", errors="replace") as lines:
                return parse_head(lines)
        except OSError:
            continue
    return {}


def list_name(uri: str, suite: str) -> str:
    """How apt names the files of a repository in its lists directory: URItoFileName() of apt-pkg."""
    host, path = re.sub(r"^[a-z0-9+]+:", "", uri.rstrip("/")), ""
    if host.startswith("//"):
        host, slash, path = host[2:].partition("/")
        host, path = host.rpartition("@")[2], slash + path
    tail = suite.rstrip("/") if suite.endswith("/") else f"dists/{suite}"
    quoted = (f"%{ord(c):02x}" if c in QUOTED or not "!" <= c <= "~" else c for c in f"{host}{path}/{tail}")
    return "".join(quoted).replace("/", "_")


#: Characters that apt writes as %xx in names of lists: URItoFileName() in apt-pkg/contrib/strutl.cc.
QUOTED = frozenset('\\|{}[]<>"^~_=!@#$%^&*')


def expand_mirrors(uri: str, root: Path = Path("/")) -> tuple[str, ...]:
    """What `mirror+file:` lists (first one first), as Debian's cloud images have it; other URIs stand for themselves.

    Source: apt-transport-mirror(1).
    """
    if not uri.startswith("mirror+file:"):
        return (uri,)
    try:
        lines = (root / uri.removeprefix("mirror+file:").lstrip("/")).read_text().splitlines()
    except OSError as error:
        raise Failure(f"{uri}: {error.strerror}", hint="name a mirror: export DEBOOTC_MIRROR=URI") from error
    return tuple(words[0] for words in map(str.split, lines) if words and not words[0].startswith("#"))[:1]


def parse_head(lines: Iterable[str]) -> dict[str, str]:
    fields = {}
    for line in lines:
        if line.startswith(" "):
            break  # the list of files: all that matters came before
        name, colon, value = line.partition(":")
        if colon and " " not in name:
            fields[name.lower()] = value.strip()
    return fields


def _make_source(
    archive: HostSource, suites: tuple[str, ...], types: tuple[Literal["deb", "deb-src"], ...], root: Path
) -> AptSource:
    return AptSource(
        uris=expand_mirrors(archive.uri, root),
        suites=suites,
        components=("main",),
        types=types,
        signed_by=find_key(archive, root),
        check_valid_until=checks_valid_until(),
    )


def checks_valid_until() -> bool:
    """What DEBOOTC_CHECK_VALID_UNTIL says. Errors: Failure if it is neither `yes` nor `no`."""
    said = os.environ.get(CHECK_VALID_UNTIL, "").strip() or "yes"
    if said not in ("yes", "no"):
        raise Failure(f"{CHECK_VALID_UNTIL} is {said!r}", hint="it is `yes` (indexes may not have expired) or `no`")
    return said == "yes"


def find_key(archive: HostSource, root: Path = Path("/")) -> str:
    """The armoured key that verifies *archive*: its Signed-By, else Debian's archive keyring on this host."""
    signed_by = archive.signed_by or ""
    if ARMOUR in signed_by:
        return signed_by.strip() + "\n"
    paths = [word for word in re.split(r"[\s,]+", signed_by) if word.startswith("/")]
    for path in [root / p.lstrip("/") for p in paths] or [root / p for p in KEYRINGS]:
        if path.is_file():
            return armour(path.read_bytes())
    raise Failure("no key for Debian's archive on this host", hint="sudo apt install debian-archive-keyring")


@cache
def armour(key: bytes) -> str:
    """A binary OpenPGP key ring as text (RFC 9580, 6.2, with the checksum that old readers want); text stays."""
    if key.lstrip().startswith(b"-----BEGIN"):
        return key.decode("ascii", "replace").strip() + "\n"
    body = base64.b64encode(key).decode()
    lines = [body[start : start + 76] for start in range(0, len(body), 76)]
    return "\n".join([ARMOUR, "", *lines, checksum_line(key), "-----END PGP PUBLIC KEY BLOCK-----", ""])
