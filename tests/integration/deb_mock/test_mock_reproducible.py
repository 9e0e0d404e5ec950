"""--verify-reproducible: real packages are the same in other surroundings, and each variation is really one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deb_mock.variations import VARIATIONS

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

#: For each variation a command whose output it changes, and no other does.
CAPTURES: Mapping[str, str] = {
    "aslr": 'case "$(cat /proc/self/personality)" in ???[4567]*) echo fixed;; *) echo random;; esac',
    "build_path": "pwd",
    "domain_host": "uname -n; cat /proc/sys/kernel/domainname",
    "environment": "env | grep ^CAPTURE || true",
    "exec_path": 'echo "$PATH"',
    "fileordering": "mkdir listed; cd listed; touch $(seq 100 140); ls -U; rm -r ../listed",
    "home": 'echo "$HOME"',
    "kernel": "uname -r",
    "locales": "locale charmap",
    "num_cpus": "nproc",
    "timezone": "date --date=@0",
    "umask": "umask",
    "user_group": "id",
}


def package_of(variation: str) -> str:
    return f"captures-{variation.replace('_', '-')}"


def make_captures(directory: Path) -> Path:
    """A source with one package for each variation, which ships what its command said."""
    tree = directory / "captures-1.0"
    (tree / "debian" / "source").mkdir(parents=True)
    (tree / "debian" / "source" / "format").write_text("3.0 (native)\n")
    (tree / "debian" / "changelog").write_text(
        "captures (1.0) trixie; urgency=medium\n\n  * First.\n\n"
        " -- A Tester <tester@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n"
    )
    control = "Source: captures\nMaintainer: A Tester <tester@example.org>\nRules-Requires-Root: no\n"
    rules = ["set -eu"]
    for name, command in CAPTURES.items():
        package = package_of(name)
        control += f"\nPackage: {package}\nArchitecture: all\nDescription: tells\n what differs\n"
        place = f"debian/{package}"
        rules += [
            f"mkdir -p {place}/DEBIAN {place}/usr/share/{package}",
            f"( {command} ) > {place}/usr/share/{package}/said",
            f"chmod 0644 {place}/usr/share/{package}/said; chmod 0755 {place} {place}/*  {place}/usr/*",
            f"chmod 0755 {place}/usr/share/{package}",
            f"dpkg-gencontrol -p{package} -P{place}; chmod 0644 {place}/DEBIAN/control",
            f"dpkg-deb --root-owner-group --build {place} ..",
        ]
    (tree / "debian" / "control").write_text(control)
    (tree / "debian" / "capture").write_text("\n".join(rules) + "\n")
    (tree / "debian" / "rules").write_text(
        "#!/usr/bin/make -f\nclean:\n\trm -rf debian/captures-* debian/files\nbuild build-arch build-indep:\n"
        "binary-arch:\nbinary binary-indep:\n\tsh debian/capture\n"
    )
    (tree / "debian" / "rules").chmod(0o755)
    return tree


def verdicts(directory: Path) -> dict[str, str]:
    report = json.loads((directory / "reproducible.json").read_text())
    return {name.partition("_")[0]: verdict for name, verdict in report["artifacts"].items()}


def test_every_variation_has_a_package_that_shows_it() -> None:
    assert set(CAPTURES) == set(VARIATIONS)


@pytest.mark.parametrize("name", ["hostname", "cowsay"])
def test_a_real_package_is_the_same_in_all_other_surroundings(
    tool: Any, sources: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    built = tool.build(sources(name), tmp_path / "out", "--verify-reproducible")
    assert built.status == 0, built.said
    assert built.result.reproducible is True
    assert set(verdicts(built.directory).values()) == {"equal"}
    assert "Reproducible" in built.said
    again = (built.directory / "build-again.log").read_text(errors="replace")
    assert "/build/second/and-longer-path" in again
    assert {"reproducible.json", "build-again.log"} <= {output.path for output in built.result.outputs}


def test_what_shows_its_surroundings_is_found_out_and_explained(tool: Any, tmp_path: Path) -> None:
    built = tool.build(make_captures(tmp_path), tmp_path / "out", "--verify-reproducible")
    assert built.status == 4, built.said
    assert built.result.status == "built"
    assert built.result.reproducible is False
    assert verdicts(built.directory) == {package_of(name): "differs" for name in VARIATIONS}
    report = json.loads((built.directory / "reproducible.json").read_text())
    assert any("usr/share/captures-aslr/said" in line for line in report["differences"]), report
    outputs = {output.path for output in built.result.outputs}
    page = next(path for path in outputs if path.endswith(".diffoscope.html"))
    assert "said" in (built.directory / page).read_text()
    assert any(path.endswith(".diffoscope.json") for path in outputs)


def test_the_guilty_variation_is_named(tool: Any, native: Callable[..., Path], tmp_path: Path) -> None:
    place = "debian/tmp/usr/share/tiny"
    tree = native(build=f"mkdir -p {place}; date --date=@0 > {place}/when")
    words = ("--verify-reproducible", "--vary=-all,+home,+timezone,+locales", "--find-variation")
    built = tool.build(tree, tmp_path / "out", *words)
    assert built.status == 4, built.said
    report = json.loads((built.directory / "reproducible.json").read_text())
    assert (report["guilty"], report["chance"]) == (["timezone"], False)
    assert "because of: timezone" in built.said


def test_without_the_guilty_variation_it_is_the_same(tool: Any, native: Callable[..., Path], tmp_path: Path) -> None:
    place = "debian/tmp/usr/share/tiny"
    tree = native(build=f"mkdir -p {place}; date --date=@0 > {place}/when")
    built = tool.build(tree, tmp_path / "out", "--verify-reproducible", "--vary=-timezone,-umask")
    assert built.status == 0, built.said
    assert built.result.reproducible is True


@pytest.mark.slow  # three builds
def test_chance_is_told_from_surroundings(tool: Any, native: Callable[..., Path], tmp_path: Path) -> None:
    place = "debian/tmp/usr/share/tiny"
    tree = native(build=f"mkdir -p {place}; cat /proc/sys/kernel/random/uuid > {place}/id")
    built = tool.build(tree, tmp_path / "out", "--verify-reproducible", "--vary=home", "--find-variation")
    assert built.status == 4, built.said
    report = json.loads((built.directory / "reproducible.json").read_text())
    assert (report["guilty"], report["chance"]) == ([], True)


def test_a_build_with_an_online_step_is_not_reproducible(
    tool: Any, native: Callable[..., Path], tmp_path: Path
) -> None:
    tree = native(build="grep -q : /proc/net/dev")
    built = tool.build(tree, tmp_path / "out", "--set", "build.online=build")
    assert built.status == 0, built.said
    assert (built.result.reproducible, built.result.online) == (False, ("build",))
    assert "this step has the network" in built.log


@pytest.mark.slow  # two builds for each variation
@pytest.mark.parametrize("name", VARIATIONS)
def test_a_variation_changes_what_it_says_and_nothing_else(tool: Any, tmp_path: Path, name: str) -> None:
    built = tool.build(make_captures(tmp_path), tmp_path / "out", "--verify-reproducible", f"--vary={name}")
    assert built.status == 4, built.said
    expected = {package_of(other): "differs" if other == name else "equal" for other in VARIATIONS}
    assert verdicts(built.directory) == expected
