"""One turn of the model: what goes wrong in it, what it answers and what it costs."""

import functools
from dataclasses import dataclass, field

from halfcascade.emulator.live.context import LiveContext
from halfcascade.emulator.live.faults import TurnPlan
from halfcascade.emulator.live.reply import Pace, Part, Reply
from halfcascade.emulator.live.usage import text_tokens


@dataclass
class Turn:
    """The model's turn: one reply, or several around function calls that block it.

    Parameters:
        plan: What goes wrong in it.
        reply: The reply under way.
        prompt: Tokens of the context it answers, by modality.
        blocked_by: Ids of calls that must be answered before it goes on.
        calls: Ids of all its calls.
        complete: Whether generationComplete was sent.
        held: A transcript kept back until after turnComplete.
        response: Tokens of the replies before this one.
        spoken: Whether everything that was generated is spoken too.
        thoughts: Tokens that were thought.
        after_results: Whether it answers function results.
    """

    plan: TurnPlan
    reply: Reply
    prompt: dict[str, int]
    blocked_by: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    complete: bool = False
    held: Part | None = None
    response: dict[str, int] = field(default_factory=dict)
    spoken: bool = True
    thoughts: int = 0
    after_results: bool = False

    @property
    def has_stopped(self) -> bool:
        """Whether nothing more of its reply is sent, as was told."""
        stops_after = self.plan.fault.stops_after
        return stops_after is not None and self.reply.pieces_sent >= stops_after

    def response_tokens(self, context: LiveContext) -> dict[str, int]:
        """Count the tokens of its replies.

        Args:
            context: What the parts of a connection share.

        Returns:
            Tokens by modality.
        """
        config, reply = context.config, self.reply
        tokens = reply.tokens()
        if config.model.marked_transcript and reply.calls:
            tokens["TEXT"] = tokens.get("TEXT", 0) + sum(text_tokens(f"{call.name}{call.args}") for call in reply.calls)
        if context.output.packs and config.audio:
            # 3.x counts a spoken reply's audio alone, 2.5 its transcript too (CASS).
            del tokens["TEXT"]
        return {key: self.response.get(key, 0) + tokens.get(key, 0) for key in {**self.response, **tokens}}


def new_reply(context: LiveContext, plan: TurnPlan, number: int, not_before: float) -> Reply:
    """Begin a reply, at the pace of the profile and with the faults of the plan.

    Args:
        context: What the parts of a connection share.
        plan: What goes wrong.
        number: Of the reply.
        not_before: Clock reading before which nothing of it is sent.

    Returns:
        The reply.
    """
    config, fault, profile = context.config, plan.fault, context.profile
    transcribe = config.audio and (fault.no_audio or (config.transcription and not fault.no_transcript))
    pace = Pace(
        transcribe=transcribe,
        voice=config.audio and not fault.no_audio,
        transcript_delay=profile.transcript_lag,
        audio_delay=0.0 if config.model.transcript_with_audio else profile.audio_lag,
        transcript_lag=fault.transcript_lag,
        audio_speed=profile.audio_speed,
        chars_per_second=profile.speech_chars_per_second,
        playback_paced=profile.playback_paced,
        vertex=context.surface == "vertex",
        audio_last=config.model.marked_transcript,
    )
    say = functools.partial(context.voice.say, voice=config.voice, chars_per_second=pace.chars_per_second)
    return Reply(number, pace, not_before, None if context.voice.remote else say)
