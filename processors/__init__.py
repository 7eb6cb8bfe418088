"""Frame processors and services; each usable in anybody's Pipecat pipeline."""
