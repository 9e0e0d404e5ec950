"""Whatever stands in a manifest: it loads, or a ConfigError names the line. Never anything else."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deb_bootc_compose.cli.init import find_examples
from deb_bootc_compose.manifest import load_manifest
from deb_bootc_compose.manifest.load import TREE_KEYS, merged_document
from deb_bootc_compose.manifest.model import Compose, Variant, kebab
from debcore.errors import ConfigError

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EXAMPLES = {
    str(path.relative_to(find_examples())): path.read_text() for path in sorted(find_examples().glob("*/*.yaml"))
}
KEYS = sorted({*TREE_KEYS, *map(kebab, Compose.model_fields), *map(kebab, Variant.model_fields), "include", "variants"})
#: Words that mean something to a YAML parser, to ours or to a file system.
WORDS = (
    "", "~", "!reset", "!!python/object:os.system", "&a", "*a", "<<", "${", "${suite}", "${no}", "$${", "- ", ": ",
    "[", "]", "{", "}", "|", ">", "%YAML 9.9", "---", "...", "\t", "\0", "\x85", "\u2028", "\ud7ff", "\U0001f600", "#",
    "'", '"', '"\\ud800"', '"\\0"', "1e999", ".nan", "-0", "9" * 5000, "0x10", "2026-02-30", "..", "/", "a/" * 3000,
    "packages-amd64", "packages-x", "[" * 100, "? a", "compose.yaml", ".",
)  # fmt: skip
LINE = re.compile(r"(compose|tree)\.yaml:[1-9][0-9]*")


def check(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        for name, content in files.items():
            Path(place, name).write_bytes(content)
        refusal: ConfigError | None = None
        try:
            load_manifest(Path(place))
            merged_document(Path(place))  # which also looks at what no architecture takes
        except ConfigError as error:
            refusal = error
        if refusal is None:
            return
        assert LINE.search(refusal.where), f"{refusal.where}: {refusal}"
        str(refusal).encode()


@st.composite
def mangled(draw: st.DrawFn) -> dict[str, bytes]:
    """A shipped example after a few accidents."""
    name = draw(st.sampled_from(sorted(name for name in EXAMPLES if name.endswith("compose.yaml"))))
    directory = name.rpartition("/")[0]
    texts = {n.rpartition("/")[2]: text for n, text in EXAMPLES.items() if n.rpartition("/")[0] == directory}
    for _ in range(draw(st.integers(1, 4))):
        victim = draw(st.sampled_from(sorted(texts)))
        texts[victim] = draw(accidents(texts[victim]))
    return {n: text.encode("utf-8", "surrogatepass") for n, text in texts.items()}


@st.composite
def accidents(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    at = draw(st.integers(0, len(lines) - 1))
    kind = draw(st.sampled_from(["drop", "twice", "indent", "word", "key", "swap", "value", "cut"]))
    line = lines[at]
    if kind == "drop":
        lines[at : at + 1] = []
    elif kind == "twice":
        lines.insert(draw(st.integers(0, len(lines))), line)
    elif kind == "indent":
        lines[at] = " " * draw(st.integers(0, 9)) + line.strip()
    elif kind == "swap":
        other = draw(st.integers(0, len(lines) - 1))
        lines[at], lines[other] = lines[other], line
    elif kind == "key":
        lines[at] = re.sub(r"[a-z][a-z-]*(?=:)", lambda _: draw(st.sampled_from(KEYS)), line, count=1)
    elif kind == "value":
        lines[at] = f"{line.partition(':')[0]}: {draw(st.sampled_from(WORDS))}"
    elif kind == "word":
        column = draw(st.integers(0, len(line)))
        lines[at] = line[:column] + draw(st.sampled_from(WORDS)) + line[column:]
    else:
        return text[: draw(st.integers(0, len(text)))]
    return "\n".join(lines)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)
    | st.dates() | st.binary(max_size=4)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@QUICK
@given(st.binary(max_size=300))
@example(b"")
@example(b"\0")
@example(b"\xff\xfe")
@example(b"a: b\x07\n")
@example(b"[" * 5000)
@example(b"{a: " * 1000)
@example(b"- a\n- b\n")
@example(b"a: &x 1\nb: *x\n")
@example(b"suite: " + b"9" * 5000)
@example(b"a: !!timestamp 2026-99-99")
@example(b'suite: "\\ud800"')
def test_any_bytes(content: bytes) -> None:
    check({"compose.yaml": content})


@QUICK
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=8))
@example({"schema": "deb-bootc-compose/1", "include": "\0"})
@example({"include": "a" * 300})
@example({"include": "."})
@example({"include": "compose.yaml"})
@example({"include": ["a/" * 3000]})
@example({"add-files": [{"from": "a\0b", "to": "/a"}]})
@example({"variants": {"a": {"arches": ["amd64"], "base": {"oci": "\0"}}}})
@example({"conditional-include": [{"if": [], "include": {"a": 1}}]})
def test_any_values_of_known_keys(content: dict[str, object]) -> None:
    check({"compose.yaml": yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")})


@QUICK
@given(mangled())
def test_examples_after_accidents(files: dict[str, bytes]) -> None:
    check(files)


@pytest.mark.slow
@settings(max_examples=6000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mangled() | VALUES.map(lambda value: {"compose.yaml": yaml.safe_dump({"variants": value}).encode()}))
def test_examples_after_many_accidents(files: dict[str, bytes]) -> None:
    check(files)
