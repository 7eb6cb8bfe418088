"""When turns end: how long complete turns wait, and how many hesitations the bot talks into; beside stock Pipecat.

python -m bench.turns [--corpus FOLDER] [--half report|tune] [--pauses 0.6,1.0,1.4,2.0] [--systems ours,pipecat,...]

Turns of ``bench/turn_corpus`` are said to whole chains of detector, turn strategies and aggregator, in virtual time:
the result depends on no machine's speed. Ears and answer are simulated with the latencies of the ``reference``
profile, so "heard" is what the bot needs at best. Systems: ``ours``; ``no model`` (ours without the language model);
``not early`` (ours without asking for answers early); ``pipecat`` (Pipecat's default strategies: Silero and Smart Turn
v3); ``pipecat, timeout`` (its silence timeout).

- complete turns: seconds from the end of speech to the answer's first sound, median / p90 / p99.
- hesitations, for each length of the pause: talked into (the bot is heard in the pause), and whole (the brain's last
  request holds all words as one message).

``--wires N`` says complete turns over the real wires instead, in real time, on a quiet machine: N of each language,
about 7 s each; ``--early`` with answers asked for early.

Sentences and voices are halved by hashes. Everything that was chosen by measurement was chosen on ``tune``.
"""

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator, LLMUserAggregatorParams
from pipecat.services.stt_latency import GOOGLE_TTFS_P99
from pipecat.turns.user_start import TranscriptionUserTurnStartStrategy, VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from bench.peers import stock_user_aggregator
from bench.turn_corpus import wires
from bench.turn_corpus.corpus import HALVES, HERE, Turn, read
from bench.turn_corpus.talk import Chain, Heard, talk
from halfcascade.bot.replay import virtual_time
from halfcascade.processors.google_stt.service import TTFS_P99_SECS
from halfcascade.processors.turns import Speculations, SpeechDetector, joining_aggregators, user_turn_strategies

PAUSES = (0.6, 1.0, 1.4, 2.0)


def ours(context: LLMContext, language: str, *, language_model: bool = True) -> LLMUserAggregator:
    """This project's turns, as the bot composes them."""
    strategies = user_turn_strategies(language, speculations=Speculations(), language_model=language_model)
    return joining_aggregators(context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies))[0]


def not_early(context: LLMContext, language: str) -> LLMUserAggregator:
    """This project's turns without asking for answers early."""
    strategies = user_turn_strategies(language)
    return joining_aggregators(context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies))[0]


def without_model(context: LLMContext, language: str) -> LLMUserAggregator:
    """This project's turns where no language model is installed."""
    return ours(context, language, language_model=False)


def stock(context: LLMContext, language: str) -> LLMUserAggregator:
    """Pipecat's turns with its defaults."""
    return stock_user_aggregator(context).user()


def stock_timeout(context: LLMContext, language: str) -> LLMUserAggregator:
    """Pipecat's turns without Smart Turn: a silence ends them."""
    strategies = UserTurnStrategies(
        start=[VADUserTurnStartStrategy(), TranscriptionUserTurnStartStrategy()],
        stop=[SpeechTimeoutUserTurnStopStrategy()],
    )
    params = LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer(), user_turn_strategies=strategies)
    return LLMUserAggregator(context, params=params, _realtime_service_mode=False)


SYSTEMS = {
    "ours": Chain(SpeechDetector, True, TTFS_P99_SECS, ours),
    "no model": Chain(SpeechDetector, True, TTFS_P99_SECS, without_model),
    "not early": Chain(SpeechDetector, True, TTFS_P99_SECS, not_early),
    "pipecat": Chain(None, False, GOOGLE_TTFS_P99, stock),
    "pipecat, timeout": Chain(None, False, GOOGLE_TTFS_P99, stock_timeout),
}


def measure(system: str, turns: Sequence[Turn], pauses: Sequence[float]) -> tuple[list[Heard], float]:
    """Say all turns to a system, in conversations of one language and one length of pause.

    Args:
        system: One of ``SYSTEMS``.
        turns: Of one half.
        pauses: How long hesitations last. Complete turns are said among those of the third length, or the last.

    Returns:
        What became of each, and the processor's time in seconds for a minute of talk, the bench's own included.
    """
    computed, talked_secs = time.process_time(), 0.0
    with_complete = pauses[min(2, len(pauses) - 1)]
    heard: list[Heard] = []
    for language in sorted({turn.language for turn in turns}):
        for pause in pauses:
            said = [
                (turn, pause)
                for turn in sorted(turns, key=lambda turn: turn.text)
                if turn.language == language and (turn.hesitates or pause == with_complete)
            ]
            found, secs = virtual_time.run(talk(SYSTEMS[system], said, language))
            heard, talked_secs = heard + found, talked_secs + secs
            print(f"{system}, {language}, {pause} s: {len(said)} turns", file=sys.stderr, flush=True)
    return heard, 60 * (time.process_time() - computed) / talked_secs


