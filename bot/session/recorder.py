"""Writes what the microphone gave and the loudspeaker played to stereo files, as it happens."""

import queue
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
from loguru import logger

from halfcascade.bot.session.backlog import Backlog
from halfcascade.bot.session.clock import SessionClock
from halfcascade.bot.session.recording import RecordingOptions, part_name
from halfcascade.bot.session.sound_files import open_writer
from halfcascade.bot.session.tracks import StereoMixer

RECORDING_RATE = 24_000
_WRITE_SECS = 0.2
_FRAME_BYTES = 4

_Side = Literal["left", "right"]


class Recorder:
    """An ``AudioTap`` that writes 16-bit stereo: left what the microphone gave, right what the loudspeaker played.

    A thread of its own writes several times a second, in such a way that the file can be read at any moment, also
    after a crash. What a disk that hangs leaves no room for is silent in the file, and told of by its times.

    Args:
        folder: Where the files go.
        clock: Started by the first block.
        options: Their format, and when another one is begun.
        sample_rate: Samples per second of the files.
        on_error: Called from any thread with one line: once when the file can no longer be written, once when it begins
            to lack sound, and after each gap.

    Raises:
        OSError: If the first file cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        clock: SessionClock,
        options: RecordingOptions | None = None,
        *,
        sample_rate: int = RECORDING_RATE,
        on_error: Callable[[str], None] = logger.error,
    ):
        self._folder = folder
        self._clock = clock
        self._options = options or RecordingOptions()
        self._rate = sample_rate
        self._mixer = StereoMixer(sample_rate)
        self._on_error = on_error
        self._blocks: Backlog[tuple[_Side, bytes, int, float] | None] = Backlog()
        self._gap: tuple[float, float] | None = None
        self._gap_lock = threading.Lock()
        self._slowness_told = False
        self._stop = threading.Event()
        self._part = 0
        self._part_bytes = 0
        self._next_part()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds of the first sample.
        """
        self._put("left", audio, sample_rate, at)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds at which the first sample is heard.
        """
        self._put("right", audio, sample_rate, at)

    def close(self) -> None:
        """Write what is left and close the file. Waits for the disk: call it off the event loop."""
        self._stop.set()
        self._blocks.put(None, 0)
        self._thread.join()

    def _put(self, side: _Side, audio: bytes, sample_rate: int, at: float) -> None:
        if self._stop.is_set():
            return
        since = at - self._clock.start(at)
        if not self._blocks.put((side, audio, sample_rate, since), len(audio)):
            self._lose(since, since + len(audio) / 2 / sample_rate)

    def _lose(self, since: float, until: float) -> None:
        with self._gap_lock:
            first, last = self._gap or (since, until)
            self._gap = min(first, since), max(last, until)
            told, self._slowness_told = self._slowness_told, True
        if not told:
            self._on_error(
                f"The recording {self._path} lacks sound from {since:.1f} s on: the disk does not keep up. Let other "
                "programs leave it alone."
            )

    def _tell_gap(self) -> None:
        with self._gap_lock:
            gap, self._gap = self._gap, None
        if gap:
            self._on_error(
                f"The recording {self._path} lacks sound between {gap[0]:.1f} and {gap[1]:.1f} s, as the disk did not "
                "keep up."
            )

    def _run(self) -> None:
        try:
            while not self._stop.wait(_WRITE_SECS):
                self._drain()
                self._write(self._mixer.take())
            self._drain()
            self._write(self._mixer.finish())
        except Exception as error:
            # Whatever it is, nothing more is taken, or the memory would fill.
            self._stop.set()
            cause = getattr(error, "strerror", None) or error
            self._on_error(f"The recording {self._path} ends here, it cannot be written any more: {cause}.")
        finally:
            with suppress(OSError, struct.error):
                self._file.close()

    def _write(self, pcm: bytes) -> None:
        """Append samples; parts end on the sample, so that one after the other they are the whole recording."""
        longest = round(self._options.part_secs * self._rate) * _FRAME_BYTES
        while longest and self._part_bytes + len(pcm) > longest:
            room = longest - self._part_bytes
            self._file.write(pcm[:room])
            pcm = pcm[room:]
            self._file.close()
            self._next_part()
        self._file.write(pcm)
        self._part_bytes += len(pcm)

    def _next_part(self) -> None:
        self._part += 1
        self._part_bytes = 0
        self._path = self._folder / part_name(self._options.format, self._part)
        self._file = open_writer(self._path, self._rate, self._options.format)

    def _drain(self) -> None:
        while True:
            try:
                block = self._blocks.get(block=False)
            except queue.Empty:
                self._tell_gap()
                return
            if block:
                side, audio, sample_rate, at = block
                track = self._mixer.left if side == "left" else self._mixer.right
                track.feed(np.frombuffer(audio, dtype="<i2"), sample_rate, at)
