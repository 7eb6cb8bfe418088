"""A talk on the whole terminal: meters, words as they are heard, stages, and keys to act with."""
