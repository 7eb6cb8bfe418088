"""The rules of ``rules.py`` in Korean. The small language model knows no Korean, so everything is answered here."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from halfcascade.emulator.minds.base import FunctionCall
from halfcascade.emulator.minds.local import arithmetic, stories, tools
from halfcascade.emulator.minds.local.history import plain

if TYPE_CHECKING:
    from halfcascade.emulator.minds.local.rules import Turn

_UNKNOWN = "죄송해요, 저는 내장된 작은 목소리라서 그건 잘 몰라요. 제미나이에 연결하면 대답해 드릴 수 있어요."


def answer(turn: "Turn") -> str | FunctionCall:
    """Answer a Korean turn; there is always an answer."""
    return next((reply for rule in _RULES if (reply := rule(turn)) is not None), _UNKNOWN)


def _known(turn: "Turn") -> str | None:
    known = turn.facts.known
    found = []
    asks = re.search(r"[?？]|뭐|무엇|어디|알아|기억|누구", turn.text)
    if asks and re.search(r"(?:내|제) 이름", turn.text):
        found.append(f"이름은 {known['name']}" if "name" in known else "이름은 아직 듣지 못했어요")
    if asks and re.search(r"어디(?:에|에서)? ?(?:살|사)", turn.text):
        found.append(f"사는 곳은 {known['city']}" if "city" in known else "사는 곳은 아직 듣지 못했어요")
    if not found:
        return None
    text = ", ".join(found)
    return text + "." if text.endswith("요") else text + "입니다."


def _repeat(turn: "Turn") -> str | None:
    if not re.search(r"다시 (?:한 ?번 )?(?:말|얘기)|뭐라고 (?:했|하셨|그랬)", turn.text):
        return None
    last = next((reply.text for reply in reversed(turn.replies) if reply.text), "")
    return f"이렇게 말했어요. {last}" if last else "아직 아무 말도 하지 않았어요."


def _story_so_far(turn: "Turn") -> str | None:
    if not re.search(
        r"(?:이야기|동화).*(?:무슨|어떤|뭐|무엇).*(?:내용|이야기|였|었)|무슨 (?:이야기|내용)(?:였|이었)", turn.text
    ):
        return None
    heard = next((reply for reply in reversed(turn.replies) if "이야기" in reply.asked or "동화" in reply.asked), None)
    if heard is None:
        return "아직 이야기를 들려 드리지 않았어요."
    if not heard.text.strip():
        return "시작하기도 전에 멈추셨어요."
    return f"이런 이야기였어요. {stories.clauses(heard.text)[0].strip()}"


def _calculation(turn: "Turn") -> str | None:
    return arithmetic.calculate(plain(turn.text), korean=True)


def _tool(turn: "Turn") -> FunctionCall | None:
    return None if "이야기" in turn.text else tools.find_call(turn.text, turn.conversation.tools)


def _time(turn: "Turn") -> str | None:
    if re.search(r"몇 ?시|시간.*(?:알려|뭐|몇)|지금 시간", turn.text):
        return tools.say_moment(turn.now, korean=True)
    if re.search(r"며칠|몇 ?일|날짜|무슨 요일", turn.text):
        return tools.say_moment(turn.now, date=True, korean=True)
    return None


def _story(turn: "Turn") -> str | None:
    if not re.search(r"이야기|얘기해|동화", turn.text):
        return None
    chosen, _ = stories.choose(turn.text, told=[], korean=True)
    return f"{chosen.about} 이야기를 들려 드릴게요. {chosen.text}"


def _who(turn: "Turn") -> str | None:
    if re.search(r"(?:너|넌|당신)(?:는|은)? ?(?:누구|뭐)|누구(?:세요|예요|야)|이름이 (?:뭐|무엇)", turn.text):
        return "저는 구글에 연결되지 않았을 때 제미나이를 대신하는 작은 내장 목소리예요."
    return None


def _told(turn: "Turn") -> str | None:
    known = turn.facts.known
    if not turn.facts.new:
        return None
    if "name" in turn.facts.new:
        return f"반가워요, {known['name']}님!" + (f" {known['city']}에 사시는군요." if "city" in turn.facts.new else "")
    if "city" in turn.facts.new:
        return f"{known['city']}에 사시는군요. 기억할게요."
    return "네, 기억할게요."


def _small_talk(turn: "Turn") -> str | None:
    name = f" {turn.facts.known['name']}님," if "name" in turn.facts.known else ""
    if re.search(r"안녕히|잘 ?가|잘 ?있어|다음에 또|끊을", turn.text):
        return f"네,{name} 안녕히 가세요!"
    if re.search(r"고마|감사", turn.text):
        return "천만에요."
    if re.search(r"안녕|반가", turn.text):
        return f"안녕하세요!{name} 무엇을 도와 드릴까요?"
    if re.search(r"잠깐|그만|멈춰|조용", turn.text):
        return "네, 듣고 있어요."
    if re.fullmatch(r"(?:네|예|응|어|음|그래|맞아|좋아)요?[.!]?", turn.text.strip()):
        return "네."
    return None


_RULES: tuple[Callable[["Turn"], str | FunctionCall | None], ...] = (
    _known,
    _repeat,
    _story_so_far,
    _calculation,
    _tool,
    _time,
    _story,
    _who,
    _told,
    _small_talk,
)
