"""Who a person is by the claims of an OpenID provider, and what that person may do: pure rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from debcore.errors import Failure

PersonScope = Literal["admin", "client"]
#: Names of people begin so: no token can have the roles of one by chance, and no person those of a token.
PREFIX = "oidc:"
_RULE = re.compile(r"(?P<claim>[A-Za-z0-9_.:/-]{1,100})=(?P<value>[^\n]{1,200}):(?P<scope>admin|client)")
#: Characters of a person's name, the prefix included: as roles have them.
MAX_NAME = 64


@dataclass(frozen=True)
class Rule:
    """Whose *claim* has *value* (`*` and `?` as in file names) gets *scope*."""

    claim: str
    value: str
    scope: PersonScope


def parse_rule(text: str) -> Rule:
    """`groups=ftp-team:admin`. Errors: Failure."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise Failure(
            f"{text[:100]!r} is no rule", hint="CLAIM=VALUE:SCOPE, such as groups=ftp-team:admin or sub=*:client"
        )
    scope: PersonScope = "admin" if found["scope"] == "admin" else "client"
    return Rule(found["claim"], found["value"], scope)


def find_scope(claims: Mapping[str, Any], rules: Iterable[Rule]) -> PersonScope | None:
    """The highest that any rule gives; None: this person may not come in."""
    given = {
        rule.scope for rule in rules if any(fnmatchcase(one, rule.value) for one in list_values(claims, rule.claim))
    }
    return "admin" if "admin" in given else "client" if given else None


def list_values(claims: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """The texts of a claim, one or a list. Of an email address that is not verified: none."""
    if claim == "email" and claims.get("email_verified") is not True:
        return ()
    value = claims.get(claim)
    values: Sequence[object] = value if isinstance(value, list) else [value]
    return tuple(one for one in values if isinstance(one, str))


def find_name(claims: Mapping[str, Any], claim: str) -> str:
    """What the hub calls the person: by *claim*, or by the subject where that is not there.

    Errors: Failure on a name that cannot be one.
    """
    value = next(iter(list_values(claims, claim)), None) or str(claims["sub"])
    name = f"{PREFIX}{value}"
    if not name.isprintable() or not name.isascii() or len(name) > MAX_NAME or "/" in name or " " in name:
        raise Failure(
            f"the provider calls you {value[:100]!r}, which cannot be a name here",
            hint="hub --oidc-name CLAIM takes another claim for the name",
        )
    return name


def find_way_back(next_: str) -> str:
    """Where to go after logging in: *next_* if it is a path of ours, else the first page.

    A browser reads `//host` and `/\\host` as other sites. Source: WHATWG URL, relative slash state.
    """
    ours = next_.startswith("/") and not next_.startswith(("//", "/\\")) and next_.isprintable() and "\\" not in next_
    return next_ if ours and len(next_) <= 500 and not next_.startswith(("/oidc/", "/login/")) else "/"
