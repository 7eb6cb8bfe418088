"""Turns in voices that trained nothing: what ``bench.turns`` measures on, and what its judge was tuned on.

``sentences.toml`` holds the words, ``corpus`` says which half is which and reads them, ``make`` speaks them.
"""
