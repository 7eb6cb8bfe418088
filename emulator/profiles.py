"""Latency profiles: how fast the emulated services are, as data.

A profile is a TOML file with the tables ``network``, ``listener``, ``thinker`` and ``speaker``. Their keys are the
fields of the classes below; what is left out keeps its default. ``emulator/data/profiles`` holds the named ones:

- ``reference``: the profile on which this project's latency goals are measured.
- ``instant``: no waiting at all, for tests that are not about time.
- ``observed``: medians and spread of published measurements, slow tails included.
- ``far``: as ``reference``, from the other side of the world.
- ``bad``: as ``reference``, over a line that jitters and stalls.

A time may vary: ``first_token = { median = 1.1, p95 = 2.6, most = 5.1 }`` is drawn anew each time, from a log-normal
distribution; ``stall_share`` and ``stall_secs`` make that share of them so much longer. The draws of a profile follow
from its ``seed``, one sequence for each key, so that the same conversation meets the same times again.
"""

import math
import random
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from halfcascade.emulator.errors import EmulatorError

PROFILES = Path(__file__).parent / "data" / "profiles"


_NORMAL_P95 = 1.645


class Spread(float):
    """A time in seconds that varies; as a number it is its median."""

    def __new__(
        cls, median: float, p95: float = 0.0, most: float = math.inf, stall_share: float = 0.0, stall_secs: float = 0.0
    ) -> "Spread":
        """Make it.

        Args:
            median: Half of the draws are longer.
            p95: One in twenty is longer; 0.0 = no spread.
            most: None is longer, stalls apart.
            stall_share: Share of draws that stall.
            stall_secs: How much longer those are.

        Returns:
            The spread, not seeded yet.

        Raises:
            ValueError: If the figures contradict each other.
        """
        figures = (median, p95, most, stall_share, stall_secs)
        if any(figure < 0 for figure in figures) or stall_share > 1 or median > most or (p95 and p95 < median):
            raise ValueError("figures must not be negative, and median <= p95, median <= most, stall_share <= 1")
        return super().__new__(cls, median)

    def __init__(
        self, median: float, p95: float = 0.0, most: float = math.inf, stall_share: float = 0.0, stall_secs: float = 0.0
    ) -> None:
        self._sigma = math.log(p95 / median) / _NORMAL_P95 if p95 and median else 0.0
        self._most = most
        self._stall_share = stall_share
        self._stall_secs = stall_secs
        self.seed("")

    def seed(self, seed: str) -> None:
        """Begin its sequence of draws.

        Args:
            seed: The same seed gives the same sequence.
        """
        self._random = random.Random(seed)  # noqa: S311  # times of a test, no secrets

    def draw(self) -> float:
        """Draw the next time, in seconds."""
        stalled = self._random.random() < self._stall_share
        drawn = float(self) * math.exp(self._sigma * self._random.gauss(0.0, 1.0))
        return min(drawn, self._most) + (self._stall_secs if stalled else 0.0)


def drawn(secs: float) -> float:
    """Tell how long something takes this time.

    Args:
        secs: A time of a profile.

    Returns:
        The time itself, or the next draw if it varies.
    """
    return secs.draw() if isinstance(secs, Spread) else secs


@dataclass(frozen=True)
class NetworkProfile:
    """The way between client and server; the shells apply it in both directions and keep the order.

    Parameters:
        one_way: Seconds that a message travels.
    """

    one_way: float = 0.0


@dataclass(frozen=True)
class ListenerProfile:
    """How fast speech is recognized. Used by the scripted listener; engines of a local mind have their own pace.

    Parameters:
        interim_interval: Seconds of audio between two interim results.
        interim_lag: Seconds by which an interim result is behind the audio.
        endpoint: Seconds of silence (audio time) after which the server closes a portion by itself.
        final_latency: Seconds from that endpoint to the final result.
        flush: Seconds from the client's half-close to the final result (facts/stt#half-close: no public figure).
    """

    interim_interval: float = 0.0
    interim_lag: float = 0.0
    endpoint: float = 0.5
    final_latency: float = 0.0
    flush: float = 0.0


@dataclass(frozen=True)
class ThinkerProfile:
    """How fast the Live session answers.

    Parameters:
        setup: Seconds from the setup message to setupComplete (facts/live#latency).
        first_token: Seconds from the end of the user's turn to the first piece of the reply.
        chars_per_second: Characters of reply text per second after that; 0 = all at once.
        piece_chars: Characters in one piece, at least; pieces end at word boundaries.
        transcript_lag: Seconds that the output transcription of a piece comes after the piece was generated.
        audio_lag: Seconds that the audio of a piece comes after its transcription (facts/live#transcripts: text leads).
        audio_speed: Audio is sent this many times faster than real time (facts/live#transcripts); 0 = as fast as
            possible.
        speech_chars_per_second: Characters that one second of the model's own speech says.
        playback_paced: Whether turnComplete waits for the imagined playback of the audio (facts/live#server-messages).
        interrupt: Seconds from a message that interrupts to ``interrupted`` (facts/live#interruption).
        barge_in: Seconds that an interruption by the user's voice takes longer: ``interrupted`` comes 340 to 394 ms
            after its onset (facts/live#interruption).
        interrupt_end: Seconds from there to the interrupted turn's turnComplete (facts/live#interruption).
    """

    setup: float = 0.0
    first_token: float = 0.0
    chars_per_second: float = 0.0
    piece_chars: int = 12
    transcript_lag: float = 0.0
    audio_lag: float = 0.0
    audio_speed: float = 0.0
    speech_chars_per_second: float = 15.0
    playback_paced: bool = False
    interrupt: float = 0.0
    barge_in: float = 0.0
    interrupt_end: float = 0.0


