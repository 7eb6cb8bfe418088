"""Every knob of the server, in one typed place."""

import errno
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from halfcascade.bot.serve.access import LOOPBACK, is_loopback
from halfcascade.processors.errors import ConfigurationError

SERVE_PREFIX = "HALFCASCADE_SERVE_"
_SHORTEST_TOKEN = 16


class ServeSettings(BaseSettings):
    """Settings of the server; those of a talk are in ``Settings``.

    Read from the command line, then the environment (``HALFCASCADE_SERVE_`` and the name in capitals; the command line
    puts ``.env`` there).

    Parameters:
        host: Address to bind to; beyond loopback a token is required.
        port: Port; 0 takes a free one.
        token: What a caller must know.
        origins: Origins of pages besides the server's own that may connect, such as ``https://example.org``.
        public_host: Name under which the world reaches this server, if a proxy stands before it.
        most_talks: How many talks there may be at once.
        talk_secs: Longest talk, in seconds.
        idle_secs: After how much silence on both sides a talk ends, in seconds.
        drain_secs: How long talks may go on once the server is asked to end, in seconds.
        keep_sessions: Folder for the session folders of visitors; None keeps nothing of what they say.
        keep_days: After how many days a visitor's session folder is deleted.
        tls_certificate: PEM file with the certificate chain, to serve HTTPS.
        tls_key: PEM file with its key.
        ice_servers: STUN and TURN servers for browsers behind firewalls, such as ``stun:stun.example.org:3478``.
        evals: Whether Pipecat's eval harness may connect.
        cluster: Address of the Ray cluster that holds the talks, ``auto`` for the one of this machine, or ``local`` for
            one of its own; None holds them in this process.
    """

    model_config = SettingsConfigDict(env_prefix=SERVE_PREFIX, env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65_535)
    token: SecretStr | None = None
    origins: Annotated[list[str], NoDecode] = Field(default_factory=list)
    public_host: str | None = None
    # Python keeps to one core, of which a talk takes a tenth or less (bench/README.md#doors).
    most_talks: int = Field(default=10, ge=1)
    talk_secs: float = Field(default=1800.0, gt=0)
    idle_secs: float = Field(default=300.0, gt=0)
    drain_secs: float = Field(default=60.0, ge=0)
    keep_sessions: Path | None = None
    keep_days: float = Field(default=7.0, gt=0)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    ice_servers: Annotated[list[str], NoDecode] = Field(default_factory=list)
    evals: bool = False
    cluster: str | None = None

    @field_validator("origins", "ice_servers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Let the environment give lists as ``a, b`` instead of JSON."""
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @property
    def secret(self) -> str | None:
        """The token, or None."""
        return self.token.get_secret_value() if self.token else None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names under which requests may come; empty for any, where the token protects instead."""
        return LOOPBACK if is_loopback(self.host) and not self.public_host else ()

    @property
    def url(self) -> str:
        """Where the page is."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_certificate else 'http'}://{host}:{self.port}"

    def check(self) -> None:
        """Make sure that the server would be safe.

        Raises:
            ConfigurationError: If it would be open to the world, is half set up for HTTPS, or cannot keep sessions.
        """
        beyond = self.public_host or not is_loopback(self.host)
        if beyond and not self.secret:
            raise ConfigurationError(
                f"Beyond this machine ({self.public_host or self.host}) a token is required: "
                "set HALFCASCADE_SERVE_TOKEN to at least 16 characters nobody can guess."
            )
        if self.secret is not None and len(self.secret) < _SHORTEST_TOKEN:
            raise ConfigurationError(
                f"HALFCASCADE_SERVE_TOKEN is too short: give at least {_SHORTEST_TOKEN} characters nobody can guess."
            )
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ConfigurationError("HTTPS needs both: set HALFCASCADE_SERVE_TLS_CERTIFICATE and …_TLS_KEY.")
        for path in (self.tls_certificate, self.tls_key):
            if path and not path.is_file():
                raise ConfigurationError(f"There is no file {path}: HTTPS needs a certificate and a key as PEM files.")
        if self.keep_sessions:
            _make_folder(self.keep_sessions)


def _make_folder(folder: Path) -> None:
    """Make the folder that sessions go to now, rather than let every visitor's talk fail for want of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        told = f"Sessions cannot be kept in {folder} ({error.strerror}): name another folder with --keep-sessions."
        raise ConfigurationError(told) from error
