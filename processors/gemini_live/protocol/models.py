"""The one table of Gemini Live models: what each family takes, and what its refusals mean to a person.

Everything that differs between families is a column here; no other module looks at a model's name.
"""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from loguru import logger

from halfcascade.processors.google_errors import GEMINI_LIVE, ProblemKind, asked_to_wait, kind_of, problem

DEFAULT_MODEL = "gemini-3.8-live"


class Modality(Enum):
    """How the model's words reach us.

    Parameters:
        AUDIO: The model speaks; its output transcription is the text, its audio is thrown away
            (facts/live#transcripts).
        TEXT: The model writes.
    """

    AUDIO = "AUDIO"
    TEXT = "TEXT"


class Thinking(Enum):
    """Rule for the thinking block of the setup (facts/live#models).

    Parameters:
        OMIT: Any level closes the session with 1007; the block must be left out.
        OPTIONAL: A level may be sent; none means the model's own default.
        REQUIRED: Setup without a level closes with 1007.
        BUDGET: Takes a token budget instead of a level.
    """

    OMIT = "omit"
    OPTIONAL = "optional"
    REQUIRED = "required"
    BUDGET = "budget"


@dataclass(frozen=True)
class LiveModel:
    """What one family of Live models takes.

    Parameters:
        family: Name of the row.
        pattern: Regular expression on the bare model name (no ``models/`` or Vertex path).
        text_output: Whether TEXT is accepted as response modality (facts/live#models).
        client_content: Whether a turn is sent as ``clientContent`` with roles in mid-session. Otherwise it goes
            as ``realtimeInput.text``, which knows only the user's role (facts/live#client-messages, #models).
        history_config: Whether a fresh session takes history only with ``historyConfig`` (facts/live#client-messages).
        empty_turn_cancels: Whether an empty ``clientContent`` stops a running answer without a new one
            (facts/live#interruption). Other families may finish the old answer before they begin the new one; there the
            connection is replaced while the user speaks.
        thinking: Rule for the thinking block.
        thinking_levels: Levels the family accepts.
        thinking_default: What to send when the user sets nothing, for the fastest answer; None sends nothing.
        blocking_tools: Whether a declaration may say BLOCKING.
        non_blocking_tools: Whether a declaration may say NON_BLOCKING.
        tools_default_non_blocking: What a declaration without ``behavior`` means.
        interaction_status: Whether ``turnComplete`` may say IN_PROGRESS and more answers follow
            (facts/live#server-messages).
        transcript_leads: Whether the transcript is known to run ahead of the audio (facts/live#transcripts). Where it
            does not, the end of a text waits longer for late deltas.
        phantom_transcripts: Whether a transcript without audio may echo a call's argument (facts/live#transcripts).
            Such models send the true transcript together with its audio.
        answer_timeout_secs: How long a turn may go without a sign of an answer before the watchdog acts
            (facts/live#latency: the slowest 3.1 answer took 5.7 s; thinking models are slower).
        session_limit_secs: Age at which the whole session, across resumptions, is replaced by a fresh one
            (facts/live#lifetime: closes at 58 minutes seen on 3.8), or None.
    """

    family: str
    pattern: str
    text_output: bool = False
    client_content: bool = True
    history_config: bool = False
    empty_turn_cancels: bool = False
    thinking: Thinking = Thinking.OMIT
    thinking_levels: tuple[str, ...] = ()
    thinking_default: str | int | None = None
    blocking_tools: bool = True
    non_blocking_tools: bool = True
    tools_default_non_blocking: bool = False
    interaction_status: bool = False
    transcript_leads: bool = True
    phantom_transcripts: bool = False
    answer_timeout_secs: float = 6.0
    session_limit_secs: float | None = None

    @property
    def modality(self) -> Modality:
        """What to ask for at setup; the server's answer has the last word."""
        return Modality.TEXT if self.text_output else Modality.AUDIO


# Order matters: the first pattern that matches wins, so longer names stand before their prefixes.
LIVE_MODELS: tuple[LiveModel, ...] = (
    LiveModel(
        family="gemini-3.8-live-extended-thinking",
        pattern=r"gemini-3\.8-live-extended-thinking",
        empty_turn_cancels=True,
        thinking=Thinking.REQUIRED,
        thinking_levels=("low", "medium", "high"),
        thinking_default="low",
        blocking_tools=False,
        tools_default_non_blocking=True,
        interaction_status=True,
        answer_timeout_secs=20.0,
        session_limit_secs=57 * 60.0,
    ),
    LiveModel(
        family="gemini-3.8-live",
        pattern=r"gemini-3\.8-live",
        empty_turn_cancels=True,
        tools_default_non_blocking=True,
        session_limit_secs=57 * 60.0,
    ),
    # Its mid-session clientContent was refused in March 2026 and is documented as accepted since (facts/live#models);
    # the older way works under both readings.
    LiveModel(
        family="gemini-3.1-flash-live",
        pattern=r"gemini-3\.1-flash-live",
        client_content=False,
        history_config=True,
        thinking=Thinking.OPTIONAL,
        thinking_levels=("minimal", "low", "medium", "high"),
        thinking_default="minimal",
        non_blocking_tools=False,
        phantom_transcripts=True,
        answer_timeout_secs=7.0,
    ),
    LiveModel(
        family="gemini-2.5-flash-native-audio",
        pattern=r"gemini-(live-)?2\.5-flash.*native-audio",
        thinking=Thinking.BUDGET,
        thinking_default=0,
    ),
    LiveModel(family="gemini-live-2.5-flash", pattern=r"gemini-live-2\.5-flash", text_output=True),
)
_NEWEST = next(row for row in LIVE_MODELS if row.family == DEFAULT_MODEL)


