"""The page of one compose."""

from __future__ import annotations

import logging
from datetime import datetime

from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.report.gather import ComposeFacts, Gate, PackageRow, VariantFacts, load_facts
from deb_bootc_compose.report.html import Child, Html, cards, code, element, facts, join, link, page, table
from deb_bootc_compose.report.plot import bars, duration, size_text, spans, top
from debcore.errors import Failure
from debcore.path import write_file

log = logging.getLogger(__name__)

NAME = "report.html"
TOP_PACKAGES = 20
TOP_LAYERS = 15
#: How each STATUS and verdict looks.
TONES = {
    "FINISHED": "good", "passed": "good", "DOOMED": "bad", "failed": "bad", "FINISHED_INCOMPLETE": "wait",
    "TERMINATED": "wait", "STARTED": "wait", "left out": "wait", "not run": "dim",
}  # fmt: skip


def write_report(directory: ComposeDirectory, *, status: Status) -> None:
    """DIR/report.html, as the compose ends. What goes wrong is a line in the log: a report never costs a compose."""
    try:
        write_file(directory.path / NAME, make_report(directory, status=status.value))
    except (OSError, Failure) as error:
        log.warning("%s: no %s: %s", directory.path.name, NAME, error)


def make_report(directory: ComposeDirectory, *, status: str | None = None) -> str:
    """*status*: what STATUS is about to say. Errors: Failure if the directory is damaged."""
    try:
        return make_page(load_facts(directory, status=status or directory.status().value))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(
            f"{directory.path} cannot be reported on: {type(error).__name__}: {error}",
            hint="it is damaged, or another version made it: compose again",
        ) from error


def make_page(compose: ComposeFacts) -> str:
    """Pure."""
    return page(
        compose.id,
        _header(compose),
        element(
            "main",
            _cards(compose),
            _about(compose),
            _errors(compose),
            _time(compose),
            [_variant(variant) for variant in compose.variants],
        ),
        element(
            "footer",
            "Made by deb-bootc-compose out of the compose's own logs, lock and metadata.",
        ),
    )


def _header(compose: ComposeFacts) -> Html:
    return element(
        "header",
        element("p", compose.release["name"], " ", compose.release["version"]),
        element("h1", compose.id),
        _pill(compose.status),
    )


def _pill(word: str) -> Html:
    return element("span", word, class_=f"pill {TONES.get(word, 'dim')}")


def _cards(compose: ComposeFacts) -> Html:
    gates = [gate for variant in compose.variants for gate in variant.gates if gate.verdict != "not applicable"]
    passed = sum(gate.verdict == "passed" for gate in gates)
    packages = {row.package.key for variant in compose.variants for row in variant.packages}
    built = {row.package.key for variant in compose.variants for row in variant.packages if row.stage == "hub"}
    pull = sum(int(variant.container.get("size", 0)) for variant in compose.variants)
    return cards([
        ("Gates passed", f"{passed} of {len(gates)}" if gates else "none", None),
        ("Packages", f"{len(packages):,}", f"{len(built)} of the hub"),
        ("Container images", size_text(pull) if pull else "none", "to pull, all layers" if pull else None),
        ("Time", duration(compose.timeline.total), _paused(compose)),
    ])  # fmt: skip


def _paused(compose: ComposeFacts) -> str | None:
    breaks = len(compose.timeline.breaks)
    return f"in {breaks + 1} runs" if breaks else None


def _about(compose: ComposeFacts) -> Html:
    lock = compose.lock
    hub = lock.hub if lock else None
    return join(
        facts([
            ("Type", compose.kind["type"]),
            ("Label", compose.kind["label"]),
            ("Suite", compose.suite),
            ("Version", lock.version if lock else None),
            ("Lock", code(lock.content) if lock else None),
            ("Hub", f"{hub.suite}, event {hub.event}, generation {hub.generation}" if hub else None),
            ("Begun", _moment(compose.timeline.started_at)),
            ("Ended", _moment(compose.timeline.ended_at)),
        ]),
    )  # fmt: skip


