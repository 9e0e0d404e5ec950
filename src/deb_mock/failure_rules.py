"""What the tools of a build say when they fail: patterns of log lines, the class each stands for, and a hint.

A strong rule names the first of its lines; a weak one holds only near the end, where nothing strong is found. Logs are
hostile: a pattern that begins anywhere is bounded, so that no line takes long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A class of failure. `pattern` matches one line of the log."""

    kind: str
    pattern: re.Pattern[str]
    hint: str = ""
    follow: bool = False  #: the line after it belongs to the message


def _rule(kind: str, *patterns: str, hint: str = "", follow: bool = False) -> Rule:
    return Rule(kind, re.compile("|".join(patterns)), hint, follow)


MISSING = "a build dependency may be missing in debian/control"

#: Causes that lie outside of the package.
HOST_RULES = (
    _rule(
        "disk",
        r"[Nn]o space left on device|Disk quota exceeded|\bENOSPC\b|have enough free space in /",
        hint="make room where the store lies (deb-mock clean), or put it elsewhere with DEBOOTC_STORE",
    ),
    _rule(
        "memory",
        r"virtual memory exhausted|Cannot allocate memory|std::bad_alloc|out of memory allocating",
        r"Killed signal terminated program|LLVM ERROR: out of memory|signal: 9, SIGKILL",
        r"^(?:fatal error: runtime: |#+ Fatal error .*)?[Oo]ut of memory!?$",
        hint="give the build more memory or fewer jobs: -j 1",
    ),
    _rule(
        "processes",
        r"fork: (?:retry: )?Resource temporarily unavailable|[Cc]annot fork|can't start new thread|fork failed",
        hint="raise limits.processes, or use fewer jobs: -j 1",
    ),
)
NETWORK = _rule(
    "network",
    r"Temporary failure in name resolution|Could not resolve host|Name or service not known|Network is unreachable",
    r"getaddrinfo (?:failed|EAI_AGAIN|ENOTFOUND)|no such host|Unable to resolve host|Bad hostname|dial (?:tcp|udp)\b",
    r"disabled by GOPROXY=off",
    r"unable to resolve host address|Failed to establish a new connection",
    hint="builds have no network (Policy 4.9): what is fetched must come from a build dependency or the source",
)
CONFIGURE = _rule(
    "configure",
    r"^configure: error: ",
    r"^\S*(?:configure\.(?:ac|in)|Makefile\.am|\.m4):\d+: error: |^(?:autoreconf|automake|aclocal|autoconf): error: ",
    r"meson\.build:\d+:\d+: ERROR: |No package '[^']*' found|Package '[^']*', required by '[^']*', not found",
    hint=MISSING,
)
MODULE = _rule(
    "configure",
    r"ModuleNotFoundError: |ImportError: |Can't locate \S+ in @INC|no required module provides package",
    r"cannot find (?:module providing )?package\b",
    hint=MISSING,
)
CMAKE = _rule("configure", r"^CMake Error (?:at|in) ", hint=MISSING, follow=True)
TEST = _rule(
    "test",
    r"^(?:FAIL|ERROR|XPASS):? \S|^not ok \d(?!.*# (?:TODO|SKIP))|^E\s{2,}\S",
    r"^\s*\d+/\d+ Test +#\d+: .*(?:\*\*\*|Failed)|^\s*\d+/\d+ .*\s(?:FAIL|ERROR|TIMEOUT)\s|^\s*--- FAIL: ",
    r"^#\s+Failed test|^\[  FAILED  \]|^test .* \.\.\. FAILED|: Assertion .{0,200} failed\.$|^panic: ",
    hint="to build without the tests: --set build.options=nocheck",
)
#: In the order in which they are asked about one line.
STRONG = (
    NETWORK,
    _rule(
        "debhelper",
        r"^dh_missing: warning: .* is not installed to anywhere",
        r"^dh_\w+: warning: Cannot find \(any matches for\)",
        r"^dh(?:_\w+)?: error: (?!.*returned exit code|missing files, aborting|failing due to earlier errors)",
    ),
    _rule("patch", r"^Hunk #\d+ FAILED|hunks? FAILED|patch .{0,120}does not apply", hint="refresh the patch"),
    _rule(
        "source",
        r"^dpkg-source: info: local changes detected",
        hint="commit the changes to a patch (dpkg-source --commit), or clean them away in debian/clean",
        follow=True,
    ),
    _rule("source", r"^dpkg-source: error: ", hint="the source package itself is wrong; nothing was compiled"),
    _rule(
        "link",
        r"undefined reference to|multiple definition of|/ld: cannot find|undefined symbol:",
        r"DSO missing from command line|relocation R_\w+ against",
    ),
    CONFIGURE,
    MODULE,
    CMAKE,
    _rule(
        "compile",
        r"^\S+?:\d+(?::\d+)?: (?:fatal )?error: |^error\[E\d+\]: |^\s*SyntaxError: |error TS\d+: ",
        r"^\S+\.(?:go|ad[bs]):\d+:\d+: (?!warning)",
    ),
    TEST,
    _rule(
        "packaging",
        r"^dpkg-gensymbols: error: some ",
        hint="bring debian/*.symbols up to date; symbols that are gone want another SONAME (Policy 8.1 and 8.6.3)",
    ),
    _rule(
        "packaging",
        r"^dpkg-(?!source|buildpackage)\w+: error: ",
        r"^dpkg-buildpackage: error: (?!.*(?:subprocess|died))|^debian/rules:\d+: \*\*\* ",
        r"\*\*\* No rule to make target '(?:clean|build|binary)(?:-\w+)?'",
    ),
)
#: Asked from the end backwards.
WEAK = (
    _rule("link", r"ld returned \d+ exit status"),
    _rule("debhelper", r"^dh(?:_\w+)?: (?:error: missing files|missing files|error: failing due to)"),
    _rule("compile", r"\*\*\* No rule to make target |^Error: |^error: (?!command .* failed)"),
    _rule(
        "crash",
        r"(?:^|[\]\d:] )(?:Segmentation fault|Aborted|Bus error|Illegal instruction|Floating point exception|Killed)\b",
        hint="a signal ended a program; if it was SIGKILL, look for the OOM killer with `dmesg`",
    ),
    _rule("command", r": (?:command )?not found$|: No such file or directory$|: Permission denied$"),
)
#: Where a tool gave up: the end of the search, and the error itself where nothing better is found. debhelper shows the
#: logs of configure, cmake and meson (with `tail -v`) after they failed.
GAVE_UP = re.compile(
    r"^(?:g?make(?:\[\d+\])?: \*\*\* |\S+:\d+: \*\*\* |dh(?:_\w+)?: error: |dpkg-buildpackage: error: "
    r"|dpkg-source: error: |\t(?:cd \S+ && )?tail -v -n |ninja: build stopped|error: could not compile)"
)
#: dh prints each command before it runs it: what stands before the last of them did not end the build.
DH_STEP = re.compile(r"^   (?:debian/rules (?:override_|execute_\w+_)?)?(dh_\w+)")
#: Steps of debhelper whose failure says what it is by itself.
BY_STEP = {"dh_auto_test": TEST, "dh_auto_configure": _rule("configure", "", hint=MISSING)}
