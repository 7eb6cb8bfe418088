from datetime import UTC, datetime

import pytest

from halfcascade.emulator.minds.base import FunctionCall, FunctionResult
from halfcascade.emulator.minds.local import tools
from tests.emulator.local.helpers import TIME_TOOL, TIMER_TOOL

LIGHT_TOOL = {
    "name": "switchLight",
    "description": "Switches a lamp in the house.",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {"room": {"type": "string", "enum": ["kitchen", "living room"]}, "on": {"type": "boolean"}},
        "required": ["room", "on"],
    },
}
WEATHER_TOOL = {
    "name": "get_weather",
    "description": "Current weather for a place.",
    "parameters": {"type": "OBJECT", "properties": {"location": {"type": "STRING"}}, "required": ["location"]},
}
REMINDER_TOOL = {
    "name": "add_reminder",
    "description": "Adds a reminder.",
    "parameters": {
        "type": "object",
        "properties": {"text": {"type": "string"}, "minutes": {"type": "number"}},
        "required": ["text"],
    },
}
# As the bot declares them.
BOT_TOOLS = [
    {
        "name": "get_current_time",
        "description": "Get the current date and time.",
        "parametersJsonSchema": {
            "type": "object",
            "properties": {
                "timezone": {"type": "string", "description": 'IANA name of a time zone such as "Asia/Seoul".'}
            },
        },
    },
    {
        "name": "set_timer",
        "description": "Set a timer. When it goes off, you will be told and can tell the user.",
        "parametersJsonSchema": {
            "type": "object",
            "properties": {
                "seconds": {"type": "number", "description": "How long from now, in seconds."},
                "label": {"type": "string", "description": "What the timer is for, if the user said so."},
            },
            "required": ["seconds"],
        },
    },
    {
        "name": "cancel_timer",
        "description": "Cancel a timer.",
        "parametersJsonSchema": {
            "type": "object",
            "properties": {"label": {"type": "string", "description": "Name or number of the timer."}},
        },
    },
    {"name": "list_timers", "description": "List the timers that are running."},
]
ALL = [TIME_TOOL, TIMER_TOOL, LIGHT_TOOL, WEATHER_TOOL, REMINDER_TOOL]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("What time is it?", FunctionCall("get_current_time", {})),
        ("지금 몇 시예요?", FunctionCall("get_current_time", {})),
        ("Set a timer for ten seconds.", FunctionCall("set_timer", {"seconds": 10})),
        ("Set a timer for 15 minutes, please.", FunctionCall("set_timer", {"seconds": 900})),
        ("Start an hour and five minutes countdown", FunctionCall("set_timer", {"seconds": 3900})),
        ("타이머 10초 맞춰 줘", FunctionCall("set_timer", {"seconds": 10})),
        ("Turn the lights off in the living room!", FunctionCall("switchLight", {"room": "living room", "on": False})),
        ("Please switch on the lamp in the kitchen", FunctionCall("switchLight", {"room": "kitchen", "on": True})),
        ("What is the weather in New York?", FunctionCall("get_weather", {"location": "New York"})),
        (
            "Remind me to call my mother in 20 minutes",
            FunctionCall("add_reminder", {"text": "call my mother", "minutes": 20}),
        ),
    ],
)
def test_finds_the_function_that_is_asked_for(text, call):
    assert tools.find_call(text, ALL) == call


@pytest.mark.parametrize(
    "text",
    [
        "Hello there!",
        "What is my name?",
        "Set a timer.",  # how long? A required argument cannot be made up
        "What is the weather like?",
        "Tell me about the capital of France.",
    ],
)
def test_calls_nothing_it_cannot_fill(text):
    assert tools.find_call(text, ALL) is None


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("Thanks, and what time is it right now?", FunctionCall("get_current_time", {})),
        ("What time is it in Tokyo?", FunctionCall("get_current_time", {"timezone": "Asia/Tokyo"})),
        ("What time is it in Atlantis?", FunctionCall("get_current_time", {})),
        ("Set a timer for ten seconds.", FunctionCall("set_timer", {"seconds": 10})),
        (
            "Set a timer for ten minutes for the pasta",
            FunctionCall("set_timer", {"seconds": 600, "label": "the pasta"}),
        ),
        ("Cancel the timer.", FunctionCall("cancel_timer", {})),
        ("Stop the timer for the pasta!", FunctionCall("cancel_timer", {"label": "the pasta"})),
        ("Which timers are running?", FunctionCall("list_timers", {})),
        ("What timers do I have?", FunctionCall("list_timers", {})),
        ("Wait, stop.", None),
    ],
)
def test_the_functions_of_the_bot(text, call):
    assert tools.find_call(text, BOT_TOOLS) == call


