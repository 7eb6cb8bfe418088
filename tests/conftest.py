import sys

import pytest
from loguru import logger

from halfcascade.lines import use_language


@pytest.fixture(autouse=True, scope="session")
def quiet_log():
    """Show warnings only: a failing test's output stays readable."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")


@pytest.fixture(autouse=True)
def english_lines():
    """Let no test speak the language of the one before, nor of this machine."""
    use_language("en-US")
    yield
    use_language("en-US")
