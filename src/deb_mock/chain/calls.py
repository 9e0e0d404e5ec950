"""Chains for callers: `deb_mock.api` exports these, and the command line is written with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from deb_mock.chain.graph import Edge
from deb_mock.chain.journal import Asked, Journal
from deb_mock.chain.plan import Chain
from deb_mock.chain.plan import plan_chain as plan_sources
from deb_mock.chain.run import Outcome, Run
from deb_mock.plan import Given, as_layers
from deb_mock.settings import merge
from debcore.cancel import Cancel, Cancelled, cancelling
from debcore.errors import Interrupted
from debcore.job import Event, Result, Status
from debroot.store import Store


@dataclass(frozen=True)
class ChainPlan:
    """In which order the sources of a chain are built, and why."""

    levels: tuple[tuple[str, ...], ...]  #: names of sources; those of one level need only those of the levels before
    versions: Mapping[str, str]  #: by name of source
    edges: tuple[Edge, ...]  #: which needs which, because of which clause; str() of one is a sentence


@dataclass(frozen=True)
class ChainMember:
    """How one source of a chain ended."""

    source: str
    version: str
    state: str  #: built, failed, skipped (it needs one that failed), or waiting (the chain was stopped before)
    reused: bool  #: it was built by an earlier run
    seconds: float
    directory: Path  #: of its results
    needs: tuple[str, ...]  #: sources, directly
    result: Result | None


@dataclass(frozen=True)
class ChainReport:
    """How a chain ended: built, or as the first source that failed did, or cancelled."""

    status: Status
    directory: Path
    plan: ChainPlan
    members: tuple[ChainMember, ...]

    @property
    def complete(self) -> bool:
        return all(member.state == "built" for member in self.members)

    def files(self) -> tuple[Path, ...]:
        """The packages and .changes of everything that is built."""
        kinds = ("deb", "udeb", "changes")
        return tuple(
            member.directory / output.path
            for member in self.members
            if member.state == "built" and member.result is not None
            for output in member.result.outputs
            if output.kind in kinds
        )


def ask_chain(
    sources: Sequence[str | Path],
    *,
    preset: str | None = None,
    arch: str | None = None,
    settings: Given = (),
    distribution: str | None = None,
    jobs: int | None = None,
    keep_going: bool = False,
    recurse: bool = False,
) -> Asked:
    """A chain as a value: *sources* as for plan_build (paths become absolute), *jobs* builds at once.

    *keep_going*: after a failure build what does not need it; *recurse*: try what failed again with what was built
    since. Errors: ConfigError on settings that are none.
    """
    layers = as_layers(settings)
    words = tuple(given for given in layers if isinstance(given, str))
    options = merge([given for given in layers if not isinstance(given, str)])
    return Asked(
        what=tuple(make_absolute(str(source)) for source in sources),
        preset=preset, arch=arch, distribution=distribution, settings=words, options=options,
        jobs=jobs, keep_going=keep_going, recurse=recurse,
    )  # fmt: skip


def make_absolute(word: str) -> str:
    """A chain may be resumed from elsewhere: paths are made absolute, names and URLs stay."""
    place, mark, ref = word.rpartition("#") if "#" in word and not Path(word).exists() else (word, "", "")
    return f"{Path(place).absolute()}{mark}{ref}" if Path(place).exists() else word


def plan_chain(asked: Asked, *, store: Store | None = None) -> ChainPlan:
    """Find and read the sources, and say in which order they would be built. Nothing is kept.

    Errors: Failure, ConfigError; among them a cycle, explained.
    """
    with TemporaryDirectory(prefix="deb-mock-chain-") as scratch:
        return describe_plan(plan_sources(asked, Journal(Path(scratch)), store or Store.open()))


def load_chain(directory: Path) -> Asked:
    """What the chain in *directory* builds: run_chain(load_chain(D), D) goes on with it. Errors: Failure."""
    return Journal(directory).load_asked()


def run_chain(
    asked: Asked,
    directory: Path,
    *,
    anew: bool = False,
    store: Store | None = None,
    on_plan: Callable[[ChainPlan], None] | None = None,
    on_event: Callable[[str, Event], None] | None = None,
    on_output: Callable[[str, bytes], None] | None = None,
    on_stop: Callable[[ChainReport], None] | None = None,
    cancel: Cancel | None = None,
) -> ChainReport:
    """Build what *asked* says in *directory*; what was built there before and is still the same stays, unless *anew*.

    *on_plan* gets the order before anything is built; *on_event* and *on_output* get the name of the source and its
    build's event or piece of log, from that build's thread. *cancel* may be set from any thread: what runs is ended
    within a moment, and the status is `cancelled`. *on_stop* gets the state of things when a signal stops the chain.
    Errors: Failure if nothing could begin, or of the host; a source that fails is in the report.
    """
    store, journal = store or Store.open(), Journal(directory)
    with journal.held(), cancelling(cancel):
        if anew:
            journal.forget()
        chain = plan_sources(asked, journal, store)
        journal.write_asked(asked)
        plan = describe_plan(chain)
        if on_plan:
            on_plan(plan)
        run = Run(chain, store, echo=on_output, listen=on_event)
        try:
            run.run()
        except Cancelled:
            return _report(run, plan, Status.CANCELLED)
        except Interrupted:
            if on_stop:
                on_stop(_report(run, plan, Status.CANCELLED))
            raise
        return _report(run, plan, run.status)


def describe_plan(chain: Chain) -> ChainPlan:
    versions = {name: member.node.version for name, member in chain.members.items()}
    return ChainPlan(chain.levels, versions, chain.graph.edges)


def _report(run: Run, plan: ChainPlan, status: Status) -> ChainReport:
    members = tuple(_member(run.chain, name, outcome) for name, outcome in run.outcomes.items())
    return ChainReport(status, run.chain.journal.path, plan, members)


def _member(chain: Chain, name: str, outcome: Outcome) -> ChainMember:
    member, state = chain.members[name], outcome.state.value
    return ChainMember(
        source=name,
        version=member.node.version,
        state="waiting" if state == "running" else state,
        reused=outcome.reused,
        seconds=outcome.seconds,
        directory=chain.journal.directory(member),
        needs=tuple(sorted(chain.graph.needs[name])),
        result=outcome.result,
    )
