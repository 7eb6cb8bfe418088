"""Cloud Storage as a folder: ``gs://bucket/path`` is the file ``bucket/path`` in it."""

from pathlib import Path

import grpc

from halfcascade.emulator.actions import RequestError, invalid

_SCHEME = "gs://"


class Buckets:
    """Reads and writes objects.

    Parameters:
        folder: Holds a folder for each bucket; None = there are no buckets.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder.resolve() if folder else None

    def read(self, uri: str) -> bytes:
        """Read an object.

        Args:
            uri: ``gs://bucket/path``.

        Raises:
            RequestError: If it is no such URI, or there is no such object.
        """
        path = self._path(uri)
        if not path.is_file():
            raise RequestError(grpc.StatusCode.NOT_FOUND, f"Requested entity was not found: {uri}.")
        return path.read_bytes()

    def write(self, uri: str, data: bytes) -> None:
        """Write an object.

        Args:
            uri: ``gs://bucket/path``.
            data: Its content.

        Raises:
            RequestError: If it is no such URI.
        """
        path = self._path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def _path(self, uri: str) -> Path:
        if not uri.startswith(_SCHEME):
            raise invalid(f"Invalid Cloud Storage URI {uri!r}: write it as gs://bucket/path.")
        if self._folder is None:
            raise invalid(
                "The emulator holds no Cloud Storage: name a folder of buckets with --buckets, or send the audio as "
                "content."
            )
        path = (self._folder / uri.removeprefix(_SCHEME)).resolve()
        if self._folder not in path.parents:
            raise invalid(f"Invalid Cloud Storage URI {uri!r}.")
        return path
