"""Running the finishing steps, seen from inside the tools root: the tree is at /tree. Standard library only."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from deb_bootc_compose.tree import dpkg, files, ids
from deb_bootc_compose.tree.spec import State, options_from_json
from deb_bootc_compose.tree.steps import kernel, prepare_root
from deb_bootc_compose.tree.steps import state as var_state
from deb_bootc_compose.tree.steps.registry import STEPS

TREE = Path("/tree")


def state_to_json(state: State) -> dict[str, Any]:
    return asdict(state)


def state_from_json(data: dict[str, Any]) -> State:
    """Tuples come back as tuples."""
    lists = ("tmpfiles",)
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) and k not in lists else v for k, v in data.items()}
    return State(**values)


def run_steps(
    *, names: list[str], options: dict[str, Any], state: dict[str, Any], tree: str = "/tree"
) -> dict[str, Any]:
    """Run the named steps' `run` in order and return the state."""
    values, now = options_from_json(options), state_from_json(state)
    for step in STEPS:
        if step.name in names:
            step.run(Path(tree), values, now)
    return state_to_json(now)


def pin_ids(*, ledger: str, tree: str = "/tree") -> dict[str, Any]:
    """Add the ledger's users and groups, before packages that would make them with other numbers."""
    ids.apply_ledger(Path(tree), ids.parse_ledger(ledger))
    return {}


def audit(*, options: dict[str, Any], tree: str = "/tree") -> dict[str, Any]:
    """What the audit of /var does not know, as (path, whether it is a file), and rules that meet no path."""
    values = options_from_json(options)
    verdicts = var_state.judge(Path(tree), values)
    used = {verdict.rule for verdict in verdicts}
    unknown = [v.path for v in verdicts if v.action == "unknown"]
    return {
        "unknown": [
            (path, (Path(tree) / path.lstrip("/")).is_file() and not (Path(tree) / path.lstrip("/")).is_symlink())
            for path in unknown
        ],
        # what only a script makes is not there yet
        "stale": [rule.path for rule in values.var_rules if rule not in used and not values.postprocess],
    }


def describe(*, tree: str = "/tree") -> dict[str, Any]:
    """What a finished tree says of itself; its ostree's features as the finish recorded them."""
    root = Path(tree)
    return {
        "packages": [asdict(p) for p in dpkg.load_installed(root)],
        "kver": kernel.find_version(root),
        "ids": ids.load_ledger(root).dump(),
        "ostree_features": (files.read_text(root, prepare_root.FEATURES) or "").split(),
    }
