"""A refusal that gRPC reports as an internal error of its own is asked for once more."""

import pytest
from google.api_core.exceptions import InternalServerError, PermissionDenied

from halfcascade.processors.google_calls import unmasked


def answering(*answers):
    left = list(answers)

    async def ask():
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask, left


@pytest.mark.parametrize("masked", [0, 1, 2])
async def test_what_is_behind_an_internal_error_comes_to_light(masked):
    hidden = [InternalServerError("Internal error from Core")] * masked
    ask, left = answering(*hidden, PermissionDenied("The API is off."))
    with pytest.raises(PermissionDenied):
        await unmasked(ask)
    assert not left
    ask, left = answering(*hidden, "an answer")
    assert await unmasked(ask) == "an answer" and not left


async def test_one_that_lasts_is_raised_and_other_errors_are_not_asked_about_again():
    ask, left = answering(*[InternalServerError("Internal error encountered.")] * 5)
    with pytest.raises(InternalServerError):
        await unmasked(ask)
    assert len(left) == 2
    ask, left = answering(PermissionDenied("no"), "never")
    with pytest.raises(PermissionDenied):
        await unmasked(ask)
    assert left == ["never"]
