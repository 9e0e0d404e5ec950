"""Wire models of a compose's tasks that a farm's agents carry out: a job directory of kind `task`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from debcore.hub.model import Arch, Reason
from debcore.job.model import Job, Result, Wire


class TaskAsk(Wire):
    """Have `job` done by an agent that runs programs of `arch`, natively or emulated. Its inputs are blobs.

    `suite`: the private suite that some of the inputs are from, if any: who may not read it sees nothing of the job.
    """

    arch: Arch
    job: Job
    suite: Annotated[str, StringConstraints(max_length=64)] = ""


class OrderedTask(Wire):
    """A task that was ordered. `result` is there once it has ended with one; its outputs are blobs."""

    job: int
    state: str  #: of the job: blocked, queued, running, succeeded, failed or cancelled
    attempt: int = 0
    agent: str | None = None  #: who has it, or had it last
    reason: str = ""
    why: tuple[Reason, ...] = Field(default=(), max_length=64)  #: why it waits
    result: Result | None = None

    @property
    def ended(self) -> bool:
        return self.state in ("succeeded", "failed", "cancelled")