def bare_name(model: str) -> str:
    """Strip ``models/`` and Vertex resource paths from a model name.

    Args:
        model: Name in any form that google-genai takes.

    Returns:
        The last path segment.
    """
    return model.rsplit("/", 1)[-1]


@cache
def lookup(model: str) -> LiveModel:
    """Find the row of a model.

    Args:
        model: Name in any form that google-genai takes.

    Returns:
        The family's row; for an unknown name the newest family's, with a warning in the log.
    """
    name = bare_name(model)
    for row in LIVE_MODELS:
        if re.match(row.pattern, name):
            return row
    logger.warning(f"Model {name} is not in the table of Live models: treating it like {_NEWEST.family}.")
    return _NEWEST


class Remedy(Enum):
    """What can still be done after the server refused a setup.

    Parameters:
        USE_AUDIO: Ask again for AUDIO with transcription.
        FRESH: The resumption handle is at fault: ask again without it.
        RETRY: The refusal is passing: ask again later.
        GIVE_UP: Asking again gives the same answer.
    """

    USE_AUDIO = "use_audio"
    FRESH = "fresh"
    RETRY = "retry"
    GIVE_UP = "give_up"


@dataclass(frozen=True)
class Refusal:
    """A refusal at setup, understood.

    Parameters:
        remedy: What to do.
        line: One line for a person: cause and remedy. Never holds a secret.
        spoken: Whether the server said so; False if there was no answer at all.
        retry_secs: How long it asks to be left alone.
    """

    remedy: Remedy
    line: str
    spoken: bool = True
    retry_secs: float = 0.0


_ACCESS = (ProblemKind.CREDENTIALS, ProblemKind.PERMISSION, ProblemKind.BILLING)
_HTTP_ERRORS = range(400, 600)
_FIRST_CLOSE_CODE = 1000
_UNSUPPORTED = 1007
_POLICY = 1008
_KEY_PROBLEM = re.compile(r"api[ _-]?key|unauthenticated|credential|permission", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(r"is not found|not supported for bidiGenerateContent|does not exist", re.IGNORECASE)
_MODALITY_PROBLEM = re.compile(r"modalit|extract voices", re.IGNORECASE)
_LANGUAGE_PROBLEM = re.compile(r"language", re.IGNORECASE)
_SUCH_AS = f"such as {DEFAULT_MODEL}"


def explain_refusal(model: str, code: int, reason: str, *, modality: Modality, resuming: bool) -> Refusal:
    """Turn a refused setup into what to do and the one line a user needs.

    Args:
        model: Model that was asked for.
        code: Websocket close code (1007, 1008, 1011, ...), or HTTP status of a refused handshake.
        reason: The server's words.
        modality: What was asked for.
        resuming: Whether the setup carried a resumption handle.

    Returns:
        Remedy and line.
    """
    name = bare_name(model)
    said = " ".join(reason.split())[:200] or f"code {code}"
    kind = kind_of(reason, code=code if code in _HTTP_ERRORS else 0)
    access = kind if kind in _ACCESS else ProblemKind.CREDENTIALS
    refused_access = kind in _ACCESS or _KEY_PROBLEM.search(reason)
    no_model = kind is ProblemKind.NOT_FOUND or _NO_SUCH_MODEL.search(reason)
    out_of_reach = problem(ProblemKind.OUTAGE, GEMINI_LIVE, said).line
    # Besides the clear wording, builds answered TEXT with "invalid argument" and 1011 (facts/live#models).
    closed = code >= _FIRST_CLOSE_CODE
    no_text = modality is Modality.TEXT and (_MODALITY_PROBLEM.search(reason) or (closed and not resuming))
    causes = (
        (refused_access, Remedy.GIVE_UP, problem(access, GEMINI_LIVE, said).line),
        (no_model, Remedy.GIVE_UP, f"Model {name} does not exist for the Live API: choose another, {_SUCH_AS}."),
        (kind is ProblemKind.QUOTA, Remedy.RETRY, problem(kind, GEMINI_LIVE, said).line),
        (no_text, Remedy.USE_AUDIO, f"Model {name} does not give text: using audio with transcription."),
        (
            resuming and code not in (_UNSUPPORTED, _POLICY),
            Remedy.RETRY,
            f"Resuming was refused ({said}): trying again.",
        ),
        (resuming, Remedy.FRESH, f"The Live session could not be resumed ({said}): starting a fresh one."),
        (
            code == _UNSUPPORTED and _LANGUAGE_PROBLEM.search(reason),
            Remedy.GIVE_UP,
            f"Model {name} does not speak this language ({said}): choose another.",
        ),
        (
            code in (_UNSUPPORTED, _POLICY),
            Remedy.GIVE_UP,
            f"Model {name} refused the session's settings ({said}): check them.",
        ),
        (True, Remedy.RETRY, out_of_reach),
    )
    wait = asked_to_wait(reason)
    return next(Refusal(remedy, line, code != 0, wait) for applies, remedy, line in causes if applies)
