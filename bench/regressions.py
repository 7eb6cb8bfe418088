"""Whether ``diff`` finds what was made worse: a saved talk replayed with slower and deafer versions of today's code.

python -m bench.regressions [--only NAME] [--make FOLDER]

The talk (``tests/data/talks/errands``) was made by ``--make``, in virtual time: sentences of the turn corpus, with
a hesitation and an interruption, services in memory, recorded as any talk is. Each version is today's code with one
fault planted in it. ``none`` is today's code as it is: no finding may come of it. Does not depend on the load.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.turns.types import ProcessFrameResult

from bench.soak.faults import Faults
from bench.soak.services import SoakServices
from bench.soak.user import TalkingUser, say
from bench.turn_corpus.corpus import RATE, Turn, read
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.replay import virtual_time
from halfcascade.bot.replay.recorded import RecordedServices
from halfcascade.bot.replay.talk import replay_talk
from halfcascade.bot.replay.tape import TapeWriter
from halfcascade.bot.report.compare import compare_talks
from halfcascade.bot.session.folder import Session
from halfcascade.bot.session.names import EVENTS, SERVICES, SERVICES_AUDIO
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.settings import Settings
from halfcascade.bot.talk import Talk
from halfcascade.processors.chirp_tts.service import ChirpTTSService
from halfcascade.processors.chirp_tts.synthesizer import ChirpSynthesizer
from halfcascade.processors.gate import MicrophoneGate
from halfcascade.processors.gemini_live.protocol.actions import SendContent, SendText
from halfcascade.processors.gemini_live.runner import SessionRunner
from halfcascade.processors.google_stt import service as stt
from halfcascade.processors.google_stt.protocol.streams import SpeechStreams
from halfcascade.processors.google_stt.service import GoogleStreamingSTTService
from halfcascade.processors.turns import load_networks
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.end_of_turn import EndOfTurnJudge
from halfcascade.processors.turns.speech_detector import SpeechDetector
from halfcascade.transports.wav import WavOutputTransport, WavTransport

TALK = Path(__file__).parents[1] / "tests" / "data" / "talks" / "errands"

# Seconds at which each sentence begins, and the answer to it.
SCENE = (
    (0.6, "How tall is that mountain?", "About four thousand meters. You can see it from the north side of the lake."),
    (9.6, "If it rains tomorrow we should stay at home.", "Good idea. There may be some rain in the afternoon, "
     "and it will be rather cold in the evening, so take a coat with you when you go."),
    (17.2, "That's not what I asked.", "Sorry about that."),
    (22.4, "Call my mother.", "Calling her now."),
)  # fmt: skip
_SCENE_SECS = 27.0
_PAUSE_SECS = 0.5

Plant = Callable[[], AbstractContextManager[Any]]


def make(folder: Path) -> None:
    """Hold the talk and keep its session folder, without recording.

    Args:
        folder: Where to.
    """
    turns = {turn.text: turn for turn in read("report")}
    with tempfile.TemporaryDirectory() as place:
        load_networks("en-US")
        made, again = Path(place) / "made", Path(place) / "again"
        virtual_time.run(_hold(turns, made))
        # The folder that is kept is that of a replay, so that it holds the same as any other.
        replay_talk(made, again)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in (SERVICES, SERVICES_AUDIO):
            shutil.copy(again / name, folder / name)
        first, *events = (again / EVENTS).read_text("utf-8").splitlines()
        # Where it was made is nobody's business.
        begun = {**json.loads(first), "replays": ""}
        begun["settings"].pop("session", None)
        (folder / EVENTS).write_text("\n".join([json.dumps(begun, ensure_ascii=False), *events, ""]), "utf-8")


async def _hold(turns: dict[str, Turn], folder: Path) -> None:
    said = [say(turns[text], round(at * RATE), _PAUSE_SECS) for at, text, _ in SCENE]
    user, replies = TalkingUser(said, _SCENE_SECS), iter([reply for _, _, reply in SCENE])
    settings, outcome = Settings(_env_file=None), Outcome()
    session = Session(folder, Redactor())
    tape = TapeWriter(folder, session.redactor)
    services = RecordedServices(SoakServices(user, Faults(()), lambda: next(replies)), tape, session.clock.seconds)
    session.start({"language": settings.language, "model": settings.model, "voice": settings.voice_name})
    talk = Talk(settings, WavTransport(user_audio=user, tap=session), session, outcome, services=services)

    async def end_in_time() -> None:
        await asyncio.sleep(_SCENE_SECS)
        outcome.end("finished")

    talk.started = end_in_time
    await talk.run()
    await services.close()
    await session.close(outcome.reason)


def _turns_end_late() -> AbstractContextManager[Any]:
    usual: Any = EndOfTurnJudge.wait_secs
    return patch.object(EndOfTurnJudge, "wait_secs", property(lambda judge: usual.fget(judge) + 0.4))


def _pauses_noticed_late() -> AbstractContextManager[Any]:
    usual = SpeechDetector.__init__
    return patch.object(SpeechDetector, "__init__", lambda self: usual(self, pause_secs=0.5))


@contextmanager
def _beginnings_lost() -> Iterator[None]:
    usual = SpeechStreams.speech_started
    with (
        patch.object(stt, "StreamParams", partial(stt.StreamParams, preroll_secs=0.0, bridge_secs=0.0)),
        patch.object(SpeechStreams, "speech_onset", lambda streams, secs, now: None),
        patch.object(SpeechStreams, "speech_started", lambda streams, secs, now: usual(streams, 0.0, now)),
    ):
        yield


def _microphone_quiet() -> AbstractContextManager[Any]:
    usual = MicrophoneGate.process_frame

    async def quiet(gate: MicrophoneGate, frame: Any, direction: Any) -> None:
        if isinstance(frame, InputAudioRawFrame):
            frame.audio = (np.frombuffer(frame.audio, "<i2") // 300).astype("<i2").tobytes()
        await usual(gate, frame, direction)

    return patch.object(MicrophoneGate, "process_frame", quiet)


def _finals_lost() -> AbstractContextManager[Any]:
    usual, count = GoogleStreamingSTTService._push_final, iter(range(1000))

    async def push(ears: GoogleStreamingSTTService, *args: Any) -> None:
        if next(count) % 2 == 0:
            await usual(ears, *args)

    return patch.object(GoogleStreamingSTTService, "_push_final", push)


def _asked_late() -> AbstractContextManager[Any]:
    usual = SessionRunner._act

    async def act(runner: SessionRunner, action: Any) -> None:
        if isinstance(action, SendContent | SendText):
            await asyncio.sleep(0.3)
        await usual(runner, action)

    return patch.object(SessionRunner, "_act", act)


def _spoken_late() -> AbstractContextManager[Any]:
    usual = ChirpSynthesizer._speak

    async def speak(voice: ChirpSynthesizer, *args: Any) -> Any:
        await asyncio.sleep(0.3)
        async for pcm in usual(voice, *args):
            yield pcm

    return patch.object(ChirpSynthesizer, "_speak", speak)


def _played_late() -> AbstractContextManager[Any]:
    usual = WavOutputTransport.write_audio_frame

    async def write(speaker: WavOutputTransport, frame: Any) -> bool:
        card = speaker._device.card
        if card and card.loudspeaker.silent:
            await asyncio.sleep(0.3)
        return await usual(speaker, frame)

    return patch.object(WavOutputTransport, "write_audio_frame", write)


def _deaf_to_interruptions() -> AbstractContextManager[Any]:
    usual = BargeInUserTurnStartStrategy._start_turn

    async def start(strategy: BargeInUserTurnStartStrategy) -> ProcessFrameResult:
        return ProcessFrameResult.CONTINUE if strategy._bot_speaking else await usual(strategy)

    return patch.object(BargeInUserTurnStartStrategy, "_start_turn", start)


def _ends_unspoken() -> AbstractContextManager[Any]:
    usual = ChirpTTSService._finish_reply

    async def finish(voice: ChirpTTSService) -> None:
        voice._cutter.finish()
        await usual(voice)

    return patch.object(ChirpTTSService, "_finish_reply", finish)


PLANTS: dict[str, Plant] = {
    "turns end 0.4 s later": _turns_end_late,
    "pauses are noticed 0.4 s later": _pauses_noticed_late,
    "the ears send nothing from before speech was noticed": _beginnings_lost,
    "the microphone is 50 dB too quiet": _microphone_quiet,
    "every other final is lost": _finals_lost,
    "the brain is asked 0.3 s later": _asked_late,
    "the voice is asked 0.3 s later": _spoken_late,
    "the loudspeaker begins 0.3 s later": _played_late,
    "the bot cannot be interrupted": _deaf_to_interruptions,
    "the end of each reply is not spoken": _ends_unspoken,
}


def measure(talk: Path, plant: Plant) -> list[str]:
    """Replay the talk with a fault in today's code.

    Args:
        talk: Session folder of the talk.
        plant: Puts the fault in, as long as its block lasts.

    Returns:
        What ``diff`` finds to be worse.
    """
    with tempfile.TemporaryDirectory() as place, plant():
        replayed = replay_talk(talk, Path(place) / "again")
        return [f"turn {finding.where}: {finding.line}" for finding in compare_talks(talk, replayed.folder).worse]


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="part of a fault's name")
    parser.add_argument("--make", type=Path, metavar="FOLDER", help="make the talk anew")
    options = parser.parse_args()
    logger.remove()
    if options.make:
        make(options.make)
        return 0
    found: dict[str, list[str]] = {}
    for name, plant in {"none": nullcontext, **PLANTS}.items():
        if not options.only or options.only in name:
            found[name] = measure(TALK, plant)
            print(f"{name:55} {len(found[name]):2} {found[name][0] if found[name] else ''}", flush=True)
    missed = [name for name, worse in found.items() if bool(worse) == (name == "none")]
    print(json.dumps({"bench": "regressions", "planted": len(found) - ("none" in found), "missed": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
