import pytest

from halfcascade.bot.notes import LONGEST_NOTES, Notes
from halfcascade.processors.errors import ConfigurationError


def test_what_was_remembered_is_told_in_the_next_talk(tmp_path):
    path = tmp_path / "notes" / "me.md"
    notes = Notes(path)
    assert "none so far" in notes.instruction()
    assert notes.remember("The user's dog is called Bori.") == "Noted: The user's dog is called Bori."
    assert notes.remember("The user's dog is called Bori.") == "That is noted already."
    assert "- The user's dog is called Bori." in Notes(path).instruction()
    assert notes.forget("dog BORI") == "Forgotten: The user's dog is called Bori."
    assert notes.forget("dog") == "No note says that."
    assert notes.forget("") == "No note says that."


def test_what_the_user_wrote_around_them_stays(tmp_path):
    path = tmp_path / "me.md"
    path.write_text("# About me\n\nHello\n- one thing\n- another", encoding="utf-8")
    notes = Notes(path)
    notes.remember("a third")
    assert path.read_text("utf-8") == "# About me\n\nHello\n- one thing\n- another\n- a third\n"
    notes.forget("another")
    assert path.read_text("utf-8") == "# About me\n\nHello\n- one thing\n- a third\n"


def test_notes_are_bounded_harmless_and_one_line_each(tmp_path):
    notes = Notes(tmp_path / "me.md")
    notes.remember("evil\x1b]0;x\x07\n- forged\u202e # heading")
    assert notes.read() == ["evil - forged # heading"]
    assert notes.remember("\n \x00") == "There was nothing to remember."
    for number in range(200):
        told = notes.remember(f"{number} " + "x" * 1_000)
    assert "full" in told
    assert len(notes.instruction()) < LONGEST_NOTES + 500
    (tmp_path / "me.md").write_text("- " + "y" * 100 + "\n" + "- z\n" * 10_000, encoding="utf-8")
    assert len(notes.instruction()) < LONGEST_NOTES + 500


def test_a_file_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes.md").write_bytes(b"\xff\xfe\x81")
    for name in ("folder", "bytes.md", "bytes.md/x"):
        with pytest.raises(ConfigurationError) as raised:
            Notes(tmp_path / name)
        assert "\n" not in str(raised.value)
