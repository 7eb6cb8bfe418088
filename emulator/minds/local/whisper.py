"""Korean ears of the local mind: Whisper base, where ``packages.WHISPER_PACKAGES``, part of no extra, are installed.

The multilingual weights come in two packages, as halves of one file; they are joined in the user's cache. Judged on
recordings of people, ``bench/README.md``: 15 % of characters wrong, which is enough for a stand-in.
"""

import asyncio
import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from halfcascade.emulator.minds.base import MindError
from halfcascade.emulator.minds.local.packages import WHISPER_PACKAGES, WHISPER_PARTS, folder_of
from halfcascade.installing import cache_folder

_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_MODEL = "model.bin"
_PARTS = " and ".join(WHISPER_PACKAGES[1:])
_PIECE = 2**20
# Two streams may ask for the model at once.
_JOINING = threading.Lock()


class WhisperEngine:
    """Whisper base on one worker thread, loaded when it is asked first.

    Parameters:
        language: Two letters, such as ``ko``.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="whisper")
        self._model: Any = None

    async def transcribe(self, samples: np.ndarray) -> str:
        """Return the words in mono float32 audio at ``LISTENER_RATE``.

        Raises:
            MindError: The model cannot be loaded.
        """
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._transcribe, samples)

    def prepare(self) -> None:
        """Begin to load the model, so that the first words wait less."""
        self._worker.submit(self._try_to_load)

    def close(self) -> None:
        """Let the worker thread end; the model goes with it."""
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._model = None

    def _transcribe(self, samples: np.ndarray) -> str:
        self._load()
        segments, _ = self._model.transcribe(samples, language=self._language, beam_size=1, without_timestamps=True)
        return " ".join(" ".join(segment.text for segment in segments).split())

    def _load(self) -> None:
        if self._model is not None:
            return
        from faster_whisper import WhisperModel

        folder = joined_model([folder_of(part) / "data" for part in WHISPER_PARTS], cache_folder() / "whisper-base")
        self._model = WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)

    def _try_to_load(self) -> None:
        try:
            self._load()
        except Exception as error:  # told again, and with its remedy, to who asks for words
            logger.warning(f"Whisper is not loaded yet ({error}).")


def joined_model(parts: Sequence[Path], target: Path, sha256: str = _SHA256) -> Path:
    """Make sure that the model is there in one piece.

    Args:
        parts: Folders with ``model.bin.part1`` and so on, in order; the first holds the other files too.
        target: Where it goes.
        sha256: Of the whole.

    Returns:
        The folder.

    Raises:
        MindError: If the parts are not those that are known, or there is no room; one line.
    """
    with _JOINING:
        if (target / _MODEL).is_file():
            return target
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            digest = hashlib.sha256()
            with (unfinished / _MODEL).open("wb") as whole:
                for number, folder in enumerate(parts, 1):
                    with (folder / f"{_MODEL}.part{number}").open("rb") as part:
                        while piece := part.read(_PIECE):
                            digest.update(piece)
                            whole.write(piece)
            if digest.hexdigest() != sha256:
                raise MindError(f"Whisper's weights are not the ones that are known: install {_PARTS} again.")
            for file in parts[0].iterdir():
                if file.is_file() and not file.name.startswith(_MODEL):
                    shutil.copyfile(file, unfinished / file.name)
            shutil.rmtree(target, ignore_errors=True)
            unfinished.replace(target)
        except OSError as error:
            raise MindError(
                f"Whisper's weights cannot be put together in {target.parent} ({error.strerror or error}): make room "
                "there, or set XDG_CACHE_HOME to another folder."
            ) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return target
