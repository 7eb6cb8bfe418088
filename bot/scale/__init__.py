"""Talks over many machines, placed by Ray: one front that people reach, and places on the nodes that hold the talks.

`placement` decides, without I/O, which place takes a talk; `place` is a server of talks as a Ray actor; `fleet` keeps
the places of a cluster in sight; `front` is the HTTP surface before them.
"""
