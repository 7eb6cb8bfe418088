"""Google's APIs on loopback for ``unittest``."""

import unittest
from typing import Any, ClassVar

from halfcascade.emulator.background import BackgroundEmulator


class GoogleEmulatorTestCase(unittest.TestCase):
    """Serves for the tests of a class, and begins anew before each of them.

    Attributes:
        google_options: Arguments of ``GoogleEmulator``.
        google: The emulator.
    """

    google_options: ClassVar[dict[str, Any]] = {}
    google: ClassVar[BackgroundEmulator]

    @classmethod
    def setUpClass(cls) -> None:
        """Start it."""
        super().setUpClass()
        cls.google = BackgroundEmulator(**cls.google_options)
        cls.google.start()
        cls.addClassCleanup(cls.google.stop)

    def setUp(self) -> None:
        """Begin anew."""
        super().setUp()
        self.google.reset()
