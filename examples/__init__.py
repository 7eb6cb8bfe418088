"""Processors to start from."""
