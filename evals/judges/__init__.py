"""Judges that were written elsewhere: README.md."""
