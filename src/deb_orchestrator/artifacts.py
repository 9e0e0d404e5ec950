"""Where a hub's artifacts are, from what its operator says."""

from __future__ import annotations

from debcore.blobs import Objects
from debcore.errors import Failure


def open_objects(place: str | None, endpoint: str | None = None) -> Objects | None:
    """The bucket *place* (s3://BUCKET/PREFIX) at *endpoint*; None: files.

    Errors: Failure if boto3 is missing or *place* is no bucket's; StoreAway if it cannot be reached.
    """
    if place is None:
        return None
    try:
        from debcore.blobs_s3 import S3Objects  # a second of imports that hubs with files do not pay
    except ModuleNotFoundError as error:
        raise Failure(
            f"artifacts in S3 need {error.name}", hint="apt-get install python3-boto3, or pip install '.[s3]'"
        ) from error
    return S3Objects(place, endpoint=endpoint)
