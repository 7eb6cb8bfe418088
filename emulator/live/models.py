"""What each Live model accepts and how it behaves, as data (facts/live#models)."""

from dataclasses import dataclass
from typing import Any, Literal

Surface = Literal["developer", "vertex"]


@dataclass(frozen=True)
class LiveModel:
    """One model's row.

    Parameters:
        name: Bare name, without ``models/`` or a publisher path.
        surfaces: Where it is served.
        modalities: Response modalities it accepts.
        thinking: What ``thinkingConfig`` may hold: ``budget`` accepts a budget and refuses levels with a 1007,
            ``level`` accepts levels, ``level_required`` wants low, medium or high.
        non_blocking_tools: Whether functions run beside the conversation unless declared otherwise.
        blocking_tools: Whether ``behavior: BLOCKING`` is accepted.
        switchable_tools: Whether a declaration's ``behavior`` changes anything; sync-only models ignore it.
        scheduling: Whether ``FunctionResponse.scheduling`` is accepted. For 3.8 the reports disagree; the strict
            reading is served, because the safe client never sends it.
        interaction_status: Whether turns end with an ``interactionStatus``.
        idle_filler: What it says to an empty turn while idle; "" = nothing (facts/live#interruption).
        unasked_transcription: Whether transcripts come without being configured (facts/live#transcripts).
        thought_parts: Whether replies start with ``thought: true`` parts (facts/live#transcripts).
        affective_dialog: ``accept``, ``refuse`` at setup, or ``close`` on the first message after it.
        role_required: Whether clientContent without a role closes the connection.
        client_content_interrupts: Whether clientContent interrupts a running generation; otherwise it is answered in
            order (facts/live#interruption, 2.5).
        packs_fields: Whether transcript and audio that are due together share a message, and empty frames come between
            (facts/live#server-messages).
        bare_frames: Whether some of those empty frames are ``{}``; the others are an empty serverContent
            (facts/live#recorded: 3.1 sends no bare ones).
        transcript_with_audio: Whether a piece's transcript and the beginning of its audio share a message, whatever the
            profile says (facts/live#recorded).
        marked_transcript: Whether a reply's transcript begins with an empty one and ends with a finished one, its audio
            comes after that, and function results are answered in a turn of their own (facts/live#recorded: Vertex).
        media_chunks: Whether the old ``mediaChunks`` are heard; newer models ignore them (facts/live#models).
        interim_input: Whether ``interimInputTranscription`` is sent while the user speaks.
        transcribes_only: Whether it never answers, only writes down what is said.
        thoughts: Tokens it thinks before a reply, billed apart (facts/live#server-messages).
            Those that send thought parts count them only where one came (facts/live#recorded).
        input_tokens: Context window.
        output_tokens: Longest reply.
    """

    name: str
    surfaces: tuple[Surface, ...] = ("developer",)
    modalities: tuple[str, ...] = ("AUDIO",)
    thinking: Literal["budget", "level", "level_required"] = "budget"
    non_blocking_tools: bool = False
    blocking_tools: bool = True
    switchable_tools: bool = True
    scheduling: bool = True
    interaction_status: bool = False
    idle_filler: str = ""
    unasked_transcription: bool = False
    thought_parts: bool = False
    affective_dialog: Literal["accept", "refuse", "close"] = "accept"
    role_required: bool = True
    client_content_interrupts: bool = True
    packs_fields: bool = False
    bare_frames: bool = False
    transcript_with_audio: bool = False
    marked_transcript: bool = False
    media_chunks: bool = True
    interim_input: bool = False
    transcribes_only: bool = False
    thoughts: int = 0
    input_tokens: int = 131_072
    output_tokens: int = 65_536


_NATIVE_25: dict[str, Any] = {
    "role_required": False,
    "client_content_interrupts": False,
    "thought_parts": True,
    "thoughts": 41,
    "output_tokens": 8_192,
}

MODELS: dict[str, LiveModel] = {
    model.name: model
    for model in (
        LiveModel(
            "gemini-3.8-live",
            surfaces=("developer", "vertex"),
            non_blocking_tools=True,
            scheduling=False,
            unasked_transcription=True,
            affective_dialog="close",
            packs_fields=True,
            bare_frames=True,
            media_chunks=False,
            interim_input=True,
            thoughts=48,
        ),
        LiveModel(
            "gemini-3.8-live-extended-thinking",
            thinking="level_required",
            non_blocking_tools=True,
            blocking_tools=False,
            scheduling=False,
            interaction_status=True,
            idle_filler="Hmm, let me see.",
            unasked_transcription=True,
            affective_dialog="close",
            packs_fields=True,
            bare_frames=True,
            media_chunks=False,
            interim_input=True,
            thoughts=192,
        ),
        LiveModel(
            "gemini-3.1-flash-live-preview",
            thinking="level",
            switchable_tools=False,
            affective_dialog="refuse",
            packs_fields=True,
            transcript_with_audio=True,
        ),
        LiveModel(
            "gemini-3.5-transcribe-live",
            modalities=("TEXT",),
            thinking="level",
            unasked_transcription=True,
            interim_input=True,
            transcribes_only=True,
        ),
        LiveModel("gemini-2.5-flash-native-audio-latest", **_NATIVE_25),
        LiveModel("gemini-2.5-flash-native-audio-preview-09-2025", **_NATIVE_25),
        LiveModel("gemini-2.5-flash-native-audio-preview-12-2025", **_NATIVE_25),
        LiveModel("gemini-live-2.5-flash-native-audio", surfaces=("vertex",), **_NATIVE_25),
        LiveModel(
            "gemini-live-2.5-flash",
            surfaces=("vertex",),
            modalities=("AUDIO", "TEXT"),
            marked_transcript=True,
            role_required=False,
            client_content_interrupts=False,
            output_tokens=8_192,
        ),
    )
}


def find_model(name: str, surface: Surface) -> LiveModel | None:
    """Find the row of a model.

    Args:
        name: As in the setup message: ``models/M`` on the Developer API, ``projects/.../publishers/google/models/M``
            or ``publishers/google/models/M`` on Vertex.
        surface: Which API was called.

    Returns:
        The row, or None if there is no such model there.
    """
    prefix, _, bare = name.rpartition("/")
    well_formed = prefix == "models" if surface == "developer" else prefix.endswith("publishers/google/models")
    model = MODELS.get(bare)
    return model if well_formed and model and surface in model.surfaces else None
