"""``python -m bench.clients``: each client's newest release in an environment of its own, against the emulator.

Nothing is pinned on purpose: what breaks with a new release shows here first. Environments stay in ``.cache/clients``
and are brought up to date by ``--update``. The results go into the table of ``docs/emulator.md`` with ``--write``.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halfcascade.emulator.server import GoogleEmulator

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
REDIRECT = ROOT / "emulator" / "redirect"
CACHE = ROOT / ".cache" / "clients"
PAGE = ROOT / "docs" / "emulator.md"
BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"
SCENARIO = {
    "utterances": ["what time is it"],
    "replies": [
        {"match": "weather", "calls": [{"name": "get_weather", "args": {"city": "Seoul"}}]},
        {"result_of": "get_weather", "text": "It is sunny there."},
    ],
    "default_reply": "You said: {user}",
}


@dataclass(frozen=True)
class Client:
    """One row.

    Parameters:
        name: What it is.
        program: File in ``programs``.
        packages: What is installed, without versions; the first ones' versions are shown.
        shown: Packages whose versions are shown.
        redirect: Whether it finds the emulator through the redirect folder, as it reads no variables.
    """

    name: str
    program: str
    packages: tuple[str, ...]
    shown: tuple[str, ...] = field(default=())
    redirect: bool = False

    @property
    def kind(self) -> str:
        """What runs it: ``py``, ``mjs`` or ``sh``."""
        return self.program.rpartition(".")[2]


CLIENTS = (
    Client("google-genai", "google_genai.py", ("google-genai", "aiohttp"), ("google-genai",), redirect=True),
    Client(
        "google-cloud-speech, -texttospeech",
        "google_cloud.py",
        ("google-cloud-speech", "google-cloud-texttospeech", "requests"),
        ("google-cloud-speech", "google-cloud-texttospeech"),
        redirect=True,
    ),
    Client("pydantic-ai", "pydantic_ai_program.py", ("pydantic-ai-slim[google,realtime]",), ("pydantic-ai-slim",)),
    Client("google-adk", "google_adk.py", ("google-adk",), ("google-adk",)),
    Client(
        "LiveKit Agents",
        "livekit_program.py",
        ("livekit-agents", "livekit-plugins-google"),
        ("livekit-agents", "livekit-plugins-google"),
        redirect=True,
    ),
    Client("Pipecat", "pipecat_program.py", ("pipecat-ai[google]",), ("pipecat-ai",), redirect=True),
    Client("@google/genai", "genai.mjs", ("@google/genai",), ("@google/genai",)),
    Client(
        "@google-cloud/speech, text-to-speech",
        "cloud.mjs",
        ("@google-cloud/speech", "@google-cloud/text-to-speech", "@grpc/grpc-js"),
        ("@google-cloud/speech", "@google-cloud/text-to-speech"),
    ),
    Client("curl", "curl.sh", ()),
)


def prepare(client: Client, *, update: bool) -> tuple[Path, str]:
    """Make the environment of a client.

    Returns:
        The program that runs it, and the versions as text.
    """
    folder = CACHE / client.program.partition(".")[0]
    if client.kind == "sh":
        told = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
        return Path("/bin/bash"), told.split()[1]
    fresh = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if client.kind == "mjs":
        if fresh or update:
            (folder / "package.json").write_text('{"private": true}')
            names = [f"{name}@latest" for name in client.packages]
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *names], cwd=folder, check=True)
        read = [json.loads((folder / "node_modules" / n / "package.json").read_text())["version"] for n in client.shown]
        for file in PROGRAMS.glob("*.mjs"):
            shutil.copy(file, folder)
        return Path(shutil.which("node") or "node"), ", ".join(read)
    uv = [sys.executable, "-m", "uv"] if shutil.which("uv") is None else ["uv"]
    python = folder / "bin" / "python"
    if fresh:
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
    if fresh or update:
        subprocess.run([*uv, "pip", "install", "-q", "-U", "--python", python, *client.packages], check=True)
    code = f"import importlib.metadata as m; print(*map(m.version, {client.shown!r}), sep=', ')"
    versions = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return python, versions


async def run(client: Client, runner: Path, google: GoogleEmulator) -> list[dict[str, Any]]:
    """Run a client's program; give its cases."""
    await google.reset()
    folder = CACHE / client.program.partition(".")[0] if client.kind == "mjs" else PROGRAMS
    environment = {**os.environ, **google.extra_env, **google.env}
    environment["CLIENTS_WAV"] = str(ROOT / "tests" / "data" / "greeting.wav")
    environment["PYTHONPATH"] = str(REDIRECT) if client.redirect else ""
    process = await asyncio.create_subprocess_exec(
        runner,
        folder / client.program,
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate()
    cases = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    if not cases:
        cases = [{"case": "start", "ok": False, "shown": complaint.decode()[-400:], "seconds": 0}]
    return cases


def table(rows: list[tuple[Client, str, list[dict[str, Any]]]]) -> str:
    """Write the results as Markdown."""
    lines = ["| client | release | what works |", "|---|---|---|"]
    for client, version, cases in rows:
        works = "; ".join(case["case"] for case in cases if case["ok"])
        fails = "; ".join(case["case"] for case in cases if not case["ok"])
        lines.append(f"| {client.name} | {version} | {works}{f'. **Not**: {fails}' if fails else ''} |")
    return "\n".join(lines)


async def main() -> int:
    """Run the rows that are named, or all.

    Returns:
        How many cases failed.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.clients", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of the clients to run")
    parser.add_argument("--update", action="store_true", help="install the newest releases again")
    parser.add_argument("--write", action="store_true", help="write the table into docs/emulator.md")
    options = parser.parse_args()
    rows = []
    async with GoogleEmulator(scenario=SCENARIO) as google:
        for client in CLIENTS:
            if options.names and not any(name in client.name for name in options.names):
                continue
            runner, version = await asyncio.to_thread(prepare, client, update=options.update)
            cases = await run(client, runner, google)
            rows.append((client, version, cases))
            for case in cases:
                mark = "ok  " if case["ok"] else "FAIL"
                print(
                    f"{mark} {client.name} {version}: {case['case']} ({case['seconds']} s) {case['shown']}", flush=True
                )
    if options.write and not options.names:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n{table(rows)}\n{END}{tail}", encoding="utf-8")
    return sum(not case["ok"] for _, _, cases in rows for case in cases)


if __name__ == "__main__":
    sys.exit(min(asyncio.run(main()), 100))
