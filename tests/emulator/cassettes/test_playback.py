"""When a cassette speaks, and which cassette it is."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.cassettes.cassette import Cassette, Event, read_cassette, read_folder
from halfcascade.emulator.cassettes.playback import Playback, audio_bytes
from halfcascade.emulator.cassettes.player import Rack
from halfcascade.emulator.cassettes.scenario import scenario_of
from halfcascade.emulator.errors import EmulatorError


def client(at: float, message: Any) -> Event:
    return Event(at, "client", {"json": message})


def server(at: float, message: Any) -> Event:
    return Event(at, "server", {"json": message})


def sound(size: int) -> dict[str, Any]:
    return {"realtimeInput": {"audio": {"data": base64.b64encode(bytes(size)).decode(), "mimeType": "audio/pcm"}}}


TALK = Cassette(
    "websocket",
    "/ws/live",
    events=[
        client(0.0, {"setup": {}}),
        server(0.1, {"setupComplete": {}}),
        client(1.0, sound(1000)),
        client(1.1, sound(1000)),
        server(1.3, "heard"),
        client(2.0, sound(500)),
        server(2.5, "answer"),
        Event(3.0, "client", {"end": {}}),
        Event(3.1, "server", {"end": {"code": 1000, "reason": ""}}),
    ],
)


def played(playback: Playback, message: Any, now: float) -> list[Any]:
    return [(round(due.at, 3), due.event.what.get("json", "end")) for due in playback.receive(message, now)]


def test_it_waits_for_its_client_and_keeps_its_own_pace() -> None:
    playback = Playback(TALK)
    assert playback.begin(10.0) == []
    assert played(playback, {"setup": {}}, 10.0) == [(10.1, {"setupComplete": {}})]
    assert played(playback, sound(1999), 20.0) == []
    assert played(playback, sound(1), 20.0) == [(20.2, "heard")]
    assert played(playback, sound(500), 20.05) == [(20.7, "answer")]
    (end,) = playback.finish(30.0)
    assert end.event.what["end"]["code"] == 1000
    assert playback.over


@given(st.lists(st.integers(1, 900), min_size=1, max_size=12))
@settings(max_examples=40)
def test_audio_may_be_cut_otherwise(sizes: list[int]) -> None:
    playback = Playback(TALK, speed=0.0)
    playback.begin(0.0)
    playback.receive({"setup": {}}, 0.0)
    total, came = 0, []
    for size in sizes:
        total += size
        came += [item[1] for item in played(playback, sound(size), 0.0)]
    assert came == ["heard", "answer"][: (total >= 2000) + (total >= 2500)]


def test_who_ends_early_gets_the_rest() -> None:
    playback = Playback(TALK, speed=2.0)
    playback.begin(0.0)
    playback.receive({"setup": {}}, 0.0)
    assert len(playback.finish(1.0)) == 3


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (sound(7), 7),
        ({"realtime_input": {"media_chunks": [{"data": "AAAA", "mimeType": "audio/pcm"}]}}, 3),
        ({"audio": "AAAA"}, 3),
        ({"audioContent": "AAAA"}, 3),
        ({"realtimeInput": {"activityStart": {}}}, 0),
        ({"streamingConfig": {}, "recognizer": "r"}, 0),
        ({"config": {}, "audio": {"content": "AAAA"}}, 0),
        ({"clientContent": {"turns": []}}, 0),
    ],
)
def test_what_counts_as_audio(message: Any, size: int) -> None:
    assert audio_bytes(message) == size


def test_the_cassette_that_begins_alike_and_was_played_least() -> None:
    def made(name: str, text: str) -> Cassette:
        return Cassette("grpc", "/s/M", events=[client(0.0, {"text": text})], name=name)

    rack = Rack([made("1", "a"), made("2", "b"), made("3", "a"), Cassette("http", "/s/M", "GET", name="4")])

    def name(wire: Any, first: Any, **options: Any) -> str | None:
        chosen = rack.choose(wire, "/s/M", first, **options)
        return chosen.name if chosen else None

    assert [name("grpc", {"text": "a"}) for _ in range(3)] == ["1", "3", "1"]
    assert name("grpc", {"text": "b"}) == "2"
    assert name("grpc", {"text": "c"}) == "2"
    assert name("http", None, method="GET") == "4"
    assert name("http", None, method="POST") is None
    assert rack.choose("grpc", "/s/Other", None) is None


HEAD = {"cassette": 1, "wire": "websocket", "target": "/ws/x", "headers": {}}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_a_file_that_was_cut_off_is_a_call_that_ends_there(tmp_path: Path) -> None:
    line = json.dumps({"t": 0.1, "from": "server", "json": {"a": 1}})
    path = write(tmp_path / "a.jsonl", HEAD, line, line[:-9])
    assert len(read_cassette(path).events) == 1


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "no cassette"),
        (["{"], "no cassette"),
        (["[]"], "no cassette"),
        ([{"a": 1}], "no cassette"),
        ([{**HEAD, "cassette": 2}], "is of format 2"),
        ([HEAD, "nonsense", {"t": 0, "from": "server", "json": 1}], "damaged in line 2"),
        ([HEAD, {"t": 0, "from": "nobody"}, {"t": 0, "from": "server"}], "damaged in line 2"),
    ],
)
def test_what_is_no_cassette_is_one_line(tmp_path: Path, lines: list[Any], told: str) -> None:
    path = write(tmp_path / "a.jsonl", *lines)
    with pytest.raises(EmulatorError, match=told) as caught:
        read_folder(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_cassettes_is_one_line(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(EmulatorError, match="There are no cassettes"):
            read_folder(folder)


def test_as_a_scenario(tmp_path: Path) -> None:
    def said(text: str, who: str = "outputTranscription") -> dict[str, Any]:
        return {"t": 0, "from": "server", "json": {"serverContent": {who: {"text": text}}}}

    def sent(message: Any) -> dict[str, Any]:
        return {"t": 0, "from": "client", "json": message}

    end = {"t": 0, "from": "server", "json": {"serverContent": {"turnComplete": True}}}
    call = {"functionCalls": [{"id": "1", "name": "get_time", "args": {"zone": "here"}}]}
    text = {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "What (time)?"}]}], "turnComplete": True}}
    write(
        tmp_path / "1-live.jsonl",
        {**HEAD, "target": "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"},
        sent({"setup": {}}),
        sent(text),
        {"t": 0, "from": "server", "json": {"toolCall": call}},
        sent({"toolResponse": {"functionResponses": [{"id": "1", "name": "get_time", "response": {}}]}}),
        said("It is"),
        said(" noon."),
        end,
        sent(sound(10)),
        said("thank", "inputTranscription"),
        said(" you", "inputTranscription"),
        said("Welcome."),
        end,
    )
    result = {"isFinal": True, "alternatives": [{"transcript": "hello"}, {"transcript": "hallo"}], "languageCode": "en"}
    write(
        tmp_path / "2-speech.jsonl",
        {**HEAD, "wire": "grpc", "target": "/google.cloud.speech.v2.Speech/StreamingRecognize"},
        {"t": 0, "from": "server", "json": {"results": [{**result, "isFinal": False}]}},
        {"t": 0, "from": "server", "json": {"results": [result]}},
    )
    answer = {"candidates": [{"content": {"parts": [{"text": "Hm."}]}}]}
    write(
        tmp_path / "3-http.jsonl",
        {**HEAD, "wire": "http", "method": "POST", "target": "/v1beta/models/m:streamGenerateContent?alt=sse"},
        sent({"contents": [{"role": "user", "parts": [{"text": "and?"}]}]}),
        {"t": 0, "from": "server", "text": f"data: {json.dumps(answer)}\r\n\r\n"},
    )
    assert scenario_of(tmp_path) == {
        "utterances": [
            {"text": "thank you", "language": "", "alternatives": []},
            {"text": "hello", "language": "en", "alternatives": ["hallo"]},
        ],
        "replies": [
            {"calls": [{"name": "get_time", "args": {"zone": "here"}}], "match": r"^\s*What\ \(time\)\?\s*$"},
            {"text": "It is noon.", "result_of": "get_time"},
            {"text": "Welcome.", "match": r"^\s*thank\ you\s*$"},
            {"text": "Hm.", "match": r"^\s*and\?\s*$"},
        ],
    }
