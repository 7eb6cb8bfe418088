"""Listening sounds: in which pauses they are made, and how often when the turn is over, by the bound of probability.

python -m bench.listening [--half report|tune] [--pause 1.4] [--turns N]

The turns of ``bench.turns`` are said to the whole chain of detector, turn strategies and aggregator in virtual time,
with real networks, behind which a ``ListeningProcessor`` for each bound listens. Rules that only limit how often are
out of force, so that each pause counts. Right is a sound in the pause of a hesitating turn; wrong one behind the end of
a turn, or over the user.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loguru import logger
from pipecat.processors.frame_processor import FrameProcessor

from bench.turn_corpus.corpus import HALVES, read
from bench.turn_corpus.talk import Heard, talk
from bench.turns import SYSTEMS
from halfcascade.bot.replay import virtual_time
from halfcascade.processors.listening import ListeningMachine, ListeningParams
from halfcascade.processors.listening.processor import ListeningProcessor

BOUNDS = (0.4, 0.5, 0.6, 0.7, 0.8)
_RATE = 24_000
_SOUND = bytes(2 * int(0.4 * _RATE))


async def sound(text: str) -> bytes:
    """Stands for the voice."""
    return _SOUND


def listeners() -> Sequence[FrameProcessor]:
    """A listener for each bound, which is what it says."""
    found = []
    for bound in BOUNDS:
        machine = ListeningMachine("en-US", ListeningParams(goes_on=bound, speech=0.3, every=0.0, disturbs=1_000_000))
        machine.sounds = (str(bound),)
        found.append(ListeningProcessor(machine, sound, sample_rate=_RATE))
    return found


def row(heard: Sequence[Heard], bound: float) -> dict[str, Any]:
    """What became of the turns with one bound."""
    complete = [one for one in heard if not one.turn.hesitates]
    hesitating = [one for one in heard if one.turn.hesitates]

    def having(those: Sequence[Heard], where: str) -> int:
        return sum((str(bound), where) in one.listened for one in those)

    return {
        "in the pause": f"{having(hesitating, 'pause')} of {len(hesitating)}",
        "over the user": having(heard, "over"),
        "behind the end, complete": f"{having(complete, 'end')} of {len(complete)}",
        "behind the end, hesitating": f"{having(hesitating, 'end')} of {len(hesitating)}",
    }


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=HALVES, default="report")
    parser.add_argument("--pause", type=float, default=1.4)
    parser.add_argument("--turns", type=int, default=1000, help="of each language, at most")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    chain = replace(SYSTEMS["not early"], behind=listeners)
    turns = sorted(read(options.half), key=lambda turn: turn.text)
    result: dict[str, Any] = {"bench": "listening", "half": options.half, "pause": options.pause}
    for language in sorted({turn.language for turn in turns}):
        said = [(turn, options.pause) for turn in turns if turn.language == language][: options.turns]
        heard, _ = virtual_time.run(talk(chain, said, language))
        result[language] = {str(bound): row(heard, bound) for bound in BOUNDS}
        for bound, found in result[language].items():
            print(f"{language}, from {bound} on: " + ", ".join(f"{name} {value}" for name, value in found.items()))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
