"""What passes a gate behind the microphone, and where audio ends."""

import pytest
from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame, TextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from halfcascade.processors.gate import LoudspeakerEnd, MicrophoneEnd, MicrophoneGate

DOWN, UP = FrameDirection.DOWNSTREAM, FrameDirection.UPSTREAM
HEARD = InputAudioRawFrame(b"\1\2" * 160, 16_000, 1)
PLAYED = OutputAudioRawFrame(b"\3\4" * 160, 16_000, 1)
WORDS = TextFrame("Hello.")


async def passed(processor: FrameProcessor, frame: Frame, direction: FrameDirection = DOWN) -> list[Frame]:
    pushed: list[Frame] = []

    async def push_frame(frame: Frame, direction: FrameDirection = DOWN) -> None:
        pushed.append(frame)

    processor.push_frame = push_frame  # type: ignore[method-assign]
    await processor.process_frame(frame, direction)
    return pushed


@pytest.mark.parametrize("closed", [False, True])
async def test_a_closed_gate_lets_as_much_silence_pass_and_all_else_as_it_is(closed: bool) -> None:
    gate, heard = MicrophoneGate(), []
    gate.closed, gate.heard = closed, heard.append
    (frame,) = await passed(gate, HEARD)
    assert isinstance(frame, InputAudioRawFrame) and (frame.sample_rate, frame.num_channels) == (16_000, 1)
    assert heard == [frame.audio] == [bytes(320) if closed else HEARD.audio]
    assert HEARD.audio == b"\1\2" * 160
    assert await passed(gate, WORDS) == [WORDS] and len(heard) == 1


@pytest.mark.parametrize(("end", "ends"), [(MicrophoneEnd, HEARD), (LoudspeakerEnd, PLAYED)])
async def test_an_end_keeps_its_own_audio_from_going_on_and_nothing_else(
    end: type[FrameProcessor], ends: Frame
) -> None:
    assert await passed(end(), ends) == []
    assert await passed(end(), ends, UP) == [ends]
    for other in (one for one in (HEARD, PLAYED, WORDS) if one is not ends):
        assert await passed(end(), other) == [other]
