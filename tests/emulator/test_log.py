import asyncio

from halfcascade.emulator.log import UsageLog


def test_entries_are_found_by_api_event_and_stream():
    log = UsageLog()
    first, second = log.open_stream(), log.open_stream()
    log.add("speech", first, "audio", bytes=3)
    log.add("tts", second, "text", text="Hello.")
    assert [entry.data for entry in log.find("speech", "audio")] == [{"bytes": 3}]
    assert [entry.api for entry in log.find(stream=second)] == ["tts"]
    assert (log.streams("speech"), log.streams("live"), len(log)) == ([first], [], 2)
    log.clear()
    assert (len(log), log.open_stream()) == (0, 3)


def test_a_bounded_log_forgets_the_oldest():
    log = UsageLog(keep=2)
    for number in range(5):
        log.add("speech", 1, "audio", bytes=number)
    assert [entry.data["bytes"] for entry in log] == [3, 4]


async def test_waiting_ends_when_it_has_happened_so_often():
    log = UsageLog()
    log.add("tts", 1, "text", text="one")
    waiting = asyncio.create_task(log.wait("tts", "text", count=2))
    await asyncio.sleep(0)
    log.add("speech", 1, "audio")
    await asyncio.sleep(0)
    assert not waiting.done()
    log.add("tts", 1, "text", text="two")
    assert (await waiting).data["text"] == "two"
