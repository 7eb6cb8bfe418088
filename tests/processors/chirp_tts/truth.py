"""When the words of scripted speech were really heard."""

from halfcascade.emulator.minds.base import SynthesisRequest
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from tests.processors.chirp_tts.stage import RATE

# Enough samples of a word to tell it from all others.
_PRINT_SAMPLES = 400


def true_onsets(speaker: ScriptedSpeaker, voice: str, texts: list[str], played: bytes) -> list[int]:
    """Find every word of the segments in what was played.

    Args:
        speaker: The emulator's speaker.
        voice: Voice name.
        texts: The segments as the server got them, in order.
        played: What the loudspeaker played: 16-bit mono PCM.

    Returns:
        Sample at which each word begins; ends with the first word that was not played.
    """
    onsets, searched = [], 0
    for text in texts:
        request = SynthesisRequest(voice, "-".join(voice.split("-")[:2]))
        audio = b"".join(speaker.render(text, request))
        for word in speaker.plan(text):
            # The fade-in is left out: a word's first samples are near silence, like those of any other.
            begin = 2 * (round(word.start * RATE) + 200)
            place = played.find(audio[begin : begin + 2 * _PRINT_SAMPLES], searched)
            if place < 0:
                return onsets
            onsets.append(place // 2 - 200)
            searched = place
    return onsets
