"""How early, how even and how well accounted for the voice is.

python -m bench.voice [--replies N] [--cuts N] [--profiles NAME,NAME] [--only latency|heard|real]

On the emulator's scripted voice, over the wires, with a loudspeaker in real time:

- ``latency``: first text handed to the voice -> first audio heard, and gaps between the segments of a reply, with a
  call for each segment and with one for several, beside Pipecat's stock GoogleTTSService on the same replies in one
  run, on each profile, at whose pace the replies are written. Replies of which something was asked for again are
  counted apart: what they show is not slowness.
- ``heard``: error of the heard text after interruptions at random moments, against the true word times, on the first
  profile.

On real speech, without waiting: ``real``: the same error on recordings with known word times (``bench.voice_truth``).
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from loguru import logger
from pipecat.frames.frames import BotStartedSpeakingFrame, BotStoppedSpeakingFrame
from pipecat.services.google.tts import GoogleTTSService

from bench.cuts import Pace
from bench.voice_heard import cut_deviations, load_recordings
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.chirp_tts.protocol.events import SpeechParams
from halfcascade.processors.chirp_tts.service import ChirpTTSService
from halfcascade.processors.frames import TurnSentFrame
from halfcascade.processors.google_clients import texttospeech_client
from tests.processors.chirp_tts.stage import Stage, on_stage, until
from tests.processors.chirp_tts.truth import true_onsets

REPLIES = {
    "en-US": [
        "The store opens at nine, and it closes at six. You can park behind the building, which is free of charge.",
        "Sure, I can do that. The next train leaves at ten past eight, so you have about fifteen minutes.",
        "It depends on the weather. If it rains, take the bus, because the path along the river gets muddy.",
        "Well, there are two ways to get there. One is shorter, but the other has a nicer view of the lake.",
        "Your meeting was moved to Friday morning. I have told everybody, and the large room is still free.",
    ],
    "ko-KR": [
        "오늘 서울 날씨는 맑고, 기온은 십오 도 정도입니다. 저녁에는 조금 쌀쌀하니 겉옷을 챙기세요.",
        "네, 알겠습니다. 다음 기차는 여덟 시 십 분에 출발하니까 십오 분 정도 남았어요.",
        "가까운 역 근처에 식당을 세 군데 찾았어요. 그중 한 곳은 지금 문을 열었고, 평가도 좋습니다.",
        "회의가 금요일 아침으로 옮겨졌어요. 모두에게 알렸고, 큰 회의실도 아직 비어 있습니다.",
    ],
}
VOICES = {"en-US": "en-US-Chirp3-HD-Charon", "ko-KR": "ko-KR-Chirp3-HD-Kore"}
# Facts of the reference profile: the brain writes at this pace, in deltas of about twelve characters.
CHARS_PER_SECOND = 120
# From the turn sent to the brain to its first text.
BRAIN_SECS = 0.39
# A pause at the end of a sentence may last this long; more is a gap.
NATURAL_PAUSE_SECS = 0.6
# Two voices talk at a time, each on a stage of its own, because cuts take real time. More would measure how late
# an overloaded event loop is.
STAGES = 2
CUT_BEFORE_SECS = 4.0


class StockTTS(GoogleTTSService):
    """Pipecat's own voice; only its client comes from elsewhere."""

    def _create_client(self, credentials, credentials_path):
        return texttospeech_client()


@dataclass
class Latency:
    """What was measured of one service.

    Parameters:
        from_text: First text to first audio, in seconds, one a reply.
        from_segment: First segment handed to synthesis to first audio.
        silences: Longest silence within each reply.
        retried: Replies of which something was asked for again; they are in none of the lists.
    """

    from_text: list[float] = field(default_factory=list)
    from_segment: list[float] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    retried: int = 0


