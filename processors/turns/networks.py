"""The networks that listen, loaded once for all talks of a process.

Pipecat loads each of them anew for every pipeline: together 46 MB, and a fifth of a second in which the event loop
serves nobody.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad import silero as silero_file
from pipecat.audio.vad.silero import SileroVADAnalyzer

from halfcascade.processors.turns.barge_in_sound import InterruptionSound
from halfcascade.processors.turns.silero import SileroNetwork, load_silero
from halfcascade.processors.turns.text_end import installed_text_end


@cache
def listening_threads() -> ThreadPoolExecutor:
    """Where Smart Turn and the judge of interruptions compute, for all talks: as many at once as there are cores.

    With threads for each talk, those of many talks would all become slower together instead of one waiting for another.
    """
    return ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 1), thread_name_prefix="listening")


class _SileroInOnnx:
    """The network for one sample rate in ONNX Runtime, for a file of Pipecat's that ``load_silero`` does not know."""

    def __init__(self, session: InferenceSession, rate: int):
        self._session, self._rate = session, np.array(rate, np.int64)

    def run(self, heard: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As ``SileroNetwork.run``."""
        confidence, state = self._session.run(None, {"input": heard, "state": state, "sr": self._rate})
        return np.asarray(confidence), np.asarray(state)


@cache
def _silero() -> Mapping[int, SileroNetwork | _SileroInOnnx]:
    """The network for each sample rate."""
    if networks := load_silero(Path(silero_file.__file__).parent / "data" / "silero_vad.onnx"):
        return networks
    session = SileroVADAnalyzer()._model.session
    return {rate: _SileroInOnnx(session, rate) for rate in (8_000, 16_000)}


class Silero:
    """Silero with a memory of its own of what it heard; the network is shared.

    In place of Pipecat's ``SileroOnnxModel``: thirty windows a second in every talk are worth not checking and copying
    each again and again.
    """

    def __init__(self) -> None:
        self._networks = _silero()
        self._sample_rate = 0
        self._input = np.zeros((1, 0), np.float32)
        self.reset_states()

    def reset_states(self) -> None:
        """Forget what was heard."""
        self._state = np.zeros((2, 1, 128), np.float32)
        self._input = np.zeros_like(self._input)

    def __call__(self, window: np.ndarray, sample_rate: int) -> np.ndarray:
        """Judge the next window.

        Args:
            window: 512 samples at 16 kHz, 256 at 8 kHz, -1.0 to 1.0, of shape (n,) or (1, n).
            sample_rate: In Hz.

        Returns:
            Shape (1, 1): how sure it is that this is speech, 0.0 to 1.0.
        """
        before = 64 if sample_rate == 16_000 else 32
        if self._sample_rate != sample_rate:
            self._sample_rate = sample_rate
            self._input = np.zeros((1, 9 * before), np.float32)
            self.reset_states()
        self._input[:, :before] = self._input[:, -before:]
        self._input[:, before:] = window
        confidence, self._state = self._networks[sample_rate].run(self._input, self._state)
        return confidence


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
    model = installed_text_end(languages)
    if model is not None:
        # What is wrong with it is told by the talk that asks it first.
        with suppress(Exception):
            model.load()
