"""Where we lean on names of Pipecat and google-genai that are not public.

They may change in any release. Each is listed here with its reason; a name that appears, disappears or changes its
parameters fails with the name and the place, so that a new Pipecat is a list to go through, not a riddle at run time.
Public API is preferred: before you add a line, look for a hook, a strategy or an observer.
"""

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import halfcascade.bot
import halfcascade.processors
import halfcascade.transports

PACKAGES = (halfcascade.bot, halfcascade.processors, halfcascade.transports)

# Pipecat's own pattern for subclasses; its documentation shows it.
CUSTOMARY = {
    "AIService._settings",
    "LLMService._update_settings",
    "TTSService._update_settings",
    "GoogleSTTService._update_settings",
    "BaseObject._call_event_handler",
    "BaseObject._register_event_handler",
    "BaseTransport._input_name",
    "BaseTransport._output_name",
    "BaseInputTransport._params",
    "VADAnalyzer._params",
}

# Name in Pipecat: why we lean on it.
SEAMS = {
    "PipelineWorker._observer": "show observers less than each frame at each processor",
    "WorkerObserver._frames_pushed": "know which blocks of audio have been shown",
    "AggregatedFrameSequencer._slots": "close segments without taking them for spoken",
    "BaseInputTransport._audio_in_queue": "bound the microphone's queue",
    "BaseInputTransport._audio_task": "end audio of our own making before the transport does",
    "BaseInputTransport._paused": "drop blocks while paused, before they are queued",
    "BaseInputTransport._start_audio_in_streaming": "begin at once where `audio_in_stream_on_start` says so",
    "BaseOutputTransport._media_senders": "tell frames of the sender from others, to hold them until they are heard",
    "BaseSmartTurn._audio_buffer": "judge a turn from the pause on",
    "BaseSmartTurn._clear": "forget the turn that was judged early",
    "BaseSmartTurn._model_executor": "run the early verdict where Pipecat runs its own",
    "BaseSmartTurn._process_speech_segment": "judge a turn from the pause on",
    "SileroVADAnalyzer._low_confidence_windows": "what its constructor sets, which is not called",
    "SileroVADAnalyzer._model": "load the network once for all talks of a process",
    "SileroVADAnalyzer._windows_since_reset": "what its constructor sets, which is not called",
    "SileroVADAnalyzer._maybe_reset_model": "forget when Pipecat forgets, with a network called another way",
    "LocalSmartTurnAnalyzerV3._predict_endpoint": "compute what the network hears in a tenth of the time",
    "LocalSmartTurnAnalyzerV3._resample_to_model_rate": "give the network audio of any rate, as Pipecat does",
    "LocalSmartTurnAnalyzerV3._log_data": "what its constructor sets, which is not called",
    "LocalSmartTurnAnalyzerV3._session": "load the network once for all talks of a process",
    "FastAPIWebsocketTransport._client": "give the socket to an input of our own",
    "FastAPIWebsocketTransport._input": "push audio without another queue and task",
    "FastAPIWebsocketTransport._output": "tell that the bot speaks only of what is sent",
    "FastAPIWebsocketTransport._params": "give them to an output of our own",
    "EvalFastAPIWebsocketTransport._output": "tell that the bot speaks only of what is sent",
    "SmallWebRTCOutputTransport._client": "know whether somebody is there to be sent to",
    "SmallWebRTCOutputTransport._params": "duck what waits to be sent by the filter that ducks what follows",
    "SmallWebRTCTransport._client": "give it to an input and an output of our own",
    "SmallWebRTCTransport._input": "push audio without another queue and task",
    "SmallWebRTCTransport._output": "send by a track that has speech in store",
    "SmallWebRTCTransport._on_client_connected": "exchange the track and the order of packets before sound flows",
    "GoogleSTTService._disconnect": "end our streams in place of the one that Pipecat knows",
    "GoogleSTTService._get_denoiser_config": "the settings' denoiser in our own config",
    "GoogleSTTService._get_language_codes": "languages as strings, and `auto`",
    "GoogleSTTService._get_speech_adaptation": "the settings' phrase hints in our own config",
    "GoogleSTTService._handle_transcription": "trace a final as Pipecat does",
    "GoogleSTTService._location": "the location follows the model",
    "GoogleSTTService._project_id": "the project of our own client",
    "GoogleSTTService._streaming_task": "say that Pipecat's own stream does not run",
    "LLMContextAggregator._aggregation": "take a turn's words back when the user goes on",
    "LLMContextAggregator._context": "take a turn out of the context",
    "LLMService._base_system_instruction": "the instruction with what Pipecat adds",
    "LLMService._cancel_function_calls_by_tool_call_id": "stop calls that the server withdrew",
    "LLMService._function_is_async": "declare a function as blocking or not",
    "LLMService._handle_eager_end_of_turn_cancel": "stop the answer of a withdrawn guess",
    "LLMService._push_llm_text": "let Pipecat's gate hold speculative text",
    "LLMService._record_tool_cleanup": "clean up after a direct function",
    "LLMService._register_direct_function": "clean up after a direct function",
    "LLMService._function_call_timeout_secs": "the limit of a function that has no other",
    "LLMService._run_function_call": "end a call whose function returned without a result",
    "LLMService._speculation_gate": "know whether an answer is held",
    "LLMService._sync_registered_tool_handlers": "declare the tools of the settings at setup",
    "LLMUserAggregator._on_user_turn_started": "take up the turn that the user goes on with",
    "LLMUserAggregator._on_user_turn_stopped": "keep an early answer only if the turn has no other words",
    "LLMUserAggregator._push_aggregation": "remember the turn that was just written",
    "LLMUserAggregator._run_speculative_inference": "guess with the words of a turn that goes on",
    "STTService._muted": "hear nothing while muted",
    "STTService._stt_usage_pending_seconds": "count the seconds that Google bills",
    "STTService._user_id": "transcriptions carry who spoke",
    "TTSService._aggregated_frame_sequencer": "segments that were never spoken are not taken for heard",
    "TTSService._aggregated_text_frame": "announce what is spoken in Pipecat's way",
    "TTSService._handle_aggregated_text": "give segments the pauses of the markup",
    "TTSService._push_skipped_text": "pass on what is only shown, in its place",
    "TTSService._record_context_audio_outcome": "report what was not spoken with its words, and once",
    "TTSService._refresh_audio_context": "keep an utterance open while Google is silent",
    "TTSService._stop_frame_timeout_s": "know how long an utterance stays open by itself",
    "TTSService._text_aggregator": "cut replies for speech instead of at every sentence",
    "TTSService._turn_context_id": "the audio context of the reply that runs",
    "TurnAnalyzerUserTurnStopStrategy._discard_pending_end_of_turn": "forget our own verdict too",
    "TurnAnalyzerUserTurnStopStrategy._handle_prediction_result": "keep the probability",
    "TurnAnalyzerUserTurnStopStrategy._handle_transcription": "judge by the words too",
    "TurnAnalyzerUserTurnStopStrategy._handle_vad_user_stopped_speaking": "start the wait of an unfinished turn",
    "TurnAnalyzerUserTurnStopStrategy._maybe_trigger_user_turn_stopped": "let words overrule the network",
    "TurnAnalyzerUserTurnStopStrategy._reset": "forget our own verdict too",
    "TurnAnalyzerUserTurnStopStrategy._transcript_finalized": "a turn whose speech is covered needs no final",
    "TurnAnalyzerUserTurnStopStrategy._turn_analyzer": "tell the analyzer of a pause",
    "TurnAnalyzerUserTurnStopStrategy._turn_complete": "let words overrule the network",
    "TurnAnalyzerUserTurnStopStrategy._vad_stopped": "tell whether there is sound left to judge",
    "TurnAnalyzerUserTurnStopStrategy._vad_user_speaking": "tell whether the user speaks",
    "WordCompletionTracker._llm_text": "a segment that is spoken in other words than it is written",
    "VADAnalyzer._run_analyzer": "judge a window on the event loop, which is cheaper than a thread",
    "VADAnalyzer._vad_start_frames": "change thresholds while somebody speaks",
    "VADAnalyzer._vad_state": "report an onset and a pause before voice activity is sure",
    "VADAnalyzer._vad_stopping_count": "how long it has been silent",
}

