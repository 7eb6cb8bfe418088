"""What a person can do during a talk besides speaking: mute, type, interrupt, hear again, change devices, end."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from halfcascade.bot.harmless import harmless
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.session.transcript import BotSaid

if TYPE_CHECKING:
    from halfcascade.bot.session.hub import EventHub
    from halfcascade.bot.talk import Talk
    from halfcascade.transports.tap import AudioTap

LONGEST_TYPED = 20_000
"""Characters of one typed turn; the rest is cut off and the person told."""


class Microphone:
    """A tap before the others that can be closed: then nobody, the recording included, is given what it hears.

    Args:
        taps: Who is given what is captured and played.
    """

    def __init__(self, *taps: "AudioTap"):
        self.muted = False
        self._taps = taps

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds of the first sample.
        """
        given = bytes(len(audio)) if self.muted else audio
        for tap in self._taps:
            tap.captured(given, sample_rate, at)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds at which the first sample is heard.
        """
        for tap in self._taps:
            tap.played(audio, sample_rate, at)


@dataclass(frozen=True)
class Choice:
    """A device that can be used.

    Parameters:
        direction: ``input`` or ``output``.
        name: As the system calls it.
    """

    direction: str
    name: str


class Controls(Protocol):
    """What the screen can ask for."""

    @property
    def muted(self) -> bool:
        """Whether the microphone is closed."""

    def mute(self, closed: bool) -> None:
        """Close or open the microphone."""

    async def type(self, text: str) -> None:
        """Take a typed turn; it is answered aloud."""

    async def interrupt(self) -> None:
        """Have the bot fall silent."""

    async def repeat(self) -> None:
        """Hear the last reply again."""

    async def devices(self) -> list[Choice]:
        """What microphones and loudspeakers there are; empty where there is nothing to choose."""

    def use(self, choice: Choice) -> None:
        """Take another device."""

    def end(self) -> None:
        """End the talk in order."""


class TalkControls:
    """Acts on a talk.

    Args:
        talk: The talk.
        hub: What was said in it.
        outcome: Ends it.
        microphone: What mutes the recording.
        transport: The devices, if it is devices.
    """

    def __init__(
        self,
        talk: "Talk",
        hub: "EventHub",
        outcome: Outcome,
        microphone: Microphone | None = None,
        transport: Any = None,
    ):
        self._talk = talk
        self._outcome = outcome
        self._hub = hub
        self._microphone = microphone
        self._transport = transport

    @property
    def muted(self) -> bool:
        """Whether the microphone is closed."""
        return self._talk.bot.gate.closed

    def mute(self, closed: bool) -> None:
        """Close or open the microphone.

        Args:
            closed: Whether it hears nothing from now on.
        """
        self._talk.bot.gate.closed = closed
        if self._microphone:
            self._microphone.muted = closed

    async def type(self, text: str) -> None:
        """Take a typed turn: whatever the bot is saying ends, and the answer is spoken.

        Args:
            text: What was typed.
        """
        from openai.types.chat import ChatCompletionUserMessageParam
        from pipecat.frames.frames import LLMMessagesAppendFrame

        typed = harmless(text, lines=True, longest=LONGEST_TYPED).strip()
        if not typed:
            return
        await self.interrupt()
        self._hub.typed(typed)
        message = ChatCompletionUserMessageParam(role="user", content=typed)
        await self._talk.worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))

    async def interrupt(self) -> None:
        """Have the bot fall silent."""
        # From where interruptions by voice come: one that entered at the microphone would be told of well before the
        # brain learned of it.
        await self._talk.bot.user.broadcast_interruption()

    async def repeat(self) -> None:
        """Hear the last reply again, all of it."""
        from pipecat.frames.frames import TTSSpeakFrame

        replies = (entry.text for entry in reversed(self._hub.transcript.entries) if isinstance(entry, BotSaid))
        if last := next((text for text in replies if text.strip()), ""):
            await self._talk.worker.queue_frame(TTSSpeakFrame(last, append_to_context=False))

    async def devices(self) -> list[Choice]:
        """What microphones and loudspeakers there are."""
        if not hasattr(self._transport, "use_device"):
            return []
        from halfcascade.transports.devices import Direction, list_devices

        found = await asyncio.to_thread(list_devices)
        return [Choice(way.value, device.name) for way in Direction for device in found if device.direction is way]

    def use(self, choice: Choice) -> None:
        """Take another device; the transport opens it within about a second.

        Args:
            choice: One of ``devices()``.
        """
        from halfcascade.transports.devices import Direction

        self._transport.use_device(Direction(choice.direction), choice.name)

    def end(self) -> None:
        """End the talk in order."""
        self._outcome.end("ended by the user")
