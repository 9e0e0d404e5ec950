"""What one hub process has counted, and the text form that Prometheus reads. Nothing here is about the database.

Source: Prometheus' exposition formats, text format 0.0.4.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

PREFIX = "deb_orchestrator_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Upper bounds in seconds: of answers, of waiting in a queue, and of the hub's own jobs.
QUICK = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
WAITS = (1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)
WORK = (0.05, 0.2, 1.0, 5.0, 20.0, 60.0, 300.0)

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """One value. *labels* in the order in which they are written."""

    value: float
    labels: Labels = ()


@dataclass(frozen=True)
class Gauge:
    """What is so now, with all its values."""

    name: str  #: without PREFIX
    help: str
    samples: Sequence[Sample]


@dataclass
class Histogram:
    """How often, how long in all, and how often within each bound. Safe for threads."""

    name: str
    help: str
    bounds: tuple[float, ...]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _counts: dict[Labels, list[int]] = field(default_factory=dict, repr=False)
    _sums: dict[Labels, float] = field(default_factory=dict, repr=False)

    def observe(self, seconds: float, **labels: str) -> None:
        key = tuple(labels.items())
        with self._lock:
            counts = self._counts.setdefault(key, [0] * (len(self.bounds) + 1))
            counts[bisect_left(self.bounds, seconds)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        with self._lock:
            found = {key: (list(counts), self._sums[key]) for key, counts in sorted(self._counts.items())}
        yield from _head(self.name, self.help, "histogram")
        for key, (counts, total) in found.items():
            so_far = 0
            for bound, count in zip((*self.bounds, float("inf")), counts, strict=True):
                so_far += count
                word = "+Inf" if bound == float("inf") else f"{bound:g}"
                yield _line(f"{self.name}_bucket", so_far, (*key, ("le", word)))
            yield _line(f"{self.name}_sum", total, key)
            yield _line(f"{self.name}_count", so_far, key)


@dataclass(frozen=True)
class Metrics:
    """All histograms of a hub; what it counts is their counts."""

    requests: Histogram = field(
        default_factory=lambda: Histogram("http_request_seconds", "HTTP requests by route and status.", QUICK)
    )
    claims: Histogram = field(
        default_factory=lambda: Histogram("claim_seconds", "Statements that gave an agent a job.", QUICK)
    )
    starts: Histogram = field(
        default_factory=lambda: Histogram("enqueue_to_start_seconds", "From being queued to being claimed.", WAITS)
    )
    work: Histogram = field(
        default_factory=lambda: Histogram("hub_job_seconds", "Jobs that the hub did itself, such as publish.", WORK)
    )

    def render(self, gauges: Iterable[Gauge]) -> str:
        lines = [line for one in gauges for line in _lines(one)]
        for histogram in (self.requests, self.claims, self.starts, self.work):
            lines += histogram.lines()
        return "\n".join(lines) + "\n"


def make_labels(labels: Mapping[str, object]) -> Labels:
    return tuple((name, str(value)) for name, value in labels.items())


def _lines(gauge: Gauge) -> Iterator[str]:
    yield from _head(gauge.name, gauge.help, "gauge")
    for sample in gauge.samples:
        yield _line(gauge.name, sample.value, sample.labels)


def _head(name: str, words: str, kind: str) -> tuple[str, str]:
    return f"# HELP {PREFIX}{name} {words}", f"# TYPE {PREFIX}{name} {kind}"


def _line(name: str, value: float, labels: Labels) -> str:
    shown = ",".join(f'{key}="{_escape(word)}"' for key, word in labels)
    return f"{PREFIX}{name}{{{shown}}} {_number(value)}" if shown else f"{PREFIX}{name} {_number(value)}"


def _escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    """Whole ones in full: an event's number has more digits than %g shows."""
    return str(int(value)) if value == int(value) else repr(float(value))
