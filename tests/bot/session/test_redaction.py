from halfcascade.bot.session.redaction import HIDDEN, Redactor


def test_values_of_secret_variables_are_hidden_wherever_they_stand():
    redactor = Redactor.from_environment(
        {"GOOGLE_API_KEY": "my-secret-value", "MY_TOKEN": "tok-123456", "HOME": "/root"}
    )
    shown = redactor.value({"message": "bad key my-secret-value", "more": ["tok-123456", 3, None], "x": "/root"})
    assert shown == {"message": f"bad key {HIDDEN}", "more": [HIDDEN, 3, None], "x": "/root"}


def test_a_secret_that_contains_another_is_hidden_whole():
    assert Redactor(["abcdef", "abcdefgh"]).text("abcdefgh") == HIDDEN


def test_whatever_looks_like_a_google_secret_is_hidden():
    redactor = Redactor()
    for secret in (
        "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw",
        "ya29.a0AfH6SMBx-_y",
        "https://x/?key=anything&alt=sse",
        "Authorization: Bearer abc.def",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    ):
        shown = redactor.text(secret)
        assert HIDDEN in shown
        assert "anything" not in shown and "abc.def" not in shown and "MIIE" not in shown and "a0AfH" not in shown
        assert "0123456789abcdef" not in shown


def test_files_and_placeholders_are_no_secrets(tmp_path):
    key_file = tmp_path / "key.json"
    key_file.write_text("{}")
    redactor = Redactor.from_environment(
        {"GOOGLE_APPLICATION_CREDENTIALS": str(key_file), "GOOGLE_API_KEY": "emulator"}
    )
    assert redactor.text(f"see {key_file}, the emulator") == f"see {key_file}, the emulator"
