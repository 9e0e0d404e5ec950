"""Failures that come from what is around a build: dependencies, the network, limits, the host."""

from __future__ import annotations

from debcore.job import Status
from tests.failures.case import Case
from tests.failures.package import Package, make_plain, plain_rules

PERL = "use IO::Socket::INET; IO::Socket::INET->new(PeerAddr=>q({}),PeerPort=>80,Timeout=>5) or die qq($$@)"
FORKS = "for (1..300) { my $$p = fork; die qq(Cannot fork: $$!) unless defined $$p; unless ($$p) { sleep 9; exit } }"


def _unmet(name: str, depends: str, message: str) -> Case:
    package = Package(depends=depends, rules=plain_rules("true"), architecture="all")
    return Case(name, package, "dependency", message, stage="resolve", status=Status.DEPS, logged=False)


def _limited(name: str, build: str, kind: str, message: str, limit: str) -> Case:
    words = ("--set", f"limits.{limit}")
    return Case(name, make_plain(build), kind, message, status=Status.LIMIT, words=words, logged=False)


CASES = (
    _unmet("dependency-missing", "no-such-package-anywhere", "no-such-package-anywhere"),
    _unmet("dependency-version", "hostname (>= 99:1)", "hostname (>= 99:1)"),
    _unmet("dependency-conflict", "exim4-daemon-light, postfix", "postfix"),
    _unmet("dependency-alternatives", "nobody-a | nobody-b", "nobody-b"),
    Case("network-name", make_plain(f"perl -e '{PERL.format('example.org')}'"), "network", "Bad hostname"),
    Case("network-address", make_plain(f"perl -e '{PERL.format('192.0.2.1')}'"), "network", "Network is unreachable"),
    Case(
        "memory-killer",
        make_plain("cc -wrapper sh,-c,'kill -9 $$$$' -c m.c", m__c="int x;\n"),
        "memory",
        "Killed signal terminated program",
        status=Status.LIMIT,
    ),
    Case(
        "disk-full",
        make_plain("cp big /dev/full", big="x" * 100000),
        "disk",
        "No space left on device",
        status=Status.HOST,
    ),
    Case(
        "processes",
        make_plain(f"perl -e '{FORKS}'"),
        "processes",
        "Cannot fork",
        status=Status.LIMIT,
        words=("--set", "limits.processes=100"),
    ),
    _limited("memory-limit", "perl -e '$$x = q(a) x 400000000; sleep 5'", "memory", "memory limit", "memory=100M"),
    _limited("disk-limit", "head -c 300M /dev/zero > big; sleep 5", "disk", "disk limit", "disk=50M"),
    _limited("silence", "echo begin; sleep 600", "silence", "printed nothing for 3 s", "silence=3s"),
    _limited("time", "while :; do echo x; sleep 1; done", "time", "time", "time=15s"),
)
