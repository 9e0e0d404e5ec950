"""What a build's log says in sbuild's words: the head, the environment and the summary, which other programs read.

Source: sbuild 0.89 lib/Sbuild/Build.pm.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from deb_mock.buildlog import BuildLog, duration, stamp, summary
from deb_mock.buildtype import TYPES
from deb_mock.checks.model import NO_TESTS
from deb_mock.dsc import Dsc
from deb_mock.order import Order
from deb_mock.outcome import sbuild_status
from deb_mock.pack import Tree
from debcore.job import CheckReport, Result
from debroot.store import Layer

#: Our stages as sbuild names them in Fail-Stage.
FAIL_STAGES = {"source": "fetch-src", "root": "create-session", "resolve": "install-deps", "install": "install-deps"}
FAIL_STAGES |= {"pack": "pack-source", "results": "parse-changes", "start": "init"}
#: Packages whose versions decide what compilers make. Source: toolchain_regex of sbuild.conf(5).
TOOLCHAIN = re.compile(r"binutils$|dpkg-dev$|gcc-\d|g\+\+-\d|libstdc\+\+|libc6-dev$|linux-libc-dev$")

#: Checks that sbuild knows, and its word for one that it could not run.
NOT_RUN = {"lintian": "error", "piuparts": "fail", "autopkgtest": "fail"}


def write_preamble(build_log: BuildLog, order: Order, subject: Dsc | Tree) -> None:
    choice, version = order.choice, order.built_version(subject.version)
    build_log.section(f"{subject.source} {version} ({choice.host_arch})")
    build_log.fields(
        {
            "Package": subject.source,
            "Version": version,
            "Source Version": subject.version,
            "Distribution": order.target_distribution,
            "Machine Architecture": choice.arch,
            "Host Architecture": choice.host_arch,
            "Build Architecture": choice.arch,
            **({"Build Profiles": " ".join(p)} if (p := choice.settings.build.profiles) else {}),
            "Build Type": TYPES[order.build_type].word,
        }
    )


def write_summary(
    build_log: BuildLog, order: Order, result: Result, seconds: float, *, source_version: str | None
) -> None:
    """The sections Cleanup and Summary. *seconds*: for all of it."""
    times = {stage.name: stage.seconds for stage in result.stages}
    installing = sum(times.get(name, 0.0) for name in ("root", "resolve", "install"))
    space = "n/a" if result.peaks.disk is None else str(result.peaks.disk // 1024)
    values = {
        "Build Architecture": order.choice.arch,
        "Build Profiles": " ".join(order.choice.settings.build.profiles),
        "Build Type": TYPES[order.build_type].word,
        "Build-Space": space,
        "Build-Time": str(round(times.get("build", 0.0))),
        "Distribution": order.target_distribution,
        "Foreign Architectures": order.choice.host_arch if order.choice.is_cross else "",
        "Host Architecture": order.choice.host_arch,
        "Install-Time": str(round(installing)),
        "Job": order.identity.job,
        "Machine Architecture": order.choice.arch,
        "Package": result.source or "",
        "Package-Time": str(round(seconds)),
        "Source-Version": source_version or "",
        "Space": space,
        "Status": sbuild_status(result),
        "Version": result.version or "",
    }
    values |= {report.name.capitalize(): word for report in result.checks if (word := check_word(report))}
    if result.failure:
        stage = "arch-check" if result.failure.kind == "architecture" else result.failure.stage
        values["Fail-Stage"] = FAIL_STAGES.get(stage, stage)
    build_log.subsection("Cleanup")
    build_log.line("Purging the throw-away root: done by leaving it")
    build_log.subsection("Summary")
    build_log.fields(summary({key: value for key, value in values.items() if value}))
    build_log.line("-" * 80)
    build_log.line(f"Finished at {stamp()}")
    build_log.line(f"Build needed {duration(seconds)}, {'no' if space == 'n/a' else space + 'k'} disk space")


def check_word(report: CheckReport) -> str:
    """sbuild's word for how a check ended; none for checks that it does not know."""
    if report.name not in NOT_RUN:
        return ""
    if report.outcome == "not-run":
        empty = any(finding.tag == NO_TESTS for finding in report.findings)
        return "no tests" if empty else NOT_RUN[report.name]
    if report.outcome == "failed":
        return "fail"
    graver = ("warning", "warn"), ("info", "info")
    said = (word for level, word in graver if report.name == "lintian" and report.counts.get(level))
    return next(said, "pass")


def write_environment(build_log: BuildLog, arch: str, architectures: Sequence[str], layer: Layer) -> None:
    build_log.subsection("Check architectures")
    build_log.line(f"Arch check ok ({arch} included in {' '.join(architectures)})")
    build_log.subsection("Build environment")
    build_log.line(f"Kernel: {os.uname().sysname} {os.uname().release} #1 {layer.arch} ({os.uname().machine})")
    build_log.line("Toolchain package versions: " + " ".join(_versions(layer, toolchain=True)))
    build_log.line("Package versions: " + " ".join(_versions(layer)))


def _versions(layer: Layer, *, toolchain: bool = False) -> list[str]:
    return [f"{p.name}_{p.version}" for p in layer.packages if not toolchain or TOOLCHAIN.match(p.name)]
