"""How an answer becomes text to speak: what of a message is speech, how deltas join, when the text is over. No I/O.

Transcripts trail the end of the generation slightly (facts/live#server-messages, #transcripts). How late deltas come is
learnt, and the end of later texts waits that long.
"""

from google.genai import types

from halfcascade.processors.gemini_live.protocol.answer import Answer
from halfcascade.processors.gemini_live.protocol.models import LiveModel, Modality
from halfcascade.processors.gemini_live.protocol.text import DeltaJoiner, Resumer, letters
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, Started, TextDelta, TurnEvent
from halfcascade.processors.language import ends_sentence

LATE_DELTA_SECS = 2.0
"""How long after its end an answer still takes late deltas.

See facts/live#server-messages: one client keeps a 2 s tail.
"""

UNFINISHED_TAIL_SECS = 0.5
"""How long the end of a text waits for late deltas when it does not end like a sentence."""


class AnswerText:
    """The text of the newest answer, from its first delta to its end."""

    def __init__(self, model: LiveModel, modality: Modality) -> None:
        """Start without any text.

        Args:
            model: Row of the model.
            modality: What was agreed at setup.
        """
        self._model = model
        self._modality = modality
        self._joiner = DeltaJoiner()
        self._resumer = Resumer("")
        self._speaking: Answer | None = None
        self._end_at: float | None = None
        self._lateness = 0.0

    @property
    def speaking(self) -> Answer | None:
        """The answer whose text has begun and not ended."""
        return self._speaking

    @property
    def end_at(self) -> float | None:
        """Clock reading at which the text is over unless more of it comes, or None while nothing says so."""
        return self._end_at

    @property
    def trailing(self) -> bool:
        """Whether the answer is over but words of it must still come: there are none, or no sentence ends."""
        return self._end_at is not None and (self._speaking is None or not ends_sentence(self._speaking.text))

    def connect(self, model: LiveModel, modality: Modality) -> None:
        """Go on with what another connection gives.

        Args:
            model: Row of the model.
            modality: What was agreed at setup.
        """
        self._model = model
        self._modality = modality

    def begin(self) -> None:
        """The next text has nothing to do with what came before."""
        self._resumer = Resumer("")
        self._joiner = DeltaJoiner()

    def resume(self, delivered: str) -> None:
        """The next text may repeat, before it goes on, what was delivered already; that is skipped.

        Args:
            delivered: Text of the answer so far.
        """
        self._resumer = Resumer(delivered)
        self._joiner = DeltaJoiner()

    def drop(self) -> None:
        """Nothing more of the text is wanted; not even its end is told."""
        self._speaking = None
        self._end_at = None
        self._joiner = DeltaJoiner()

    def break_off(self) -> None:
        """The words that were still to come will not."""
        self._end_at = None

    def read(self, content: types.LiveServerContent) -> tuple[str, bool]:
        """Find what is to be spoken of a message.

        Args:
            content: As parsed by google-genai.

        Returns:
            The text, and whether the server called its segment finished.
        """
        if self._modality is Modality.AUDIO:
            transcript = content.output_transcription
            return (transcript.text or "", bool(transcript.finished)) if transcript else ("", False)
        parts = (content.model_turn.parts if content.model_turn else None) or ()
        # Thoughts are not for speaking (facts/live#transcripts).
        return "".join(part.text for part in parts if part.text and not part.thought), False

    def deliver(self, answer: Answer, text: str, *, finished: bool) -> list[TurnEvent]:
        """Take a delta.

        Args:
            answer: Whose it is.
            text: As read.
            finished: Whether the server called its segment finished.

        Returns:
            What is to be spoken.
        """
        if answer.suppressed or not text or self._is_phantom(answer, text):
            return []
        answer.answered_call = False
        events: list[TurnEvent] = []
        delta = self._resumer.take(self._joiner.join(text, finished=finished))
        if not delta:
            return events
        if self._speaking is None:
            events.append(Started(answer.turn))
        self._speaking = answer
        answer.text += delta
        events.append(TextDelta(answer.turn, delta))
        return events

    def deliver_late(self, answer: Answer, text: str, now: float, *, finished: bool) -> list[TurnEvent]:
        """Take a delta that came after the answer was over; the ends of later texts wait as long.

        Args:
            answer: Whose it is.
            text: As read.
            now: Clock reading.
            finished: Whether the server called its segment finished.

        Returns:
            What is to be spoken.
        """
        if not text or answer.suppressed or now - answer.ended_at > LATE_DELTA_SECS:
            return []
        self._lateness = min(max(self._lateness, 1.5 * (now - answer.ended_at)), LATE_DELTA_SECS)
        events = self.deliver(answer, text, finished=finished)
        if self._speaking is not None:
            self._end_at = now + max(self._lateness, 0.0 if ends_sentence(answer.text) else UNFINISHED_TAIL_SECS)
        return events

    def plan_end(self, answer: Answer, now: float) -> list[TurnEvent]:
        """The generation is over: end the text at once, or after the deltas that may still trail.

        Args:
            answer: The newest answer, not suppressed.
            now: Clock reading.

        Returns:
            The end, if it is at once.
        """
        if self._speaking is None:
            if answer.audio and not answer.text and self._modality is Modality.AUDIO:
                self._end_at = now + LATE_DELTA_SECS
                return []
            return [] if answer.calls else [Ended(answer.turn, spoken=bool(answer.text))]
        wait = self._lateness
        if not ends_sentence(answer.text) or not self._model.transcript_leads:
            wait = max(wait, UNFINISHED_TAIL_SECS)
        if self._modality is Modality.TEXT or wait == 0.0:
            return self.end(answer)
        self._end_at = now + wait
        return []

    def end(self, newest: Answer | None) -> list[TurnEvent]:
        """The text is over.

        Args:
            newest: The newest answer, which has no text at all if none was begun.

        Returns:
            Its end, if that was still to be told.
        """
        speaking, self._speaking = self._speaking, None
        self._joiner = DeltaJoiner()
        was_due, self._end_at = self._end_at is not None, None
        if speaking is not None:
            return [Ended(speaking.turn, spoken=True)]
        if was_due and newest is not None and not newest.suppressed:
            return [Ended(newest.turn, spoken=False)]
        return []

    def _is_phantom(self, answer: Answer, text: str) -> bool:
        """A transcript that only echoes a call's argument, without audio, is no speech (facts/live#transcripts)."""
        if self._modality is not Modality.AUDIO or not answer.call_words or not self._model.phantom_transcripts:
            return False
        return not answer.audio and letters(text) in answer.call_words
