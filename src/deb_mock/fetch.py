"""Source packages by URL. This is the host's own step: nothing of what comes is opened here but the .dsc's fields."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urljoin, urlsplit

from deb_mock.dsc import MAX_DSC, Dsc, check_files, load_dsc
from debcore.errors import ConfigError, Failure, HostFailed
from debcore.path import check_file_name, replacing

#: Seconds without a byte after which a server is given up.
TIMEOUT = 60.0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to anything else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in ("https", req.type):
            raise Failure(f"{req.full_url} leads to {newurl}, which is not encrypted", hint="name a URL that ends well")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def fetch_dsc_by_url(url: str, target: Path, *, max_size: int | None) -> Dsc:
    """The .dsc at *url* and the files it names, in *target*, with the sizes and hashes that it says. *max_size*: bytes
    of all together. Errors: ConfigError, Failure, HostFailed; what came until then stays in *target*."""
    name = check_file_name(unquote(urlsplit(url).path.rpartition("/")[2]), where=url)
    fetch_file(url, target / name, max_size=MAX_DSC)
    dsc = load_dsc(target / name)
    total = sum(file.size for file in dsc.files)
    if max_size is not None and total > max_size:
        hint = "raise it with --set source.max_size=20G"
        raise ConfigError(url, f"its files have {total} bytes, and {max_size} are allowed", hint=hint)
    for file in dsc.files:
        fetch_file(urljoin(url, quote(file.name)), target / file.name, max_size=file.size, sha256=file.sha256)
    check_files(dsc)
    return dsc


def fetch_file(url: str, to: Path, *, max_size: int, sha256: str | None = None) -> None:
    """Download *url*; *to* appears whole, with this hash, or not at all. Errors: Failure, HostFailed."""
    opener = urllib.request.build_opener(_Redirects)
    try:
        with opener.open(url, timeout=TIMEOUT) as answer, replacing(to) as file:
            digest, size = hashlib.sha256(), 0
            while block := answer.read(1 << 20):
                size += len(block)
                if size > max_size:
                    raise Failure(f"{url} is larger than {max_size} bytes", hint="it is not what the .dsc names")
                digest.update(block)
                file.write(block)
            if sha256 is not None and digest.hexdigest() != sha256:
                hint = "the server lies, or the .dsc was changed: take the source from elsewhere"
                raise Failure(f"{url} has SHA-256 {digest.hexdigest()}, the .dsc says {sha256}", hint=hint)
    except urllib.error.HTTPError as error:
        raise Failure(f"{url}: the server answered {error.code} {error.reason}", hint="check the URL") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise HostFailed(f"{url} cannot be fetched: {reason}", hint="check the network, proxy and URL") from error
