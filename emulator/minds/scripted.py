"""The scripted mind: words, replies and all latencies out of a scenario, the same every time.

A scenario is a TOML or JSON file (or the same as a ``dict``), all of it optional::

    language = "en-US"                 # what is spoken where nothing below says so

    [[utterances]]                     # the n-th stretch of speech says the n-th utterance, and the first again after
    text = "hello there"               # the last; without any, "utterance 1", "utterance 2" and so on ...
    language = "en-US"
    word_seconds = 0.3                 # pace of the interims
    alternatives = ["hello dare"]      # other readings, for clients that ask for some

    [[recordings]]                     # ... unless there are recordings: then audio is recognized by its content,
    audio = "user.wav"                 # and exactly the words whose sound arrived are understood
    words = "user.json"                # [{"word": "hello", "start": 0.31, "end": 0.62}, ...], seconds; or inline
    language = "en-US"

    [[recordings]]
    index = "recordings.json"          # many at once: emulator/minds/recordings.py, load_index

    [[replies]]                        # what the Live session says: emulator/minds/scripted_thinker.py, ScriptedReply
    match = "hello"
    text = "Hello! How can I help?"

    default_reply = "You said: {user}" # top level: when no reply fits

    [speaker]
    lead_silence = 0.05                # seconds of silence before the first word of each input

Paths are relative to the scenario file. Latencies are not part of a scenario but of a profile
(``halfcascade.emulator.profiles``).
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halfcascade.emulator.cassettes.scenario import scenario_of
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.minds.base import Mind
from halfcascade.emulator.minds.recordings import Recording, load_index, load_recording
from halfcascade.emulator.minds.scripted_listener import ScriptedListener
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.minds.scripted_thinker import parse_script
from halfcascade.emulator.minds.word_sources import Utterance
from halfcascade.emulator.profiles import Profile

_KEYS = {"language", "utterances", "recordings", "replies", "default_reply", "speaker"}


@dataclass(frozen=True)
class Scenario:
    """A parsed scenario.

    Parameters:
        language_code: What is spoken where nothing else says so; "" = what the client asks for.
        utterances: What is said, in order.
        recordings: Audio whose words are known.
        replies: Tables for the thinker.
        default_reply: What the thinker says when no reply fits, or None.
        lead_silence: Seconds of silence before each spoken input.
    """

    language_code: str = ""
    utterances: tuple[Utterance, ...] = ()
    recordings: tuple[Recording, ...] = ()
    replies: tuple[Mapping[str, Any], ...] = ()
    default_reply: str | None = None
    lead_silence: float = 0.0


@dataclass
class ScriptedMind(Mind):
    """A mind that follows a scenario.

    Parameters:
        listener: Behind Speech-to-Text.
        thinker: Behind Gemini Live.
        speaker: Behind Text-to-Speech; its ``plan`` tells when words are said.
        scenario: What it follows.
    """

    scenario: Scenario = field(default_factory=Scenario)


def load_scenario(source: Path | str | Mapping[str, Any] | None) -> Scenario:
    """Load a scenario.

    Args:
        source: Path of a ``.toml`` or ``.json`` file, or of a folder of cassettes; a file's content; or None for an
            empty one.

    Returns:
        The scenario, recordings loaded: call it in a thread if there are long ones.

    Raises:
        EmulatorError: If it cannot be read or holds what no scenario has.
    """
    if source is None:
        return Scenario()
    if isinstance(source, Mapping):
        return _parse(source, Path.cwd())
    path = Path(source)
    if path.is_dir():
        return _parse(scenario_of(path), path)
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise EmulatorError(f"The scenario {path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise EmulatorError(f"The scenario {path} is not valid {kind}: {error}.") from error
    return _parse(data, path.parent)


def create_scripted_mind(scenario: Scenario, profile: Profile) -> ScriptedMind:
    """Make the mind.

    Args:
        scenario: What it follows.
        profile: Its latencies.

    Returns:
        The mind, ready.

    Raises:
        EmulatorError: If a reply of the scenario is malformed.
    """
    return ScriptedMind(
        ScriptedListener(profile.listener, scenario.recordings, scenario.utterances, scenario.language_code),
        parse_script(scenario.replies, profile.thinker, scenario.default_reply),
        ScriptedSpeaker(profile.speaker, scenario.lead_silence),
        scenario,
    )


def _parse(data: Mapping[str, Any], folder: Path) -> Scenario:
    if unknown := sorted(set(data) - _KEYS):
        raise EmulatorError(f"The scenario has the unknown key {unknown[0]!r}: use {', '.join(sorted(_KEYS))}.")
    try:
        return Scenario(
            language_code=str(data.get("language", "")),
            utterances=tuple(_utterance(table) for table in data.get("utterances", ())),
            recordings=tuple(item for table in data.get("recordings", ()) for item in _recordings(table, folder)),
            replies=tuple(data.get("replies", ())),
            default_reply=data.get("default_reply"),
            lead_silence=float(data.get("speaker", {}).get("lead_silence", 0.0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EmulatorError(f"The scenario is malformed ({error!r}): see emulator/minds/scripted.py.") from error


def _utterance(table: Mapping[str, Any] | str) -> Utterance:
    if isinstance(table, str):
        return Utterance(table)
    return Utterance(
        str(table["text"]),
        str(table.get("language", "")),
        float(table.get("word_seconds", Utterance.word_seconds)),
        tuple(str(reading) for reading in table.get("alternatives", ())),
    )


def _recordings(table: Mapping[str, Any] | Recording, folder: Path) -> list[Recording]:
    if isinstance(table, Recording):
        return [table]
    if "index" in table:
        return load_index(folder / table["index"])
    words = table["words"]
    words = folder / words if isinstance(words, str | Path) else words
    return [load_recording(folder / table["audio"], words, str(table.get("language", "")))]
