"""What the three services were asked in a talk, what they answered and when: two files of the session folder.

``services.jsonl`` has a line for each thing asked, written when its answer is complete. ``services.audio`` is FLAC
files one behind the other; a line's ``audio`` names the place of its own as ``[offset, length]`` in bytes. The lines by
``kind``, with ``t`` in seconds on the recording's clock:

- ``user``: ten seconds of what the ears could hear (16 kHz): ``at``, the number of its first sample.
- ``ears``: a stream: ``begin``, the sample it began with, ``sent`` samples in all, ``responses``, ``end``.
- ``voice``: a call: ``text``, ``chunks`` (seconds after the text was sent, samples), ``end``, ``whole`` if the answer
  came in one piece.
- ``brain``: a message of the Live session as it passed: ``connection`` (counted from 1), ``event`` (``opened``,
  ``refused``, ``sent``, ``message``, ``lost``), ``secs`` since the last one sent, ``age`` of the connection, and
  ``text``, ``results``, ``message`` or ``error``.
- ``lost``: how many ``lines`` are missing hereabouts, since the disk did not keep up.

A time within an answer is counted from what it was the answer to, so that it can be given again at another moment: of
the ears from the audio or the half-close (``after``: samples sent, or ``close``), of voice and brain from what was
sent.
"""

import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from loguru import logger
from numpy.typing import NDArray

from halfcascade.bot.session.backlog import Backlog
from halfcascade.bot.session.names import SERVICES, SERVICES_AUDIO
from halfcascade.bot.session.redaction import Redactor
from halfcascade.processors.errors import ConfigurationError

Samples = NDArray[np.int16]
Line = dict[str, Any]

# What a line takes in memory beside its sound, about.
_LINE_BYTES = 1_000

USER_RATE = 16_000
VOICE_RATE = 24_000


class TapeWriter:
    """Writes the two files from a thread of its own.

    Args:
        folder: The session folder.
        redactor: Keeps secrets out.
        on_error: Called from any thread with one line, once each: when they can no longer be written, and when they
            begin to lack something.

    Raises:
        OSError: If the files cannot be made.
    """

    def __init__(self, folder: Path, redactor: Redactor, on_error: Callable[[str], None] = logger.error):
        self._redactor = redactor
        self._on_error = on_error
        self._path = folder / SERVICES
        self._queue: Backlog[tuple[Line, bytes, int] | None] = Backlog()
        self._lost = 0
        self._lost_lock = threading.Lock()
        self._slowness_told = False
        # Unbuffered: what was written is in the file, whatever happens to this process next.
        self._lines = self._path.open("xb", buffering=0)
        self._audio = (folder / SERVICES_AUDIO).open("xb", buffering=0)
        self._place = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tape", daemon=True)
        self._thread.start()

    def write(self, line: Line, pcm: bytes = b"", sample_rate: int = VOICE_RATE) -> None:
        """Keep a line.

        Args:
            line: What was asked and answered, plain values only.
            pcm: Its sound, 16-bit mono, or nothing.
            sample_rate: Samples per second of the sound.
        """
        if self._ended.is_set() or self._queue.put((line, pcm, sample_rate), len(pcm) + _LINE_BYTES):
            return
        with self._lost_lock:
            self._lost += 1
            told, self._slowness_told = self._slowness_told, True
        if not told:
            self._on_error(
                f"{self._path} lacks what the services answer from here on: the disk does not keep up. Let other "
                "programs leave it alone."
            )

    def close(self) -> None:
        """Write what is left and close the files. Waits for the disk: call it off the event loop."""
        self._queue.put(None, 0)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                self._write(*item)
                self._write_loss()
            self._write_loss()
        except Exception as error:
            # Whatever it is: who talks shall know that the tape ends. Nothing more is taken, or the memory would fill.
            self._ended.set()
            cause = getattr(error, "strerror", None) or error
            self._on_error(f"{self._path} ends here, it cannot be written any more: {cause}.")
        finally:
            for file in (self._lines, self._audio):
                with suppress(OSError):
                    file.close()

    def _write_loss(self) -> None:
        """Say in the file itself how many lines it lacks at this place."""
        with self._lost_lock:
            lost, self._lost = self._lost, 0
        if lost:
            self._write({"kind": "lost", "lines": lost}, b"", VOICE_RATE)

    def _write(self, line: Line, pcm: bytes, sample_rate: int) -> None:
        line = self._redactor.value(line)
        if pcm:
            packed = _pack(pcm, sample_rate)
            self._audio.write(packed)
            line = {**line, "audio": [self._place, len(packed)]}
            self._place += len(packed)
        self._lines.write(f"{json.dumps(line, ensure_ascii=False, default=str)}\n".encode(errors="replace"))


class Tape:
    """The two files of a session folder, read.

    Args:
        folder: The session folder.

    Raises:
        ConfigurationError: If it holds no such files, or nothing of the user.
    """

    def __init__(self, folder: Path):
        try:
            text = (folder / SERVICES).read_text("utf-8", errors="replace")
            self._audio = (folder / SERVICES_AUDIO).read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{folder} does not hold what the services answered ({SERVICES}, {SERVICES_AUDIO}): replay it with "
                "--services live, or have a talk with HALFCASCADE_RECORD_SERVICES=true."
            ) from error
        self._lines = list(_read(text))
        self.user = self._user()
        if not len(self.user):
            raise ConfigurationError(f"{folder / SERVICES} holds nothing that the user said: there is nothing to play.")

    def lines(self, kind: str) -> list[Line]:
        """What was written of one kind, in the order in which it began.

        Args:
            kind: ``ears``, ``brain``, ``voice``.
        """
        found = [line for line in self._lines if line.get("kind") == kind]
        return found if kind == "brain" else sorted(found, key=lambda line: float(line.get("t", 0.0)))

    def sound(self, line: Line) -> Samples:
        """The sound of a line; nothing where it has none, or it cannot be read.

        Args:
            line: The line.
        """
        place = line.get("audio")
        if not isinstance(place, list) or len(place) != 2:
            return np.zeros(0, np.int16)
        offset, length = place
        with suppress(soundfile.SoundFileError, TypeError, ValueError):
            return soundfile.read(io.BytesIO(self._audio[offset : offset + length]), dtype="int16")[0]
        return np.zeros(0, np.int16)

    def _user(self) -> Samples:
        parts: list[Samples] = []
        at = 0
        for line in sorted(self.lines("user"), key=lambda line: int(line.get("at", 0))):
            # What is missing was silent, as far as anybody knows.
            parts.append(np.zeros(max(0, int(line.get("at", 0)) - at), np.int16))
            parts.append(self.sound(line))
            at += sum(map(len, parts[-2:]))
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _pack(pcm: bytes, sample_rate: int) -> bytes:
    packed = io.BytesIO()
    soundfile.write(packed, np.frombuffer(pcm, "<i2"), sample_rate, format="FLAC")
    return packed.getvalue()


def _read(text: str) -> Iterator[Line]:
    for written in text.splitlines():
        with suppress(json.JSONDecodeError):  # the last line of a talk that was killed
            line = json.loads(written)
            if isinstance(line, Mapping):
                yield dict(line)
