"""What happens in a conversation, as lines of JSON."""

import errno
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class EventType(StrEnum):
    """What can happen. Each names the fields of its events; a line of the file calls it by its value."""

    SESSION_STARTED = "session_started"
    """``started`` (ISO 8601), what the session was set up with in short, and all ``settings``."""
    SESSION_ENDED = "session_ended"
    """``reason``."""
    CONTINUED = "continued"
    """``folder`` of the earlier talk that this one goes on with, ``messages`` taken over."""
    BACKEND = "backend"
    """``backend`` and ``reason`` for it."""
    DEVICE = "device"
    """``message`` about microphone or loudspeaker."""
    USER_STARTED = "user_started"
    """``speech_at``, when the sound itself began; ``t`` is when it was noticed."""
    USER_STOPPED = "user_stopped"
    """``speech_at``, when the sound itself ended."""
    TURN_STARTED = "turn_started"
    """The user's turn, which may hold pauses."""
    TURN_ENDED = "turn_ended"
    """The user's turn is over."""
    TURN_REOPENED = "turn_reopened"
    """``text`` of a turn that was sent and is taken back, because the user goes on with it."""
    ASKED_EARLY = "asked_early"
    """``text`` with which the brain is asked although it is open whether the turn is over."""
    ASKED_TOO_EARLY = "asked_too_early"
    """That answer is withdrawn: the user goes on, or the words have changed."""
    INTERIM = "interim"
    """``text`` as it is being understood."""
    FINAL = "final"
    """``text`` as understood, ``language``."""
    BACKCHANNEL = "backchannel"
    """``text`` that took no turn ("mhm")."""
    LISTENING_SOUND = "listening_sound"
    """``text`` that the bot says quietly in a pause of the user's turn ("mm-hm"); it is no reply."""
    TYPED = "typed"
    """``text`` that the user typed; it is sent as a turn."""
    TURN_SENT = "turn_sent"
    """``text`` of the user, or the ``prompt`` of the program, ``turn``, ``attempt`` as written to the brain."""
    REPLY_STARTED = "reply_started"
    """The voice will be given something to say; ``opener``, if it is one."""
    REPLY_TEXT = "reply_text"
    """``text``, a piece of what the voice is given to say."""
    REPLY_ENDED = "reply_ended"
    """The voice has been given everything."""
    FIRST_AUDIO = "first_audio"
    """The voice's first sound of a reply has come."""
    SPEAKING_STARTED = "speaking_started"
    """The bot's speech begins on the loudspeaker."""
    SPEAKING_STOPPED = "speaking_stopped"
    """The bot's speech is over on the loudspeaker."""
    HEARD = "heard"
    """``text`` (pieces that join without further spaces) whose sound has been heard; ``written``, what of the reply it
    stands for ("5 * 3" once "5 times 3" has been heard)."""
    SHOWN = "shown"
    """``text`` of the reply that is not said, in its place; ``kind``: code, table, picture, formula, or silent."""
    SOUND_BEGAN = "sound_began"
    """The loudspeaker's first audible sample; ``t`` is when it sounded."""
    SOUND_ENDED = "sound_ended"
    """The loudspeaker's last audible sample; ``t`` is when it sounded."""
    INTERRUPTED = "interrupted"
    """The user cut the bot short."""
    DUCKED = "ducked"
    """``gain`` of the bot's speech from now on."""
    TOOL_CALL = "tool_call"
    """``name``, ``id``, ``arguments``."""
    TOOL_RESULT = "tool_result"
    """``name``, ``id``, ``result``."""
    TOOL_CANCELLED = "tool_cancelled"
    """``name``, ``id``."""
    USAGE = "usage"
    """``kind`` (``stt``, ``llm``, ``tts``) and what it used."""
    SERVICE_LATENCY = "service_latency"
    """``kind``, ``source``, ``seconds``."""
    BUDGET = "budget"
    """``state`` (``warning`` or ``spent``), ``usd`` so far, ``budget_usd``."""
    OUTAGE = "outage"
    """``service`` that somebody waits for, ``message``; once for each such wait."""
    RECOVERED = "recovered"
    """``service`` that serves again."""
    SPEECH_LOST = "speech_lost"
    """``secs`` of the user's speech that could not be recognized and were given up."""
    UNSPOKEN = "unspoken"
    """``text`` of a reply that the voice could not speak and gave up."""
    GUESSED = "guessed"
    """``service`` of a recording (see ``replay``) that was asked what it has no answer to; ``message``."""
    USER_AUDIO_FINISHED = "user_audio_finished"
    """The recorded user has said everything."""
    ERROR = "error"
    """``message``, ``source``, ``category``, ``permanent``."""


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Parameters:
        t: Seconds on the recording's clock.
        type: What it is.
        fields: The fields of that type.
    """

    t: float
    type: EventType
    fields: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write as one line of JSON."""
        return json.dumps({"t": self.t, "type": self.type, **self.fields}, ensure_ascii=False, default=str)


class EventLog:
    """A file of events, on disk line by line.

    Args:
        path: The file, which must not exist yet.

    Raises:
        FileExistsError: If it does.
        OSError: If the file cannot be made.
    """

    def __init__(self, path: Path):
        # Unbuffered: each line is one write, so that the file holds whole lines whatever happens to this process next.
        self._file = path.open("xb", buffering=0)
        self._cut = False

    def write(self, event: Event) -> None:
        """Append an event.

        Args:
            event: The event, free of secrets.

        Raises:
            OSError: If the disk refuses.
        """
        line = f"{event.to_json()}\n".encode(errors="replace")
        # After a disk was full the last line may have been cut short; what follows begins a line of its own.
        written = self._file.write(b"\n" + line if self._cut else line)
        self._cut = written is not None and written < len(line)
        if self._cut:
            raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