# Private names of objects that are not ours: the module that makes them, and why.
OTHERS = {
    "_api_client": ("google.genai.client", "know whether a key or a token is used"),
    "_access_token": ("google.genai._api_client", "fetch a token before the connection, outside of the event loop"),
    "_http_options": ("google.genai._api_client", "know whether its sockets tell when they get through"),
    "_data": ("aiortc.rtcrtpreceiver", "hand a packet of sound on when it comes"),
    "_handle_rtp_packet": ("aiortc.rtcrtpreceiver", "bring packets into order before its jitter buffer"),
    "_ws": ("google.genai.live", "cut audio out of messages before they are parsed"),
    "_audio_task": ("pipecat.transports.base_output", "tell frames of the sender from others"),
    "_observers": ("pipecat.pipeline.worker_observer", "take over who watches a worker"),
    "_clock_task": ("pipecat.transports.base_output", "tell frames of the sender from others"),
    "_pipecat_cleanup": ("pipecat.services.llm_service", "end a tool's timers with the pipeline"),
    "_exit": ("os", "a second Ctrl-C ends at once"),
}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_abc_impl"


def modules() -> Iterator[object]:
    for package in PACKAGES:
        yield package
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield importlib.import_module(found.name)


def classes() -> list[type]:
    """Our classes that are made of Pipecat's."""
    found = {value for module in modules() for value in vars(module).values() if inspect.isclass(value)}
    ours = (cls for cls in found if cls.__module__.startswith("halfcascade.") and pipecat_bases(cls))
    return sorted(ours, key=lambda cls: cls.__qualname__)


def pipecat_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__[1:] if base.__module__.startswith("pipecat.")]


