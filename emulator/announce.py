"""What the program prints once it serves: the environment that leads clients there, for one kind of reader."""

import json
import os
import shlex
import textwrap
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from halfcascade.lines import tr

_REDIRECT = Path(__file__).parent / "redirect"
_GOOGLE_HOSTS = (
    "speech.googleapis.com",
    "us-speech.googleapis.com",
    "eu-speech.googleapis.com",
    "texttospeech.googleapis.com",
    "generativelanguage.googleapis.com",
    "aiplatform.googleapis.com",
    "us-central1-aiplatform.googleapis.com",
    "oauth2.googleapis.com",
)


class Served(Protocol):
    """What has ports and an environment that leads clients there."""

    ports: dict[str, int]
    env: dict[str, str]
    extra_env: dict[str, str]

    async def start(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """End everything."""


class Reader(StrEnum):
    """Who reads the lines."""

    SHELL = "shell"
    NODE = "node"
    JAVA = "java"
    GO = "go"
    COMPOSE = "compose"
    JSON = "json"


def ready(google: Served) -> dict[str, Any]:
    """Tell everything as one JSON object."""
    return {
        "pid": os.getpid(),
        "ports": google.ports,
        "environment": google.env,
        "more_environment": google.extra_env,
    }


def lines(google: Served, reader: Reader) -> list[str]:
    """Write the lines for a reader."""
    match reader:
        case Reader.JSON:
            return [json.dumps(ready(google))]
        case Reader.NODE:
            return _node(google)
        case Reader.JAVA:
            return _java(google)
        case Reader.GO:
            return _go(google)
        case Reader.COMPOSE:
            return _compose(google)
    return [
        _comment(tr("Google's APIs are served here until Ctrl-C. For another terminal:")),
        *_exports(google.env),
        _comment(
            tr(
                "Vertex AI by environment, TLS, REST and other languages "
                "(--print node, java, go or compose tells more):"
            )
        ),
        *_exports(google.extra_env),
        _comment(tr("Google's Python speech clients know no such variables; unchanged programs follow them with:")),
        f"export PYTHONPATH={shlex.quote(str(_REDIRECT))}",
    ]


def _comment(text: str, mark: str = "#") -> str:
    return f"{mark} {text}"


def _tts_alike(google: Served) -> str:
    told = tr('Text-to-Speech alike, at "{address}".')
    return _comment(told.format(address=google.env["TEXTTOSPEECH_EMULATOR_HOST"]), "//")


def _exports(environment: dict[str, str]) -> list[str]:
    return [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]


def _node(google: Served) -> list[str]:
    speech, tts = google.env["SPEECH_EMULATOR_HOST"], google.env["TEXTTOSPEECH_EMULATOR_HOST"]

    def options(address: str) -> str:
        host, _, port = address.rpartition(":")
        return f"{{ apiEndpoint: '{host}', port: {port}, sslCreds: grpc.credentials.createInsecure() }}"

    return [
        _comment(tr("The environment of the node process:")),
        *_exports({**google.env, "NODE_EXTRA_CA_CERTS": google.extra_env["NODE_EXTRA_CA_CERTS"]}),
        _comment(tr("Google's clients (grpc is the package @grpc/grpc-js):"), "//"),
        f"new SpeechClient({options(speech)});",
        f"new TextToSpeechClient({options(tts)});",
        "new GoogleGenAI({ apiKey: process.env.GOOGLE_API_KEY });",
    ]


def _java(google: Served) -> list[str]:
    return [
        _comment(tr("Google's Java clients, over plaintext gRPC:"), "//"),
        "SpeechSettings.newBuilder()",
        "    .setTransportChannelProvider(InstantiatingGrpcChannelProvider.newBuilder()",
        f'        .setEndpoint("{google.env["SPEECH_EMULATOR_HOST"]}")',
        "        .setChannelConfigurator(ManagedChannelBuilder::usePlaintext).build())",
        "    .setCredentialsProvider(NoCredentialsProvider.create()).build();",
        _tts_alike(google),
        _comment(tr("Gemini: a trust store holds the emulator's authority:"), "//"),
        f"keytool -importcert -noprompt -alias emulator -file {google.env['SSL_CERT_FILE']} "
        "-keystore emulator.jks -storepass emulator",
        "export JAVA_TOOL_OPTIONS='-Djavax.net.ssl.trustStore=emulator.jks'",
        *_exports({"GOOGLE_GEMINI_BASE_URL": google.env["GOOGLE_GEMINI_BASE_URL"]}),
    ]


def _go(google: Served) -> list[str]:
    return [
        _comment(tr("Google's Go clients, over plaintext gRPC:"), "//"),
        "speech.NewClient(ctx,",
        f'    option.WithEndpoint("{google.env["SPEECH_EMULATOR_HOST"]}"),',
        "    option.WithoutAuthentication(),",
        "    option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))",
        _tts_alike(google),
        _comment(tr("Gemini takes the environment:"), "//"),
        *_exports({name: google.env[name] for name in ("GOOGLE_GEMINI_BASE_URL", "GOOGLE_API_KEY", "SSL_CERT_FILE")}),
    ]


def _compose(google: Served) -> list[str]:
    aliases = "\n".join(f"          - {host}" for host in _GOOGLE_HOSTS)
    trust = tr(
        "Programs in other containers reach the emulator under Google's own names, unchanged, if they trust its "
        "authority: mount the volume `emulator-tls` and set SSL_CERT_FILE, REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS and "
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH to /tls/bundle.pem, GOOGLE_APPLICATION_CREDENTIALS to /tls/credentials.json."
    )
    text = f"""\
{textwrap.fill(trust, 118, initial_indent="# ", subsequent_indent="# ", break_long_words=False)}
services:
  emulator:
    build: {{ context: ., dockerfile: emulator/Dockerfile }}
    volumes: ["emulator-tls:/tls"]
    networks:
      default:
        aliases:
{aliases}
volumes:
  emulator-tls:"""
    return text.splitlines()
