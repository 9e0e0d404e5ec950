"""What apt and dpkg say when packages do not install, as findings. Used by the install and the upgrade test."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deb_mock.checks.model import Finding

OVERWRITE = re.compile(r"trying to overwrite (?:shared )?'([^']+)', which is also in package (\S+)")
SCRIPT = re.compile(r"(?:installed|new|old) (\S+) package (\S+) script subprocess returned error exit status (\d+)")
UNMET = re.compile(r"^ (\S+) : (?:Pre-)?Depends: (.*)$")
UNCONFIGURED = re.compile(r"^ (\S+) depends on (.*); however:$")
PROBLEM = re.compile(r"^E: (.*)$")


def parse_problems(text: str, subject: str) -> Iterator[Finding]:
    """Why an `apt-get install` failed: the telling lines, or what apt says at the end."""
    found = list(_telling(text, subject))
    if not found:
        last = [match[1] for line in text.splitlines() if (match := PROBLEM.match(line))]
        found = [Finding("error", "apt-failed", subject, last[-1] if last else "apt-get gave no reason")]
    yield from dict.fromkeys(found)


def parse_conflicts(text: str, subject: str) -> Iterator[Finding]:
    """Files of another package that dpkg refused to overwrite."""
    for match in OVERWRITE.finditer(text):
        yield Finding("error", "file-conflict", subject, f"{match[1]} is also in {match[2]}")


def _telling(text: str, subject: str) -> Iterator[Finding]:
    yield from parse_conflicts(text, subject)
    for line in text.splitlines():
        if match := SCRIPT.search(line):
            yield Finding("error", "script-failed", match[1], f"{match[2]} ended with status {match[3]}")
        elif match := UNMET.match(line) or UNCONFIGURED.match(line):
            yield Finding("error", "unmet-dependency", match[1], match[2].strip())


#: Installs what it is given and looks at dpkg's state. `$@`: packages or files. What is not given stays as it is: apt
#: would upgrade the other packages of the same source too, and hide what happens to those who upgrade in steps.
INSTALL = """set -eu
export LC_ALL=C.UTF-8
apt-get -q -y --reinstall --allow-downgrades -o APT::Get::Upgrade-By-Source-Package=false install "$@"
audit=$(dpkg --audit)
[ -z "$audit" ] || { echo "$audit"; echo "E: dpkg --audit is not content"; exit 1; }
apt-get -q check
"""
