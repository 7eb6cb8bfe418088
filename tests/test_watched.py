"""Every task and thread of ours is watched: whoever starts one says here how its death is seen.

``self.create_task`` of Pipecat's processors and its task manager log what kills a task, and are not listed.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("bot", "processors", "transports")
STARTERS = {"create_task", "ensure_future", "Thread", "call_later", "run_coroutine_threadsafe"}
PIPECATS = {"self", "self._tasks", "owner", "llm", "processor", "self._transport", "worker"}

AWAITED = "awaited, or gathered, by the function that starts it or the one that ends it"
LOGGED = "`watched` logs what killed it"
CAUGHT = "catches whatever happens, and tells it"
WATCHED = {
    "bot/commands/typed.py": {"Thread": CAUGHT, "ensure_future": AWAITED, "create_task": AWAITED},
    "bot/conversation.py": {"create_task": f"{AWAITED}; {LOGGED}"},
    "bot/desk.py": {"create_task": f"{AWAITED}; {CAUGHT}"},
    "bot/doctor/findings.py": {"Thread": CAUGHT},
    "bot/replay/ears.py": {"create_task": AWAITED},
    "bot/replay/memory.py": {"call_later": "puts something into a queue"},
    "bot/replay/tape.py": {"Thread": CAUGHT},
    "bot/scale/fleet.py": {"create_task": AWAITED, "ensure_future": AWAITED},
    "bot/scale/place.py": {"create_task": AWAITED},
    "bot/screen/app.py": {"create_task": AWAITED},
    "bot/screen/terminal.py": {"create_task": AWAITED},
    "bot/serve/app.py": {"create_task": LOGGED},
    "bot/serve/server.py": {"create_task": AWAITED},
    "bot/serve/visit.py": {"create_task": AWAITED},
    "bot/session/folder.py": {"create_task": CAUGHT},
    "bot/session/recorder.py": {"Thread": CAUGHT},
    "bot/talk.py": {"create_task": f"{AWAITED}; {LOGGED}"},
    "processors/alone/pipeline.py": {"create_task": AWAITED},
    "processors/alone/transcribe.py": {"create_task": AWAITED},
    "processors/racing.py": {"create_task": AWAITED},
    "processors/threads.py": {"Thread": CAUGHT},
    "processors/turns/early_smart_turn.py": {"call_later": "begins what is awaited"},
    "transports/local/__init__.py": {"create_task": "calls event handlers, whose errors Pipecat logs"},
    "transports/local/device.py": {"Thread": CAUGHT},
    "transports/local/watchdog.py": {"create_task": AWAITED},
}


def started(path: Path) -> set[str]:
    """How each kind of task and thread is started in a file, those of Pipecat's task manager left out."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr in STARTERS and ast.unparse(node.func.value) not in PIPECATS:
            found.add(node.func.attr)
    return found


def test_whoever_starts_a_task_or_a_thread_says_how_its_death_is_seen() -> None:
    found = {
        str(path.relative_to(ROOT)): kinds
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (kinds := started(path))
    }
    assert found == {path: set(kinds) for path, kinds in WATCHED.items()}


def test_what_is_said_to_be_logged_is() -> None:
    for path, kinds in WATCHED.items():
        if any(LOGGED in how for how in kinds.values()):
            assert "watched(asyncio.create_task(" in (ROOT / path).read_text(encoding="utf-8"), path
