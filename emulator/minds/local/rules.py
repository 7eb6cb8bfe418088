"""What the local mind answers without its language model, which is too small to know these things.

Pure: a conversation and a clock reading in, a sentence or a function call out. Korean is in ``rules_ko.py``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from halfcascade.emulator.minds.base import Conversation, FunctionCall, FunctionResult
from halfcascade.emulator.minds.local import arithmetic, stories, tools
from halfcascade.emulator.minds.local.history import Facts, Reply, believed, facts, plain, replies, split_notes

Answer = str | FunctionCall


@dataclass
class Turn:
    """A user turn, as the rules see it.

    Parameters:
        text: What was said, without notes.
        notes: Bracketed notes of the client.
        conversation: All of it.
        now: Local time.
    """

    text: str
    notes: list[str]
    conversation: Conversation
    now: datetime
    words: str = field(init=False)
    facts: Facts = field(init=False)
    replies: list[Reply] = field(init=False)

    def __post_init__(self) -> None:
        self.words = _strip_courtesy(plain(self.text))
        lines = believed(self.conversation.messages)
        self.facts = facts(lines)
        self.replies = replies(lines)

    @property
    def name(self) -> str:
        """The user's name with a comma before it, or ""."""
        return f", {self.facts.known['name']}" if "name" in self.facts.known else ""

    def says(self, pattern: str) -> re.Match[str] | None:
        """Search the words that were said, lower case and without punctuation."""
        return re.search(pattern, self.words)


def _any(*alternatives: str) -> str:
    return "|".join(alternatives)


_COURTESY = re.compile(
    r"^(?:(?:wait|stop|hold on|hang on|one moment|sorry|excuse me|hi there|hello there|hi|hello|hey|thanks|thank you|"
    r"please|okay|ok|alright|great|cool|nice|and|so|well|now|actually|but|then|um|uh|no|yes|yeah|"
    r"good (?:morning|afternoon|evening))\s+)+"
)
_ASKS_TIME = _any(r"\bwhat(?:'s| is)? (?:the )?(?:current )?time\b", r"\bwhat time\b", r"\btell me the time\b")
_ASKS_DATE = _any(
    r"\bwhat (?:day|date)\b",
    r"\bwhat(?:'s| is) (?:the|today's) (?:date|day)\b",
    r"\b(?:which|what) day is\b",
    r"\btoday's date\b",
)
_ASKS_REPEAT = _any(
    r"\brepeat (?:that|it|what you)\b",
    r"\bsay (?:that|it) again\b",
    r"\bwhat did you (?:just )?say\b",
    r"\bcome again\b",
    r"\bonce more\b",
    r"^pardon$",
)
_ASKS_ABOUT_STORY = _any(
    r"\b(?:what|who) (?:was|is|were) (?:the|your|that|this) (?:long |short )?(?:story|tale)\b",
    r"\babout in (?:the|your) story\b",
    r"\bstory (?:was |been )?about$",
)
_ASKS_MORE = (
    r"^(?:go on|continue|carry on|keep going|tell me more|what happened (?:next|then)|how does it (?:end|go on))\b"
)
_ASKS_WHO = _any(
    r"\b(?:who|what) are you\b",
    r"\bwhat(?:'s| is) your name\b",
    r"\bare you (?:a robot|an? ai|real|human|gemini)\b",
)
_STORY_INTRO = re.compile(
    r"^(?:Here is (?:a story|one) about [^.]*\.|I do not know one about that, but here is one about [^.]*\.|"
    r"Where was I\? Yes\.)\s*"
)
# "Wait" alone is often written as "weight".
_STOPS = r"wait|weight|stop|hold|hang|moment|second|quiet|enough|never"
_ONLY_STOPS = re.compile(rf"(?:(?:{_STOPS}|no|on|one|a|please|okay|ok|be|that's|mind|sorry|it)\s*)+")
_GREETING = re.compile(r"(?:(?:hi|hello|hey|there|good|morning|afternoon|evening|again|bot|everybody|friend)\s*)+")
_GOODBYE = re.compile(r"\b(?:good ?bye|good-bye|bye|see you|good night)\b")
_ASSENT = re.compile(
    r"(?:(?:yes|yeah|yep|okay|ok|right|sure|all|fine|good|great|mm|mhm|hm|mm-hm|uh-huh|uh|huh|cool|nice|i|see)\s*)+"
)
_SHORT_THANKS = 8
_DISSENT = re.compile(r"(?:(?:no|nope|not|really|nothing)\s*)+")


def _strip_courtesy(words: str) -> str:
    return _COURTESY.sub("", words) or words


