"""Who a person is and may do by a provider's claims, and where a browser may be sent back."""

from __future__ import annotations

from typing import Any

import pytest

from deb_orchestrator.domain.identity import Rule, find_name, find_scope, find_way_back, list_values, parse_rule
from debcore.errors import Failure

RULES = tuple(map(parse_rule, ("groups=farm:admin", "groups=dd-*:client", "email=*@example.org:client")))


@pytest.mark.parametrize(
    ("claims", "scope"),
    [
        ({"groups": ["farm", "dd-all"]}, "admin"), ({"groups": "farm"}, "admin"), ({"groups": ["dd-amd64"]}, "client"),
        ({"groups": ["Farm", "farmers", "x:farm"]}, None), ({"groups": [["farm"], {"farm": 1}, None]}, None),
        ({}, None),
        ({"email": "a@example.org"}, None), ({"email": "a@example.org", "email_verified": "true"}, None),
        ({"email": "a@example.org", "email_verified": True}, "client"),
        ({"email": "a@example.org.evil", "email_verified": True}, None),
    ],
)  # fmt: skip
def test_the_highest_rule_that_fits_counts(claims: dict[str, Any], scope: str | None) -> None:
    assert find_scope(claims, RULES) == scope
    assert find_scope(claims, ()) is None, "without rules nobody comes in"


def test_rules_are_read_and_nonsense_is_refused() -> None:
    assert parse_rule("groups=a:b=c:client") == Rule("groups", "a:b=c", "client")
    for text in ("groups=farm", "groups=farm:root", "=x:admin", "groups=:admin", "groups=a\nb:admin", ""):
        with pytest.raises(Failure, match="is no rule"):
            parse_rule(text)


def test_a_name_has_its_own_kind_and_an_email_counts_if_it_is_verified() -> None:
    claims = {"sub": "17", "email": "alice@example.org", "nick": "alice"}
    assert find_name(claims, "email") == "oidc:17"
    assert find_name(claims | {"email_verified": True}, "email") == "oidc:alice@example.org"
    assert find_name(claims, "nick") == "oidc:alice"
    assert list_values({"nick": 7}, "nick") == ()
    for bad in ("x" * 60, "a b", "a/b", "a\u202eb", "a\nb", "ä"):
        with pytest.raises(Failure, match="cannot be a name"):
            find_name({"sub": "17", "nick": bad}, "nick")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/", "/"), ("/builds/3?arch=amd64", "/builds/3?arch=amd64"), ("", "/"), ("https://evil.example/", "/"),
        ("//evil.example/", "/"), ("/\\evil.example", "/"), ("/x\\..\\evil", "/"), ("\\/evil.example", "/"),
        ("/\t/evil.example", "/"), ("/\n/evil.example", "/"), ("javascript:alert(1)", "/"), ("builds", "/"),
        ("/oidc/login", "/"), ("/login/x", "/"), ("/" + "x" * 600, "/"), (" /builds", "/"),
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(asked: str, given: str) -> None:
    assert find_way_back(asked) == given
