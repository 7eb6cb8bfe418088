"""The session folder: everything about one conversation, on disk as it happens."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger

from halfcascade.bot.session.documents import MetricsDocument, TranscriptDocument
from halfcascade.bot.session.events import Event, EventLog, EventType
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.names import EVENTS, METRICS, TRANSCRIPT
from halfcascade.bot.session.recorder import Recorder
from halfcascade.bot.session.recording import RecordingOptions, recordings
from halfcascade.bot.session.redaction import Redactor
from halfcascade.processors.errors import ConfigurationError

_SAVE_SECS = 0.5


class Session(EventHub):
    """One conversation's folder, and the audio tap that fills its recording.

    ``conversation.wav`` (see ``RecordingOptions``) and ``events.jsonl`` grow as things happen; ``transcript.md`` and
    ``metrics.json`` are replaced whole, at most twice a second. A crash loses no more than that.

    An earlier session is kept: if the folder holds one, this one goes to ``FOLDER-2``, or the next number that is free.

    Args:
        folder: The folder that is wanted; made if missing. The attribute of this name tells which one it is.
        redactor: Keeps secrets out.
        recording: How sound is kept.

    Raises:
        ConfigurationError: If the folder cannot be written.
    """

    def __init__(self, folder: Path, redactor: Redactor, recording: RecordingOptions | None = None):
        super().__init__(redactor)
        self._title: dict[str, Any] = {}
        self._transport_stats: Callable[[], Mapping[str, Any]] = dict
        self._saver: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._dirty = True
        self._lagging: set[str] = set()
        self._incomplete: set[str] = set()
        self._transcript_document = TranscriptDocument(self.transcript)
        self._metrics_document = MetricsDocument(self.metrics)
        try:
            self.folder, self._log = _begin(folder)
            self._recorder = Recorder(self.folder, self.clock, recording, on_error=self._recording_failed)
            self._save()
        except OSError as error:
            raise ConfigurationError(
                f"The session folder {folder} cannot be written ({error.strerror}): name another one with --session."
            ) from error

    def start(self, title: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> None:
        """Begin to save regularly. Must be called with the event loop running.

        Args:
            title: What the session was set up with, in short.
            settings: All of it.
        """
        self.begin()
        self._title = dict(self.redactor.value(title))
        self._saver = asyncio.create_task(self._save_regularly(), name="session saver")
        started = datetime.now().astimezone().isoformat(timespec="seconds")
        self.emit(EventType.SESSION_STARTED, started=started, **title, settings=dict(settings or {}))

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds of the first sample.
        """
        self._recorder.captured(audio, sample_rate, at)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds at which the first sample is heard.
        """
        self._recorder.played(audio, sample_rate, at)
        super().played(audio, sample_rate, at)

    @property
    def incomplete(self) -> list[str]:
        """Names of the files that lack something, because it could not be written."""
        return sorted(self._incomplete)

    @property
    def headline(self) -> str:
        """What the session was set up with, in one line."""
        return "  ".join(str(value) for value in self._title.values() if value)

    def transport_stats(self) -> Mapping[str, Any]:
        """The transport's counters so far."""
        return self._transport_stats()

    def watch_transport(self, stats: Callable[[], Mapping[str, Any]]) -> None:
        """Add the transport's own counters to the metrics.

        Args:
            stats: Gives counters by name; called whenever the metrics are saved.
        """
        self._transport_stats = stats

    async def close(self, reason: str) -> None:
        """Complete all files.

        Args:
            reason: Why the session ended.
        """
        if self._closed:
            return
        self._closing.set()
        if self._saver:
            # Documents that a thread is writing would get into the way of the last ones, or even come after them.
            await asyncio.gather(self._saver, return_exceptions=True)
        self.emit(EventType.SESSION_ENDED, reason=reason)
        self._closed = True
        await asyncio.to_thread(self._recorder.close)
        self._log.close()
        self._save()

    def writer_failed(self, message: str) -> None:
        """Pass on that one of the folder's files ends. Thread-safe.

        Args:
            message: One line.
        """
        fields = {"message": message, "source": "recorder", "permanent": False}
        self._call_on_loop(self._take, EventType.ERROR, None, fields)

    def _recording_failed(self, message: str) -> None:
        self._incomplete.add("the recording")
        self.writer_failed(message)

    def _happened(self, event: Event, *, changed: bool) -> None:
        try:
            self._log.write(event)
        except OSError as error:
            self._cannot_write(EVENTS, error)
        self._dirty = self._dirty or changed

    def _cannot_write(self, name: str, error: OSError) -> None:
        """Say once of each file that it lags behind; it is tried again every time, and the others go on."""
        self._incomplete.add(name)
        if name in self._lagging:
            return
        self._lagging.add(name)
        message = f"{self.folder / name} cannot be written at the moment ({error.strerror or error}): free some space."
        logger.error(message)
        if not self._closed:
            self._call_on_loop(
                self._take, EventType.ERROR, None, {"message": message, "source": "session folder", "permanent": False}
            )

    async def _save_regularly(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _SAVE_SECS)
            if self._dirty and not self._closing.is_set():
                self._dirty = False
                try:
                    await asyncio.to_thread(self._write_documents, *self._documents())
                except Exception:  # what cannot be told now may be told with the next event
                    logger.exception("Transcript and metrics could not be written this time.")

    def _save(self) -> None:
        self._write_documents(*self._documents())

    def _documents(self) -> tuple[str, str]:
        metrics = self._metrics_document.text(self._title, dict(self._transport_stats()))
        return self._transcript_document.text(self._title), metrics

    def _write_documents(self, transcript: str, metrics: str) -> None:
        for name, text in ((TRANSCRIPT, transcript), (METRICS, metrics)):
            # Replaced at once, so that a reader or a crash never meets half a file.
            new = self.folder / f".{name}.new"
            try:
                new.write_text(text, encoding="utf-8", errors="replace")
                new.replace(self.folder / name)
                self._incomplete.discard(name)
            except OSError as error:
                self._cannot_write(name, error)
                with suppress(OSError):
                    new.unlink()


def _begin(wanted: Path) -> tuple[Path, EventLog]:
    """Take the wanted folder or, as long as it holds an earlier session, the next one; the event log marks it taken."""
    for folder in _candidates(wanted):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # what somebody says at home is nobody else's business
            folder.mkdir(mode=0o700)
        if recordings(folder) or any((folder / name).exists() for name in (EVENTS, TRANSCRIPT, METRICS)):
            continue
        with suppress(FileExistsError):  # another process was quicker
            return folder, EventLog(folder / EVENTS)
    raise AssertionError("there is always a next number")


def _candidates(wanted: Path) -> Iterator[Path]:
    yield wanted
    named = wanted.resolve() if wanted.name in ("", "..") else wanted
    for number in itertools.count(2):
        yield Path(f"{named}-{number}")
