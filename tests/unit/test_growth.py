"""What tells linear work from quadratic work tells them apart."""

from __future__ import annotations

from pathlib import Path

import growth
import pytest
from growth import assert_linear

from runbook_lib.record.verification import Verification


def one_pass(size: int) -> int:
    return sum(1 for _ in range(size))


def every_pair(size: int) -> int:
    return sum(1 for _ in range(size) for _ in range(size))


def many_problems(size: int) -> None:
    found = Verification(folder=Path())
    for number in range(size):
        found.say(f"file {number}", "added: neither the journal nor the manifest names it")
    assert len(found.problems) == size


def test_a_record_with_very_many_problems_is_checked_in_one_pass() -> None:
    """Whoever hands over a record puts as many files into it as he likes."""
    assert_linear(many_problems, 1_000)


def test_one_pass_is_linear() -> None:
    """Work that looks at everything once passes."""
    assert_linear(one_pass, 100_000)


def test_every_pair_is_not_linear() -> None:
    """Work that looks at every pair is refused, with how much longer it took."""
    with pytest.raises(AssertionError, match=r"4 times the input took [\d.]+ times the time"):
        assert_linear(every_pair, 400)


def test_what_ran_beside_other_work_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small input once took nearly twice as long, as it does where another program shares the core."""
    took = {400: iter([0.0075, *[0.004] * growth.TRIES]), 1600: iter([0.064] * growth.TRIES)}
    monkeypatch.setattr(growth, "_seconds", lambda _work, size: next(took[size]))
    with pytest.raises(AssertionError, match=r"took 16[.]0 times the time"):
        assert_linear(every_pair, 400)
