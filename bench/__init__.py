"""Measurements, side by side with peers where a peer exists."""

import os

# Pipecat greets in its log when it is imported, and every program of this package would begin with that.
os.environ.setdefault("LOGURU_LEVEL", "WARNING")
