"""Errors of the emulator that a person can act on."""


class EmulatorError(Exception):
    """The emulator cannot do what it was asked to.

    The message is one line for a person: the cause, then the remedy.
    """
