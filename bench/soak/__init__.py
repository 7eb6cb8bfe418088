"""A day of talk in virtual time, with services in memory that fail at random: ``python -m bench.soak``."""
