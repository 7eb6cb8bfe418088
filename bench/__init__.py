"""Measurements, side by side with peers where a peer exists."""
