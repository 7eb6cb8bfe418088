"""The protocol of ``StreamingRecognize``, without I/O.

A shell feeds the machine requests, results of the listener and clock readings, and carries out the actions that come
back.
"""

import math
from collections.abc import Sequence
from typing import Any

import grpc

from halfcascade.emulator.actions import Abort, Action, Begin, End, Feed, Finish, RequestError, Send
from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.minds.base import LISTENER_RATE, Hypothesis, SpeechActivity
from halfcascade.emulator.speech.decoding import Decoder
from halfcascade.emulator.speech.dialect import Dialect, StreamSettings

_HEAD_STABILITY, _TAIL_STABILITY = 0.9, 0.1
# How long after the audio a voice activity may still be reported before a timeout counts as reached.
_LISTENER_GRACE = 0.1


class RecognizeStream:
    """One ``StreamingRecognize`` call.

    Parameters:
        now: Clock reading in seconds; later calls continue the same clock.
        limits: What is enforced.
        dialect: How the API's version says things.
    """

    def __init__(self, now: float, limits: SpeechLimits, dialect: Dialect) -> None:
        self._limits = limits
        self._dialect = dialect
        self._longest, self._longest_text = dialect.longest(limits)
        self._idle, self._idle_text = dialect.idle(limits)
        self._opened = now
        self._last_request = now
        self._settings: StreamSettings | None = None
        self._decoders: Sequence[Decoder] = ()
        self._samples = 0
        self._finishing = False
        self._ended = False
        self._speaking = False
        self._silent_since = 0.0
        self._heard_speech = False
        self._timeout_at: float | None = None

    @property
    def settings(self) -> StreamSettings | None:
        """What the first message configured."""
        return self._settings

    @property
    def audio_seconds(self) -> float:
        """Seconds of audio received."""
        return self._samples / LISTENER_RATE

    @property
    def deadline(self) -> float | None:
        """When ``tick`` must be called at the latest, or None once the stream has ended."""
        if self._ended:
            return None
        deadlines = [self._opened + self._longest]
        if not self._finishing:
            deadlines.append(self._last_request + self._idle)
            if self._timeout_at is not None:
                deadlines.append(self._timeout_at)
        return min(deadlines)

    def receive(self, request: Any, now: float) -> list[Action]:
        """Take a client message.

        Args:
            request: ``StreamingRecognizeRequest`` protobuf.
            now: Clock reading.

        Returns:
            What to do.
        """
        if self._ended or self._finishing:
            return []
        self._last_request = now
        try:
            if self._settings is None:
                return self._configure(request)
            return self._audio(request, now)
        except RequestError as error:
            return self._abort(error.code, error.text)

    def half_close(self, now: float) -> list[Action]:
        """The client sends no more; what is pending is flushed (facts/stt#half-close).

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        del now
        if self._ended or self._finishing:
            return []
        if self._settings is None:
            self._ended = True
            return [End()]
        try:
            return self._finish()
        except RequestError as error:
            return self._abort(error.code, error.text)

    def heard(self, events: Sequence[Hypothesis | SpeechActivity], now: float) -> list[Action]:
        """Take what the listener found.

        Args:
            events: One or more, in order; those that come together may share a response (facts/stt#results).
            now: Clock reading.

        Returns:
            What to do.
        """
        actions: list[Action] = []
        results: list[Any] = []
        for event in events:
            if self._ended:
                break
            if isinstance(event, SpeechActivity):
                actions += self._flush_results(results)
                actions += self._activity(event, now)
            elif event.is_final:
                actions += self._flush_results(results)
                actions += self._final(event, results)
            elif self._settings and self._settings.request.interim_results:
                if results and not results[0].is_final:
                    actions += self._flush_results(results)
                results += self._interim_results(event)
        return actions + self._flush_results(results)

    def listener_done(self, now: float) -> list[Action]:
        """The listener has flushed everything.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        del now
        if self._ended:
            return []
        self._ended = True
        return [End()]

    def tick(self, now: float) -> list[Action]:
        """Let time pass.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        if self._ended:
            return []
        if now >= self._opened + self._longest:
            return self._abort(self._longest_text.code, self._longest_text.text)
        if self._finishing:
            return []
        if now >= self._last_request + self._idle:
            return self._abort(self._idle_text.code, self._idle_text.text)
        if self._timeout_at is not None and now >= self._timeout_at:
            return self._finish()
        return []

    def _configure(self, request: Any) -> list[Action]:
        opening = self._dialect.open(request)
        self._settings, self._decoders = opening.settings, opening.decoders
        begin: Action = Begin([opening.settings.request] * len(opening.decoders))
        if not opening.audio:
            return [begin]
        return [begin, Feed([decoder.decode(opening.audio) for decoder in self._decoders])]

    def _audio(self, request: Any, now: float) -> list[Action]:
        audio = self._dialect.audio(request, self._limits)
        pcm = [decoder.decode(audio) for decoder in self._decoders]
        self._samples += len(pcm[0]) // 2
        self._check_voice_timeouts(now)
        return [Feed(pcm)] if any(pcm) else []

    def _check_voice_timeouts(self, now: float) -> None:
        settings = self._settings
        if settings is None or self._timeout_at is not None or self._speaking:
            return
        limit = settings.end_timeout if self._heard_speech else settings.start_timeout
        if limit is not None and self.audio_seconds - self._silent_since >= limit:
            self._timeout_at = now + _LISTENER_GRACE

    def _finish(self) -> list[Action]:
        self._finishing = True
        rest = [decoder.flush() for decoder in self._decoders]
        self._samples += len(rest[0]) // 2
        return [Feed(rest), Finish()] if any(rest) else [Finish()]

    def _activity(self, activity: SpeechActivity, now: float) -> list[Action]:
        self._speaking = activity.kind == "begin"
        self._heard_speech = True
        self._timeout_at = None
        self._silent_since = activity.offset
        if not self._speaking:
            self._check_voice_timeouts(now)
        if not (self._settings and self._settings.activity_events):
            return []
        return [Send(self._dialect.activity(activity))]

    def _final(self, final: Hypothesis, results: list[Any]) -> list[Action]:
        results.append(self._dialect.result(final.text, final, self._live_settings))
        if not (self._settings and self._settings.single_utterance) or self._finishing:
            return []
        end_of_utterance: Action = Send(self._dialect.end_of_utterance(final.end))
        return [end_of_utterance, *self._flush_results(results), *self._finish()]

    def _flush_results(self, results: list[Any]) -> list[Action]:
        if not results:
            return []
        # Billing counts whole seconds of audio received; which messages carry it is not known (facts/stt#results).
        billed = math.ceil(self.audio_seconds) if results[0].is_final else None
        response = self._dialect.results(results, billed=billed)
        results.clear()
        return [Send(response)]

    def _interim_results(self, interim: Hypothesis) -> list[Any]:
        """Make one or two results: a stable head and, if there is one, a less stable tail (facts/stt#results)."""
        results, settings = [], self._live_settings
        if interim.text:
            stability = interim.stability or _HEAD_STABILITY
            results.append(self._dialect.result(interim.text, interim, settings, stability=stability))
        if interim.tail:
            results.append(self._dialect.result(interim.tail, interim, settings, stability=_TAIL_STABILITY))
        return results

    @property
    def _live_settings(self) -> StreamSettings:
        assert self._settings is not None, "nothing is heard before the config"  # noqa: S101
        return self._settings

    def _abort(self, code: grpc.StatusCode, text: str) -> list[Action]:
        self._ended = True
        return [Abort(code, text)]
