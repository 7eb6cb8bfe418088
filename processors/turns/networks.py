"""The networks that listen, loaded once for all talks of a process.

Pipecat loads each of them anew for every pipeline: together 46 MB, and a fifth of a second in which the event loop
serves nobody.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from functools import cache

from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroOnnxModel, SileroVADAnalyzer

from halfcascade.processors.turns.barge_in_sound import InterruptionSound
from halfcascade.processors.turns.text_end import english_text_end


@cache
def listening_threads() -> ThreadPoolExecutor:
    """Where Smart Turn and the judge of interruptions compute, for all talks: as many at once as there are cores.

    With threads for each talk, those of many talks would all become slower together instead of one waiting for another.
    """
    return ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1), thread_name_prefix="listening")


@cache
def _silero() -> SileroOnnxModel:
    return SileroVADAnalyzer()._model


def silero() -> SileroOnnxModel:
    """Silero with a memory of its own of what it heard; the network is shared."""
    model = copy(_silero())
    model.reset_states()
    return model


@cache
def smart_turn() -> LocalSmartTurnAnalyzerV3:
    """Smart Turn, to take the network from; what it heard belongs to nobody."""
    return LocalSmartTurnAnalyzerV3()


@cache
def interruption_sound() -> InterruptionSound:
    """The judge of interruptions; it keeps nothing that it heard."""
    return InterruptionSound()


def load_networks(*languages: str) -> None:
    """Load all of them now rather than with the first talk. Takes a moment: call it off the event loop.

    Args:
        *languages: Locales of the talks to come, for which a small language model is loaded too if it knows one. Its
            library keeps Python's lock for half a second, in which audio would have to wait.
    """
    _silero()
    smart_turn()
    interruption_sound()
    model = english_text_end(languages)
    if model is not None:
        # What is wrong with it is told by the talk that asks it first.
        with suppress(Exception):
            model.load()
