"""From what was asked to a chain that can run: sources found, the archive's fetched, and all put in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deb_mock.chain.graph import Graph, make_graph
from deb_mock.chain.journal import Asked, Journal
from deb_mock.chain.members import Member, MemberSource, identify, load_member
from deb_mock.config import Choice
from deb_mock.dsc import load_dsc
from deb_mock.plan import choose_for
from deb_mock.settings import Layer, check_layer
from deb_mock.source import DirectorySource, DscSource, ExportSource, GitSource, Source, find_source
from debcore.errors import Failure
from debroot.store import Store

#: Seconds for which the builds of a chain do not check the package lists again, where nothing else is set.
LISTS_AGE = 3600


@dataclass(frozen=True)
class Chain:
    """A chain in order. Everything is keyed by the source's name."""

    journal: Journal
    asked: Asked
    graph: Graph
    levels: tuple[tuple[str, ...], ...]
    members: Mapping[str, Member]
    choices: Mapping[str, Choice]
    identities: Mapping[str, str]


def plan_chain(asked: Asked, journal: Journal, store: Store) -> Chain:
    """Errors: Failure, ConfigError; among them an explained cycle."""
    sources = {word: _export(asked, word, find_source(word), journal, store) for word in asked.what}
    preset = choose_preset(asked, list(sources.values()))
    members: dict[str, Member] = {}
    choices: dict[str, Choice] = {}
    found: list[Member] = []
    for word, source in sources.items():
        choice = _choose(asked, source, preset)
        member = load_member(_fetch(source, word, choice, journal, store), choice)
        found.append(member)
        members[member.name], choices[member.name] = member, choice
    graph = make_graph([member.node for member in found])
    levels = graph.levels()
    identities = {name: identify(member, graph, members, choices[name]) for name, member in members.items()}
    return Chain(journal, asked, graph, levels, members, choices, identities)


def choose_preset(asked: Asked, sources: list[Source]) -> str:
    """One preset for all: -r, or what the changelogs of trees agree on. Errors: Failure if they do not."""
    trees = [source for source in sources if isinstance(source, (DirectorySource, ExportSource))]
    names = {}
    for source in trees if not asked.preset and trees else sources[:1]:
        choice = choose_for(source, preset=asked.preset, arch=asked.arch, settings=_settings(asked))
        names[choice.preset.name] = source
    if len(names) > 1:
        raise Failure(f"the changelogs ask for different suites: {', '.join(sorted(names))}", hint="choose one with -r")
    return next(iter(names))


def _choose(asked: Asked, source: Source, preset: str) -> Choice:
    choice = choose_for(source, preset=preset, arch=asked.arch, settings=_settings(asked))
    settings = choice.settings
    if settings.archive.max_age is not None:
        return choice
    archive = settings.archive.model_copy(update={"max_age": LISTS_AGE})
    return replace(choice, resolved=replace(choice.resolved, settings=settings.model_copy(update={"archive": archive})))


def _settings(asked: Asked) -> list[str | Layer]:
    return [*asked.settings, check_layer(Layer("command line", asked.options))]


def _export(asked: Asked, word: str, source: Source, journal: Journal, store: Store) -> Source:
    """A commit of a git repository as files of the chain, anything else as it is. What is not on this host is fetched
    once; of a repository of this host the commit of now is taken each time."""
    if not isinstance(source, GitSource):
        return source
    from deb_mock.acquire import take_commit
    from deb_mock.git.kept import find_export, keep_export

    found = find_export(journal.source_place(word))
    if found is None or isinstance(source.place, Path):
        choice = choose_for(source, preset=asked.preset, arch=asked.arch, settings=_settings(asked))
        with journal.fetching(word) as place:
            keep_export(take_commit(store, source, choice, place), str(source.place), place)
        found = find_export(journal.source_place(word))
        assert found is not None
    return found


def _fetch(source: Source, word: str, choice: Choice, journal: Journal, store: Store) -> MemberSource:
    """What is not on this host is fetched once: a chain that is resumed builds the version that it began with."""
    from deb_mock.acquire import acquire

    if isinstance(source, (DscSource, DirectorySource, ExportSource)):
        return source
    path = journal.find_fetched(word)
    if path is None:
        with journal.fetching(word) as place:
            acquire(store, source, choice, place)
        path = journal.find_fetched(word)
        assert path is not None
    return DscSource(load_dsc(path))
