import asyncio
import time

import pytest

from halfcascade.emulator.minds.base import Conversation, FunctionCall
from halfcascade.emulator.minds.local.packages import model_file
from halfcascade.emulator.minds.local.thinker import LlamaModel, LocalThinker, Tidier, chat_messages, pieces_of
from tests.emulator.local.conftest import needs_model
from tests.emulator.local.helpers import NOW, TIME_TOOL, conversation


class FakeModel:
    def __init__(self, *pieces: str, small: bool = True) -> None:
        self.pieces = pieces
        self.small = small
        self.asked: list[list[dict[str, str]]] = []
        self.cancelled = False

    async def chat(self, messages):
        self.asked.append(list(messages))
        try:
            for piece in self.pieces:
                yield piece
                await asyncio.sleep(0)
        except GeneratorExit:
            self.cancelled = True
            raise


def thinker(model=None, **options) -> LocalThinker:
    return LocalThinker(model, now=lambda: NOW, **{"words_per_second": 0, **options})


async def say(thinking: LocalThinker, asked: Conversation) -> str:
    return "".join([str(piece) async for piece in thinking.think(asked)])


async def test_a_rule_streams_its_answer_in_pieces():
    pieces = [piece async for piece in thinker().think(conversation("Tell me a story about a lighthouse."))]
    assert len(pieces) > 30
    assert all(isinstance(piece, str) and len(piece.split()) <= 4 for piece in pieces)


async def test_rules_stream_as_fast_as_a_language_model():
    started = time.monotonic()
    await say(thinker(words_per_second=100), conversation("Hi there! My name is Dana, and I live in Lisbon."))
    assert time.monotonic() - started > 0.05


async def test_a_call_is_the_whole_answer():
    asked = conversation("What time is it?", tools=[TIME_TOOL])
    assert [piece async for piece in thinker().think(asked)] == [FunctionCall("get_current_time", {})]


async def test_what_no_rule_knows_goes_to_the_model():
    model = FakeModel("The capital ", "of Australia ", "is Canberra.")
    asked = conversation("My name is Dana.", "Hello Dana!", "What is the capital of Australia?")
    assert await say(thinker(model), asked) == "The capital of Australia is Canberra."
    [messages] = model.asked
    assert messages[0]["role"] == "system"
    assert [message["content"] for message in messages[1:]] == [
        "My name is Dana.",
        "Hello Dana!",
        "What is the capital of Australia?",
    ]


async def test_only_a_bigger_model_gets_the_instructions():
    asked = conversation("Why is the sky blue?")
    asked.system_instruction = "Talk like a pirate."
    for small, expected in ((True, False), (False, True)):
        model = FakeModel("Because.", small=small)
        await say(thinker(model), asked)
        assert ("pirate" in model.asked[0][0]["content"]) == expected


@pytest.mark.parametrize("model", [None, FakeModel()])
async def test_without_an_answer_it_says_so(model):
    assert "no answer" in await say(thinker(model), conversation("Why is the sky blue?"))


async def test_closing_cancels_the_model():
    model = FakeModel(*["word "] * 1000)
    thinking = thinker(model).think(conversation("Why is the sky blue?"))
    assert await anext(thinking) == "word "
    await thinking.aclose()  # type: ignore[attr-defined]
    assert model.cancelled


async def test_a_story_that_is_interrupted_stops():
    thinking = thinker(words_per_second=40).think(conversation("Tell me a story about a lighthouse."))
    heard = [await anext(thinking) for _ in range(3)]
    await thinking.aclose()  # type: ignore[attr-defined]
    with pytest.raises(StopAsyncIteration):
        await anext(thinking)
    assert "".join(heard).startswith("Here is one about a lighthouse.")


def test_pieces_join_to_the_text():
    text = "Once upon a time,  there was\na lamp."
    assert "".join(pieces_of(text)) == text


def test_a_small_model_gets_little_history():
    turns = [f"message number {i} " + "and so on " * 20 for i in range(9)]
    short = chat_messages(conversation(*turns), short=True)
    assert [message["role"] for message in short] == ["user", "assistant", "user"]
    assert len(short[0]["content"].split()) == 30
    assert short[-1]["content"] == turns[-1].strip()
    assert len(chat_messages(conversation(*turns), short=False)) == 9


def test_the_model_is_told_what_was_heard():
    note = '[The user interrupted you. Of your last reply they heard only: "Once upon"]'
    messages = chat_messages(conversation("Hi.", "Once upon a time.", f"{note} Why?"), short=True)
    assert [message["content"] for message in messages] == ["Hi.", "Once upon", "Why?"]


@pytest.mark.parametrize(
    ("pieces", "spoken"),
    [
        (["**Bold** and ", "`code` ", "# head"], "Bold and code head"),
        (["1. ", "First ", "thing\n2", ". Second"], "First thing Second"),
        (["- one\n- two"], "one two"),
        (["It is 3.", "5 and 1", "0."], "It is 3.5 and 10."),
    ],
)
def test_markup_is_not_spoken(pieces, spoken):
    tidier = Tidier()
    text = "".join([*(tidier.feed(piece) for piece in pieces), tidier.finish()])
    assert " ".join(text.split()) == spoken


def test_ends_with_a_sentence_once_enough_was_said():
    tidier = Tidier()
    text = "".join(tidier.feed("This sentence has six words total. ") for _ in range(20))
    assert tidier.enough
    assert text.count(".") == 4


@pytest.fixture(scope="module")
async def llama():
    model = LlamaModel(model_file(), small=True)
    await model.load()
    yield model
    model.close()


@needs_model
async def test_the_real_model_answers_in_pieces(llama):
    pieces = [piece async for piece in thinker(llama).think(conversation("What is the capital of France?"))]
    assert len(pieces) > 3
    assert not set("*#`") & set("".join(map(str, pieces)))


@needs_model
async def test_the_real_model_can_be_cancelled(llama):
    answer = llama.chat([{"role": "user", "content": "Count from one to two hundred in words."}])
    await anext(answer)
    await answer.aclose()
    again = llama.chat([{"role": "user", "content": "Say hello."}])
    async with asyncio.timeout(60):
        assert [piece async for piece in again]


@needs_model
async def test_greedy_decoding_repeats_itself(llama):
    asked = [{"role": "user", "content": "Name a color."}]
    answers = ["".join([piece async for piece in llama.chat(asked)]) for _ in range(2)]
    assert answers[0] == answers[1] != ""
