"""Errors that a person can act on."""


class ConfigurationError(Exception):
    """Something the user set, or did not set, prevents the bot from talking.

    The message is one line for a person: the cause, then the remedy. It never holds a secret.
    """
