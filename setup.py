"""Put the name on at build time: the folder ``bot`` of the checkout is built and imported as ``halfcascade.bot``."""

import re
from pathlib import Path

from setuptools import find_packages, setup

_ROOMS = ("bot", "processors", "transports", "emulator")
_packages = find_packages(include=[pattern for room in _ROOMS for pattern in (room, f"{room}.*")])


def _readme_for_an_index() -> str:
    """The README without pictures and links into the checkout, which lead nowhere from an index's page."""
    text = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"^!\[[^]]*\]\((?!https?:)[^)]*\)\n\n?", "", text, flags=re.MULTILINE)
    return re.sub(r"\[([^]]+)\]\((?!https?:|#)[^)]*\)", r"\1", text)


setup(
    long_description=_readme_for_an_index(),
    long_description_content_type="text/markdown",
    packages=["halfcascade", *(f"halfcascade.{package}" for package in _packages)],
    package_dir={"halfcascade": "package", **{f"halfcascade.{room}": room for room in _ROOMS}},
)
