"""A changelog entry that is added before a build: a binNMU, or a suffix of the version. The source stays as it is.

The entry is what sbuild writes, to the byte. Its date is the last one's, and one second more for each binNMU: it is the
same on all architectures, so that files which carry it can be shared (Multi-Arch: same), and it grows.
Source: sbuild 0.91, sbuild(1) --binNMU; deb-changelog(5), binary-only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from deb_mock.changelog import parse_changelog
from debcore.errors import ConfigError

#: What may follow a version: Policy 5.6.12, without what would change its parts.
SUFFIX = re.compile(r"[A-Za-z0-9.+~]{1,64}")
MAINTAINER = re.compile(r"[^<>\n]+ <[^<>\s]+@[^<>\s]+>")


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What is added; values as the options of sbuild with these names take them."""

    binnmu: int | None = None  #: N of +bN; 0 and None: none
    reason: str | None = None  #: --make-binNMU
    suffix: str | None = None  #: --append-to-version
    timestamp: str = "increment"  #: --binNMU-timestamp
    maintainer: str = ""
    entry: str | None = None  #: --binNMU-changelog: the whole entry, instead of all the others

    @property
    def is_binary_only(self) -> bool:
        """Whether it is a binNMU: then its packages do not have the source's version."""
        if self.entry is not None:
            return "binary-only=yes" in self.entry.strip().partition("\n")[0]
        return bool(self.binnmu)

    def version(self, version: str) -> str:
        """The version of the binary packages of a source with *version*."""
        if self.entry is not None:
            return parse_changelog(self.entry.strip(), where="--binNMU-changelog").version
        return f"{version}{self.suffix or ''}" + (f"+b{self.binnmu}" if self.binnmu else "")

    def text(self, *, source: str, version: str, distribution: str, arch: str, date: str, now: datetime) -> str:
        """The entry. *version*: of the source; *date*: of its last entry, RFC 5322."""
        if self.entry is not None:
            return self.entry.strip() + "\n\n"
        binary = ", binary-only=yes" if self.binnmu else ""
        lines = [f"{source} ({self.version(version)}) {distribution}; urgency=low{binary}", ""]
        if self.suffix:
            lines.append(f"  * Append {self.suffix} to version number; no source changes")
        if self.reason:
            lines.append(f"  * Binary-only non-maintainer upload for {arch}; no source changes.")
            lines.append("  * " + "    ".join(self.reason.split("\n")))
        return "\n".join([*lines, "", f" -- {self.maintainer}  {self.date(date, now)}", "", ""])

    def date(self, last: str, now: datetime) -> str:
        """Of the entry, as `date -R` in UTC writes it. Errors: ConfigError if the last entry has none."""
        if self.timestamp == "now":
            return _format(now)
        if re.fullmatch(r"\+?[1-9]\d*", self.timestamp):
            return _format(datetime.fromtimestamp(int(self.timestamp), UTC))
        if self.timestamp != "increment":
            return self.timestamp
        try:
            return _format(parsedate_to_datetime(last) + timedelta(seconds=self.binnmu or 0))
        except ValueError as error:
            raise ConfigError("debian/changelog", f"the last entry's date cannot be read: {last!r}") from error


def make_addition(
    *,
    binnmu: int | None,
    reason: str | None,
    suffix: str | None,
    timestamp: str | None,
    maintainer: str | None,
    entry: str | None,
    environment: Callable[[str], str | None],
) -> Addition | None:
    """What sbuild's options say together; None if they add nothing. A reason alone means the first binNMU.

    Errors: ConfigError on options that do not go together, and as check_addition.
    """
    parts = {
        "--binNMU": binnmu,
        "--make-binNMU": reason,
        "--append-to-version": suffix,
        "--binNMU-timestamp": timestamp,
    }
    given = [name for name, value in parts.items() if value is not None]
    if entry is None and not given:
        return None
    if entry is not None and given:
        raise ConfigError(given[0], "does not go with --binNMU-changelog, which is the whole entry")
    if entry is None and not reason and not suffix:
        raise ConfigError(given[0], "needs a reason", hint="such as --make-binNMU 'Rebuild against libfoo2'")
    number = 1 if binnmu is None and reason is not None else binnmu
    made = Addition(
        binnmu=number, reason=reason, suffix=suffix, timestamp=timestamp or "increment", maintainer=maintainer or "",
        entry=entry,
    )  # fmt: skip
    return check_addition(made, environment)


def check_addition(addition: Addition, environment: Callable[[str], str | None]) -> Addition:
    """*addition*; a maintainer that is not named comes from debchange's variables. Errors: ConfigError."""
    if addition.entry is not None:
        parse_changelog(addition.entry.strip(), where="--binNMU-changelog")
        return addition
    if addition.suffix is not None and not SUFFIX.fullmatch(addition.suffix):
        raise ConfigError("--append-to-version", f"{addition.suffix!r} is no version suffix", hint="such as +local1")
    name, address = environment("DEBFULLNAME") or environment("NAME"), environment("DEBEMAIL") or environment("EMAIL")
    maintainer = addition.maintainer or (f"{name} <{address}>" if name and address and "<" not in address else address)
    if not maintainer or not MAINTAINER.fullmatch(maintainer):
        hint = "say who: --maintainer 'Your Name <you@example.org>', or set DEBFULLNAME and DEBEMAIL"
        raise ConfigError("--maintainer", "the changelog entry needs a name and an address", hint=hint)
    if addition.timestamp not in ("increment", "now") and not re.fullmatch(r"\+?[1-9]\d*", addition.timestamp):
        try:
            parsedate_to_datetime(addition.timestamp)
        except ValueError as error:
            hint = "increment, now, seconds since 1970, or a date as `date -R` prints it"
            raise ConfigError("--binNMU-timestamp", f"{addition.timestamp!r} is no time", hint=hint) from error
    values = {**addition.__dict__, "maintainer": maintainer}
    return Addition(**values)


def _format(at: datetime) -> str:
    days, months = "Mon Tue Wed Thu Fri Sat Sun", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
    at = at.astimezone(UTC)
    day, month = days.split()[at.weekday()], months.split()[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year:04} {at:%H:%M:%S} +0000"
