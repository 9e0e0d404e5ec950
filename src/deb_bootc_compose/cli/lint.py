"""deb-bootc-compose lint"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from deb_bootc_compose.compose import load_started
from deb_bootc_compose.directory import ComposeDirectory, find_compose
from deb_bootc_compose.journal import read_journal
from deb_bootc_compose.lints.check import Judged
from deb_bootc_compose.lints.model import Root
from deb_bootc_compose.lints.registry import LINTS, run_lints
from deb_bootc_compose.lints.sarif import make_sarif
from debcore.cli import print_json, printable
from debcore.errors import BuildFailed, Failure
from debcore.path import write_file


@click.command()
@click.argument("what", required=False, metavar="COMPOSE|DIRECTORY")
@click.option("--list", "as_list", is_flag=True, help="Say what is checked.")
@click.option("--skip", multiple=True, metavar="LINT", help="Leave out a lint.")
@click.option("--sarif", type=click.Path(path_type=Path), help="Also write a SARIF log, with what was waived.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--fix", is_flag=True, help="Show, as a difference, what would make /var and /etc pass: rules for "
              "the manifest of a COMPOSE whose audit failed; tmpfiles.d and presets in a DIRECTORY.")  # fmt: skip
@click.option("--write", is_flag=True, help="With --fix: do it.")
def command(
    what: str | None, as_list: bool, skip: tuple[str, ...], sarif: Path | None, as_json: bool, fix: bool, write: bool
) -> None:
    """Check the trees of a compose, or a root file system unpacked in DIRECTORY (with /etc, as in an OCI image).

    All of `bootc container lint`, and Debian's own traps. A compose's waivers count. Warnings are failures too.

    \b
    deb-bootc-compose lint composes/latest-server-13
    deb-bootc-compose lint /srv/unpacked --skip bootc-client --sarif lint.sarif
    """
    if as_list:
        _list(as_json=as_json)
        return
    if what is None:
        raise click.UsageError("name a compose or a directory, or use --list")
    if unknown := set(skip) - {lint.name for lint in LINTS}:
        raise Failure(f"there is no lint {', '.join(sorted(unknown))}", hint="deb-bootc-compose lint --list")
    path = Path(what)
    if write and not fix:
        raise click.UsageError("--write goes with --fix")
    if fix:
        _fix(what, write=write, as_json=as_json)
        return
    if (path / "usr").is_dir():
        lints = [lint for lint in LINTS if lint.name not in skip]
        found = {str(path): [Judged(finding, None) for finding in run_lints(Root(path), lints=lints)]}
    else:
        found = {
            name: [judged for judged in results if judged.finding.lint not in skip]
            for name, results in _of_compose(find_compose(what, [Path("composes")])).items()
        }
    if sarif is not None:
        write_file(sarif, json.dumps(make_sarif(found), indent=1, ensure_ascii=False) + "\n")
    _show(found, as_json=as_json)


def _fix(what: str, *, write: bool, as_json: bool) -> None:
    from deb_bootc_compose.fixing import explain, fix_manifest, fix_root

    path = Path(what)
    made = fix_root(path) if (path / "usr").is_dir() else fix_manifest(find_compose(what, [Path("composes")]))
    if write:
        made.apply()
    if as_json:
        print_json({"path": str(made.path), "changes": list(made.lines), "written": write})
        return
    for line in made.lines:
        click.echo(printable(line))
    click.echo(explain(made.lines, written=write), err=True)


def _of_compose(directory: ComposeDirectory) -> dict[str, tuple[Judged, ...]]:
    from datetime import UTC, datetime

    from deb_bootc_compose.lints.check import check_tree
    from deb_bootc_compose.plan import key
    from deb_bootc_compose.tasks.lint import make_waiver
    from deb_bootc_compose.tree.make import load_tree
    from debroot.store import Store

    started = load_started(directory)
    store = Store.open()
    found: dict[str, tuple[Judged, ...]] = {}
    for spec in started.manifest.specs:
        name = key(spec)
        made = _tree_of(directory, name)
        tree = load_tree(store, made["id"], suite=made["suite"])
        if tree is None:
            raise Failure(f"the tree of {name} is no longer in the store", hint="compose again: the lints run then")
        waivers = [make_waiver(one.model_dump(mode="json")) for one in spec.variant.lint.waive]
        with store.using(tree.layer):
            today, filesystem = datetime.now(UTC).date(), spec.variant.outputs.filesystem
            found[name] = check_tree(store, tree, waivers=waivers, today=today, filesystem=filesystem).results
    return found


def _tree_of(directory: ComposeDirectory, name: str) -> dict[str, Any]:
    for entry in read_journal(directory.journal_path):
        if entry.type == "task.finished" and entry.data["task"] == f"tree.{name}":
            value: dict[str, Any] = entry.data["result"]["value"]
            return value
    raise Failure(f"{directory.id} has no tree of {name} yet", hint=f"deb-bootc-compose resume {directory.path}")


def _list(*, as_json: bool) -> None:
    if as_json:
        print_json([{"name": x.name, "level": x.level, "origin": x.origin, "text": x.text} for x in LINTS])
        return
    for lint in LINTS:
        click.echo(f"{lint.name:<24} {lint.level:<8} {lint.origin:<7} {lint.text}")


def _show(found: Mapping[str, Sequence[Judged]], *, as_json: bool) -> None:
    """What is waived is shown to people, and counts for nothing."""
    open_ones = {name: [one.finding for one in results if one.waiver is None] for name, results in found.items()}
    total = sum(map(len, open_ones.values()))
    if as_json:
        print_json({name: [asdict(finding) for finding in findings] for name, findings in open_ones.items()})
    else:
        for name, results in found.items():
            waived = len(results) - len(open_ones[name])
            more = f", {waived} waived" if waived else ""
            click.echo(f"{name}: {_count(len(open_ones[name])) if open_ones[name] else 'clean'}{more}")
            for judged in sorted(results, key=lambda one: one.waiver is not None):
                click.echo(printable(_line(judged)))
    if total:
        raise BuildFailed(_count(total), hint="correct the manifest, or waive with a reason under `lint: waive:`")


def _count(number: int) -> str:
    return f"{number} finding{'' if number == 1 else 's'}"


def _line(judged: Judged) -> str:
    finding, waiver = judged.finding, judged.waiver
    if waiver is None:
        return f"  {finding.level:<8} {finding.lint}: {finding.message}"
    until = f", until {waiver.last_day}" if waiver.last_day else ""
    return f"  waived   {finding.lint}: {waiver.reason}{until}"
