"""Where a user's hub, signer and agent keep their state. Apart from the hub, whose import takes seconds."""

from __future__ import annotations

import os
from pathlib import Path


def default_state() -> Path:
    """$XDG_STATE_HOME/deb-orchestrator."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(home, "deb-orchestrator")
