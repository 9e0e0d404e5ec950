"""What a second build may have otherwise than the first, under reprotest's names where they mean the same.

A variation is named with what it changes in a build's `Surroundings`. Nothing is faked inside the build (no library is
preloaded): what cannot be varied honestly is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from deb_mock.surroundings import PATH, STANDARD, Surroundings
from debcore.errors import ConfigError


@dataclass(frozen=True)
class Variation:
    """`text` says what the second build has instead."""

    text: str
    apply: Callable[[Surroundings], Surroundings]


def _env(**values: str) -> Callable[[Surroundings], Surroundings]:
    return lambda place: replace(place, env={**place.env, **values})


def _setarch(option: str) -> Callable[[Surroundings], Surroundings]:
    return lambda place: replace(place, personality=(*place.personality, option))


VARIATIONS: Mapping[str, Variation] = {
    "aslr": Variation("no randomised addresses (setarch --addr-no-randomize)", _setarch("--addr-no-randomize")),
    "build_path": Variation(
        "another path, longer than the first", lambda place: replace(place, directory="/build/second/and-longer-path")
    ),
    "domain_host": Variation(
        "another host name and domain",
        lambda place: replace(place, hostname="i-capture-the-hostname", domain="i-capture-the-domain"),
    ),
    "environment": Variation(
        "a variable that no build should care about", _env(CAPTURE_ENVIRONMENT="i_capture_the_environment")
    ),
    "exec_path": Variation("one more directory at the end of PATH", _env(PATH=f"{PATH}:/i_capture_the_path")),
    "fileordering": Variation(
        "another order of directories (on tmpfs if the first was on disk, and the reverse)",
        lambda place: replace(place, other_storage=True),
    ),
    "home": Variation("another HOME", _env(HOME="/nonexistent/second-build")),
    "kernel": Variation("uname says Linux 2.6 (setarch --uname-2.6)", _setarch("--uname-2.6")),
    "locales": Variation(
        "the POSIX locale, and messages in Estonian",
        # --sanitize-env would put back the character set (dpkg from 1.22.7 on): a build without it has this locale
        lambda place: replace(
            place,
            sanitize=False,
            env={**place.env, "LC_ALL": "POSIX", "LANG": "et_EE.UTF-8", "LANGUAGE": "et_EE:et"},
        ),
    ),
    "num_cpus": Variation("one processor (taskset)", lambda place: replace(place, processors="0x1")),
    "timezone": Variation("a time zone 14 hours east", _env(TZ="GMT-14")),
    "umask": Variation(
        "umask 0002",
        # what else --sanitize-env does is done here
        lambda place: replace(place, umask=0o002, sanitize=False, env={"LC_COLLATE": "C.UTF-8", **place.env}),
    ),
    "user_group": Variation(
        "another user and group, by name and number",
        lambda place: replace(place, user="second", uid=4321, gid=5432),
    ),
}

#: Other words for the same.
ALIASES = {"path": "build_path", "cpus": "num_cpus", "locale": "locales", "host": "domain_host", "hostname":
           "domain_host", "user": "user_group", "env": "environment", "tz": "timezone"}  # fmt: skip

#: reprotest's names that are refused, and why.
REFUSED = {
    "time": "a false clock needs a preloaded library, which builds can see; the two builds run one after the other",
}


def choose_variations(specs: Sequence[str]) -> tuple[str, ...]:
    """The names that *specs* choose, sorted: `-path,+umask` of --vary. Without any, all.

    A list that begins with a bare name or `+` after `-all` adds; `-` takes away. Errors: ConfigError.
    """
    words = [word.strip() for spec in specs for word in spec.split(",") if word.strip()]
    chosen = set() if words and words[0][0] not in "+-" else set(VARIATIONS)
    for word in words:
        name = word.lstrip("+-")
        name = ALIASES.get(name, name)
        if name in REFUSED and not word.startswith("-"):
            raise ConfigError("--vary", f"{name} cannot be varied: {REFUSED[name]}")
        if name not in VARIATIONS and name not in ("all", *REFUSED):
            raise ConfigError("--vary", f"{name!r} is no variation", hint=f"known: all, {', '.join(VARIATIONS)}")
        names = set(VARIATIONS) if name == "all" else {name}
        chosen = chosen - names if word.startswith("-") else chosen | names
    return tuple(sorted(chosen & set(VARIATIONS)))


def surroundings_for(names: Iterable[str], start: Surroundings = STANDARD) -> Surroundings:
    """*start* with the variations *names*."""
    place = start
    for name in sorted(names):
        place = VARIATIONS[name].apply(place)
    return place


def find_guilty(names: Sequence[str], differs: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
    """Those of *names* that make a difference each by itself, found by halving. *differs* builds once.

    Empty if only some of them together do, or chance does.
    """
    if not names or not differs(names):
        return ()
    if len(names) == 1:
        return tuple(names)
    middle = len(names) // 2
    return (*find_guilty(names[:middle], differs), *find_guilty(names[middle:], differs))