def answer(conversation: Conversation, now: datetime) -> Answer | None:
    """Return what to say or call, or None if the language model must answer.

    Parameters:
        conversation: Its last message is what must be answered.
        now: Local time, with a zone.
    """
    last = conversation.messages[-1]
    results = [part for part in last.parts if isinstance(part, FunctionResult)]
    text, notes = split_notes(last.text)
    korean = _is_korean(text or _last_question(conversation))
    if results:
        return tools.phrase_results(results, _last_question(conversation), korean=korean)
    turn = Turn(text, notes, conversation, now)
    if korean:
        from halfcascade.emulator.minds.local import rules_ko

        return rules_ko.answer(turn)
    return next((reply for rule in RULES if (reply := rule(turn)) is not None), None)


def _is_korean(text: str) -> bool:
    return bool(re.search(r"[가-힣]", text))


def _last_question(conversation: Conversation) -> str:
    return next((line.text for line in reversed(believed(conversation.messages)) if line.role == "user"), "")


def notes_only(turn: Turn) -> Answer | None:
    """A turn that holds nothing but a note of the client, such as "[The timer rang.]"."""
    if turn.text or not turn.notes:
        return None
    told = " ".join(turn.notes).lower()
    if re.search(r"\btimer\b", told):
        return f"Your time is up{turn.name}!"
    return f"Hello{turn.name}! How can I help you?" if re.search(r"\bgreet|\bhello\b|introduce", told) else "Okay."


# What is asked about the user, the fact that answers it, and what is said to be missing without it, if that is said.
_QUESTIONS = (
    (r"\b(?:what(?: is|'s)? my name|who am i|(?:know|remember|tell me|say) my name)\b", "name", "your name"),
    (r"\bwhere (?:do i|i) live\b|\b(?:what|which) (?:city|town) (?:do )?i live\b", "city", "where you live"),
    (r"\bwhere (?:am i|do i come) from\b|\bwhere i(?: am|'m| come) from\b", "origin", "where you come from"),
    (r"\bwhat (?:do i|i) (?:like|love|enjoy)\b", "likes", "what you like"),
    (r"\bwhat (?:do i do|is my job)\b", "job", ""),
)
_EVERYTHING = r"\bwhat do you (?:know|remember) about me\b"
_MINE = re.compile(r"\bwhat(?: is|'s| are) my ([a-z][a-z ]*?)(?= and (?:what|where|who)\b|$)")


def about_me(turn: Turn) -> Answer | None:
    """Questions about what the user has told."""
    known = turn.facts.known
    asked = [(key, missing) for pattern, key, missing in _QUESTIONS if turn.says(pattern)]
    found = [_recall(known, key, missing) for key, missing in asked if missing or key in known]
    if turn.says(_EVERYTHING):
        told = [_tell(key, value) for key, value in known.items()]
        found.append(", ".join(told) if told else "nothing yet, because you have not told me anything about yourself")
    things = [match[1] for match in _MINE.finditer(turn.words) if match[1] not in ("name", "job")]
    found += [f"your {thing} is {known[thing]}" if known.get(thing) else _missing(f"your {thing}") for thing in things]
    return _sentence(" and ".join(found)) if found else None


def _recall(known: Mapping[str, str], key: str, missing: str) -> str:
    return _tell(key, known[key]) if key in known else _missing(missing)


def _missing(what: str) -> str:
    return f"you have not told me {what}"


def _tell(key: str, value: str) -> str:
    phrases = {
        "name": f"your name is {value}",
        "city": f"you live in {value}",
        "origin": f"you come from {value}",
        "likes": f"you like {value}",
        "job": f"you work as a {value}",
    }
    return phrases.get(key, f"your {key} is {value}")


def _sentence(text: str) -> str:
    return f"{_capital(text)}."


def told_me(turn: Turn) -> Answer | None:
    """The user tells something about themselves."""
    new = [key for key in turn.facts.new if key in turn.facts.known]
    if not new or turn.text.rstrip().endswith("?"):
        return None
    known = turn.facts.known
    parts = [_tell(key, known[key]) for key in new if key not in ("name", "city")]
    if "name" in new:
        greeting = f"Nice to meet you, {known['name']}!"
        if "city" in new:
            greeting += f" I hear {known['city']} is a lovely place."
        return " ".join([greeting, *(_sentence(f"I will remember that {part}") for part in parts)])
    if "city" in new:
        parts.insert(0, f"you live in {known['city']}")
    return _sentence(f"Good to know{turn.name}. I will remember that " + " and ".join(parts))


def declared_tool(turn: Turn) -> Answer | None:
    """Something that a declared function does."""
    if turn.says(r"\b(?:story|stories|joke)\b"):
        return None
    return tools.find_call(turn.text, turn.conversation.tools)


def time_and_date(turn: Turn) -> Answer | None:
    """The time and the date, when no function is declared for them."""
    wants_time, wants_date = turn.says(_ASKS_TIME), turn.says(_ASKS_DATE)
    if not wants_time and not wants_date:
        return None
    place = turn.says(r"\bin ([a-z ]+?)(?: right now| now| today)?$")
    when, where = turn.now, ""
    if place and (zone := tools.find_zone(place[1])):
        when, where = turn.now.astimezone(zone), f" in {place[1].title()}"
    return tools.say_moment(when, date=not wants_time)[:-1] + where + "."


