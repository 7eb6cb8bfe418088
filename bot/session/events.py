"""What happens in a conversation, as lines of JSON."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Types and their fields:

    - ``session_started``: what the session was set up with; ``session_ended``: ``reason``
    - ``user_started``, ``user_stopped``: ``speech_at``, when the sound itself began or ended; ``t`` is when it was
      noticed
    - ``turn_started``, ``turn_ended``: the user's turn, which may hold pauses
    - ``turn_reopened``: ``text`` of a turn that was sent and is taken back, because the user goes on with it
    - ``interim``, ``final``: ``text`` as it is being understood, as understood
    - ``backchannel``: ``text`` that took no turn ("mhm")
    - ``turn_sent``: ``text``, ``turn``, ``attempt`` as written to the brain
    - ``reply_started``, ``reply_text``: ``text`` (a piece), ``reply_ended``: what the voice is given to say
    - ``first_audio``: the voice's first sound of a reply has come
    - ``speaking_started``, ``speaking_stopped``: the bot's speech on the loudspeaker
    - ``heard``: ``text`` (pieces that join without further spaces) whose sound has been heard
    - ``sound_began``, ``sound_ended``: the loudspeaker's first and last audible sample; ``t`` is when it sounded
    - ``interrupted``: the user cut the bot short
    - ``ducked``: ``gain`` of the bot's speech from now on
    - ``tool_call``: ``name``, ``id``, ``arguments``; ``tool_result``: ``name``, ``id``, ``result``; ``tool_cancelled``
    - ``usage``: ``kind`` (``stt``, ``llm``, ``tts``) and what it used; ``service_latency``: ``kind``, ``seconds``
    - ``backend``: ``backend``, ``reason`` for it; ``device``: ``message`` about microphone or loudspeaker
    - ``user_audio_finished``: the recorded user has said everything
    - ``error``: ``message``, ``source``, ``permanent``

    Parameters:
        t: Seconds on the recording's clock.
        type: One of the above.
        fields: The fields of that type.
    """

    t: float
    type: str
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

    def write(self, event: Event) -> None:
        """Append an event.

        Args:
            event: The event, free of secrets.

        Raises:
            OSError: If the disk refuses.
        """
        self._file.write(f"{event.to_json()}\n".encode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
