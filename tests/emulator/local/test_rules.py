import pytest

from halfcascade.emulator.minds.base import FunctionCall, FunctionResult
from halfcascade.emulator.minds.local import stories
from tests.emulator.local.helpers import TIME_TOOL, TIMER_TOOL, reply

STORY = stories.all_stories()[0].text


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Hello!", "Hello! How can I help you?"),
        (
            "Hi there! My name is Dana, and I live in Lisbon.",
            "Nice to meet you, Dana! I hear Lisbon is a lovely place.",
        ),
        ("My favorite color is blue.", "Good to know. I will remember that your favorite color is blue."),
        ("What is seventeen times twenty three?", "17 times 23 is 391."),
        ("What time is it?", "It is 3:42 in the afternoon."),
        ("What's the date today?", "Today is Monday, November 23, 2026."),
        ("Thanks, and what time is it right now?", "It is 3:42 in the afternoon."),
        ("What time is it in Tokyo?", "It is 12:42 in the morning in Tokyo."),
        ("Wait, stop.", "Okay, I am listening."),
        ("No, weight.", "Okay, I am listening."),
        ("Hold on a second", "Okay, I am listening."),
        ("What is my name?", "You have not told me your name."),
        ("What did you say?", "I have not said anything yet."),
        ("What was the story about?", "I have not told you a story yet. Shall I?"),
        ("Set a timer for ten seconds.", "I would, but this client has not given me a timer to set."),
        ("Thank you, that was all. good-bye.", "You are welcome. Goodbye!"),
        ("Bye!", "It was nice talking to you. Goodbye!"),
        ("Mm-hm.", "All right."),
        ("[Instruction: Greet the user.]", "Hello! How can I help you?"),
        (
            "[Instruction: The timer that the user set 10 seconds ago has just gone off. Tell the user now.]",
            "Your time is up!",
        ),
    ],
)
def test_answers(said, answer):
    assert reply(said) == answer


@pytest.mark.parametrize(
    "said",
    [
        "What is the capital of Australia?",
        "Why is the sky blue?",
        "How long should I boil an egg?",
        "Is it far to Rome?",
    ],
)
def test_leaves_the_rest_to_the_model(said):
    assert reply(said) is None
    assert reply(said, tools=[TIME_TOOL, TIMER_TOOL]) is None


def test_remembers_what_was_told_earlier():
    earlier = ("Hi, my name is Dana and I live in Lisbon.", "Hello.", "I like old trains.", "Good.")
    asked = "Wait, stop. what is my name and where do I live?"
    assert reply(*earlier, asked) == "Your name is Dana and you live in Lisbon."
    assert reply(*earlier, "What do I like?") == "You like old trains."
    assert reply(*earlier, "What is my favorite color?") == "You have not told me your favorite color."
    assert reply(*earlier, "Goodbye") == "It was nice talking to you, Dana. Goodbye!"
    told = reply(*earlier, "What do you know about me?")
    assert told == "Your name is Dana, you live in Lisbon, you like old trains."


def test_repeats_what_was_heard():
    assert reply("Hi.", "Hello Dana, welcome.", "Please repeat that.") == "I said: Hello Dana, welcome."
    note = '[The user interrupted you. Of your last reply they heard only: "Hello Dana,"]'
    assert reply("Hi.", "Hello Dana, welcome.", f"{note} Say that again?") == "I said: Hello Dana,"


def test_calls_declared_functions_and_says_what_came_back():
    tools = [TIME_TOOL, TIMER_TOOL]
    assert reply("Thanks. What time is it?", tools=tools) == FunctionCall("get_current_time", {})
    call = reply("Set a timer for fifteen minutes, please.", tools=tools)
    assert call == FunctionCall("set_timer", {"seconds": 900})
    result = FunctionResult("set_timer", {"ok": True})
    assert reply("Set a timer for fifteen minutes.", call, result, tools=tools) == "Okay, 15 minutes, starting now."


def test_tells_a_long_story_about_what_was_asked():
    told = reply("Please tell me a long story about a lighthouse,")
    assert told == f"Here is one about a lighthouse. {STORY}"
    assert len(told.split()) > 150
    other = reply("Tell me a story about a submarine.")
    assert other.startswith("I do not know one about that, but here is one about")


def test_does_not_tell_a_story_twice():
    first = reply("Tell me a story.")
    second = reply("Tell me a story.", first, "Tell me another story!")
    assert stories.find(first)[0] != stories.find(second)[0]


@pytest.mark.parametrize(
    ("heard", "answer"),
    [
        (
            "Here is one about a lighthouse. On the last rock before the open sea stood an old",
            "It went like this: On the last rock before the open sea stood an old… That is as far as you let me get.",
        ),
        (
            STORY[: STORY.index("a seal with") + len("a seal with")],
            "It began like this: On the last rock before the open sea stood an old lighthouse, and in it lived a "
            "keeper called Ines, who had not spoken to anybody for so long that she talked to the lamp. "
            "You stopped me at: a seal with…",
        ),
    ],
)
def test_knows_of_the_story_only_what_was_heard(heard, answer):
    told = reply("Tell me a story about a lighthouse.")
    words = heard.split()[-30:]
    note = f'[The user interrupted you. Of your last reply they heard only: "... {" ".join(words)}"]'
    between = (f"{note} Wait. What is my name?", "You have not told me your name.")
    asked = "And what was the story about?"
    assert reply("Tell me a story about a lighthouse.", told, *between, asked) == answer
    assert "captain" not in reply("Tell me a story about a lighthouse.", told, *between, asked)


def test_a_story_that_was_not_heard_at_all():
    told = reply("Tell me a story.")
    note = "[The user interrupted you before hearing anything of your last reply.]"
    answer = reply("Tell me a story.", told, f"{note} What was the story about?")
    assert answer == "You stopped me before I had begun, so you have not heard any of it."


def test_goes_on_where_it_was_interrupted():
    told = reply("Tell me a story about a lighthouse.")
    note = '[The user interrupted you. Of your last reply they heard only: "... a keeper called Ines, who had"]'
    rest = reply("Tell me a story about a lighthouse.", told, f"{note} Stop.", "Okay, I am listening.", "Go on.")
    assert rest.startswith("Where was I? Yes. Who had not spoken to anybody")
    assert rest.endswith("a little jealous.")
    assert reply("Tell me a story about a lighthouse.", told, "Continue.") == "That was the end of the story."


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("안녕하세요", "안녕하세요! 무엇을 도와 드릴까요?"),
        ("안녕하세요, 제 이름은 민수입니다. 서울에 살아요.", "반가워요, 민수님! 서울에 사시는군요."),
        ("지금 몇 시예요?", "지금은 오후 3시 42분입니다."),
        ("오늘 며칠이에요?", "오늘은 2026년 11월 23일입니다."),
        ("17 곱하기 23은 뭐예요?", "17 곱하기 23, 답은 391입니다."),
        ("고마워요", "천만에요."),
        ("안녕히 계세요", "네, 안녕히 가세요!"),
    ],
)
def test_answers_in_korean(said, answer):
    assert reply(said) == answer


def test_always_answers_korean_itself():
    assert "제미나이" in reply("양자역학을 설명해 줘")
    assert reply("제 이름은 민수예요", "반가워요.", "내 이름이 뭐예요?") == "이름은 민수입니다."
    story = reply("옛날이야기 하나 들려줘")
    assert len(story) > 300
    assert reply("지금 몇 시예요?", tools=[TIME_TOOL]) == FunctionCall("get_current_time", {})
