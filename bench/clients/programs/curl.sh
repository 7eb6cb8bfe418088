#!/usr/bin/env bash
# curl over REST: Speech v1 and v2, Text-to-Speech, Gemini.
set -u
base=$GOOGLE_GEMINI_BASE_URL
audio=$(tail -c +45 "$CLIENTS_WAV" | base64 -w0)
try() { # name, wanted, path, body
    local answer
    if answer=$(printf '%s' "$4" | curl -sS --max-time 30 --cacert "$SSL_CERT_FILE" -H 'Content-Type: application/json' \
        -H "x-goog-api-key: $GOOGLE_API_KEY" --data-binary @- "$base$3" 2>&1) && grep -q "$2" <<<"$answer"; then
        printf '{"case": "%s", "ok": true, "shown": "%s", "seconds": 0}\n' "$1" "$2"
    else
        printf '{"case": "%s", "ok": false, "shown": "no %s", "seconds": 0}\n' "$1" "$2"
    fi
}
config='"config":{"encoding":"LINEAR16","sampleRateHertz":16000,"languageCode":"en-US"}'
try "Speech v1" "what time is it" /v1/speech:recognize "{$config,\"audio\":{\"content\":\"$audio\"}}"
decoding='"explicitDecodingConfig":{"encoding":"LINEAR16","sampleRateHertz":16000,"audioChannelCount":1}'
try "Speech v2" "what time is it" /v2/projects/p/locations/global/recognizers/_:recognize \
    "{\"config\":{$decoding,\"languageCodes\":[\"en-US\"],\"model\":\"long\"},\"content\":\"$audio\"}"
voice='"voice":{"languageCode":"en-US","name":"en-US-Chirp3-HD-Kore"},"audioConfig":{"audioEncoding":"MP3"}'
try "Text-to-Speech" audioContent /v1/text:synthesize "{\"input\":{\"text\":\"Hello\"},$voice}"
try "generateContent" "You said: hello" /v1beta/models/gemini-3.8-flash:generateContent \
    '{"contents":[{"parts":[{"text":"hello"}]}]}'
