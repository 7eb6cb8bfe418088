"""Google Cloud credentials: found, or refused with the reason, or not there at all."""

import os
import sys
from pathlib import Path

from google.auth import default as default_credentials
from google.auth.credentials import Credentials

from halfcascade.processors.errors import ConfigurationError

CREDENTIALS_FILE = "GOOGLE_APPLICATION_CREDENTIALS"

_CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_LOGIN = "`gcloud auth application-default login`"
_NONE = (
    f"No Google Cloud credentials were found: run {_LOGIN} (or set {CREDENTIALS_FILE}), "
    "or talk to the emulator with `--backend emulator`."
)


class NoCredentialsError(ConfigurationError):
    """There are none: nobody named any. Broken ones are a plain `ConfigurationError`."""


def find_credentials() -> tuple[Credentials, str | None]:
    """Find application default credentials, without asking the network.

    Returns:
        The credentials, and the project that they name.

    Raises:
        NoCredentialsError: If there are none.
        ConfigurationError: If there are some that cannot be used, with Google's own reason.
    """
    try:
        return default_credentials(scopes=[_CLOUD_SCOPE])
    except Exception as error:  # of reading, decoding and parsing, whatever a file makes Google's library raise
        named = os.environ.get(CREDENTIALS_FILE, "")
        if "{" in named:
            raise ConfigurationError(
                f"{CREDENTIALS_FILE} holds a key itself: write it to a file that only you may read, and name the file."
            ) from None
        if named:
            raise ConfigurationError(
                f"The credentials file that {CREDENTIALS_FILE} names cannot be used ({_reason(error, named)}): "
                "name another, or unset it."
            ) from error
        login = _login_file()
        if login.exists():
            raise ConfigurationError(
                f"The credentials of gcloud's login cannot be used ({_reason(error, str(login))}): run {_LOGIN} again."
            ) from error
        raise NoCredentialsError(_NONE) from error


def _reason(error: Exception, path: str) -> str:
    """Google's reason as one line; never what the file holds."""
    if isinstance(error, UnicodeError):
        return f"{path} is no text"
    if isinstance(error, OSError):
        return f"{path}: {error.strerror or type(error).__name__}"
    if isinstance(error, AttributeError | TypeError | KeyError):
        return f"{path} holds no credentials"
    said = str(error.args[0] if error.args else error) or type(error).__name__
    return " ".join(said.split())[:300].rstrip(".")


def _login_file() -> Path:
    folder = os.environ.get("CLOUDSDK_CONFIG")
    if folder:
        root = Path(folder)
    elif sys.platform == "win32":
        root = Path(os.environ.get("APPDATA", "")) / "gcloud"
    else:
        root = Path.home() / ".config" / "gcloud"
    return root / "application_default_credentials.json"
