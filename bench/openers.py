"""Openers on a latency profile: what the user hears first, and how often, over many turns in virtual time.

python -m bench.openers [--profile observed] [--turns 500]

The rules themselves (``processors/openers/machine.py``) decide; the times of recognition, answer and voice are drawn
from the profile, an opener lasts as long as its words take. Each answer is one of the replies that nothing was chosen
on, written at the profile's pace and cut as the voice cuts it (``bench.cuts``). Counts as wrong an opener that begins
while the user is heard, or after the answer's first text, and any that is said twice in a row.
"""

import argparse
import json
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.cuts import Pace, cut_reply, half_of
from halfcascade.emulator.profiles import drawn, load_profile
from halfcascade.processors.chirp_tts.segmenter import FirstSegment
from halfcascade.processors.language import language, spoken_words
from halfcascade.processors.openers.machine import OpenerMachine, OpenerMode, OpenerParams
from tests.processors.chirp_tts.corpus import REPLIES

LOCALE = "en-US"
# From the end of speech to the half-close, and from a final to the message: what the pipeline itself takes.
NOTICE_SECS, SEND_SECS = 0.07, 0.01
OUTPUT_SECS = 0.04
STEP_SECS = 0.01
TURNS = ("What is the capital of Australia?", "Tell me about the weather.", "I think I would like that.")
# In one turn of ten the user goes on before anything was heard, some time after the turn seemed to be over.
GOES_ON = 0.1


@dataclass
class Turn:
    """What was heard in a turn.

    Parameters:
        first: Seconds from the end of speech to the first sound.
        answer: The same to the answer's.
        openers: When each began and ended.
        gap: Longest silence between an opener and what follows it.
        wrong: What went wrong.
    """

    first: float = 0.0
    answer: float = 0.0
    openers: list[tuple[float, float]] = field(default_factory=list)
    gap: float = 0.0
    wrong: list[str] = field(default_factory=list)


def length(text: str) -> float:
    """Seconds that a phrase takes."""
    return sum(word.units for word in spoken_words(text, LOCALE)) * language(LOCALE).secs_per_unit


def first_cuts(profile_name: str) -> list[float]:
    """Seconds from the first text to the first cut, of replies that nothing was chosen on."""
    told = [text for locale, text in REPLIES if locale == LOCALE and half_of(text) == "other"]
    return [cut_reply(LOCALE, text, FirstSegment(), Pace.of(profile_name)).at[0] for text in told]


def run(profile_name: str, mode: OpenerMode, turns: int) -> list[Turn]:
    """Hold many turns."""
    profile, rng = load_profile(profile_name), random.Random(1)
    machine = OpenerMachine(LOCALE, OpenerParams(mode=mode))
    machine.ready(frozenset(machine.openers))
    cuts = first_cuts(profile_name)
    found, clock, last = [], 0.0, ""
    for number in range(turns):
        text, turn, at = TURNS[number % len(TURNS)], Turn(), clock
        sent = at + NOTICE_SECS + drawn(profile.listener.flush) + 2 * drawn(profile.network.one_way) + SEND_SECS
        first_text = sent + drawn(profile.thinker.first_token) + 2 * drawn(profile.network.one_way)
        goes_on = sent + rng.uniform(0.0, 1.5) if rng.random() < GOES_ON else None
        voice = rng.choice(cuts) + drawn(profile.speaker.first_audio) + OUTPUT_SECS
        ready = first_text + voice + 2 * drawn(profile.network.one_way)
        machine.turn_open()
        machine.turn_over()
        machine.turn_sent(text, sent)
        now, busy, answered, went_on = sent, 0.0, False, False
        while now < ready:
            now += STEP_SECS
            if busy and now >= busy:
                machine.bot_sounds(False, busy)
                busy = 0.0
            if goes_on is not None and now >= goes_on and not turn.openers and not answered:
                machine.user_sounds(True)
                machine.turn_open()
                went_on = True
                if machine.tick(now + 5.0):
                    turn.wrong.append("over the user")
                break
            if not answered and now >= first_text:
                answered = True
                machine.answer_came(now)
            if opener := machine.tick(now):
                begin = now + OUTPUT_SECS
                busy = begin + length(opener)
                machine.bot_sounds(True, begin)
                turn.openers.append((begin - at, busy - at))
                if answered:
                    turn.wrong.append("after the answer")
                if opener == last:
                    turn.wrong.append("twice in a row")
                last = opener
        machine.user_sounds(False)
        machine.bot_sounds(False, now)
        clock = now + 20.0
        if went_on:
            continue
        turn.answer = max(ready - at, turn.openers[-1][1] if turn.openers else 0.0)
        turn.first = turn.openers[0][0] if turn.openers else turn.answer
        ends, begins = [end for _, end in turn.openers], [begin for begin, _ in turn.openers[1:]] + [turn.answer]
        turn.gap = max((begin - end for end, begin in zip(ends, begins, strict=False)), default=0.0)
        found.append(turn)
    return found


def summary(turns: list[Turn]) -> dict[str, Any]:
    """What the goals are about."""
    with_opener = [turn for turn in turns if turn.openers]

    def quantiles(values: list[float]) -> list[int]:
        return [round(1000 * float(np.quantile(values, q))) for q in (0.5, 0.95)]

    return {
        "turns": len(turns),
        "first sound": quantiles([turn.first for turn in turns]),
        "answer": quantiles([turn.answer for turn in turns]),
        "with an opener": round(len(with_opener) / len(turns), 3),
        "gaps over 0.8 s": round(sum(turn.gap > 0.8 for turn in with_opener) / max(1, len(with_opener)), 3),
        "wrong": sum(len(turn.wrong) for turn in turns),
    }


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="observed")
    parser.add_argument("--turns", type=int, default=500)
    options = parser.parse_args()
    result = {}
    for mode in OpenerMode:
        result[mode.value] = found = summary(run(options.profile, mode, options.turns))
        print(f"{mode.value:7} {found}", flush=True)
    print(json.dumps({"bench": "openers", "profile": options.profile, **result}))


if __name__ == "__main__":
    main()
