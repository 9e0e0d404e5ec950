"""Beats of one attempt: keeping the lease, hearing of cancels, and knowing when we must have lost it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from debcore.errors import Failure
from debcore.http import HttpFailure
from debcore.hub.client import JobClient
from debcore.hub.model import Claimed
from debcore.trace import tracing

log = logging.getLogger(__name__)


class Order(StrEnum):
    """What the work must do."""

    GO_ON = "go on"
    MAKE_ROOM = "make room"  # stop and give the job back: a more urgent one waits
    CANCEL = "cancel"  # the hub asks us to stop and say so
    LOST = "lost"  # the attempt is not ours any more, or the hub may think so: kill, say nothing


class Pulse:
    """Beats in a thread of its own: each quarter of the lease, ± 20 %.

    After 5/6 of the lease without a successful beat (50 s of 60 s) the order is LOST, unasked.
    """

    def __init__(self, client: JobClient, claimed: Claimed, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._claimed = claimed
        self._lease_s = claimed.lease_s
        self._clock = clock  #: seconds, monotonic
        self._last = clock()
        self._order = Order.GO_ON
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pulse-{claimed.job}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    @property
    def order(self) -> Order:
        """LOST is also a matter of time: a hanging beat must not hide it."""
        if self._order in (Order.GO_ON, Order.MAKE_ROOM) and self._clock() - self._last > self._lease_s * 5 / 6:
            self._lose("no beat reached the hub in time")
        return self._order

    def _run(self) -> None:
        with tracing(self._claimed.trace):  # a thread begins without one
            self._beat_on()

    def _beat_on(self) -> None:
        while not self._done.wait(self._lease_s / 4 * random.uniform(0.8, 1.2)):  # noqa: S311 - spreads load, no secret
            if not self.beat():
                return

    def beat(self) -> bool:
        """Beat once; whether there is a reason to go on beating."""
        sent = self._clock()
        try:
            beat = self._client.beat(self._claimed, timeout=self._lease_s / 4)
        except HttpFailure as failure:
            if failure.code in (401, 403, 409):
                self._lose(str(failure))
                return False
            log.warning("job %d: beat: %s", self._claimed.job, failure)
        except Failure as failure:
            log.warning("job %d: beat: %s", self._claimed.job, failure)
        else:
            self._last, self._lease_s = sent, beat.lease_s
            if beat.cancel and self._order in (Order.GO_ON, Order.MAKE_ROOM):
                log.info("job %d: the hub asks to cancel", self._claimed.job)
                self._order = Order.CANCEL
            elif beat.make_room and self._order == Order.GO_ON:
                log.info("job %d: the hub asks for room", self._claimed.job)
                self._order = Order.MAKE_ROOM
        return True

    def _lose(self, why: str) -> None:
        if self._order != Order.LOST:
            log.warning("job %d, attempt %d is given up: %s", self._claimed.job, self._claimed.attempt, why)
            self._order = Order.LOST
