"""From a command line in Mock's words to command lines in ours. Pure, so that a table of examples tests it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import click

from deb_mock.mock.table import ELSE, OPTIONS, VALUE, VERBS, Option, Verb

#: The options of a verb of ours: name → whether a value follows.
Own = Callable[[str], Mapping[str, bool]]
Line = tuple[str, ...]

_VERBS = {name: verb for verb in VERBS for name in verb.names}
_OPTIONS = {name: option for option in OPTIONS for name in option.names}
#: Without a verb, the words are those of a build.
BUILD = _VERBS["--rebuild"]
#: Mock's names of what --scrub removes, where ours differ.
SCRUBBED = {"yum-cache": "apt-cache", "dnf-cache": "apt-cache"}
LOCK_FILE = "buildroot_lock.json"
PACKAGE = "--additional-package"
#: Options that say whose root is meant.
CHOOSING = ("-r", "--arch", "--forcearch", "--uniqueext")


@dataclass
class _Said:
    """A command line taken apart."""

    verb: Verb
    value: str = ""  #: of the verb
    options: list[tuple[str, Option, str]] = field(default_factory=list)  #: as typed, what it is, its value
    own: list[str] = field(default_factory=list)  #: options of ours
    rest: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        return any(name in option.names for _, option, _ in self.options)

    def find(self, name: str) -> str:
        """The last value that *name* was given, or ""."""
        return next((value for _, option, value in reversed(self.options) if name in option.names), "")


def is_foreign(word: str) -> bool:
    """Whether a command line that begins with *word*, which is no verb of ours, is to be translated."""
    return word.startswith("-") or f"--{word}" in _VERBS or word in _VERBS or is_source(word)


def is_source(word: str) -> bool:
    """Whether *word* can only be something to build: a path or a URL."""
    return "/" in word or word in (".", "..") or word.endswith(".dsc")


def translate(words: Sequence[str], own: Own) -> tuple[Line, ...]:
    """The command lines of ours that *words* amount to, to be run one after the other until one fails.

    Errors: UsageError naming our word.
    """
    first = words[0] if words else ""
    if f"--{first}" in _VERBS:
        words = [f"--{first}", *words[1:]]
    said = _parse(words, own)
    return tuple(_lines(said))


def _parse(words: Sequence[str], own: Own) -> _Said:
    said = _Said(_find_verb(words))
    if said.verb.kind == "refused":
        raise click.UsageError(f"{said.verb.names[0]} of Mock: {said.verb.text}")
    ours = own(_target(said.verb, words))
    todo = list(_split_clusters(words))
    while todo:
        word = todo.pop(0)
        name, equals, value = word.partition("=")
        option = _OPTIONS.get(name)
        if word == "--":
            said.rest += todo
            break
        if _VERBS.get(name) is said.verb:
            said.value = value or (todo.pop(0) if said.verb.value and todo else "")
        elif not word.startswith("-") or word == "-":
            said.rest.append(word)
        elif option is not None:
            takes = bool(option.value)
            if takes and not equals and not todo:
                raise click.UsageError(f"{name} needs {option.value}")
            said.options.append((name, option, value if equals or not takes else todo.pop(0)))
        elif name in ours or _is_attached(word, ours):
            said.own.append(word)
            if ours.get(name) and not equals and todo:
                said.own.append(todo.pop(0))
        else:
            near = difflib.get_close_matches(name, [*_VERBS, *_OPTIONS, *ours], n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"{name} is an option neither of Mock nor of deb-mock {said.verb.ours[0]}{hint}")
    return said


def _is_attached(word: str, ours: Mapping[str, bool]) -> bool:
    """-j4, and -As."""
    return word[1] != "-" and (ours.get(word[:2], False) or all(f"-{letter}" in ours for letter in word[1:]))


def _find_verb(words: Sequence[str]) -> Verb:
    before = words[: words.index("--")] if "--" in words else words
    names = (word.partition("=")[0] for word in before)
    found = dict.fromkeys(_VERBS[name] for name in names if name in _VERBS and name.startswith("-"))
    if before and before[0] in _VERBS:
        found.setdefault(_VERBS[before[0]])
    if len(found) > 1:
        raise click.UsageError(f"{' and '.join(verb.names[0] for verb in found)}: one at a time")
    return next(iter(found), BUILD)


def _target(verb: Verb, words: Sequence[str]) -> str:
    """The verb of ours whose options count."""
    has_command = "--" in words and words[-1] != "--"
    return "run" if verb.names == ("--shell",) and has_command else " ".join(w for w in verb.ours if w[0] != "-")


def _split_clusters(words: Sequence[str]) -> Iterator[str]:
    """`-nN` is `-n -N`, and `-rNAME` is `-r NAME`; what comes after `--` stays."""
    for number, word in enumerate(words):
        if word == "--":
            yield from words[number:]
            return
        short = _OPTIONS.get(word[:2])
        if len(word) > 2 and word[0] == "-" and word[1] != "-" and short is not None:
            if short.value:
                yield from (word[:2], word[2:])
                continue
            if all(f"-{letter}" in _OPTIONS and not _OPTIONS[f"-{letter}"].value for letter in word[1:]):
                yield from (f"-{letter}" for letter in word[1:])
                continue
        yield word


def _lines(said: _Said) -> Iterator[Line]:
    """What each verb amounts to."""
    name, rest = said.verb.names[0], said.rest
    if name == "--rebuild":
        if len(rest) > 1 and said.has("--resultdir"):
            raise click.UsageError("--resultdir is for one source here; several in one directory: deb-mock chain")
        for what in rest or [""]:
            if what.endswith(".buildinfo"):
                raise click.UsageError(f"--rebuild of Mock takes a source; say: deb-mock rebuild {what}")
            yield _line(said, "build", ["build"], [what] if what else [])
    elif name == "--init":
        if not said.has("-n"):
            choosing = [o for o in said.options if o[0] in CHOOSING]
            yield _line(_Said(_VERBS["--clean"], options=choosing), "clean", ["clean", "--named"], [])
        yield _line(said, "init", ["init"], [])
    elif name == "--shell" and not rest:
        yield _line(said, "shell", ["shell", "-n"], [])
    elif name in ("--shell", "--chroot"):
        yield _line(said, "run", ["run", "-n", *([] if said.has("--unpriv") else ["--as-root"])], _command(said))
    elif name == "--installdeps":
        if any(is_source(word) for word in rest):
            hint = "deb-mock shell --build-deps WHAT has them in a throw-away root, and builds install them themselves"
            raise click.UsageError(f"--installdeps takes names of the archive here: {hint}")
        yield _line(said, "apt", ["apt"], ["build-dep", *rest])
    elif name == "--scrub":
        yield _line(said, "scrub", ["scrub"], [SCRUBBED.get(said.value, said.value)])
    elif name == "--calculate-build-dependencies":
        directory = said.find("--resultdir")
        file = f"{directory}/{LOCK_FILE}" if directory else LOCK_FILE
        yield _line(said, "lock", ["lock", "-o", file], rest)
    elif name == "--scrub-all-chroots":
        if narrow := next((o[0] for o in said.options if o[0] in CHOOSING), None):
            raise click.UsageError(f"{narrow} means nothing with {name}; all of one preset: -r PRESET --scrub=all")
        yield _line(said, "scrub", ["scrub", "all"], rest)
    else:
        verb = list(said.verb.ours)
        yield _line(said, verb[0], verb, rest)


def _line(said: _Said, target: str, verb: Sequence[str], rest: Sequence[str]) -> Line:
    words = list(verb)
    for name, option, value in _join_packages(said.options):
        words += _convert(name, option, value, target, said)
    words += said.own
    dashes = target in ("run", "apt") or any(word.startswith("-") for word in rest)
    return (*words, *(["--"] if rest and dashes else []), *rest)


def _join_packages(options: Sequence[tuple[str, Option, str]]) -> Iterator[tuple[str, Option, str]]:
    """All values of --additional-package in its first place: each sets the same key, and the last would win."""
    packages = [value for name, _, value in options if name == PACKAGE]
    for name, option, value in options:
        if name != PACKAGE:
            yield name, option, value
        elif packages:
            yield name, option, ",".join(packages)
            packages = []


def _convert(name: str, option: Option, value: str, target: str, said: _Said) -> Iterator[str]:
    if option.kind == "idle":
        return
    if option.kind == "refused":
        raise click.UsageError(f"{name} of Mock: {option.text}")
    found = option.becomes.get(target, option.becomes.get(ELSE))
    if found is None:
        raise click.UsageError(f"{name} means nothing with {said.verb.names[0]}: {option.text}")
    if name == "-r" and value.endswith(".cfg"):
        raise click.UsageError(f"{value} is Python code of Mock and is not executed: deb-mock list presets")
    if name == "--uniqueext" and found:
        value = f"{said.find('-r')}-{value}".removeprefix("-")
    if name == "--plugin-option" and target != "build":
        value = value.replace(":", ".", 1)
    yield from (word.replace(VALUE, value) for word in found)


def _command(said: _Said) -> list[str]:
    """What runs in the root: Mock gives one word to a shell."""
    rest = said.rest
    argv = ["sh", "-c", rest[0]] if len(rest) == 1 and " " in rest[0].strip() else rest
    if (cwd := said.find("--cwd")) and argv:
        return ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", cwd, *argv]
    return argv
