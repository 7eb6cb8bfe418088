"""Put the name on at build time: the folder ``bot`` of the checkout is built and imported as ``halfcascade.bot``."""

from setuptools import find_packages, setup

_ROOMS = ("bot", "processors", "transports", "emulator")
_packages = find_packages(include=[pattern for room in _ROOMS for pattern in (room, f"{room}.*")])

setup(
    packages=["halfcascade", *(f"halfcascade.{package}" for package in _packages)],
    package_dir={"halfcascade": "package", **{f"halfcascade.{room}": room for room in _ROOMS}},
)
