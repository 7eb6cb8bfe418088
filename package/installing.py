"""How what is missing is installed here: in a checkout by make, elsewhere by the person's installer."""

import importlib.util
import shutil
from pathlib import Path


def in_checkout() -> bool:
    """Whether this is the project's own checkout, where the Makefile installs everything."""
    root = Path(__file__).resolve().parents[1]
    return (root / "Makefile").is_file() and (root / "pyproject.toml").is_file()


def how_to_install(extra: str) -> str:
    """Tell the command that installs an extra.

    Args:
        extra: Its name.

    Returns:
        The command, in backticks.
    """
    if in_checkout():
        return "`make serve`" if extra == "serve" else "`make demo`"
    pip = "uv pip" if not is_there("pip") and shutil.which("uv") else "pip"
    return f'`{pip} install "halfcascade[{extra}]"`'


def is_there(module: str) -> bool:
    """Whether a module can be found, without importing it.

    Args:
        module: Its full name.
    """
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it lies in
        return False
