"""What tells linear work from quadratic work tells them apart."""

from __future__ import annotations

import pytest
from growth import assert_linear


def one_pass(size: int) -> int:
    return sum(1 for _ in range(size))


def every_pair(size: int) -> int:
    return sum(1 for _ in range(size) for _ in range(size))


def test_one_pass_is_linear() -> None:
    """Work that looks at everything once passes."""
    assert_linear(one_pass, 100_000)


def test_every_pair_is_not_linear() -> None:
    """Work that looks at every pair is refused, with the times that it took."""
    with pytest.raises(AssertionError, match="4 times the input took more than 10 times the time"):
        assert_linear(every_pair, 400)