def owns_receiver(node: ast.expr) -> bool:
    """Whether an attribute is one of the object itself: ``self.x`` or ``super().x``."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


@cache
def attributes(cls: type) -> tuple[frozenset[str], frozenset[str]]:
    """Private attributes that the methods of a class store into and read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):
        return frozenset(), frozenset()
    stored, read = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr) and owns_receiver(node.value):
            (stored if isinstance(node.ctx, ast.Store) else read).add(node.attr)
    return frozenset(stored), frozenset(read)


def names_of_bases(cls: type) -> dict[str, type]:
    """Private names that Pipecat's bases define or store into, with the nearest base that does."""
    names: dict[str, type] = {}
    for base in reversed(pipecat_bases(cls)):
        for name in (*vars(base), *attributes(base)[0]):
            if private(name):
                names[name] = base
    return names


@cache
def leans() -> dict[str, list[str]]:
    """Each private name of Pipecat that we lean on, with which class of ours does and how."""
    found: dict[str, list[str]] = {}
    for cls in classes():
        theirs = names_of_bases(cls)
        stored, read = attributes(cls)
        ways = (("overrides", {name for name in vars(cls) if private(name)}), ("stores into", stored), ("uses", read))
        for how, names in ways:
            for name in names & set(theirs):
                found.setdefault(f"{theirs[name].__name__}.{name}", []).append(f"{cls.__qualname__} {how} it")
    return found


def test_every_private_name_that_we_lean_on_is_listed() -> None:
    unlisted = {name: who for name, who in leans().items() if name not in SEAMS and name not in CUSTOMARY}
    assert not unlisted, (
        "Private names of Pipecat without a reason in SEAMS. If Pipecat has got a name that was ours, rename ours:\n"
        + "\n".join(f"  {name}: {', '.join(who)}" for name, who in sorted(unlisted.items()))
    )


def test_every_listed_name_is_there_and_leaned_on() -> None:
    gone = sorted((SEAMS.keys() | CUSTOMARY) - leans().keys())
    where = {name: ", ".join(cls.__qualname__ for cls in classes() if uses(cls, name)) for name in gone}
    assert not gone, "Pipecat has these no more, or we lean on them no more:\n" + "\n".join(
        f"  {name}: {SEAMS.get(name, 'customary')} (the name stands in: {who or 'nothing of ours; strike it'})"
        for name, who in where.items()
    )


def uses(cls: type, name: str) -> bool:
    short = name.partition(".")[2]
    return short in vars(cls) or short in attributes(cls)[0] | attributes(cls)[1]


def test_overridden_methods_take_what_pipecat_gives_them() -> None:
    wrong = []
    for cls in classes():
        for name, base in names_of_bases(cls).items():
            ours, theirs = vars(cls).get(name), getattr(base, name, None)
            if not (inspect.isfunction(ours) and callable(theirs)):
                continue
            missing = parameters(theirs) - parameters(ours)
            if missing and not takes_any(ours):
                wrong.append(f"{cls.__qualname__}.{name} does not take {', '.join(sorted(missing))} of {base.__name__}")
    assert not wrong, "\n".join(wrong)


def parameters(function: object) -> set[str]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    listed = inspect.signature(function).parameters
    return {name for name, parameter in listed.items() if parameter.kind not in kinds and name != "self"}


def takes_any(function: object) -> bool:
    listed = inspect.signature(function).parameters.values()
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in listed)


def foreign() -> dict[str, list[str]]:
    """Private attributes of other objects, by name, that no class of ours defines."""
    trees: dict[Path, ast.Module] = {}
    for module in modules():
        path = Path(inspect.getfile(module))
        trees[path] = ast.parse(path.read_text())
    nodes = [(path, node) for path, tree in trees.items() for node in ast.walk(tree)]
    ours = {node.name for _, node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    ours |= {
        node.attr
        for _, node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and owns_receiver(node.value)
    }
    ours |= {
        node.target.id for _, node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    found: dict[str, list[str]] = {}
    for path, node in nodes:
        if (
            isinstance(node, ast.Attribute)
            and private(node.attr)
            and not owns_receiver(node.value)
            and node.attr not in ours
        ):
            found.setdefault(node.attr, []).append(f"{path.parent.name}/{path.name}:{node.lineno}")
    return found


def test_every_private_attribute_of_other_objects_is_listed() -> None:
    unlisted = {name: where for name, where in foreign().items() if name not in OTHERS}
    assert not unlisted, f"Private names of other objects without a reason in OTHERS: {unlisted}"
    assert not OTHERS.keys() - foreign().keys(), f"Strike them: {OTHERS.keys() - foreign().keys()}"


@pytest.mark.parametrize("name", OTHERS)
def test_other_private_attributes_are_there(name: str) -> None:
    module, why = OTHERS[name]
    source = importlib.import_module(module)
    known = name in vars(source) or name in inspect.getsource(source)
    assert known, f"{module} has no {name} any more, which we need to {why}: {foreign().get(name)}"


def test_private_names_are_not_imported() -> None:
    found = []
    for module in modules():
        path = Path(inspect.getfile(module))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("pipecat", "google")):
                parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                found += [f"{path.name}:{node.lineno} {part}" for part in parts if private(part)]
    assert not found, f"Imported from Pipecat or Google, but private: {found}"
