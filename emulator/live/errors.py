"""The closes that end a Live connection (facts/live#models, #lifetime, #closes)."""

from dataclasses import dataclass

# A close frame holds 123 bytes of reason (RFC 6455, 5.5); the real service cuts its longer messages the same way.
_REASON_BYTES = 123


@dataclass(frozen=True)
class Refusal(Exception):
    """The server closes the connection.

    Parameters:
        code: Websocket close code.
        reason: Text of the close frame, at most 123 bytes.
    """

    code: int
    reason: str

    def __post_init__(self) -> None:
        cut = self.reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        object.__setattr__(self, "reason", cut)


def invalid(reason: str = "Request contains an invalid argument.") -> Refusal:
    """Refuse a message: 1007."""
    return Refusal(1007, reason)


def deadline() -> Refusal:
    """Close a connection whose time is up (facts/live#lifetime)."""
    return Refusal(1011, "Deadline expired before operation could complete.")


def internal() -> Refusal:
    """Close because of a fault on the server's side (facts/live#models)."""
    return Refusal(1011, "Internal error encountered.")


def model_not_found(name: str, version: str) -> Refusal:
    """Refuse an unknown model (facts/live#closes)."""
    return Refusal(1008, f"{name} is not found for API version {version}, or is not supported for bidiGenerateContent.")


def bad_api_key() -> Refusal:
    """Refuse a key: the service upgrades the connection and closes it with this 1007, it does not answer HTTP 4xx."""
    return invalid("API key not valid. Please pass a valid API key.")


def no_api_key() -> Refusal:
    """Refuse a caller who names no key at all."""
    return Refusal(
        1008, "Method doesn't allow unregistered callers (callers without established identity). Please use API Key."
    )
