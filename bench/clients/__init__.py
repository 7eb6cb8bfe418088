"""Clients that nobody here wrote, at their newest release, against the emulator."""
