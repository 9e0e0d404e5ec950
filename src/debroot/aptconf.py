"""Private configuration for an apt that must not see the one around it. Pure: values in, text out.

Source: apt.conf(5), sources.list(5), apt_preferences(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from debcore.job import AptSource
from debroot.auth import PLACE


def make_sources(sources: Sequence[AptSource]) -> str:
    """A deb822 .sources file; keys stand inline."""
    return "\n".join(_make_stanza(source) for source in sources)


def _make_stanza(source: AptSource) -> str:
    lines = [
        f"Types: {' '.join(source.types)}",
        f"URIs: {' '.join(source.uris)}",
        f"Suites: {' '.join(source.suites)}",
    ]
    if source.components:
        lines.append(f"Components: {' '.join(source.components)}")
    if source.architectures:
        lines.append(f"Architectures: {' '.join(source.architectures)}")
    if source.signed_by:
        key = "".join(f"\n {line or '.'}" for line in source.signed_by.strip().splitlines())
        lines.append(f"Signed-By:{key}")
    if source.trusted:
        lines.append("Trusted: yes")
    if not source.check_valid_until:
        lines.append("Check-Valid-Until: no")
    return "\n".join(lines) + "\n"


def make_preferences(sources: Sequence[AptSource]) -> str:
    """Pins, by host name where a source has one, else by suite."""
    pins = []
    for source in sources:
        hosts = sorted({urlsplit(uri).hostname or "" for uri in source.uris})
        named = [f'origin "{host}"' for host in hosts if host] or [f"release a={suite}" for suite in source.suites]
        pins.append((source.pin, named))
    return make_pins(pins)


def make_pins(pins: Iterable[tuple[int | None, Sequence[str]]]) -> str:
    """(priority, what it holds for)… as apt_preferences(5) has it; without a priority there is no pin."""
    return "\n".join(
        f"Package: *\nPin: {pin}\nPin-Priority: {priority}\n"
        for priority, named in pins
        if priority is not None
        for pin in named
    )


def make_config(
    *,
    arch: str,
    conf: str,
    state: str,
    status: str,
    proxies: Mapping[str, str],
    recommends: bool = False,
    foreign: str | None = None,
) -> str:
    """An apt.conf for APT_CONFIG: *conf* holds `sources.d` and `preferences`, *state* is written to."""
    values = {
        "APT::Architecture": arch,
        "APT::Install-Recommends": "true" if recommends else "false",
        "APT::Sandbox::User": "root",
        "APT::Get::Assume-Yes": "true",
        "APT::Update::Error-Mode": "any",
        "APT::Color": "false",
        "Acquire::ForceHash": "SHA256",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        "Debug::NoLocking": "true",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": f"{conf}/none",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": f"{conf}/sources.d",
        "Dir::Etc::preferences": f"{conf}/preferences",
        "Dir::Etc::preferencesparts": f"{conf}/none",
        "Dir::Etc::netrc": PLACE,
        "Dir::Etc::netrcparts": f"{conf}/none",
        "Dir::Etc::trusted": "/dev/null",
        "Dir::Etc::trustedparts": f"{conf}/none",
        "Dir::State": state,
        "Dir::State::lists": f"{state}/lists",
        "Dir::State::status": status,
        "Dir::State::extended_states": f"{state}/extended_states",
        "Dir::Cache": f"{state}/cache",
        "Dir::Log": f"{state}/log",
        **proxies,
    }
    # the list forms are cleared so that the surrounding apt's own values (foreign architectures) do not come through
    words = "".join(f' "{word}";' for word in (arch, foreign) if word)
    lists = f"#clear APT::Architectures;\nAPT::Architectures {{{words} }};\n"
    return lists + "".join(f'{key} "{value}";\n' for key, value in values.items())


def parse_config_dump(text: str) -> dict[str, str]:
    """Proxy settings from `apt-config dump`: how the host reaches its mirror."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key.lower().startswith(("acquire::http", "acquire::https")) and "proxy" in key.lower():
            value = value.strip().removesuffix(";").strip('"')
            if value:
                found[key] = value
    return found
