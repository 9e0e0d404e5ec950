"""What `lint --fix` shows and does: a root passes afterwards, a manifest has the rules that it lacked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli.lint import command
from deb_bootc_compose.lints import fix
from deb_bootc_compose.lints.model import Root
from deb_bootc_compose.lints.registry import run_lints
from deb_bootc_compose.manifest.document import parse_document
from deb_bootc_compose.manifest.suggest import edit, suggest
from debcore.errors import Failure


def spoil(tree: Path) -> None:
    """What packages leave: a file of state, an empty directory, a cache, a log, an enabled unit, an odd name."""
    for name, text in {
        "var/lib/app/state file": "state",
        "var/cache/man/index.db": "x",
        "var/log/dpkg.log": "long",
        "usr/lib/systemd/system/app@.service": "[Unit]\n",
    }.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "var/lib/app/empty\nd x").mkdir()
    (tree / "var/lib/app/link").symlink_to("/run/app")
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "app@1.service").symlink_to("/usr/lib/systemd/system/app@.service")
    for path in tree.rglob("*"):
        os.utime(path, (0, 0), follow_symlinks=False)


def found(tree: Path) -> set[str]:
    return {finding.lint for finding in run_lints(Root(tree))}


def test_a_root_passes_after_its_fixes_and_not_before(tree: Path) -> None:
    assert not found(tree)
    spoil(tree)
    assert {"var-files", "var-tmpfiles", "var-log", "enablement-links"} <= found(tree)
    before = sorted(tree.rglob("*"))
    changes = fix.plan_fixes(Root(tree))
    assert sorted(tree.rglob("*")) == before, "a plan changes nothing"
    shown = list(fix.show(changes))
    assert "+C /var/lib/app/state\\x20file 0644 " in "".join(shown)
    assert "+enable app@.service" in shown
    assert shown.index("+enable app@.service") < shown.index(" disable *")
    assert "remove /var/log/dpkg.log (a cache, a log or a leftover)" in shown
    assert "+d /var/lib/app/empty\\x0ad\\x20x" in "".join(shown)
    assert "remove /etc/systemd/system/multi-user.target.wants/app@1.service" in "".join(shown)
    fix.apply(Root(tree), changes)
    assert not found(tree) - {"file-names-ascii"}
    assert (tree / "usr/share/factory/var/lib/app/state file").read_text() == "state"
    assert not fix.plan_fixes(Root(tree)), "and nothing is left to do"


def test_the_verb_shows_first_and_writes_when_asked(tree: Path) -> None:
    spoil(tree)
    shown = CliRunner().invoke(command, [str(tree), "--fix"], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "--- /dev/null\n+++ b/usr/lib/tmpfiles.d/00-image.conf\n" in shown.output
    assert "the same with --write" in shown.output
    assert (tree / "var/lib/app/state file").exists()
    done = CliRunner().invoke(command, [str(tree), "--fix", "--write", "--json"], catch_exceptions=False)
    assert json.loads(done.output)["written"] is True
    assert not (tree / "var/lib/app/state file").exists()
    assert CliRunner().invoke(command, [str(tree), "--fix"]).output == "nothing to change below /var and /etc\n"
    assert CliRunner().invoke(command, [str(tree), "--write"]).exit_code == 2


UNKNOWN = [("/var/lib/app", False), ("/var/lib/app/db", True), ("/var/cache/app", False), ("/var/cache/app/x", True),
           ("/var/lib/one", True)]  # fmt: skip


def test_rules_that_fit_are_few() -> None:
    assert suggest(UNKNOWN) == [
        ("/var/cache/app", "discard"), ("/var/lib/app", "tmpfiles"), ("/var/lib/app/*", "tmpfiles"),
        ("/var/lib/one", "tmpfiles"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("suite: trixie\n", ["/var/new"]),
        ("suite: trixie", ["/var/new"]),
        ("var:\n  fix: false\nsuite: a\n", ["/var/new"]),
        ("var:\n  rules:\n    - {path: /var/a, action: image}\nsuite: a\n", ["/var/new", "/var/a"]),
        ("var:\n  rules:\n  - path: /var/a\n    action: image\n", ["/var/new", "/var/a"]),
    ],
)
def test_a_rule_is_put_where_rules_are(text: str, rules: list[str]) -> None:
    made = edit(text, "compose.yaml", add=[("/var/new", "discard")])
    plain = parse_document(made, "compose.yaml").plain()
    assert [rule["path"] for rule in plain["var"]["rules"]] == rules
    del plain["var"]["rules"]
    kept = parse_document(text, "compose.yaml").plain()
    assert {**kept, "var": {k: v for k, v in kept.get("var", {}).items() if k != "rules"}} == plain


def test_a_stale_rule_goes_with_its_line() -> None:
    text = "var:\n  rules:\n    - {path: /var/a, action: image}\n    - {path: /var/b, action: image}\n"
    made = edit(text, "compose.yaml", add=[("/var/it's: #1", "discard")], drop=[3])
    plain = parse_document(made, "compose.yaml").plain()
    assert [rule["path"] for rule in plain["var"]["rules"]] == ["/var/it's: #1", "/var/b"]


@pytest.mark.parametrize("text", ["var: {fix: false}\n", "var:\n  rules: []\n"])
def test_what_stands_on_one_line_is_left_to_its_writer(text: str) -> None:
    with pytest.raises(Failure, match="one line") as caught:
        edit(text, "compose.yaml", add=[("/var/new", "discard")])
    assert caught.value.hint == "add by hand: - {path: /var/new, action: discard}"
