"""``python -m bot`` in a checkout; installed, it is ``halfcascade`` or ``python -m halfcascade``."""

from halfcascade.__main__ import run

if __name__ == "__main__":
    run("python -m bot")
