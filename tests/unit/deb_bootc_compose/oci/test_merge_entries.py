"""What the import of layers gave before, put together without a checkout: only where a checkout decides nothing."""

from __future__ import annotations

import pytest

from deb_bootc_compose.oci.importer import merge_entries

BASE = {"/": "daaa", "/usr": "daaa", "/usr/a": "-111"}


def test_a_later_file_is_in_the_place_of_an_earlier_one() -> None:
    over = {"/": "daaa", "/usr": "daaa", "/usr/a": "-222", "/usr/l": "l333"}
    assert merge_entries([BASE, over]) == {**BASE, "/usr/a": "-222", "/usr/l": "l333"}
    assert merge_entries([over, BASE]) == {**over, "/usr/a": "-111"}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"/usr/.wh.a": "-444"}, id="whiteout"),
        pytest.param({"/usr/.wh..wh..opq": "-444"}, id="opaque"),
        pytest.param({"/usr": "dbbb"}, id="directory of another mode"),
        pytest.param({"/usr/a": "daaa"}, id="directory over a file"),
        pytest.param({"/usr": "l555"}, id="link over a directory"),
    ],
)
def test_what_a_checkout_has_to_decide_is_left_to_it(other: dict[str, str]) -> None:
    assert merge_entries([BASE, other]) is None
