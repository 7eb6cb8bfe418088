"""Smart Turn that has its verdict ready when voice activity detection is sure that speech has ended."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from pipecat.audio.turn.base_turn_analyzer import EndOfTurnState
from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.metrics.metrics import MetricsData

from halfcascade.processors.turns.networks import listening_threads, smart_turn
from halfcascade.processors.turns.whisper_features import log_mel

# Smart Turn was trained on turns with the 0.2 s of silence that end speech, and voice activity detection notices those
# late; with 0.09 s of silence, one verdict in eight differs. With the pause's own sound repeated to the full length,
# 94 % of the verdicts are those of the real silence (86 ends and cuts of tests/data).
_SILENCE_SECS = 0.26
_QUIET_SECS = 0.05
# Many pauses are consonants ("stop"), over after so long, and the model is what costs most. The words of a turn that
# ends take four times as long to come.
_CONSONANT_SECS = 0.04
# As in Pipecat.
_COMPLETE = 0.5

_Chunk = tuple[float, np.ndarray]
_Verdict = tuple[EndOfTurnState, MetricsData | None]


class EarlySmartTurnAnalyzer(LocalSmartTurnAnalyzerV3):
    """Smart Turn v3 that begins at the first moment of silence, while it is still open whether speech has ended.

    The model takes 50 ms on an idle processor and several times that on a busy one: time that would otherwise pass
    between the end of speech and the end of the turn.
    """

    def __init__(self, **kwargs: Any):
        """Take the network that all talks of this process share; what was heard is kept by each analyzer for itself.

        Args:
            **kwargs: Passed to Pipecat's ``BaseSmartTurn``.
        """
        # Pipecat's constructor loads the network anew: 18 MB for each talk.
        BaseSmartTurn.__init__(self, **kwargs)
        loaded = smart_turn()
        self._session, self._log_data = loaded._session, loaded._log_data
        # What is going to be judged, when, and the verdict.
        self._heard: list[_Chunk] = []
        self._due: asyncio.TimerHandle | None = None
        self._foreseen: asyncio.Future[_Verdict] | None = None

    @property
    def _model_executor(self) -> ThreadPoolExecutor:
        return listening_threads()

    def foresee(self, silence_secs: float) -> None:
        """Judge the speech so far as if the silence that has just begun went on, if it does for a moment.

        Args:
            silence_secs: How long it has been silent.
        """
        self.dismiss()
        samples = [chunk for _, chunk in self._audio_buffer]
        if not samples or not self.speech_triggered:
            return
        quiet = np.concatenate(samples[-10:])[-round(_QUIET_SECS * self.sample_rate) :]
        padding = np.resize(quiet, round(max(0.0, _SILENCE_SECS - silence_secs) * self.sample_rate))
        heard = [*self._audio_buffer, (time.monotonic(), padding)]
        self._heard = heard
        self._due = asyncio.get_running_loop().call_later(_CONSONANT_SECS, self._begin)

    def dismiss(self) -> None:
        """Speech goes on: what was foreseen does not apply, and is not computed if that has not begun."""
        due, self._due = self._due, None
        if due is not None:
            due.cancel()
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is not None:
            foreseen.cancel()

    def _begin(self) -> None:
        due, self._due = self._due, None
        if due is not None:
            due.cancel()
            loop = asyncio.get_running_loop()
            self._foreseen = loop.run_in_executor(self._model_executor, self._process_speech_segment, self._heard)

    def _predict_endpoint(self, audio_array: np.ndarray) -> dict[str, Any]:
        """Ask the network, as Pipecat does but for how the features are computed.

        Args:
            audio_array: Mono audio at the analyzer's rate, -1.0 to 1.0.

        Returns:
            ``prediction``, 1 for a complete turn or 0, and ``probability``.
        """
        if self._log_data:  # only Pipecat writes the audio to files
            return super()._predict_endpoint(audio_array)
        features = log_mel(self._resample_to_model_rate(audio_array))
        (outputs,) = self._session.run(None, {"input_features": features[None]})
        probability = float(np.ravel(outputs)[0])
        return {"prediction": int(probability > _COMPLETE), "probability": probability}

    async def cleanup(self) -> None:
        """Forget what was foreseen."""
        self.dismiss()
        await super().cleanup()

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, MetricsData | None]:
        """Judge the speech so far.

        Returns:
            The verdict foreseen at the pause if there is one, else a new one.
        """
        self._begin()
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is None:
            return await super().analyze_end_of_turn()
        state, result = await foreseen
        if state == EndOfTurnState.COMPLETE:
            self._clear(state)
        return state, result
