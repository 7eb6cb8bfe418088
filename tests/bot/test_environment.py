"""The settings file and the environment, as templates, editors and typing errors leave them."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from halfcascade.bot.cli import app
from halfcascade.bot.environment import PREFIX, known_names, load_environment
from halfcascade.bot.listings import GOOGLE_NAMES, describe_settings, list_settings, settings_page, shown
from halfcascade.bot.settings import Settings
from halfcascade.processors.errors import ConfigurationError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clean(monkeypatch, tmp_path):
    """A folder without a settings file, and none of the names set."""
    for name in (*known_names(), *GOOGLE_NAMES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_an_empty_value_is_no_value(clean, monkeypatch, name):
    default = getattr(Settings(_env_file=None), name)
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", "")
    assert getattr(Settings(_env_file=None), name) == default
    (clean / ".env").write_text(f"{PREFIX}{name.upper()}=\n")
    monkeypatch.delenv(f"{PREFIX}{name.upper()}")
    assert getattr(Settings(), name) == default


def test_empty_and_blank_names_of_templates_are_taken_away(tmp_path):
    environ = {"HALFCASCADE_SESSION": "", "GOOGLE_CLOUD_PROJECT": " ", "GEMINI_API_KEY": "", "OTHER": ""}
    (tmp_path / ".env").write_text("GOOGLE_APPLICATION_CREDENTIALS=\nHALFCASCADE_VOICE='  '\nGOOGLE_CLOUD_PROJECT=p\n")
    found = load_environment(tmp_path / ".env", environ)
    assert environ == {"OTHER": "", "GOOGLE_CLOUD_PROJECT": "p"}
    assert found.from_file == {"GOOGLE_CLOUD_PROJECT"}
    assert found.warnings == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_as_editors_of_windows_save_it_is_read(tmp_path, encoding):
    (tmp_path / ".env").write_bytes("HALFCASCADE_GREETING=안녕하세요\r\nHALFCASCADE_VOICE=Kore\r\n".encode(encoding))
    environ: dict[str, str] = {}
    load_environment(tmp_path / ".env", environ)
    assert environ == {"HALFCASCADE_GREETING": "안녕하세요", "HALFCASCADE_VOICE": "Kore"}


@pytest.mark.parametrize(
    "raw", ["HALFCASCADE_GREETING=안녕".encode("cp949"), b"A=\xff", b"A=1\0\n", "A=1".encode("utf-16-le")]
)
def test_a_file_that_is_no_text_is_one_line(clean, raw):
    (clean / ".env").write_bytes(raw)
    result = CliRunner().invoke(app, ["talk"])
    assert result.exit_code == 2
    assert result.output.startswith("error: The settings file .env ") and "save it as UTF-8" in result.output
    assert len(result.output.splitlines()) == 1


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigurationError, match=r"^The settings file .*cannot be read"):
        load_environment(tmp_path / ".env", {})


def test_lines_that_are_no_settings_are_told_and_the_others_count(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(
        "HALFCASCADE_VOICE=Kore\nsome words\n# words\nexport HALFCASCADE_MODEL=${M}x\nALONE\n"
    )
    monkeypatch.setenv("M", "m")
    environ: dict[str, str] = {}
    found = load_environment(tmp_path / ".env", environ)
    assert environ["HALFCASCADE_VOICE"] == "Kore" and environ["HALFCASCADE_MODEL"] == "mx"
    assert [re.match(r"Line (\d) of ", line)[1] for line in found.warnings] == ["2", "5"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("HALFCASCADE_VIOCE", "HALFCASCADE_VOICE"),
        ("HALFCASCADE_LANG", "HALFCASCADE_LANGUAGE"),
        ("HALFCASCADE_MCP_SERVER", "HALFCASCADE_MCP_SERVERS"),
        ("halfcascade_bakend", "HALFCASCADE_BACKEND"),
    ],
)
def test_a_mistyped_name_is_told_with_the_nearest(tmp_path, name, near):
    assert load_environment(tmp_path / ".env", {name: "x"}).warnings == [f"{name} is no setting: did you mean {near}?"]
    (tmp_path / ".env").write_text(f"{name}=x\n")
    assert len(load_environment(tmp_path / ".env", {}).warnings) == 1


def test_every_known_name_passes_without_a_warning(tmp_path):
    assert load_environment(tmp_path / ".env", dict.fromkeys(known_names(), "x")).warnings == []


@given(st.binary(max_size=60))
def test_no_file_makes_a_traceback(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("odd") / ".env"
    path.write_bytes(raw)
    environ: dict[str, str] = {}
    try:
        load_environment(path, environ)
    except ConfigurationError as error:
        assert "\n" not in str(error)
    assert not any("\0" in text for pair in environ.items() for text in pair)


def test_the_old_name_of_the_models_is_taken_and_told_once(tmp_path):
    (tmp_path / ".env").write_text("HALFCASCADE_LLM=big.gguf\nHALFCASCADE_LLM_PATH=mind.gguf\n")
    environ: dict[str, str] = {}
    found = load_environment(tmp_path / ".env", environ)
    assert environ == {"HALFCASCADE_LLM_PATH": "mind.gguf", "HALFCASCADE_TURN_LLM_PATH": "big.gguf"}
    assert len(found.warnings) == 1 and "HALFCASCADE_LLM is called HALFCASCADE_LLM_PATH and " in found.warnings[0]


def test_every_setting_is_explained_and_on_its_page():
    assert set(describe_settings()) >= set(Settings.model_fields)
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert settings_page() in page, "run: .venv/bin/python scripts/settings-page.py"


def test_settings_tell_value_source_and_default_and_hide_secrets(clean, monkeypatch):
    (clean / ".env").write_text("HALFCASCADE_VOICE=Kore\nHALFCASCADE_MODEL=from-file\nGOOGLE_API_KEY=private-7\n")
    monkeypatch.setenv("HALFCASCADE_MODEL", "from-shell")
    monkeypatch.setenv("HALFCASCADE_MCP_SERVERS", "https://mcp.example/?key=private-8")
    for name in ("GOOGLE_API_KEY", "HALFCASCADE_VOICE"):
        monkeypatch.setenv(name, "")  # so that what the file puts there is taken back
    result = CliRunner().invoke(app, ["settings"])
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert lines.keys() >= {*(f"{PREFIX}{name.upper()}" for name in Settings.model_fields), *GOOGLE_NAMES}
    assert lines["HALFCASCADE_VOICE"].endswith("Kore  (.env, default: Charon)")
    assert lines["HALFCASCADE_MODEL"].endswith("from-shell  (environment, default: gemini-3.8-live)")
    assert lines["HALFCASCADE_LANGUAGE"].endswith("en-US  (default)")
    assert lines["GOOGLE_API_KEY"].endswith("[hidden]  (.env)")
    assert "private" not in result.output


def test_an_option_is_told_as_the_source():
    rows = {row.name: row for row in list_settings(Settings(_env_file=None, voice="Kore"), {"voice": "Kore"}, found())}
    assert rows["voice"].source == "option" and rows["language"].source == "default"


def found():
    return load_environment(Path("/nowhere/.env"), {})


def test_values_are_worded_as_the_environment_would_give_them(monkeypatch):
    settings = Settings(_env_file=None, stt_languages=["ko-KR", "en-US"], tools=False, speaking_rate=1.5)
    for name in Settings.model_fields:
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", shown(getattr(settings, name)))
    assert Settings(_env_file=None) == settings
