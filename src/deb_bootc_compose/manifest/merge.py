"""How manifests combine: child scalars win, lists append, mappings merge, `!reset` replaces; variables, conditions."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import replace

from deb_bootc_compose.manifest.document import Mark, Node
from debcore.errors import ConfigError

VARIABLE = re.compile(r"\$(?:\$\{|\{([^}]*)(\}?))")
CONDITION = re.compile(r"""\s*([a-z][a-z0-9_]*)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)')\s*""")


def merge(parent: Node, child: Node) -> Node:
    """*child* over *parent*."""
    if child.reset:
        return clear(child)
    if isinstance(parent.value, dict) and isinstance(child.value, dict):
        values = dict(parent.value)
        for key, node in child.value.items():
            values[key] = merge(values[key], node) if key in values else node
        return Node(values, child.mark, keys={**(parent.keys or {}), **(child.keys or {})})
    if isinstance(parent.value, tuple) and isinstance(child.value, tuple):
        return Node((*parent.value, *child.value), child.mark)
    if isinstance(parent.value, dict | tuple) and child.value is not None:
        kind = "list" if isinstance(parent.value, tuple) else "mapping"
        hint = f"{parent.mark} gives the {kind} that this would be added to; `!reset` replaces it by another {kind}"
        raise ConfigError(str(child.mark), f"a {kind} is wanted for what is given here: {_shown(child)}", hint=hint)
    return child


def _shown(node: Node) -> str:
    return json.dumps(node.plain())[:60]


def clear(node: Node) -> Node:
    """*node* with nothing below it to reset: `!reset` on what no include gave changes nothing."""
    if isinstance(node.value, dict):
        return replace(node, value={key: clear(item) for key, item in node.value.items()}, reset=False)
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(clear(item) for item in node.value), reset=False)
    return replace(node, reset=False)


def expand(node: Node, variables: Mapping[str, str]) -> Node:
    """Every `${name}` in text replaced; `$${` stands for a literal `${`. Errors: ConfigError on unknown names."""
    if isinstance(node.value, dict):
        return node.with_value({key: expand(item, variables) for key, item in node.value.items()})
    if isinstance(node.value, tuple):
        return node.with_value(tuple(expand(item, variables) for item in node.value))
    if not isinstance(node.value, str) or "$" not in node.value:
        return node
    return node.with_value(expand_text(node.value, variables, node.mark))


def expand_text(text: str, variables: Mapping[str, str], mark: Mark) -> str:
    def value(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match[1]
        if not match[2]:
            raise ConfigError(str(mark), "a `${` is not closed", hint="write $${ for a literal ${")
        if name not in variables:
            near = difflib.get_close_matches(name, variables, 1)
            hint = f"did you mean ${{{near[0]}}}?" if near else f"known: {', '.join(sorted(variables))}"
            raise ConfigError(str(mark), f"unknown variable ${{{name}}}", hint=f"{hint} (a literal one is $${{…}})")
        return variables[name]

    return VARIABLE.sub(value, text)


def holds(condition: Node, variables: Mapping[str, str]) -> bool:
    """Whether an `if:` (one comparison, or a list of which all must hold) is true. Errors: ConfigError."""
    if isinstance(condition.value, tuple):
        return all(holds(item, variables) for item in condition.value)
    match = CONDITION.fullmatch(condition.value) if isinstance(condition.value, str) else None
    if match is None:
        raise ConfigError(
            str(condition.mark), f"{condition.plain()!r} is no condition", hint="""write for example: suite == "sid" """
        )
    name, operator, first, second = match.groups()
    if name not in variables:
        raise ConfigError(
            str(condition.mark), f"a condition on {name!r}, which is unknown", hint=f"known: {', '.join(variables)}"
        )
    return (variables[name] == (first if first is not None else second)) == (operator == "==")


def select_arch(node: Node, arch: str, known: frozenset[str]) -> Node:
    """`packages-ARCH` of *arch* appended to `packages`; those of other architectures dropped."""
    if not isinstance(node.value, dict):
        return node
    values = dict(node.value)
    for key in [key for key in values if key.startswith("packages-")]:
        wanted = key.removeprefix("packages-")
        if wanted not in known:
            near = difflib.get_close_matches(wanted, known, 1)
            raise ConfigError(
                str(node.key_mark(key)), f"{wanted!r} in {key!r} is no architecture of Debian",
                hint=f"did you mean packages-{near[0]}?" if near else f"known: {', '.join(sorted(known))}",
            )  # fmt: skip
        extra = values.pop(key)
        if not isinstance(extra.value, tuple):
            raise ConfigError(str(extra.mark), f"{key} is a list of package names")
        if wanted == arch:
            values["packages"] = merge(values.get("packages", Node((), extra.mark)), extra)
    return node.with_value(values)
