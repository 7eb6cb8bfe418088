"""A voice bot of Google's speech and language services, its parts, and an emulator of those services.

``halfcascade.bot`` is the application, ``halfcascade.processors`` the services and processors for anybody's Pipecat
pipeline, ``halfcascade.transports`` where audio enters and leaves, ``halfcascade.emulator`` Google's APIs on loopback.
"""

__all__ = ["__version__"]

__version__ = "0.2.0"
