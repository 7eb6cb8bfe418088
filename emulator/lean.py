"""Import Google's messages without their clients, which take most of the time and memory of a start.

Only for a process that is the emulator's own: a program that makes clients too needs the packages as they are.
"""

import importlib.util
import sys
from types import ModuleType

_PACKAGES = (
    "google.cloud.speech_v1",
    "google.cloud.speech_v1p1beta1",
    "google.cloud.speech_v2",
    "google.cloud.texttospeech_v1",
    "google.cloud.texttospeech_v1beta1",
)


def leave_out_clients() -> None:
    """Let the packages hold their messages alone, wherever nobody has imported them yet."""
    for name in _PACKAGES:
        if name in sys.modules:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            continue
        package = ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = spec
        sys.modules[name] = package
