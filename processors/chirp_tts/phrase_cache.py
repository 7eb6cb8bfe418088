"""Keeps the audio of phrases that are spoken again and again on disk: greetings, fillers, apologies."""

import asyncio
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

_SUFFIX = ".pcm"


@dataclass(frozen=True)
class PhraseKey:
    """What makes two recordings of a phrase the same.

    Parameters:
        voice: Full voice name, or an id of a custom voice; never its key.
        language: Locale.
        text: As synthesized.
        speaking_rate: Multiple of the voice's own speed.
        markup: Whether pause tags count.
        pronunciations: Custom pronunciations, in any stable form.
        sample_rate: Of the audio.
    """

    voice: str
    language: str
    text: str
    speaking_rate: float = 1.0
    markup: bool = False
    pronunciations: str = ""
    sample_rate: int = 24_000

    @property
    def name(self) -> str:
        """File name: a hash, so that texts do not show and any text will do."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:40] + _SUFFIX


class PhraseCache:
    """A folder of recordings, bounded in size; what was not used for longest goes first."""

    def __init__(self, folder: Path, max_bytes: int = 20_000_000):
        """Initialize; the folder is made when the first phrase is kept.

        Args:
            folder: Where recordings are kept, one raw PCM file each.
            max_bytes: Size of all of them together; 20 MB are seven minutes.
        """
        self._folder = folder
        self._max_bytes = max_bytes

    async def get(self, key: PhraseKey) -> bytes | None:
        """Look a phrase up.

        Args:
            key: The phrase.

        Returns:
            16-bit mono PCM as it was put, or None.
        """
        return await asyncio.to_thread(self._read, key)

    async def put(self, key: PhraseKey, pcm: bytes) -> None:
        """Keep a phrase; a disk that cannot be written is only logged.

        Args:
            key: The phrase.
            pcm: Its complete audio: 16-bit mono PCM.
        """
        if 0 < len(pcm) <= self._max_bytes:
            await asyncio.to_thread(self._write, key, pcm)

    def _read(self, key: PhraseKey) -> bytes | None:
        path = self._folder / key.name
        try:
            pcm = path.read_bytes()
            # The time of the last use is the time of the file: it survives restarts without an index.
            os.utime(path)
        except OSError:
            return None
        return pcm or None

    def _write(self, key: PhraseKey, pcm: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Written aside and renamed, so that nobody ever reads half a phrase.
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                file.write(pcm)
            Path(file.name).replace(self._folder / key.name)
            self._shrink()
        except OSError as error:
            logger.warning(f"The phrase cache in {self._folder} cannot be written: {error}")

    def _shrink(self) -> None:
        files = [(path, path.stat()) for path in self._folder.glob(f"*{_SUFFIX}")]
        size = sum(stat.st_size for _, stat in files)
        for path, stat in sorted(files, key=lambda item: item[1].st_mtime_ns):
            if size <= self._max_bytes:
                break
            path.unlink(missing_ok=True)
            size -= stat.st_size
