"""Text-to-Speech v1."""
