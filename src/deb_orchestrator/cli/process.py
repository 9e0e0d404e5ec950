"""Options that the verbs which run for long share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import click

from deb_orchestrator.lifetime import follow_lifetime, watch_lifetime
from debcore.log import STYLE, set_up_logging


def lifetime_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """`--lifetime-fd`: be ended, as by SIGTERM, when whoever holds the other end is gone."""

    def follow(_ctx: click.Context, _param: click.Parameter, value: int | None) -> int | None:
        if value is not None:
            follow_lifetime(value)
        return value

    return click.option(
        "--lifetime-fd", type=int, metavar="N", expose_value=False, callback=follow,
        help="Stop at the end of file of this descriptor.",
    )(verb)  # fmt: skip


def ending_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """`--lifetime-fd` for verbs that end well (status 0) when whoever holds the other end is gone; gives `ended`."""

    def watch(_ctx: click.Context, _param: click.Parameter, value: int | None) -> threading.Event:
        return watch_lifetime(value)

    return click.option(
        "--lifetime-fd", "ended", type=int, metavar="N", callback=watch,
        help="Stop at the end of file of this descriptor.",
    )(verb)  # fmt: skip


def log_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """`--log-format`: how what runs for long tells its log."""

    def set_style(_ctx: click.Context, _param: click.Parameter, value: str) -> None:
        os.environ[STYLE] = value  # what it starts tells its log likewise
        set_up_logging(
            verbose=os.environ.get("DEBOOTC_DEBUG") not in (None, "", "0"), style="json" if value == "json" else "text"
        )

    return click.option(
        "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, expose_value=False,
        envvar=STYLE, callback=set_style, help="json: an object a line on stderr, with trace ids.",
    )(verb)  # fmt: skip


def ready_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--ready-fd", type=int, metavar="N", help="Write one line of JSON to this descriptor when ready."
    )(verb)


def wait_for_end(look_after: Callable[[], None], ended: threading.Event) -> None:
    """Call *look_after* every second until *ended*, or until a signal ends us (debcore.errors.Interrupted)."""
    while not ended.wait(1):
        look_after()
