import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.cassettes.redaction import REMOVED, Redactor

KEY = "AIzaSyA-1234567890_abcdefghijklmnopqrst"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----\n"
SECRETS = (
    KEY,
    "ya29.a0ARrdaM-k_1234567890",
    "1//0gabcdefghijklmnopqrstuvwxyz-012345",
    "GOCSPX-abcdefghijklmnopqrstuvwx",
    "AQ.Ab8RN6abcdefghijklmnopqrstuvwxyz",
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhYmMifQ.c2lnbmF0dXJl",
    "auth_tokens/4f3c2b1a-9988",
    PEM,
)
PLACES = ("{}", "see {} there", "key={}", "Bearer {}", "https://x.test/v1?key={}&alt=sse", '"{}"', "({})", "{}\n{}")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_goes_wherever_it_stands(secret: str, place: str) -> None:
    text = place.format(secret, secret)
    redactor = Redactor()
    body = {"contents": [{"parts": [{"text": text}], text: 1}]}
    for told in (redactor.text(text), json.dumps(redactor.value(body)), redactor.text(json.dumps(body))):
        assert secret not in told
        assert json.dumps(secret)[1:-1] not in told or secret == PEM


@pytest.mark.parametrize(
    "name",
    ["apiKey", "api_key", "access_token", "accessToken", "refresh_token", "id_token", "client_secret", "private_key"],
)
@pytest.mark.parametrize("value", ["x", "hunter2", 'a"b', "비밀"])
def test_fields_that_hold_secrets_by_their_name(name: str, value: str) -> None:
    redactor = Redactor()
    assert redactor.value({"a": [{name: value}]}) == {"a": [{name: REMOVED}]}
    assert json.loads(redactor.text(json.dumps({name: value, "other": value}))) == {name: REMOVED, "other": value}


def test_headers_stay_only_where_they_are_known() -> None:
    headers = {
        "authorization": "Bearer abcdef",
        "cookie": "a=b",
        "x-custom-secret": "hunter2",
        "content-type": "application/json",
        "x-goog-request-params": f"recognizer=projects/p&key={KEY}",
    }
    told = Redactor().headers(headers)
    assert told == {
        "content-type": "application/json",
        "x-goog-request-params": f"recognizer=projects/p&key={REMOVED}",
    }


@settings(max_examples=40)
@given(
    secret=st.text("abcXYZ019-_.~", min_size=6, max_size=40), before=st.text(max_size=20), after=st.text(max_size=20)
)
def test_what_the_call_came_with_is_found_everywhere(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.learn_from({"authorization": f"Bearer {secret}"}, [("key", secret)])
    assert secret not in redactor.text(before + secret + after).replace(REMOVED, "")
    assert secret.encode() not in redactor.data(b"\x0a" + secret.encode() + b"\x00")


def test_the_placeholder_of_every_emulator_is_no_secret() -> None:
    redactor = Redactor()
    redactor.learn_from({"authorization": "Bearer emulator", "x-goog-api-key": "emulator"})
    assert redactor.text("projects/emulator/locations/us") == "projects/emulator/locations/us"


def test_handles_are_the_same_everywhere_in_a_recording() -> None:
    redactor = Redactor()
    told = [redactor.value({"newHandle": name}) for name in ("aaa", "bbb", "aaa")]
    assert [value["newHandle"] for value in told] == ["handle-1", "handle-2", "handle-1"]
    assert redactor.value({"setup": {"sessionResumption": {"handle": "bbb"}}}) == {
        "setup": {"sessionResumption": {"handle": "handle-2"}}
    }


@settings(max_examples=40)
@given(st.binary(max_size=3000))
def test_audio_stays_as_it_is(audio: bytes) -> None:
    value = {"realtimeInput": {"audio": {"data": base64.b64encode(audio).decode(), "mimeType": "audio/pcm"}}}
    assert Redactor().value(value) == value


def test_bytes_keep_their_length() -> None:
    data = b"\x0a\x26" + KEY.encode() + b"\x12\x01x"
    told = Redactor().data(data)
    assert KEY.encode() not in told
    assert len(told) == len(data)


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=12),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )
)
def test_twice_is_once(value: object) -> None:
    redactor = Redactor()
    once = redactor.value(value)
    assert redactor.value(once) == once
