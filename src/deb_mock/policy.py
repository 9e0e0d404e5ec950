"""Which sources must be signed, by whom, and the sentence in the log that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deb_mock.config import Choice
from deb_mock.dsc import Dsc, check_signature
from deb_mock.settings import SourceKind
from debcore.errors import ConfigError

#: What stands behind a source of each kind whose signature nobody demands.
_UNSIGNED = {
    "dsc": "its files have the hashes that it gives, and nothing says who wrote it",
    "url": "TLS says which host it came from, and its files have the hashes that it gives",
    "archive": "the archive's signed Release file vouches for its hashes",
    "git": "the commit is what its host gave",
    "directory": "it is what lies there",
    "buildinfo": "what it says is tried, and nothing says who wrote it",
}


@dataclass(frozen=True)
class Demand:
    """Whether a source of `kind` must be signed, by a key in which files, and the reason for a person."""

    kind: SourceKind
    signed: bool
    keyrings: tuple[Path, ...]
    why: str

    def unsigned(self) -> str:
        return f"no signature is demanded ({self.why}): {_UNSIGNED[self.kind]}"


def find_demand(kind: SourceKind, choice: Choice) -> Demand:
    """What the settings demand of a source of *kind*."""
    source, origins = choice.settings.source, choice.resolved.origins
    own = source.keyrings_for.get(kind)
    keyrings = tuple(Path(path).expanduser() for path in (source.keyrings if own is None else own))
    if source.require_signature:
        why = f"source.require_signature, set by {origins.get('source.require_signature', 'default')}"
        return Demand(kind, signed=True, keyrings=keyrings, why=why)
    if kind in source.signed:
        why = f"source.signed, set by {origins['source.signed']}, names {kind}"
        return Demand(kind, signed=True, keyrings=keyrings, why=why)
    return Demand(kind, signed=False, keyrings=keyrings, why=f"source.signed does not name {kind}")


def judge_dsc(dsc: Dsc, demand: Demand) -> str:
    """The sentence for the log. Errors: ConfigError if a signature is demanded and not there, or not good."""
    if not demand.signed:
        return f"{dsc.name}: {demand.unsigned()}"
    said = check_signature(dsc, demand.keyrings)
    good = next((line for line in said.splitlines() if "ood signature" in line), said.strip())
    return f"{dsc.name}: its signature is demanded ({demand.why}) and good: {good}"


def refuse_directory(where: Path, demand: Demand) -> str:
    """Errors: ConfigError where a signature is demanded: a directory has none."""
    if demand.signed:
        hint = "build a signed .dsc, or a signed commit: deb-mock build .#HEAD"
        raise ConfigError(str(where), f"a directory cannot be signed, and it is demanded ({demand.why})", hint=hint)
    return f"{where}: {demand.unsigned()}"
