"""A talk over the server is recorded as one at the desk is, and run again without any server."""

import asyncio
from pathlib import Path

from halfcascade.bot.replay.talk import assert_replay_no_worse
from halfcascade.bot.report.compare import Limits
from halfcascade.bot.report.saved import load_talk
from halfcascade.bot.serve.house import House
from halfcascade.bot.serve.settings import ServeSettings
from halfcascade.bot.session.names import SERVICES, SERVICES_AUDIO
from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.bot.settings import Settings
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.support import Program, serving
from tests.bot.support import recordings_for

SCENARIO = {
    "recordings": recordings_for("weather"),
    "replies": [{"match": "weather", "text": "It will be sunny all day."}],
}


def hold(kept: Path, **settings: bool) -> Path:
    """One turn over a WebSocket; gives the session folder."""

    async def talk() -> None:
        chosen = Settings(_env_file=None, **settings)
        async with (
            GoogleEmulator(scenario=SCENARIO) as google,
            serving(google.env, chosen, keep_sessions=kept) as served,
            Program().calling(served.ws + "/ws-client") as client,
        ):
            client.say("weather")
            await client.hears(60.0)
            await client.hears_silence(2.0)

    asyncio.run(talk())
    (folder,) = kept.iterdir()
    return folder


def words(folder: Path) -> list[str]:
    entries = [said.entry for said in load_talk(folder).said]
    return [
        entry.text if isinstance(entry, UserSaid) else entry.heard_text
        for entry in entries
        if isinstance(entry, UserSaid | BotSaid)
    ]


def test_a_served_talk_is_run_again_with_the_services_of_then(tmp_path):
    folder = hold(tmp_path / "kept")
    assert words(folder)[1:] == ["It will be sunny all day."]
    # A door's own way and a loaded machine's are part of the times of then.
    again = assert_replay_no_worse(folder, tmp_path / "again", Limits(latency_ms=60_000))
    assert words(again.folder) == words(folder)
    assert again.guesses == ()


def test_one_switch_keeps_services_out_of_the_folder(tmp_path):
    folder = hold(tmp_path / "kept", record_services=False)
    assert not {SERVICES, SERVICES_AUDIO} & {path.name for path in folder.iterdir()}


async def test_a_budget_can_end_a_talk_that_is_not_kept():
    settings = Settings(_env_file=None)
    hub = await House(settings, ServeSettings(_env_file=None)).open_hub("somebody", settings)
    assert hub.metrics.tariff.prices and not hub.metrics.tariff.without_price
