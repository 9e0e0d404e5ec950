"""Stanzas: streaming, bounded, the same bytes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from debian.deb822 import Deb822
from hypothesis import given
from hypothesis import strategies as st

from debcore import deb822
from debcore.deb822 import ListedFile, Stanza, make_stanza, parse_files, parse_stanza, parse_stanzas
from debcore.errors import Failure

TEXT = """\
Package: hello
Version: 2.10-3
Description: the classic
 Long text
 .
 with a blank line and ünïcode

Package: other
Depends: a (>= 1),
 b | c
Files:
 d41d8cd98f00b204e9800998ecf8427e 0 x.tar.gz
"""


def test_reading_and_writing_give_the_same_bytes() -> None:
    first, second = parse_stanzas(TEXT)
    assert list(first) == ["Package", "Version", "Description"]
    assert first["DESCRIPTION"] == "the classic\n Long text\n .\n with a blank line and ünïcode"
    assert "version" in first
    assert second["Files"].startswith("\n d41d")
    assert f"{first}\n{second}" == TEXT


def test_lines_are_read_as_they_come() -> None:
    def lines() -> Iterator[bytes]:
        yield b"A: 1\n"
        yield b"\n"
        raise AssertionError("read too far")

    assert next(parse_stanzas(lines())) == Stanza((("A", "1"),))


def test_comments_blank_lines_and_carriage_returns() -> None:
    assert list(parse_stanzas("\n\n# c\nA: 1\r\n# c\n b \n\n \n\nB:\n")) == [
        Stanza((("A", "1\n b"),)),
        Stanza((("B", ""),)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" x\n", ":1: a continuation line"),
        ("A: 1\nno field\n", ":2: 'no field' is no field"),
        ("A: 1\na: 2\n", "twice"),
        ("-A: 1\n", "no field"),
        (b"A: \xff\n", "not UTF-8"),
        ("A B: 1\n", "no field"),
    ],
)
def test_malformed_text_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(Failure, match=message):
        list(parse_stanzas(text, where="f"))


def test_a_stanza_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb822, "MAX_STANZA", 100)
    assert len(list(parse_stanzas("A: 1\n\n" * 100))) == 100
    with pytest.raises(Failure, match="too large"):
        list(parse_stanzas("A: 1\n" + " x\n" * 100))


NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
LINE = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
VALUE = st.builds(
    lambda first, rest: "\n ".join([first, *rest]), st.one_of(LINE, st.just("")), st.lists(LINE, max_size=3)
)


@given(st.dictionaries(NAME, VALUE, min_size=1, max_size=5))
def test_python_debian_reads_what_we_write(fields: dict[str, str]) -> None:
    if len({name.lower() for name in fields}) < len(fields):
        return
    text = str(make_stanza(fields.items()))
    assert dict(parse_stanza(text)) == fields
    assert dict(Deb822(text)) == {name: value.strip() if "\n" not in value else value for name, value in fields.items()}


@pytest.mark.parametrize(("name", "value"), [("A", "1\nB: 2"), ("A", "1\n\n B"), ("A b", "1"), ("A", "1\r"), ("", "1")])
def test_no_field_smuggles_in_another(name: str, value: str) -> None:
    with pytest.raises(Failure):
        make_stanza([(name, value)])


def test_copies() -> None:
    stanza = make_stanza([("A", "1"), ("B-C", "2")])
    assert stanza.updated(b_c="3", d="4").fields == (("A", "1"), ("B-C", "3"), ("d", "4"))
    assert stanza.without("a").fields == (("B-C", "2"),)
    assert stanza.require("A", where="x") == "1"
    with pytest.raises(Failure, match="x: the field Z is missing"):
        stanza.require("Z", where="x")


def test_files() -> None:
    md5 = "d41d8cd98f00b204e9800998ecf8427e"
    assert parse_files(f"\n {md5} 12 a.dsc\n {md5} 1 libs optional b.deb", algorithm="md5") == (
        ListedFile("a.dsc", 12, md5),
        ListedFile("b.deb", 1, md5),
    )
    for bad in (f"{md5} -1 a", f"{md5} 1", "zz 1 a", f"{md5} 1 a\n {md5} 2 a", f"{md5} 1 a b c d", f"{md5} ٣ a"):
        with pytest.raises(Failure):
            parse_files(bad, algorithm="md5")
