import sys

import pytest
from loguru import logger


@pytest.fixture(autouse=True, scope="session")
def quiet_log():
    """Show warnings only: a failing test's output stays readable."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
