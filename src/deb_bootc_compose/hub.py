"""The hub of one compose: somebody's that was named, or one of our own."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from deb_bootc_compose.embedded import HubAddress, attached, named_hub

if TYPE_CHECKING:
    from deb_bootc_compose.compose import Options


class Hub:
    """The hub, looked for when a task first needs it, or beside other work, and held until the compose ends."""

    def __init__(self, stack: ExitStack, options: Options) -> None:
        self._stack = stack
        self._options = options
        self._address: HubAddress | None = None
        self._starting: Future[HubAddress] | None = None

    @property
    def lasting_url(self) -> str | None:
        """Where people find the hub; None of one of our own, whose address changes from start to start."""
        url = self._options.hub
        return url.partition("://")[0] + "://" + url.partition("://")[2].rpartition("@")[2] if url else None

    def begin(self) -> None:
        """A hub of our own starts in seconds: meanwhile the sources are made."""
        if self._options.hub is not None or self._starting is not None:
            return
        own = attached(Path(self._options.hub_state))
        executor = ThreadPoolExecutor(1, thread_name_prefix="hub")
        starting = self._starting = executor.submit(own.__enter__)

        def leave() -> None:
            executor.shutdown()
            if starting.exception() is None:
                own.__exit__(None, None, None)

        self._stack.callback(leave)

    def known(self) -> HubAddress | None:
        """One that was named or is in use: none is started only to be told something."""
        return self.address() if self._options.hub is not None else self._address

    def address(self) -> HubAddress:
        """Errors: HostFailed if a hub of our own does not start."""
        if self._address is None:
            if self._options.hub is not None:
                token = Path(self._options.token_file) if self._options.token_file else None
                self._address = named_hub(self._options.hub, token_file=token)
            else:
                self.begin()
                assert self._starting is not None
                self._address = self._starting.result()
        return self._address
