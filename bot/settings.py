"""Every knob of the bot, in one typed place."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from halfcascade.bot.session.recording import RecordingFormat, RecordingOptions
from halfcascade.processors.openers import OpenerMode

# The default instruction asks for what a voice can speak: lists, markup and emoji cannot be heard.
DEFAULT_INSTRUCTION = (
    "You are a friendly voice assistant. Everything you say is spoken aloud, so answer in one to three short, "
    "natural sentences without lists, markup or emoji, in the language the user speaks. "
    "When a tool can answer, use it."
)
SHORT_START = "Where it is natural, begin your answer with a short clause of two to five words."
"""What ``short_start`` adds to the instruction."""


class Backend(StrEnum):
    """Which servers the bot talks to."""

    AUTO = "auto"
    GOOGLE = "google"
    EMULATOR = "emulator"


class Settings(BaseSettings):
    """Settings of one conversation.

    Read from the command line, then the environment (``HALFCASCADE_`` and the name in capitals), then ``.env``.
    Google's own names (``GOOGLE_API_KEY``, ``GOOGLE_CLOUD_PROJECT``, ``SPEECH_EMULATOR_HOST``, …) are left to Google's
    libraries; no secret is kept here.

    Parameters:
        backend: Where to talk to; ``auto`` takes Google when credentials are found, else the emulator.
        language: Locale of the conversation, such as ``en-US`` or ``ko-KR``.
        voice: Chirp 3 HD voice, a short name (``Charon``) or a full one (``en-US-Chirp3-HD-Charon``).
        model: Gemini Live model.
        instruction: System instruction of the Live session.
        greeting: Spoken when the conversation begins, or empty to let the user speak first.
        stt_model: Speech-to-Text v2 model.
        stt_languages: Locales to listen for; empty for just ``language``, ``auto`` to let ``chirp_3`` detect it.
        stt_location: Location of Speech-to-Text, or None to take the one that serves the model (facts/stt#models).
        tts_location: Location of Text-to-Speech, or None for the global endpoint (facts/tts#locations).
        speaking_rate: Speed of the voice, 0.25 to 2.0 (facts/tts#voices).
        tools: Whether the built-in tools (time, timers) are offered to the model.
        mcp_servers: MCP servers whose tools are offered too: commands or URLs.
        speculate: Ask the brain while it is still open whether the turn is over. Gains only where a turn sounds
            unfinished and is over; wrong guesses cost a generated answer and a spoken phrase each
            (docs/architecture.md, "Asking early"). Off, since it gains little and talks into more pauses (bench).
        first_wait: Seconds that the voice waits at most for the end of a phrase before it begins to speak; 0 speaks
            at once, wherever the cut falls.
        short_start: Ask the model to begin with a short clause where that is natural, so that the voice can begin.
        one_stream: Give the voice the pieces of a reply in one call as long as it goes on, rather than in a call each.
            For a voice that does not wait for the call's end (``doctor --measure-voice`` tells).
        openers: Say a short word when the answer is slow: ``off``, ``auto`` (never in two turns in a row) or
            ``always``.
        listening: Make a listener's sounds ("mm-hm") now and then, quietly, in pauses where the user goes on. Needs
            echo cancelling or a headset.
        understand_barge_in: Duck first and stop only for real words, rather than stop at any sound.
        input_device: Microphone, by name or part of it.
        output_device: Loudspeaker, by name or part of it.
        echo_cancel: Cancel the bot's own voice in the microphone.
        noise_suppression: Suppress steady noise in the microphone.
        user_audio: A WAV file that plays the user's part instead of the microphone.
        session: Folder for this session's recording and logs, with a number behind it if it holds an earlier session;
            None makes one below ``sessions``.
        processors: Factories of the user's own processors, ``package.module:function``.
        report: Write a page that shows and plays the talk (``report.html``) into the session folder when it ends.
        record_services: Keep in the session folder what the three services answered (``services.jsonl``,
            ``services.audio``), so that the talk can be run again without them.
        recording: Format of the recording: ``wav``, ``flac`` (smaller without loss) or ``opus`` (smallest).
        recording_minutes: Minutes after which the recording goes on in another file; 0 keeps it in one.
        keep_days: Days after which session folders below ``sessions`` are deleted when a talk begins; 0 keeps them.
        continue_from: Session folder of an earlier talk to go on with, or ``last`` for the newest.
        notes: Markdown file of facts that the user asked to remember across talks.
        latency_budget: Seconds from the user's last word to the bot's first sound, above which a turn is shown in red.
        plain: Tell the talk in lines, even on a terminal that could show it on its whole screen.
        prices: A table of prices of your own, whose rows go before those of ``assets/prices.toml``.
        budget: US dollars that a talk may cost; it warns at 80 % and ends, saying so, when they are spent.
        llm_path: A GGUF file that the emulator's local mind thinks with, or None for the small one it ships with.
    """

    model_config = SettingsConfigDict(
        env_prefix="HALFCASCADE_", env_file=".env", env_file_encoding="utf-8-sig", env_ignore_empty=True, extra="ignore"
    )

    backend: Backend = Backend.AUTO
    language: str = "en-US"
    voice: str = "Charon"
    model: str = "gemini-3.8-live"
    instruction: str = DEFAULT_INSTRUCTION
    greeting: str = ""
    stt_model: str = "chirp_3"
    stt_languages: Annotated[list[str], NoDecode] = Field(default_factory=list)
    stt_location: str | None = None
    tts_location: str | None = None
    speaking_rate: float | None = Field(default=None, ge=0.25, le=2.0)
    tools: bool = True
    mcp_servers: Annotated[list[str], NoDecode] = Field(default_factory=list)
    speculate: bool = False
    first_wait: float = Field(default=0.6, ge=0.0, le=5.0)
    short_start: bool = False
    one_stream: bool = False
    openers: OpenerMode = OpenerMode.OFF
    listening: bool = False
    understand_barge_in: bool = True
    input_device: str | None = None
    output_device: str | None = None
    echo_cancel: bool = True
    noise_suppression: bool = False
    user_audio: Path | None = None
    session: Path | None = None
    processors: Annotated[list[str], NoDecode] = Field(default_factory=list)
    continue_from: str | None = None
    notes: Path | None = None
    latency_budget: float = Field(default=1.5, gt=0)
    plain: bool = False
    report: bool = True
    record_services: bool = True
    recording: RecordingFormat = RecordingFormat.WAV
    recording_minutes: float = Field(default=0.0, ge=0.0)
    keep_days: float = Field(default=0.0, ge=0.0)
    prices: Path | None = None
    budget: float | None = Field(default=None, gt=0)
    llm_path: Path | None = None

    @property
    def recording_options(self) -> RecordingOptions:
        """How sound is kept."""
        return RecordingOptions(self.recording, 60 * self.recording_minutes)

    @field_validator("stt_languages", "mcp_servers", "processors", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Let the environment give lists as ``a, b`` instead of JSON."""
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("language")
    @classmethod
    def _spell(cls, value: str) -> str:
        """Take a locale as systems spell it too: ``ko_KR.UTF-8``, ``ko-kr``."""
        first, *others = value.strip().split(".")[0].replace("_", "-").split("-")
        return "-".join([first.lower(), *(part.upper() if len(part) == 2 else part for part in others)])

    @property
    def voice_name(self) -> str:
        """Full voice name: ``<locale>-Chirp3-HD-<name>`` (facts/tts#voices)."""
        return self.voice if "-Chirp3-HD-" in self.voice else f"{self.language}-Chirp3-HD-{self.voice}"

    @property
    def listen_for(self) -> list[str]:
        """Locales the ears listen for."""
        return self.stt_languages or [self.language]
