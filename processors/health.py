"""What its answers have shown of a service, for ears and voice alike: whether it is away, and when to believe a no.

Without I/O; kept by the machines in ``protocol``.
"""


class ServiceHealth:
    """How one service does.

    Attributes:
        failures: Failures in a row.
    """

    def __init__(self, refusals_believed: int):
        """Start without knowing anything.

        Args:
            refusals_believed: So many refusals in a row are believed of a service that has worked: Google is known to
                refuse in passing what it takes a moment later.
        """
        self._refusals_believed = refusals_believed
        self._refusals = 0
        self._has_worked = False
        self._told = False
        self.failures = 0

    def progress(self) -> bool:
        """What was waited for came.

        Returns:
            Whether that ends an outage which was told.
        """
        over, self._told = self._told, False
        self._has_worked = True
        self.failures = self._refusals = 0
        return over

    def failed(self, *, refused: bool = False) -> None:
        """A call gave nothing.

        Args:
            refused: Whether asking again is said to be of no use.
        """
        self.failures += 1
        self._refusals = self._refusals + 1 if refused else 0

    def told(self) -> None:
        """The user was told that the service is away."""
        self._told = True

    @property
    def refuses(self) -> bool:
        """Whether the latest refusal is final: nothing has ever worked, or it was repeated often enough."""
        return self._refusals > 0 and (not self._has_worked or self._refusals >= self._refusals_believed)
