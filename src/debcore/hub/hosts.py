"""Wire models of builders: what jobs require of them, how far pools are trusted, and the farm's maintenance."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from debcore.job.model import Wire

Pool = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]{0,63}$")]
Capability = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.:+-]{0,63}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Trust = Annotated[int, Field(ge=0, le=1000)]
#: Amounts in MB (2**20 bytes).
Amount = Annotated[int, Field(ge=0, le=2**30)]


class Requires(Wire):
    """What a target's builds require of their builder besides the architecture. `trust`: of the pool, at least."""

    pool: Pool = "default"
    trust: Trust = 0
    memory_mb: Amount = 0
    disk_mb: Amount = 0  #: free
    capabilities: tuple[Capability, ...] = Field(default=(), max_length=32)
    emulated: bool = False  #: a builder that emulates the architecture will do


class RequiresAsk(Wire):
    requires: Requires | None = None


class HostAsk(Wire):
    """`reason`: why it gets no new work; null: it gets work again."""

    reason: Words | None = None


class PoolAsk(Wire):
    pool: Pool


class TrustAsk(Wire):
    trust: Trust


class Farm(Wire):
    """`maintenance`: why no builder gets new work. `pools`: how far each is trusted; others: 0."""

    maintenance: str | None = None
    pools: dict[str, int] = Field(default_factory=dict)