def sums(turn: Turn) -> Answer | None:
    """Arithmetic."""
    return arithmetic.calculate(turn.words)


def timer_without_tool(turn: Turn) -> Answer | None:
    """A timer that nobody can set."""
    if turn.says(r"\b(?:set|start) (?:a|an|the|my) (?:\w+ ){0,3}(?:timer|alarm)\b|\bremind me\b"):
        return "I would, but this client has not given me a timer to set."
    return None


def repeat(turn: Turn) -> Answer | None:
    """Say the last reply again."""
    if not turn.says(_ASKS_REPEAT):
        return None
    last = next((reply.text for reply in reversed(turn.replies) if reply.text), "")
    return f"I said: {last}" if last else "I have not said anything yet."


def story_so_far(turn: Turn) -> Answer | None:
    """What the story was about: told from what was heard of it."""
    if not turn.says(_ASKS_ABOUT_STORY) or turn.says(r"\b(?:tell|read|give) me (?:a|another|the)\b"):
        return None
    told = next((reply for reply in reversed(turn.replies) if stories.is_request(reply.asked)), None)
    if told is None:
        return "I have not told you a story yet. Shall I?"
    heard = _STORY_INTRO.sub("", told.text).strip() or told.text.strip()
    if not heard:
        return "You stopped me before I had begun, so you have not heard any of it."
    opening, last = stories.outline(heard)
    if not told.interrupted:
        return f"It began like this: {opening}. And it ended like this: {last}."
    if opening.endswith(last):
        return f"It went like this: {opening}… That is as far as you let me get."
    return f"It began like this: {opening}. You stopped me at: {last}…"


def go_on(turn: Turn) -> Answer | None:
    """Tell the rest of the story."""
    if not turn.says(_ASKS_MORE):
        return None
    for reply in reversed(turn.replies):
        if found := stories.find(reply.text):
            return f"Where was I? Yes. {_capital(found[1])}" if found[1] else "That was the end of the story."
    return None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def story(turn: Turn) -> Answer | None:
    """Tell a story."""
    if not turn.says(r"\b(?:story|stories|tale|fairy tale)\b") or turn.says(r"\b(?:stop|no more|don't)\b.*\bstor"):
        return None
    chosen, fits = stories.choose(turn.words, told=[reply.text for reply in turn.replies])
    if fits:
        return f"Here is one about {chosen.about}. {chosen.text}"
    if turn.says(r"\b(?:story|tale) (?:about|of|with)\b"):
        return f"I do not know one about that, but here is one about {chosen.about}. {chosen.text}"
    return f"Here is a story about {chosen.about}. {chosen.text}"


def who_are_you(turn: Turn) -> Answer | None:
    """What this is."""
    if turn.says(
        r"\b(?:who|what) are you\b|\bwhat(?:'s| is) your name\b|\bare you (?:a robot|an? ai|real|human|gemini)\b"
    ):
        return "I am the small built-in voice that stands in for Gemini when nobody is connected to Google."
    if turn.says(r"\bwhat can you do\b|\bhelp me with\b|^help$"):
        return (
            "I tell the time, do sums, remember what you tell me, and tell stories. For the rest, connect me to Gemini."
        )
    if turn.says(r"\bhow are you\b|\bhow(?:'s| is) it going\b"):
        return f"I am very well, thank you{turn.name}. What can I do for you?"
    if turn.says(r"\bcan you hear me\b"):
        return f"Loud and clear{turn.name}."
    if turn.says(r"\bjoke\b"):
        return "Why did the microphone blush? Because it had picked up every word."
    return None


def stop(turn: Turn) -> Answer | None:
    """The user wants silence, and nothing else."""
    words = plain(turn.text)
    return "Okay, I am listening." if _ONLY_STOPS.fullmatch(words) and re.search(_STOPS, words) else None


def small_talk(turn: Turn) -> Answer | None:
    """Goodbye, thanks, hello, and the little words."""
    words = plain(turn.text)
    thanks = re.search(r"\b(?:thanks|thank you|thank)\b", words)
    reply = None
    if _GOODBYE.search(words):
        reply = ("You are welcome" if thanks else "It was nice talking to you") + f"{turn.name}. Goodbye!"
    elif thanks and len(words.split()) <= _SHORT_THANKS:
        reply = f"You are welcome{turn.name}."
    elif _GREETING.fullmatch(words):
        reply = f"Hello{turn.name}! How can I help you?"
    elif _ASSENT.fullmatch(words):
        reply = "All right."
    elif _DISSENT.fullmatch(words):
        reply = "All right. Just tell me if you need anything."
    return reply


RULES: tuple[Callable[[Turn], Answer | None], ...] = (
    notes_only,
    stop,
    about_me,
    repeat,
    story_so_far,
    go_on,
    sums,
    declared_tool,
    time_and_date,
    timer_without_tool,
    story,
    who_are_you,
    told_me,
    small_talk,
)
"""In order; the first that answers wins."""