def summarize(heard: Sequence[Heard]) -> dict[str, Any]:
    """Figures of one system."""
    complete = [one for one in heard if not one.turn.hesitates]
    found: dict[str, Any] = {"complete": waits(complete)}
    for name, key in (("language", lambda one: one.turn.language), ("voice", lambda one: one.turn.voice)):
        groups = defaultdict(list)
        for one in complete:
            groups[key(one)].append(one)
        found[f"complete_by_{name}"] = {group: waits(those) for group, those in sorted(groups.items())}
    for language in (None, *sorted({one.turn.language for one in heard})):
        row = {}
        for pause in sorted({one.pause_secs for one in heard if one.turn.hesitates}):
            those = [
                one for one in heard if one.pause_secs == pause and one.turn.hesitates
                and language in (None, one.turn.language)
            ]  # fmt: skip
            row[str(pause)] = {
                "turns": len(those),
                "talked_into": sum(one.talked_into for one in those),
                "whole": sum(one.whole for one in those),
                "requests": sum(one.requests for one in those),
            }
        found["hesitating" if language is None else f"hesitating_{language}"] = row
    return found


def waits(those: Sequence[Heard]) -> dict[str, Any]:
    """Seconds to the answer's first sound."""
    answers = [one.answer_secs for one in those if one.answer_secs is not None]
    if not answers:
        return {"turns": len(those), "unanswered": len(those)}
    return {
        "turns": len(those),
        "unanswered": len(those) - len(answers),
        "median": round(statistics.median(answers), 3),
        "p90": round(float(np.percentile(answers, 90)), 3),
        "p99": round(float(np.percentile(answers, 99)), 3),
        "requests": sum(one.requests for one in those),
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """Lines for a person."""
    lines = [f"{'':22}" + "".join(f"{name:>20}" for name in results)]

    def row(name: str, cells: Sequence[str]) -> None:
        lines.append(f"{name:22}" + "".join(f"{cell:>20}" for cell in cells))

    row("complete, heard", [
        "{median} / {p90} / {p99}".format(**{"median": "-", "p90": "-", "p99": "-", **result["complete"]})
        for result in results.values()
    ])  # fmt: skip
    for pause in next(iter(results.values()))["hesitating"]:
        cells = [result["hesitating"][pause] for result in results.values()]
        row(f"pause {pause}, talked into", [f"{cell['talked_into']} of {cell['turns']}" for cell in cells])
        row(f"pause {pause}, whole", [f"{cell['whole']} of {cell['turns']}" for cell in cells])
    return "\n".join(lines)


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=HERE, help="where bench/turn_corpus/make.py wrote it")
    parser.add_argument("--half", choices=HALVES, default="report")
    parser.add_argument("--pauses", type=lambda text: [float(one) for one in text.split(",")], default=PAUSES)
    parser.add_argument("--systems", type=lambda text: text.split(";"), default=list(SYSTEMS), help="parted by ;")
    parser.add_argument("--each", action="store_true", help="print every turn that went wrong")
    parser.add_argument("--wires", type=int, metavar="N", help="say N complete turns of each language in real time")
    parser.add_argument("--early", action="store_true", help="with --wires: ask for answers early")
    options = parser.parse_args()
    logger.remove()
    turns = read(options.half, options.corpus)
    if options.wires:
        found = wires.measure(turns, options.wires, speculate=options.early)
        result = {"bench": "turns, wires", "half": options.half, "speculate": options.early, **found}
        print(json.dumps(result, ensure_ascii=False))
        return 0
    results = {}
    for system in options.systems:
        heard, processor_secs = measure(system, turns, options.pauses)
        results[system] = {**summarize(heard), "processor_secs_per_minute": round(processor_secs, 2)}
        if options.each:
            for one in heard:
                if one.talked_into or not one.whole or one.answer_secs is None or one.answer_secs > 1.1:
                    print(system, one.turn.language, one.turn.text, "|", one.pause_secs, one.answer_secs,
                          "talked into" * one.talked_into, "" if one.whole else "in pieces", one.requests)  # fmt: skip
    print(table(results))
    print(json.dumps({"bench": "turns", "half": options.half, **results}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
