from pipecat.frames.frames import InterruptionFrame, LLMFullResponseEndFrame, LLMFullResponseStartFrame, LLMTextFrame
from pipecat.tests.utils import SleepFrame, run_test

from examples.word_filter import WordFilter


def spoken(frames):
    return "".join(frame.text for frame in frames if isinstance(frame, LLMTextFrame))


async def test_a_word_split_over_pieces_is_replaced():
    down, _ = await run_test(
        WordFilter({"darn": "dear"}),
        frames_to_send=[
            LLMFullResponseStartFrame(),
            LLMTextFrame("Oh da"),
            LLMTextFrame("rn, a darning needle and DARN"),
            LLMFullResponseEndFrame(),
        ],
    )
    assert spoken(down) == "Oh dear, a darning needle and dear"
    assert isinstance(down[-1], LLMFullResponseEndFrame)


async def test_text_held_back_is_forgotten_on_interruption():
    down, _ = await run_test(
        WordFilter({"darn": "dear"}),
        frames_to_send=[
            LLMTextFrame("Old repl"),
            SleepFrame(sleep=0.05),  # an interruption overtakes queued text
            InterruptionFrame(),
            SleepFrame(sleep=0.05),
            LLMTextFrame("New."),
            LLMFullResponseEndFrame(),
        ],
    )
    assert spoken(down) == "Old New."