def longest_silence(stage: Stage, begun: int) -> float:
    """Longest time without sound between first and last sound, waiting for audio included."""
    card = stage.loudspeaker
    first = card.blocks[begun][1]
    samples = np.frombuffer(bytes(card.played[2 * first :]), dtype=np.int16)
    loud = np.flatnonzero(np.abs(samples[: len(samples) // 240 * 240]).reshape(-1, 240).max(axis=1) > 200)
    times = []
    blocks = [(at, offset - first) for at, offset in card.blocks[begun:]]
    index = 0
    for frame in loud:
        sample = int(frame) * 240
        while index + 1 < len(blocks) and blocks[index + 1][1] <= sample:
            index += 1
        times.append(blocks[index][0] + (sample - blocks[index][1]) / 24_000)
    return max((b - a for a, b in pairwise(times)), default=0.0)


@dataclass
class Speaker:
    """A service on its stage.

    Parameters:
        stage: The stage.
        segments: When each segment was handed to synthesis.
        latency: What was measured of it.
    """

    stage: Stage
    segments: list[float] = field(default_factory=list)
    latency: Latency = field(default_factory=Latency)
    spoken: int = 0

    @property
    def retries(self) -> int:
        """How often something was asked for again; stock Pipecat never does."""
        entries = self.stage.tts.ledger.entries if isinstance(self.stage.tts, ChirpTTSService) else []
        return sum(entry.kind == "sent" and entry.reason == "retry" for entry in entries)


async def one_reply(speaker: Speaker, text: str, chars_per_second: float) -> None:
    """Speak a reply and note its times."""
    stage, latency, retries = speaker.stage, speaker.latency, speaker.retries
    speaker.spoken += 1
    await stage.send(TurnSentFrame(text="?"))
    await asyncio.sleep(BRAIN_SECS)
    begun, asked = len(stage.loudspeaker.blocks), len(speaker.segments)
    started = time.monotonic()
    await stage.reply(text, chars_per_second=chars_per_second)
    await stage.watcher.wait_for(BotStoppedSpeakingFrame, "Loudspeaker", speaker.spoken)
    first = stage.loudspeaker.blocks[begun][0]
    if speaker.retries > retries:
        latency.retried += 1
    else:
        latency.from_text.append(first - started)
        latency.from_segment.append(first - speaker.segments[asked])
        latency.silences.append(longest_silence(stage, begun))
    # Past the tail of the card, so that a reply begins in silence.
    await asyncio.sleep(0.3)


async def measure_latency(replies: int, profile: str) -> dict[str, Latency]:
    """Let all services speak the same replies in turns."""
    pace = Pace.of(profile).chars_per_second
    async with GoogleEmulator(profile=profile) as google, AsyncExitStack() as stages:
        os.environ.update(google.env)
        services = {
            "ours": ChirpTTSService(),
            "ours, one stream": ChirpTTSService(speech=SpeechParams(one_stream=True)),
            "stock": StockTTS(),
        }
        speakers = {}
        for name, service in services.items():
            speakers[name] = speaker = Speaker(await stages.enter_async_context(on_stage(service)))
            # A lambda, so that each service has its own list; Pipecat calls plain functions as they are.
            service.add_event_handler("on_tts_request", lambda *_, own=speaker.segments: own.append(time.monotonic()))
            # One reply each to warm up; it is not counted.
            await one_reply(speaker, "Hello there, nice to meet you.", pace)
            speaker.latency = Latency()
        for number in range(replies):
            for speaker in speakers.values():
                await one_reply(speaker, REPLIES["en-US"][number % len(REPLIES["en-US"])], pace)
        return {name: speaker.latency for name, speaker in speakers.items()}


async def measure_heard(language: str, cuts: int, profile: str) -> list[int]:
    """Interrupt replies at random moments; words too many or too few in the conversation."""
    deviations: list[int] = []
    async with GoogleEmulator(profile=profile) as google:
        os.environ.update(google.env)
        shares = [cuts // STAGES + (number < cuts % STAGES) for number in range(STAGES)]
        stages = (_cut_replies(google, language, share, number, deviations) for number, share in enumerate(shares))
        await asyncio.gather(*stages)
    return deviations


async def _cut_replies(google: GoogleEmulator, language: str, cuts: int, seed: int, deviations: list[int]) -> None:
    chance = random.Random(seed)
    speaker = google.mind.speaker if google.mind else None
    assert isinstance(speaker, ScriptedSpeaker)
    settings = ChirpTTSService.Settings(voice=VOICES[language], language=language)
    tts = ChirpTTSService(settings=settings)
    sent: list[str] = []
    tts.ledger.listen(lambda entry: sent.append(entry.text) if entry.kind == "sent" else None)
    async with on_stage(tts, chunks_10ms=4) as stage:
        for number in range(cuts):
            text = chance.choice(REPLIES[language])
            begun = len(stage.loudspeaker.blocks)
            sent.clear()
            await stage.reply(text, chars_per_second=CHARS_PER_SECOND)
            await stage.watcher.wait_for(BotStartedSpeakingFrame, "Loudspeaker", number + 1)
            await asyncio.sleep(chance.uniform(0.1, CUT_BEFORE_SECS))
            at = await stage.interrupt()
            await stage.watcher.wait_for(BotStoppedSpeakingFrame, "Loudspeaker", number + 1)
            await until(lambda: len(stage.said) > number)  # noqa: B023 - awaited at once
            played = stage.loudspeaker.heard_between(begun, at)
            heard = true_onsets(speaker, VOICES[language], sent, played)
            deviations.append(len(stage.said[number].split()) - len(heard))
            await asyncio.sleep(0.2)


def measure_real(cuts: int) -> dict[str, list[int]]:
    """The same on recordings of real speech."""
    found: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "bench.voice_truth", folder], check=False, stdout=subprocess.DEVNULL, timeout=300
        )
        by_source = defaultdict(list)
        for recording in load_recordings(Path(folder)):
            by_source[f"{recording.language} {recording.source}"].append(recording)
        for name, recordings in by_source.items():
            found[name] = cut_deviations(recordings, cuts)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, round(share * (len(ranked) - 1)))]


