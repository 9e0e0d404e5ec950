"""What a job of kind `sign` says and what the signer answers. Both travel within the job: a signer's token needs
no access to blobs, and what it signs is in its log.

The answer's `status` is not the job's outcome by itself: see `services.publish_sign.sign_outcome`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from debcore.job.model import Wire

#: Bytes of what is to be signed. Release of a full Debian suite has some 200 KiB, a commit object a few KiB.
MAX_INPUT = 4 * 1024 * 1024

Text64 = Annotated[str, StringConstraints(max_length=MAX_INPUT * 4 // 3 + 4)]
KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+_-]{0,99}(@[0-9]{1,9})?$")]


class SignSpec(Wire):
    """`spec` of a job of kind `sign`. `kind` is free text: the signer refuses what it does not know.

    - `public-key`: make the key named `key` if there is none; the answer holds its certificate.
    - `apt-release`: `data` is a Release file of `suite`; the answer holds InRelease and Release.gpg.
    - `ostree-commit`: `data` is a commit object of the ref `subject`; the answer holds the detached signature that
      OSTree keeps in `ostree.gpgsigs`.
    """

    kind: str
    key: KeyName  #: a suite's first key has the suite's name, the next ones NAME@2 and so on
    also: tuple[KeyName, ...] = Field(default=(), max_length=8)  #: apt-release: its other keys, which sign too
    suite: str = ""  #: apt-release
    generation: int = Field(default=0, ge=0)  #: apt-release
    subject: str = Field(default="", max_length=512)  #: ostree-commit: the ref
    data: Text64 = ""  #: base64

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.data, validate=True)


class SignAnswer(Wire):
    """The result that the signer reports when it finishes the job."""

    status: Literal["signed", "refused"]
    reason: str = ""  #: of a refusal, for people
    fingerprint: str = ""  #: of the primary key; of several, with blanks between
    public_key: str = ""  #: armoured; public-key only
    inline: str = ""  #: apt-release: InRelease
    detached: str = ""  #: apt-release: Release.gpg, armoured; ostree-commit: base64 of the binary signature
    entry: int = 0  #: number of the entry in the signer's log

    @property
    def hash(self) -> str:
        """Names the result when the job is finished."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def encode(data: bytes) -> str:
    """As SignSpec.data and SignAnswer.detached hold bytes."""
    return base64.b64encode(data).decode()