@dataclass(frozen=True)
class SpeakerProfile:
    """How fast speech is synthesized.

    Parameters:
        first_audio: Seconds from an input to its first audio when nothing else is being spoken.
        speed: Audio is made this many times faster than real time; 0 = as fast as possible.
        chunk: Seconds of audio in one response (facts/tts#first-audio).
    """

    first_audio: float = 0.0
    speed: float = 0.0
    chunk: float = 0.24


@dataclass(frozen=True)
class Profile:
    """All latencies of one emulator.

    Parameters:
        name: What it is called.
        network: Travel times.
        listener: Behind Speech-to-Text.
        thinker: Behind Gemini Live.
        speaker: Behind Text-to-Speech.
    """

    name: str = "instant"
    network: NetworkProfile = field(default_factory=NetworkProfile)
    listener: ListenerProfile = field(default_factory=ListenerProfile)
    thinker: ThinkerProfile = field(default_factory=ThinkerProfile)
    speaker: SpeakerProfile = field(default_factory=SpeakerProfile)


_TABLES: dict[str, type] = {
    "network": NetworkProfile,
    "listener": ListenerProfile,
    "thinker": ThinkerProfile,
    "speaker": SpeakerProfile,
}

_ABOVE_ZERO = {"chunk", "piece_chars", "speech_chars_per_second"}


def profile_names() -> list[str]:
    """Name the profiles that come with the emulator."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load_profile(name: str | Path) -> Profile:
    """Load a profile.

    Args:
        name: A name out of ``profile_names()``, or the path of a TOML file.

    Returns:
        The profile.

    Raises:
        EmulatorError: If there is no such profile, or it holds what no profile has.
    """
    path = PROFILES / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise EmulatorError(
            f"There is no latency profile {str(name)!r}: use {', '.join(profile_names())}, or a TOML file's path."
        )
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EmulatorError(f"The latency profile {path} is not valid TOML: {error}.") from error
    return parse_profile(path.stem, tables)


def parse_profile(name: str, tables: dict[str, Any]) -> Profile:
    """Make a profile of its tables.

    Args:
        name: What to call it.
        tables: ``{"listener": {"flush": 0.18}, ...}``.

    Returns:
        The profile.

    Raises:
        EmulatorError: If a table or key is unknown, or a value is no number of its kind.
    """
    if unknown := sorted(set(tables) - set(_TABLES) - {"seed"}):
        raise EmulatorError(f"Profile {name}: unknown table [{unknown[0]}]; there are {', '.join(_TABLES)}.")
    seed = str(tables.get("seed", 0))
    return Profile(name, **{table: _parse_table(name, table, tables.get(table, {}), seed) for table in _TABLES})


def _parse_table(name: str, table: str, values: Any, seed: str) -> Any:
    kind = _TABLES[table]
    known: dict[str, type] = {item.name: type(item.default) for item in fields(kind)}
    if not isinstance(values, dict):
        raise EmulatorError(f"Profile {name}: [{table}] must be a table.")
    checked = {}
    for key, value in values.items():
        if key not in known:
            raise EmulatorError(f"Profile {name}: [{table}] has no key {key!r}; there are {', '.join(known)}.")
        if isinstance(value, dict) and known[key] is float:
            checked[key] = _parse_spread(f"Profile {name}: [{table}] {key}", value, f"{seed}/{table}.{key}")
            continue
        if known[key] is bool:
            valid = isinstance(value, bool)
        else:
            least = 1e-3 if key in _ABOVE_ZERO else 0
            valid = isinstance(value, int | float) and not isinstance(value, bool) and value >= least
        if not valid:
            raise EmulatorError(f"Profile {name}: [{table}] {key} = {value!r} is not valid.")
        checked[key] = known[key](value)
    return kind(**checked)


def _parse_spread(label: str, figures: dict[str, Any], seed: str) -> Spread:
    try:
        spread = Spread(**{key: float(value) for key, value in figures.items()})
    except (TypeError, ValueError) as error:
        raise EmulatorError(f"{label} = {figures!r} is not valid: {error}.") from error
    spread.seed(seed)
    return spread
