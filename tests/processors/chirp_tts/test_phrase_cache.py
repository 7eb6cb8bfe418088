"""Phrases on disk."""

import os

from halfcascade.processors.chirp_tts.phrase_cache import PhraseCache, PhraseKey

VOICE = "en-US-Chirp3-HD-Charon"


def key(text: str = "Hello.", **changes) -> PhraseKey:
    return PhraseKey(**({"voice": VOICE, "language": "en-US", "text": text} | changes))


async def test_what_was_put_is_found_by_another_cache(tmp_path):
    await PhraseCache(tmp_path / "new" / "folder").put(key(), b"\1\2")
    assert await PhraseCache(tmp_path / "new" / "folder").get(key()) == b"\1\2"


async def test_every_part_of_the_key_counts(tmp_path):
    cache = PhraseCache(tmp_path)
    await cache.put(key(), b"\1\2")
    for other in (
        key("Hello"),
        key(voice="en-US-Chirp3-HD-Kore"),
        key(language="en-GB"),
        key(speaking_rate=1.1),
        key(markup=True),
        key(pronunciations="x"),
        key(sample_rate=16_000),
    ):
        assert await cache.get(other) is None


async def test_the_least_recently_used_phrase_goes_first(tmp_path):
    cache = PhraseCache(tmp_path, max_bytes=100)
    for number, text in enumerate(("one", "two", "three")):
        await cache.put(key(text), bytes(30))
        os.utime(tmp_path / key(text).name, ns=(number, number))
    assert await cache.get(key("one"))
    await cache.put(key("four"), bytes(30))
    assert await cache.get(key("two")) is None
    assert await cache.get(key("one")) and await cache.get(key("three")) and await cache.get(key("four"))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 100


async def test_a_phrase_bigger_than_the_cache_is_not_kept(tmp_path):
    cache = PhraseCache(tmp_path, max_bytes=10)
    await cache.put(key(), bytes(12))
    await cache.put(key("empty"), b"")
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = PhraseCache(tmp_path / "file" / "cache")
    await cache.put(key(), b"\1\2")
    assert await cache.get(key()) is None


async def test_nothing_of_the_text_shows_in_the_file_name(tmp_path):
    await PhraseCache(tmp_path).put(key("secret words"), b"\1\2")
    assert [path.suffix for path in tmp_path.iterdir()] == [".pcm"]
    assert "secret" not in next(tmp_path.iterdir()).name
