"""Where a client finds its hub: DEBOOTC_HUB with DEBOOTC_TOKEN_FILE, else the file that `up` wrote."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from debcore.errors import ConfigError, Failure
from debcore.path import write_file


@dataclass(frozen=True)
class Credential:
    """URL, token and, for a hub with its own authority, a PEM file."""

    url: str
    token: str | None = field(repr=False)
    ca: Path | None = None


def credential_path() -> Path:
    """$XDG_CONFIG_HOME/deb-orchestrator/client.json."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home, "deb-orchestrator", "client.json")


def write_credential(path: Path, credential: Credential) -> None:
    """Mode 0600, directory 0700 if it has to be made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fields = {"url": credential.url, "token": credential.token, "ca": str(credential.ca) if credential.ca else None}
    write_file(path, json.dumps(fields) + "\n", mode=0o600)


def load_credential(path: Path) -> Credential:
    """Errors: Failure if there is none; ConfigError if it cannot be read."""
    try:
        fields = json.loads(path.read_bytes())
        return Credential(fields["url"], fields["token"], Path(fields["ca"]) if fields.get("ca") else None)
    except FileNotFoundError as error:
        raise Failure(
            "no hub is known here",
            hint="start one with: deb-orchestrator up — or set DEBOOTC_HUB and DEBOOTC_TOKEN_FILE",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            str(path), f"cannot be used: {error}", hint="remove it; `deb-orchestrator up` writes it anew"
        ) from error


def find_credential(*, url: str | None = None, token_file: Path | None = None, ca: Path | None = None) -> Credential:
    """From the arguments, else the environment, else `credential_path()`."""
    url = url or os.environ.get("DEBOOTC_HUB")
    if not url:
        return load_credential(credential_path())
    ca_text, token_text = os.environ.get("DEBOOTC_HUB_CA"), os.environ.get("DEBOOTC_TOKEN_FILE")
    ca = ca or (Path(ca_text) if ca_text else None)
    token_file = token_file or (Path(token_text) if token_text else None)
    return Credential(url, load_token(token_file) if token_file else None, ca)


def load_token(path: Path) -> str:
    """Errors: Failure if the file cannot be read."""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", hint="name the file that holds the token") from error
