"""The quick half of `make matrix`: what pip must resolve for most people."""

import importlib.util

import pytest

from tests.install.conftest import ROOT, own_uv

_spec = importlib.util.spec_from_file_location("matrix", ROOT / "scripts" / "matrix.py")
assert _spec and _spec.loader
matrix = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(matrix)

_OFFLINE = ("Failed to fetch", "dns error", "Could not connect", "client error (Connect)")


@pytest.mark.parametrize("case", matrix.QUICK, ids=str)
def test_it_resolves(case):
    own_uv()
    cause = matrix.resolve(case)
    if cause and any(word in cause for word in _OFFLINE):
        pytest.skip("the package index cannot be reached")
    assert cause is None
