"""Frames that this project adds to Pipecat's."""

from dataclasses import dataclass

from pipecat.frames.frames import SystemFrame


@dataclass
class TurnSentFrame(SystemFrame):
    """The brain has written a user turn to its Live session.

    Broadcast by the brain for latency accounting; carries what was sent, not what the model answers.

    Parameters:
        text: The user turn as sent, without any correction note put before it.
        turn: Number of the turn in this session, from 1.
        attempt: 1 for the first send, higher for a resend on a new connection.
    """

    text: str = ""
    turn: int = 0
    attempt: int = 1


@dataclass
class DuckFrame(SystemFrame):
    """Set the loudness of bot speech at the device, at once, ahead of audio already queued.

    Pipecat's ``VolumeGainFrame`` takes effect in order with queued audio, which is seconds too late while a user
    starts to speak over the bot. Output transports of this project apply it to the very next device write.

    Parameters:
        gain: Multiplier on the samples; 1.0 restores full loudness.
        ramp_secs: Time over which the gain is approached, in seconds, so that no click is heard.
    """

    gain: float = 1.0
    ramp_secs: float = 0.02