def test_no_function_is_declared():
    assert tools.find_call("What time is it?", []) is None


@pytest.mark.parametrize(
    ("name", "response", "asked", "said"),
    [
        ("get_current_time", {"time": "2026-11-23T15:42:10+00:00"}, "What time is it?", "It is 3:42 in the afternoon."),
        ("get_current_time", {"iso": "2026-11-23T09:00:00"}, "What's the time?", "It is 9 o'clock in the morning."),
        ("get_current_time", {"time": "2026-11-23T15:42"}, "What day is it?", "Today is Monday, November 23, 2026."),
        (
            "get_current_time",
            {"date": "2026-11-23", "weekday": "Monday", "time": "04:38:49", "timezone": "local"},
            "What time is it?",
            "It is 4:38 in the morning.",
        ),
        ("cancel_timer", {"cancelled": ["timer 1"]}, "Cancel the timer.", "Okay, cancelled timer 1."),
        (
            "list_timers",
            {"timers": [{"number": 1, "label": "", "seconds_left": 7}]},
            "Which timers are running?",
            "Here is what I found: timers number 1, seconds left 7.",
        ),
        ("list_timers", {"timers": []}, "Which timers run?", "Here is what I found: timers none."),
        ("get_current_time", {"result": "3:42 PM"}, "What time is it?", "It is 3:42 PM."),
        ("set_timer", {"status": "ok"}, "Set a timer for ten seconds", "Okay, 10 seconds, starting now."),
        ("set_timer", {"error": "no timers left"}, "Set a timer", "Sorry, that did not work: no timers left."),
        ("get_weather", {"sky": "clear", "degrees": 21}, "weather?", "Here is what I found: sky clear, degrees 21."),
        ("get_weather", {"result": "It is raining"}, "weather?", "It is raining."),
        ("switchLight", {}, "light on", "Okay, done."),
    ],
)
def test_says_what_came_back(name, response, asked, said):
    assert tools.phrase_results([FunctionResult(name, response)], asked) == said


def test_a_time_beside_its_date_is_said_as_a_time():
    result = FunctionResult("get_current_time", {"date": "2026-11-23", "weekday": "Monday", "time": "16:41:05"})
    assert tools.phrase_results([result], "What time is it right now?") == "It is 4:41 in the afternoon."
    assert tools.phrase_results([result], "What day is it today?") == "Today is Monday, November 23, 2026."


def test_says_it_in_korean():
    result = FunctionResult("get_current_time", {"time": "2026-11-23T15:42:10"})
    assert tools.phrase_results([result], "지금 몇 시예요?", korean=True) == "지금은 오후 3시 42분입니다."
    done = tools.phrase_results([FunctionResult("set_timer", {"ok": True})], "타이머 10초", korean=True)
    assert done == "10초 타이머를 맞췄어요."


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("ten seconds", 10),
        ("for twenty five minutes", 1500),
        ("an hour", 3600),
        ("half an hour", 1800),
        ("1 hour 30 minutes", 5400),
        ("a 10-minute timer", 600),
        ("삼 분", 180),
        ("2시간", 7200),
        ("no time", None),
        ("three dogs", None),
    ],
)
def test_durations(text, seconds):
    assert tools.duration(text) == seconds


def test_midnight_and_noon():
    assert tools.say_moment(datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == "It is 12:05 in the morning."
    assert tools.say_moment(datetime(2026, 1, 1, 12, 0, tzinfo=UTC)) == "It is 12 o'clock in the afternoon."
