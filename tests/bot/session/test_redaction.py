import json

import pytest

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


S = "q7Zp2Lx9Rk4Tm8Wv3Yb6Nc1D"  # stands for whatever a secret looks like

SHAPES = [
    "AIzaSyD-1234567890abcdefghijklmnopqrstu",
    "AIzaSyD-1234567890abcdef\nghijklmnopqrstu",
    "AQ.Ab8RN6J1234567890abcdefghij",
    "ya29.a0AfB_byC-1234567890.abcdef",
    "1//0gabcdefghijklmnopqrstuvwxyz",
    "GOCSPX-abcdefghijklmnop",
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJtZSIsInN1YiI6InkifQ.c2lnbmF0dXJl",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "gho_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11AAAAA0bbbbbbbbbbbbbbb",
    "glpat-abcdefghij1234567890",
    "sk-live-abcdef123456",
    "sk-proj-abcdefghijklmnop1234",
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "xoxb-1234567890-abcdefghij",
    "AKIAIOSFODNN7EXAMPLE",
    "hf_abcdefghijklmnopqrstuvwx",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "pypi-AgEIcHlwaS5vcmcCJDEyMzQ1Njc4OTAxMjM0NTY3ODkw",
    "SG.abcdefghijklmnopqr.abcdefghijklmnopqrstu",
    "dckr_pat_abcdefghijklmnop",
    "glptt-abcdefghij1234567890",
    "xapp-1-A0123456789-abcdefghij",
    "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnop",
    "whsec_abcdefghijklmnopqrstuvwx",
    "gsk_abcdefghijklmnopqrstuvwxyz0123456789",
    "r8_abcdefghijklmnopqrstuvwxyz0123456789",
    "lin_api_abcdefghijklmnopqrstuvwxyz0123456789",
    "tvly-dev-abcdefghijklmnop",
    "ATATT3xFfGF0abcdefghijklmnop",
    "hvs.abcdefghijklmnopqrstuvwxyz",
    "shpat_0123456789abcdef0123456789abcdef",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\nabc\n-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ and nothing more came",
]
PLACES = [
    "https://x.example/?key={}",
    "https://mcp.example/mcp?api_key={}&x=1",
    "https://mcp.example/mcp?x=1&token={}",
    "https://x.example/cb?access_token={}",
    "https://x.example/v1alpha/auth_tokens/{}",
    "https://bob:{}@proxy.example:3128",
    "http://{}@proxy.example:3128/path",
    "Authorization: Bearer {}",
    "Authorization: Basic {}==",
    "Proxy-Authorization: Basic {}",
    "'authorization': '{}'",
    "{{'x-goog-api-key': '{}'}}",
    '{{"X-Api-Key": "{}"}}',
    '"refresh_token": "{}"',
    '"client_secret": "{}"',
    '"private_key": "{}"',
    "('x-api-key', '{}')",
    "uvx some-server --token {}",
    "npx server --api-key={}",
    "server --password '{}'",
    "OPENAI_API_KEY={}",
    "export DB_PASSWORD='{}'",
    "password={}&user=bob",
    "secret_access_key = {}",
    "Set-Cookie: session={}; Path=/",
    "cookie: sid={}",
    "https://s3.example/file?X-Amz-Signature={}",
    "api_key: {}",
    "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={}==",
    "https://x.blob.example/c?sv=2026&sig={}",
    "redis://:{}@cache.example:6379",
    "wss://x.example/ws?access_token={}",
    "{{'token': b'{}'}}",
]


def test_there_are_as_many_shapes_as_security_promises():
    assert len({*SHAPES, *PLACES}) >= 40


@pytest.mark.parametrize("secret", SHAPES, ids=lambda text: text[:12])
def test_what_looks_like_a_secret_is_hidden_wherever_it_stands(secret):
    for around in ("{}", "it said {} and no more", '{{"x": "{}"}}', "({})"):
        told = Redactor().text(around.format(secret))
        assert HIDDEN in told
        assert not any(part in told for part in secret.replace("-", " ").split() if len(part) > 8)


@pytest.mark.parametrize("place", PLACES)
def test_what_stands_where_secrets_stand_is_hidden_whatever_it_looks_like(place):
    told = Redactor().text(f"POST failed: {place.format(S)}")
    assert S not in told and HIDDEN in told and told.startswith("POST failed: ")


def test_secrets_of_settings_are_hidden_in_every_form_they_are_written_in():
    environ = {
        "DB_PASS": "pass-word-123",
        "GH_PAT": "pat_98765432",
        "SERVICE_AUTH": "auth-98765432",
        "ODD_KEY": 'has"quote\\and space',
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPx",
        "HTTPS_PROXY": "http://bob:hunter2secret@proxy.example:3128",
        "HALFCASCADE_MCP_SERVERS": "https://mcp.example/mcp?api_key=plainvalue99,uvx s --token other-value-7",
    }
    redactor = Redactor.from_environment(environ)
    for text in (
        "pass-word-123",
        "pat_98765432",
        "auth-98765432",
        json.dumps({"k": 'has"quote\\and space'}),
        repr('has"quote\\and space'),
        "wJalrXUtnFEMI%2FK7MDENG%2FbPx",
        "the proxy said hunter2secret",
        "plainvalue99",
        "other-value-7",
    ):
        assert HIDDEN in redactor.text(text), text


def test_plain_speech_is_not_touched():
    subjects = (
        "The ring bearer", "My password", "A token of thanks", "The key", "Basic training", "The secret", "Your cookie",
        "The author", "Bearer bonds", "A signature dish", "The credentials of the teacher", "One api", "Digest this",
        "The access key", "Token ring", "My private key point", "The basic idea", "A passphrase", "Session 12", "Pat",
    )  # fmt: skip
    verbs = (
        "walked to",
        "is",
        "was forgotten at",
        "belongs to",
        "costs",
        "means",
        "looks like",
        "opens",
        "rhymes with",
    )
    objects = (
        "the door, number 42.", "basic income.", "a well-known secret: love.", "the token machine at 5:30.",
        "key lime pie - the best!", "\"password\", she said.", "the year 2026/27.", "https://example.org/about?page=2",
        "what's-his-name's house.", "20 % of 1,000 = 200.", "a cookie: chocolate chip.", "3.14159265358979.",
        "the state-of-the-art solution.", "mother-in-law's tongue.", "anna@example.org.", "room B-12, floor 3.",
        "the non-refundable deposit.", "Bearer and sons.", "the password: it is on the fridge.", "auth and order.",
        "chapter 7: the key.", "\"token\": a small coin.", "the secret of success = work.", "0800 123 45 67.",
        "Rock'n'roll; key of C.", "an eye for an eye.", "the sky-blue bird.", "pk and sk as initials.", "AI and I.",
    )  # fmt: skip
    sentences = [f"{a} {b} {c}" for a in subjects for b in verbs for c in objects]
    assert len(sentences) > 5_000
    redactor = Redactor()
    assert [sentence for sentence in sentences if redactor.text(sentence) != sentence] == []