def _moment(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else None


def _errors(compose: ComposeFacts) -> Html | None:
    if not compose.errors:
        return None
    return join(
        element("h2", "What failed"),
        [
            join(element("h3", task), element("pre", message), element("p", hint, class_="note") if hint else None)
            for task, message, hint in compose.errors
        ],
    )


def _time(compose: ComposeFacts) -> Html | None:
    time = compose.timeline
    if not time.spans:
        return None
    drawn = spans(time.spans, total=time.total, breaks=time.breaks, label="When each task ran")
    return join(element("h2", "Time by task"), drawn)


def _variant(variant: VariantFacts) -> Html:
    return element(
        "section",
        element("h2", variant.key),
        facts(_outputs(variant)),
        _gates(variant.gates),
        _disks(variant),
        _sizes(variant),
        _layers(variant),
        _packages(variant.packages),
    )


def _outputs(variant: VariantFacts) -> list[tuple[str, Child]]:
    commit, container = variant.commit, variant.container
    key = commit.get("key")
    return [
        ("Ref", code(variant.ref)),
        ("Commit", code(commit["commit"]) if commit else None),
        ("Signed by", code(key) if key else ("nobody" if commit else None)),
        ("Kernel", variant.tree.get("kver")),
        ("Image", join(container["name"], f", {len(variant.layers)} layers") if container else None),
        ("Digest", code(container["digest"]) if container else None),
        ("Tags", ", ".join(variant.tags) or None),
    ]


def _gates(gates: tuple[Gate, ...]) -> Html | None:
    if not gates:
        return None
    rows: list[list[Child]] = [
        [gate.name, _pill(gate.verdict), duration(gate.seconds) if gate.seconds is not None else "", _details(gate)]
        for gate in gates
    ]
    return join(element("h3", "Gates"), table(["Gate", "Verdict", "Took", "What it saw"], rows, numbers=(2,)))


def _details(gate: Gate) -> str:
    return ", ".join(f"{_words(name)} {said}" for name, value in gate.details.items() if (said := _said(value)))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _said(value: object) -> str:
    """ "" for what has no place on a line: paths and what is empty."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        value = [f"{name} {one}" for name, one in value.items()]
    if isinstance(value, list):
        return ", ".join(map(str, value[:8])) + (" …" if len(value) > 8 else "")
    return "" if value is None or "/" in str(value) else str(value)


def _disks(variant: VariantFacts) -> Html | None:
    if not variant.disks:
        return None
    rows: list[list[Child]] = [
        [
            disk["path"].rpartition("/")[2],
            size_text(disk["size"]),
            size_text(disk["virtual_size"]),
            code(disk["sha256"]),
        ]
        for disk in variant.disks
    ]
    return join(
        element("h3", "Disk images"), table(["File", "Its size", "Disk's size", "SHA-256"], rows, numbers=(1, 2))
    )


def _sizes(variant: VariantFacts) -> Html | None:
    rows = variant.packages
    if not rows:
        return None
    known = all(row.installed is not None for row in rows)
    sizes = [(row.package.name, row.installed if known and row.installed else row.package.size) for row in rows]
    what = "Installed-Size as each package states it" if known else "the .debs: installed sizes are not recorded"
    return join(
        element("h3", "Size by package"),
        element("p", f"{size_text(sum(size for _, size in sizes))} in {len(rows)} packages; {what}.", class_="note"),
        bars(list(top(sizes, TOP_PACKAGES)), label="Size by package"),
    )


def _layers(variant: VariantFacts) -> Html | None:
    if not variant.layers:
        return None
    sizes = [(layer.name, layer.size) for layer in variant.layers]
    return join(
        element("h3", "Size by layer"),
        element("p", f"{size_text(sum(size for _, size in sizes))} in {len(sizes)} layers, compressed.", class_="note"),
        bars(list(top(sizes, TOP_LAYERS)), label="Size by layer"),
    )


def _packages(rows: tuple[PackageRow, ...]) -> Html | None:
    if not rows:
        return None
    lines: list[list[Child]] = [
        [row.package.name, row.package.version, row.package.source or row.package.name, _origin(row),
         size_text(row.installed if row.installed is not None else row.package.size)]
        for row in rows
    ]  # fmt: skip
    return element(
        "details",
        element("summary", f"All {len(rows)} packages"),
        table(["Package", "Version", "Source", "From", "Size"], lines, numbers=(4,)),
    )


def _origin(row: PackageRow) -> Child:
    if row.stage != "hub":
        return "archive"
    if row.build is None:
        return "hub"
    words = f"build {row.build['build']}"
    return link(str(row.build["url"]), words) if row.build.get("url") else words
