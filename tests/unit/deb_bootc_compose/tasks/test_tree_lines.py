"""A failure of the tree that names an item of the manifest says where it stands, wherever the tree was made."""

from __future__ import annotations

import pytest

from deb_bootc_compose.tasks.tree import at_its_line
from debcore.errors import Failure, HostFailed

ORIGINS = {"postprocess": ["base.tree.yaml:7", "compose.yaml:20"], "remove-files": ["compose.yaml:9"]}


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (Failure("postprocess.1: script 2 failed", hint="x"), "compose.yaml:20: postprocess.1: script 2 failed"),
        (Failure("remove-files.0: the tree has no /x", hint="x"), "compose.yaml:9: remove-files.0: the tree has no /x"),
        (
            HostFailed("the farm did not make the tree (job 4): postprocess.0: script 1 failed", hint="x"),
            "base.tree.yaml:7: the farm did not make the tree (job 4): postprocess.0: script 1 failed",
        ),
        (Failure("remove-files.7: what no line is known of", hint="x"), "remove-files.7: what no line is known of"),
        (Failure("the tree has no kernel", hint="x"), "the tree has no kernel"),
    ],
)
def test_a_line_is_put_before_what_has_one(failure: Failure, said: str) -> None:
    with pytest.raises(type(failure)) as caught, at_its_line(ORIGINS):
        raise failure
    assert (str(caught.value), caught.value.hint, caught.value.status) == (said, "x", failure.status)
