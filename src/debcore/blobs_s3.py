"""Objects of a blob store in a bucket of an S3 server: PREFIX/ab/cdef….

S3 shows an object when all of it has come and never a part, so `keep` needs no rename. Credentials come from the usual
places of AWS's own programs (environment, ~/.aws, the host's role), and nothing here logs them.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from debcore.blobs import CHUNK, Blob, StoreAway
from debcore.errors import Failure, HostFailed

#: Up to this size (bytes) an object goes in one call; above, in parts of as much.
PART = 64 * 1024 * 1024
#: Times that a read which breaks off goes on where it was.
READ_TRIES = 4
_MISSING = {"404", "NoSuchKey", "NotFound"}
_PLACE = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[\w./-]*))?")


class S3Objects:
    """The port `debcore.blobs.Objects` on one bucket; any number of hubs may use it at once."""

    def __init__(self, place: str, *, endpoint: str | None = None) -> None:
        """*place*: s3://BUCKET/PREFIX. *endpoint*: URL of a server that is not AWS's own.

        Errors: Failure if *place* cannot be read; StoreAway if the bucket cannot be reached.
        """
        found = _PLACE.fullmatch(place)
        if found is None or ".." in place:
            raise Failure(f"{place[:200]!r} names no bucket", hint="use s3://BUCKET/PREFIX")
        self.where = place
        self._bucket = found["bucket"]
        self._prefix = f"{found['prefix'].strip('/')}/" if (found["prefix"] or "").strip("/") else ""
        for name in ("boto3", "botocore", "s3transfer", "urllib3"):  # at DEBUG they print what signs our calls
            logging.getLogger(name).setLevel(logging.WARNING)
        with self._translating():
            self._client: Any = boto3.session.Session().client("s3", endpoint_url=endpoint, config=_configure(endpoint))
            self._client.head_bucket(Bucket=self._bucket)

    def local(self, name: str) -> Path | None:
        del name
        return None

    def size(self, name: str) -> int | None:
        try:
            with self._translating():
                return int(self._client.head_object(Bucket=self._bucket, Key=self._key(name))["ContentLength"])
        except FileNotFoundError:
            return None

    def keep(self, file: Path, blob: Blob) -> None:
        """The server checks each part's hash on arrival."""
        if self.size(blob.sha256) == blob.size:
            return
        where = {"Bucket": self._bucket, "Key": self._key(blob.sha256)}
        with self._translating(), file.open("rb") as body:
            if blob.size <= PART:
                digest = base64.b64encode(bytes.fromhex(blob.sha256)).decode()
                self._client.put_object(**where, Body=body, ContentLength=blob.size, ChecksumSHA256=digest)
            else:
                config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=2)
                self._client.upload_fileobj(body, **where, ExtraArgs={"ChecksumAlgorithm": "SHA256"}, Config=config)
        if (kept := self.size(blob.sha256)) != blob.size:
            raise HostFailed(
                f"{self.where} kept {kept} of {blob.size} bytes of {blob.sha256}", hint="look at the S3 server's log"
            )

    def read(self, name: str, start: int, end: int) -> Iterator[bytes]:
        for left in range(READ_TRIES, 0, -1):
            try:
                for chunk in self._read_once(name, start, end):
                    start += len(chunk)
                    yield chunk
                return
            except StoreAway:
                if left == 1:
                    raise
                time.sleep(0.2)

    def _read_once(self, name: str, start: int, end: int) -> Iterator[bytes]:
        if start >= end:
            return
        with self._translating():
            options = {"Bucket": self._bucket, "Key": self._key(name), "Range": f"bytes={start}-{end - 1}"}
            body = self._client.get_object(**options)["Body"]
        try:
            chunks = body.iter_chunks(CHUNK)
            while True:
                with self._translating():
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                yield chunk
        finally:
            body.close()

    def remove(self, name: str) -> None:
        with self._translating():
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def walk(self) -> Iterator[tuple[Blob, float]]:
        with self._translating():
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            ):
                for found in page.get("Contents", ()):
                    name = found["Key"].removeprefix(self._prefix).replace("/", "", 1)
                    yield Blob(name, int(found["Size"])), found["LastModified"].timestamp()

    def sweep(self, older_than: float) -> int:
        """Give up uploads in parts whose hub was killed: they cost space and nobody can go on with them."""
        border, number = time.time() - older_than, 0
        where = {"Bucket": self._bucket}
        with self._translating():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(**where, Prefix=self._prefix)
            for found in (upload for page in pages for upload in page.get("Uploads", ())):
                if found["Initiated"].timestamp() < border:
                    self._client.abort_multipart_upload(**where, Key=found["Key"], UploadId=found["UploadId"])
                    number += 1
        return number

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name[:2]}/{name[2:]}"

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Errors: FileNotFoundError if there is no such object; StoreAway for all else: a later try may work."""
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "NoSuchBucket" or (code in _MISSING and error.operation_name == "HeadBucket"):
                raise StoreAway(f"there is no bucket {self._bucket}", hint="make it, or mend --artifacts") from error
            if code in _MISSING:
                raise FileNotFoundError(self.where) from error
            hint = "check the credentials and what they may do" if code in ("403", "AccessDenied") else ""
            words = f"{self.where} refuses {error.operation_name}: {code}"
            raise StoreAway(words, hint=hint or "look at the S3 server's log") from error
        except (BotoCoreError, Boto3Error, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            words = f"the artifact store {self.where} cannot be reached ({type(error).__name__})"
            raise StoreAway(words, hint="see that the S3 server runs, and that its credentials are here") from error


def _configure(endpoint: str | None) -> Config:
    """Path-style names for servers of one's own; checksums only where we ask for them, which all servers know."""
    return Config(
        connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3},
        s3={"addressing_style": "path" if endpoint else "auto"}, max_pool_connections=32,
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
        proxies={} if endpoint and _is_loopback(endpoint) else None,
    )  # fmt: skip


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
