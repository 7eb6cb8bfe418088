"""Transcript and metrics as documents that grow.

What is settled is written out once, so that an event costs the same in the first minute and in the second hour.
"""

import json
import uuid
from bisect import insort
from collections.abc import Iterable, Mapping
from typing import Any

from halfcascade.bot.session.markdown import head, line_of
from halfcascade.bot.session.metrics import STAGES, Metrics, summary
from halfcascade.bot.session.transcript import ALIVE, Transcript

# Where the lists go that are put in as text; no value of a session is like them.
_TURNS, _INTERRUPTIONS = f"turns {uuid.uuid4()}", f"interruptions {uuid.uuid4()}"


class TranscriptDocument:
    """Writes a transcript as Markdown.

    Args:
        transcript: The conversation.
    """

    def __init__(self, transcript: Transcript):
        self._transcript = transcript
        self._settled = ""
        self._count = 0

    def text(self, title: Mapping[str, Any]) -> str:
        """Write it as it is now.

        Args:
            title: Facts for the head, such as backend, model and voice.

        Returns:
            The document.
        """
        entries = self._transcript.entries
        # Nothing that lies further back changes any more (see ``Transcript``).
        settled = max(self._count, len(entries) - ALIVE)
        for entry in entries[self._count : settled]:
            self._settled += _paragraph(line_of(entry))
        self._count = settled
        recent = "".join(_paragraph(line_of(entry)) for entry in entries[settled:])
        return f"{head(title)}{self._settled}{recent}".rstrip("\n") + "\n"


class MetricsDocument:
    """Writes metrics as JSON.

    Args:
        metrics: The measurements.
    """

    def __init__(self, metrics: Metrics):
        self._metrics = metrics
        self._turns, self._interruptions = _Grown(), _Grown()
        self._stages: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def text(self, session: Mapping[str, Any], transport: Mapping[str, Any]) -> str:
        """Write them as they are now.

        Args:
            session: What the session was set up with.
            transport: The transport's counters.

        Returns:
            The document.
        """
        tariff, turns, interruptions = self._metrics.tariff, self._metrics.turns, self._metrics.interruptions
        # The last turn may be taken back, and the one before it may still be heard.
        for turn in turns[self._turns.count : max(0, len(turns) - 2)]:
            self._turns.add(_compact(turn.as_dict(tariff)))
            for stage, passed in turn.stages_ms().items():
                insort(self._stages[stage], passed)
        for spoken_over in interruptions[self._interruptions.count : max(0, len(interruptions) - 1)]:
            self._interruptions.add(_compact(spoken_over.as_dict()))
        recent = turns[self._turns.count :]
        stages = {
            stage: [*known, *(ms for turn in recent if (ms := turn.stages_ms().get(stage)) is not None)]
            for stage, known in self._stages.items()
        }
        # The order of the keys is that of ``Metrics.as_dict``.
        document = self._metrics.as_dict(turns=[], interruptions=[])
        document |= {"turns": _TURNS, "interruptions": _INTERRUPTIONS}
        document["latency_ms"] = summary(stages["heard"])
        document["stages_ms"] = {stage: summary(stages[stage]) for stage in STAGES[1:]}
        text = json.dumps({"session": session, **document, "transport": transport}, indent=1, **_OPTIONS)
        # Put together in one go: the list of turns may be long, and every copy of it takes its time.
        before, after = text.split(f'"{_TURNS}"')
        between, end = after.split(f'"{_INTERRUPTIONS}"')
        last = interruptions[self._interruptions.count :]
        turn_parts = self._turns.parts(_compact(turn.as_dict(tariff)) for turn in recent)
        interruption_parts = self._interruptions.parts(_compact(each.as_dict()) for each in last)
        return "".join([before, *turn_parts, between, *interruption_parts, end, "\n"])


class _Grown:
    """A list in JSON, of which all but the last items are written already."""

    def __init__(self) -> None:
        self.count = 0
        self._text = ""

    def add(self, item: str) -> None:
        self._text += f",\n  {item}" if self.count else f"\n  {item}"
        self.count += 1

    def parts(self, rest: Iterable[str]) -> list[str]:
        items = list(rest)
        if not self.count and not items:
            return ["[]"]
        comma = "," if self.count and items else ""
        return ["[", self._text, comma, ",".join(f"\n  {item}" for item in items), "\n ]"]


_OPTIONS: dict[str, Any] = {"ensure_ascii": False, "default": str}


def _compact(value: Any) -> str:
    return json.dumps(value, **_OPTIONS)


def _paragraph(line: str) -> str:
    return f"{line}\n\n" if line else ""
