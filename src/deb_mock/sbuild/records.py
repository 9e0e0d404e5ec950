"""deb-mock's own records beside what sbuild leaves: result, events and lock, named after the build as the log is.

NAME_VERSION_ARCH.result.json    written last; its paths are relative to its directory
NAME_VERSION_ARCH.events.jsonl
NAME_VERSION_ARCH.lock.json      once the root stood
"""

from __future__ import annotations

import shutil
from pathlib import Path

from debcore.job import Output, Result, Status
from debcore.path import replacing, write_file

RESULT, EVENTS, LOCK, LOG = "result.json", "events.jsonl", "lock.json", "build.log"


def choose_names(result: Result, *, stem: str, log: str | None) -> dict[str, str]:
    """What is kept of the outputs → its name beside what other builds leave: *log* is sbuild's name of the build log,
    packages have names of their own, and what has not begins with *stem*. Without a built package only records stay."""
    names: dict[str, str] = {}
    for output in result.outputs:
        if output.path == LOG:
            names |= {LOG: log} if log else {}
        elif output.kind == "lock":
            names[output.path] = f"{stem}.{LOCK}"
        elif output.kind != "log" and result.status is Status.BUILT:
            own = output.path.startswith(f"{result.source}_") or output.kind != "file"
            names[output.path] = output.path if own else f"{stem}.{output.path}"
    return names


def place_results(result: Result, directory: Path, place: Path, *, stem: str, log: str | None) -> Result:
    """Move the files of *result* from *directory* to *place* and write the records; *log* lies there already.

    Returns the result with the names that the files have now.
    """
    names = choose_names(result, stem=stem, log=log)
    outputs: list[Output] = []
    for output in result.outputs:
        if new := names.get(output.path):
            if output.path != LOG:
                (directory / output.path).replace(place / new)
            outputs.append(output.model_copy(update={"path": new}))
    events = directory / EVENTS
    if events.exists():
        with events.open("rb") as source, replacing(place / f"{stem}.{EVENTS}") as copy:
            shutil.copyfileobj(source, copy)
    placed = result.model_copy(update={"outputs": tuple(outputs)})
    write_file(place / f"{stem}.{RESULT}", placed.model_dump_json(indent=1) + "\n")
    return placed
