"""A voice bot of Google's speech and language services, its parts, and an emulator of those services.

``halfcascade.bot`` is the application, ``halfcascade.processors`` the services and processors for anybody's Pipecat
pipeline, ``halfcascade.transports`` where audio enters and leaves, ``halfcascade.emulator`` Google's APIs on loopback.
"""

import os

__all__ = ["__version__"]

# From 1.32 on, onnxruntime's wheels report to Microsoft what is run, unless told not to before they are loaded; whoever
# listens to a person tells nobody. Set to 0 by whoever wants it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.2.0"
