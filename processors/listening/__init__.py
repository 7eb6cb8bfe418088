"""A listener's sounds ("mm-hm") in pauses of the user's turn, which take no turn and leave no trace in the context."""

from halfcascade.processors.listening.machine import ListeningMachine, ListeningParams

__all__ = ["ListeningMachine", "ListeningParams"]
