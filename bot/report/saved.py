"""A session folder read again, whatever state it is in."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.metrics import Metrics
from halfcascade.bot.session.names import EVENTS, METRICS
from halfcascade.bot.session.recording import recordings
from halfcascade.bot.session.transcript import BotSaid, Entry, Transcript, UserSaid
from halfcascade.processors.errors import ConfigurationError


@dataclass(frozen=True)
class Word:
    """A word and the time of its sound.

    Parameters:
        t: Seconds on the recording's clock.
        text: The word as it is spoken, with what stands around it.
        written: What of the reply it stands for; empty where several words stand for one, until the last.
    """

    t: float
    text: str
    written: str = ""


@dataclass
class Said:
    """An entry of the transcript and what is known of its sound.

    Parameters:
        entry: The entry.
        end: When it ended, in seconds.
        words: Of a reply as the voice reported them; of the user spread over the speech they were heard in.
    """

    entry: Entry
    end: float
    words: list[Word] = field(default_factory=list)


@dataclass
class SavedTalk:
    """A talk as its folder holds it.

    Parameters:
        folder: The folder.
        events: What happened, in order; what could not be read is left out.
        said: The transcript with its words' times.
        metrics: Reduced anew from the events.
        written: What ``metrics.json`` holds, empty if it cannot be read.
        problems: One line each for a person.
    """

    folder: Path
    events: list[Event] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    written: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def title(self) -> dict[str, Any]:
        """What the session was set up with."""
        first = self.of_type(EventType.SESSION_STARTED)
        return dict(first[0].fields) if first else dict(self.written.get("session", {}))

    @property
    def started(self) -> str:
        """When it began, ISO 8601, or ""."""
        return str(self.title.get("started", ""))

    @property
    def reason(self) -> str:
        """Why it ended, or "" if nobody wrote that down."""
        last = self.of_type(EventType.SESSION_ENDED)
        return str(last[-1].fields.get("reason", "")) if last else ""

    @property
    def recordings(self) -> list[Path]:
        """The files of the recording, in the order of time; none if there is no recording."""
        return recordings(self.folder)

    def of_type(self, *types: EventType) -> list[Event]:
        """The events of some types.

        Args:
            *types: Which.
        """
        return [event for event in self.events if event.type in types]


def load_talk(folder: Path) -> SavedTalk:
    """Read a session folder: of a talk that runs, was killed, or comes from another version.

    Args:
        folder: The folder.

    Returns:
        What could be read, and what could not in ``problems``.

    Raises:
        ConfigurationError: If it holds no session.
    """
    talk = SavedTalk(folder)
    if not (folder / EVENTS).is_file():
        if folder.is_dir():
            raise ConfigurationError(f"{folder} holds no session: name a session folder, one with {EVENTS} in it.")
        if folder.exists():
            raise ConfigurationError(f"{folder} is no folder: name a session folder, one with {EVENTS} in it.")
        raise ConfigurationError(f"{folder} does not exist: name a session folder, one with {EVENTS} in it.")
    talk.written = _read_json(folder / METRICS, talk.problems)
    _read_events(folder / EVENTS, talk)
    follower = _Follower(talk)
    for event in talk.events:
        follower.apply(event)
    talk.said = follower.finish()
    if not talk.reason:
        talk.problems.append("The talk was ended from outside, or still runs: nobody wrote down how it ended.")
    return talk


def _read_json(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        problems.append(f"{path.name} cannot be read; the figures come from the events.")
        return {}
    return data if isinstance(data, dict) else {}


def _read_events(path: Path, talk: SavedTalk) -> None:
    broken = strange = 0
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    for line in lines:
        try:
            fields = json.loads(line)
            t, name = float(fields.pop("t")), fields.pop("type")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            broken += bool(line.strip())
            continue
        try:
            talk.events.append(Event(t, EventType(name), fields))
        except ValueError:
            strange += 1
    if broken:
        talk.problems.append(f"{broken} line{'s' if broken > 1 else ''} of {EVENTS} cannot be read and were left out.")
    if strange:
        talk.problems.append(f"{strange} events are of kinds that this version does not know and were left out.")
    # A device's thread reports edges of sound a moment after they happened.
    talk.events.sort(key=lambda event: event.t)


class _Follower:
    """Goes through the events and puts the words beside their sound."""

    def __init__(self, talk: SavedTalk):
        self._talk = talk
        self._transcript = Transcript()
        self._said: dict[int, Said] = {}
        # Stretches of the user's speech in this turn, the last of which may be open, and what was understood of them.
        self._speech: list[tuple[float, float | None]] = []
        self._understood: list[tuple[Said, str]] = []
        self._skipped = 0

    def apply(self, event: Event) -> None:
        fields = event.fields
        try:
            if event.type is EventType.USER_STARTED:
                self._speech.append((float(fields.get("speech_at", event.t)), None))
            elif event.type is EventType.USER_STOPPED and self._speech:
                self._speech[-1] = (self._speech[-1][0], float(fields.get("speech_at", event.t)))
            before = {id(entry): _text(entry) for entry in self._transcript.entries[-4:]}
            self._transcript.apply(event)
            self._talk.metrics.apply(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            self._skipped += 1
            return
        if event.type in (EventType.HEARD, EventType.FINAL):
            for entry in self._transcript.entries[-4:]:
                if _text(entry) != before.get(id(entry), ""):
                    self._grew(entry, event)
        if event.type in (EventType.TURN_SENT, EventType.BACKCHANNEL):
            self._place(event.t)

    def finish(self) -> list[Said]:
        self._place(self._talk.events[-1].t if self._talk.events else 0.0)
        if self._skipped:
            self._talk.problems.append(f"{self._skipped} events lack fields and were left out.")
        for entry in self._transcript.entries:
            self._of(entry)
        return [self._said[id(entry)] for entry in self._transcript.entries]

    def _of(self, entry: Entry) -> Said:
        return self._said.setdefault(id(entry), Said(entry, entry.t))

    def _grew(self, entry: Entry, event: Event) -> None:
        said = self._of(entry)
        if event.type is EventType.HEARD and isinstance(entry, BotSaid):
            said.words.append(_word(event))
            said.end = event.t
        elif event.type is EventType.FINAL and isinstance(entry, UserSaid):
            self._understood.append((said, event.fields["text"]))

    def _place(self, now: float) -> None:
        """Put the words of a turn where its speech was; finals come late and say nothing about when."""
        if not self._understood:
            return
        stretches = [(start, now if end is None else end) for start, end in self._speech]
        said = self._understood[0][0]
        stretches = stretches or [(max(0.0, now - 0.5), now)]
        said.words += _spread(" ".join(text for _, text in self._understood), stretches)
        said.end = stretches[-1][1]
        self._understood = []
        self._speech = [(now, None)] if self._speech and self._speech[-1][1] is None else []


def _text(entry: Entry) -> str:
    if isinstance(entry, BotSaid):
        return entry.heard
    return entry.text if isinstance(entry, UserSaid) else ""


def _word(heard: Event) -> Word:
    spoken = heard.fields["text"]
    written = heard.fields.get("written", spoken)
    # What is written comes bare; where spoken words have a space between them, it has one.
    space = " " if written and spoken[:1].isspace() and not written[:1].isspace() else ""
    return Word(heard.t, spoken, space + written)


def _spread(text: str, stretches: list[tuple[float, float]]) -> list[Word]:
    """Words over their speech, each as long as it has letters: the recognizer gives no times of its own."""
    words = text.split()
    letters = sum(len(word) + 1 for word in words) or 1
    whole = sum(max(0.0, end - start) for start, end in stretches)
    result, passed = [], 0
    for word in words:
        result.append(Word(round(_at(stretches, whole * passed / letters), 3), f"{word} "))
        passed += len(word) + 1
    return result


def _at(stretches: list[tuple[float, float]], secs: float) -> float:
    """The time at which so much of some stretches has passed."""
    for start, end in stretches:
        if secs < end - start:
            return start + secs
        secs -= max(0.0, end - start)
    return stretches[-1][1]
