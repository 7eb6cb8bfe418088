"""A talk that goes on with an earlier one."""

from typing import Any

import pytest

from halfcascade.bot.cli import _with_values
from halfcascade.bot.earlier import LONGEST_CONTEXT, EarlierTalk
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.errors import ConfigurationError
from tests.bot.report.folders import EVENTS, long_talk, make_folder
from tests.bot.support import recordings_for, run_bot, user_audio


def test_only_what_was_heard_is_taken_over(tmp_path):
    make_folder(tmp_path / "old", EVENTS)
    earlier = EarlierTalk("last", tmp_path)
    assert earlier.folder == tmp_path / "old"
    assert earlier.messages == [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": "It is ten"},
        {"role": "user", "content": "Thanks."},
    ]
    assert earlier.warning("en-US") == ""
    assert "--language en-US" in earlier.warning("ko-KR")


def test_a_long_talk_is_taken_over_from_its_end(tmp_path):
    earlier = EarlierTalk(str(long_talk(tmp_path / "s", 24_000.0)), tmp_path)
    messages: list[Any] = list(earlier.messages)
    assert 10_000 < sum(len(message["content"]) for message in messages) <= LONGEST_CONTEXT


@pytest.mark.parametrize("wanted", ["last", "missing", "empty"])
def test_nothing_to_continue_is_one_line(tmp_path, wanted):
    make_folder(tmp_path / "empty", EVENTS[:2])
    where = wanted if wanted == "last" else str(tmp_path / wanted)
    with pytest.raises(ConfigurationError) as raised:
        EarlierTalk(where, tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["talk", "--continue"], ["talk", "--continue", "last"]),
        (["talk", "--continue", "--plain"], ["talk", "--continue", "last", "--plain"]),
        (["talk", "--continue", "s"], ["talk", "--continue", "s"]),
        (["talk"], ["talk"]),
    ],
)
def test_continue_may_stand_alone(given, meant):
    assert _with_values(given) == meant


@pytest.mark.slow
async def test_the_model_knows_the_earlier_talk_and_the_notes(tmp_path):
    user_audio(tmp_path / "user.wav", (0.5, "weather"), tail=3.0)
    make_folder(tmp_path / "old", EVENTS)
    (tmp_path / "notes.md").write_text("- The user likes tea.\n")
    scenario = {
        "recordings": recordings_for("weather"),
        "replies": [
            {"match": "weather", "calls": [{"name": "remember", "args": {"fact": "The user asked about weather."}}]},
            {"result_of": "remember", "text": "I noted it."},
        ],
    }
    arguments = ("--backend", "google", "--user-audio", "user.wav", "--continue", "old", "--notes", "notes.md")
    async with GoogleEmulator(scenario=scenario) as google:
        run = await run_bot(tmp_path, *arguments, **google.env)
        sent = str([entry.data for entry in google.log.find("live")])
    assert run.code == 0, run.output
    assert "What time is it?" in sent and "It is ten" in sent and "all is well" not in sent
    assert "The user likes tea." in sent
    assert "- The user asked about weather.\n" in (tmp_path / "notes.md").read_text()
    assert run.of_type("continued")[0]["messages"] == 3
    assert "I noted it." in run.transcript
