"""What the documents' code blocks are tried with."""

from tests.install.conftest import distributions

__all__ = ["distributions"]
