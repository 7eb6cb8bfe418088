"""Measurements, side by side with peers where a peer exists."""

import os

# Pipecat greets in its log when it is imported, and every program of this package would begin with that.
os.environ.setdefault("LOGURU_LEVEL", "WARNING")
# gRPC's core writes to the terminal by itself when a server ends; what matters comes as exceptions.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
