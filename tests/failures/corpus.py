"""All cases, and the golden log of a case's failed step.

`make golden-failures` builds every case for real and writes the logs; the unit tests read them.
"""

from __future__ import annotations

import re

from tests.failures import compiling, packaging, surroundings
from tests.failures.case import Case

CASES: tuple[Case, ...] = (*compiling.CASES, *packaging.CASES, *surroundings.CASES)
#: Where a step's own output begins in build.log, and where it ends.
BEGIN = re.compile(r"^(?:Command: .*|Unpack source\n-+)\n", re.M)
END = re.compile(r"^(?:-{80}|\+-+\+)$", re.M)


def cut_step(log: str) -> str:
    """What the last step in *log*, a build.log, printed."""
    begin = [match.end() for match in BEGIN.finditer(log)][-1]
    end = END.search(log, begin)
    return log[begin : end.start() if end else None].strip("\n") + "\n"
