"""What is taken out of diffoscope's JSON, which shows content that a package chose."""

from __future__ import annotations

import json

import pytest

from deb_mock.diffoscope import read_paths

DOCUMENT = {
    "source1": "first/tool.deb",
    "details": [
        {"source1": "data.tar.xz", "details": [
            {"source1": "./usr/bin/tool", "details": [{"source1": "readelf --wide {}", "details": []}]},
            {"source1": "./usr/share/doc", "unified_diff": "-a\n+b\n"},
        ]},
    ],
}  # fmt: skip


def test_the_innermost_differences_are_named_with_the_way_to_them() -> None:
    assert list(read_paths(json.dumps(DOCUMENT).encode())) == [
        "data.tar.xz › ./usr/bin/tool › readelf --wide {}",
        "data.tar.xz › ./usr/share/doc",
    ]


def test_a_difference_that_cannot_be_looked_into_is_one_of_bytes() -> None:
    assert list(read_paths(b'{"source1": "first/tool.deb", "unified_diff": "x"}')) == ["its bytes"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"[" * 100_000, b'{"details": [[1], 2, "x"]}'])
def test_what_is_no_report_names_nothing(raw: bytes) -> None:
    assert list(read_paths(raw)) == []
