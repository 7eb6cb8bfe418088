"""Google's three streaming speech and language APIs on loopback."""