def heard_row(name: str, deviations: list[int]) -> dict[str, float]:
    """Print a row, return its numbers."""
    errors = [abs(deviation) for deviation in deviations]
    row = {
        "cuts": len(errors),
        "median": statistics.median(errors),
        "p95": percentile(errors, 0.95),
        "max": max(errors),
        "exact": round(sum(error == 0 for error in errors) / len(errors), 3),
    }
    print(f"{name:<26}{row['cuts']:>6}{row['median']:>8.0f}{row['p95']:>6}{row['max']:>6}{row['exact']:>9.0%}")
    return row


def latency_row(name: str, found: Latency) -> dict[str, float]:
    """Print a row, return its numbers."""
    row: dict[str, float] = {"replies": len(found.from_text), "retried": found.retried}
    if found.from_text:
        text, segment = ([1000 * value for value in values] for values in (found.from_text, found.from_segment))
        row |= {
            "text_p50": round(statistics.median(text)),
            "text_p90": round(percentile(text, 0.9)),
            "segment_p50": round(statistics.median(segment)),
            "segment_p90": round(percentile(segment, 0.9)),
            "longest_silence": round(1000 * max(found.silences)),
            "gaps": sum(silence > NATURAL_PAUSE_SECS for silence in found.silences),
        }
    cells = (row.get(key, "-") for key in ("text_p50", "text_p90", "segment_p50", "segment_p90", "longest_silence"))
    print("{:<26}{:>15}{:>6}{:>17}{:>6}{:>9}{:>9}".format(name, *cells, row["retried"]))
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=8)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--profiles", type=lambda text: text.split(","), default=["reference", "observed"])
    parser.add_argument("--only", choices=("latency", "heard", "real"))
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    result: dict[str, object] = {"bench": "voice"}
    for profile in options.profiles if options.only in (None, "latency") else ():
        columns = ("from text: p50", "p90", "from segment: p50", "p90", "silence", "retried")
        print("{:<26}{:>15}{:>6}{:>17}{:>6}{:>9}{:>9}".format(f"{profile}, first audio, ms", *columns))
        found = asyncio.run(measure_latency(options.replies, profile))
        result[profile] = {name: latency_row(name, latency) for name, latency in found.items()}
    rows: dict[str, dict[str, float]] = {}
    if options.only != "latency":
        print(f"{'heard text, words off':<26}{'cuts':>6}{'median':>8}{'p95':>6}{'max':>6}{'exact':>9}")
    if options.only in (None, "heard"):
        for language in VOICES:
            found_heard = asyncio.run(measure_heard(language, options.cuts, options.profiles[0]))
            rows[f"{language} scripted"] = heard_row(f"{language} scripted, wires", found_heard)
    if options.only in (None, "real"):
        for name, deviations in measure_real(options.cuts).items():
            rows[name] = heard_row(f"{name}, streamed", deviations)
    if rows:
        result["heard"] = rows
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
