"""deb-mock's failures keep their words and their class."""

from __future__ import annotations

import pytest

from deb_bootc_compose.tasks.source import run_source
from debcore.errors import DepsUnmet, Failure, HostFailed


def fake(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_the_answer_is_json() -> None:
    assert run_source(fake('echo \'{"source": "a"}\'')) == {"source": "a"}


@pytest.mark.parametrize(("status", "kind"), [(3, Failure), (5, DepsUnmet), (6, HostFailed), (99, HostFailed)])
def test_a_failure_is_told_in_its_words(status: int, kind: type[Failure]) -> None:
    script = (
        f"echo 'making a root' >&2; echo 'deb-mock: no such package' >&2; echo '  [try another]' >&2; exit {status}"
    )
    with pytest.raises(kind) as caught:
        run_source(fake(script))
    assert type(caught.value) is kind
    assert str(caught.value) == "no such package"
    assert caught.value.hint == "try another"


def test_something_else_is_refused() -> None:
    with pytest.raises(Failure, match="not JSON"):
        run_source(fake("echo hello"))
