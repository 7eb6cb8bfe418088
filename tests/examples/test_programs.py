"""The small programs of examples/, run as their first lines say."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pipecat.frames.frames import InterruptionFrame, UserBackchannelFrame

from examples import backchannels, dice_server, own_pipeline, thermometer
from halfcascade.processors.gemini_live import mcp_tools
from tests.bot.support import ROOT, recordings_for, user_audio
from tests.processors.turns.test_barge_in import ONSET, PAUSED, STOPPED, WAIT, WORDS_ONLY, final, hear, quiet, sound

EXAMPLES = ROOT / "examples"


async def test_thermometer(google_emulator_factory, capsys):
    replies = [
        {"match": "kitchen", "calls": [{"name": "room_temperature", "args": {"room": "kitchen"}}]},
        {"result_of": "room_temperature", "text": "The thermometer says {results}."},
    ]
    await google_emulator_factory(scenario={"replies": replies})
    answer = await thermometer.main("How warm is it in the kitchen?")
    assert "22.5" in answer
    assert capsys.readouterr().out.strip() == answer.strip()


async def test_dice_server():
    (dice,) = await mcp_tools(shlex.join([sys.executable, "-m", "examples.dice_server"]))
    results = []

    async def report(result, **_):
        results.append(result)

    assert dice.name == "roll_dice" and set(dice.properties) == {"sides", "count"}
    call = SimpleNamespace(
        function_name=dice.name, arguments={"sides": 2, "count": 3}, result_callback=report, tool_call_id="1", llm=None
    )
    handler: Any = dice.handler
    await handler(call)
    await handler._pipecat_cleanup()
    shown = [int(char) for char in str(results[0]) if char.isdigit()]
    assert len(shown) >= 3 and set(shown) <= {1, 2}
    with pytest.raises(ValueError, match="100 sides"):
        dice_server.roll_dice(sides=1000)


async def test_own_pipeline(google_emulator_factory, tmp_path, capsys):
    user_audio(tmp_path / "user.wav", (0.3, "weather"))
    replies = [{"match": "weather", "text": "It will be sunny all day."}]
    await google_emulator_factory(scenario={"recordings": recordings_for("weather"), "replies": replies})
    context = await own_pipeline.main(str(tmp_path / "user.wav"))
    assert [message["role"] for message in context.messages] == ["user", "assistant"]
    assert "assistant: It will be sunny all day." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("strategies", "heard_as"),
    [(lambda params: None, InterruptionFrame), (backchannels.radio_strategies, UserBackchannelFrame)],
    ids=["without", "with"],
)
async def test_backchannels(strategies, heard_as):
    said = [*sound(0.1), ONSET, *sound(0.3), PAUSED, *quiet(0.2), STOPPED, WAIT, final("Copy that."), WAIT]
    frames, _ = await hear(said, strategies=strategies(WORDS_ONLY))
    assert {type(frame) for frame in frames} & {InterruptionFrame, UserBackchannelFrame} == {heard_as}
    assert backchannels.radio_words().is_backchannel("mm-hm")


def test_the_pipeline_of_ones_own_fits_into_forty_lines():
    lines = Path(own_pipeline.__file__).read_text().splitlines()
    body = lines[next(n for n, line in enumerate(lines) if line.startswith("async def main")) :]
    assert len(body) <= 40


@pytest.mark.slow
def test_the_emulator_under_pytest_in_a_project_without_settings(tmp_path):
    shutil.copy(EXAMPLES / "test_my_bot.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "2 passed" in run.stdout


def test_every_program_is_tested_and_listed():
    listed = (EXAMPLES / "README.md").read_text()
    programs = {path.name for path in EXAMPLES.glob("*.py")} - {"__init__.py"}
    assert all(f"`{name}`" in listed for name in programs)
