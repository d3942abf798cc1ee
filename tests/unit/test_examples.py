"""The examples that are tried are the same in every run, whatever its processes have loaded."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from long_way import LONG


@pytest.mark.skipif(LONG, reason="the long way tries others each time")
def test_no_example_comes_from_code_that_happens_to_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants of our modules would be tried: those of the modules that tests before this one have loaded."""
    file = tmp_path / "loaded_here.py"
    file.write_text(f"WORDS = {[f'constant {number}' for number in range(50)]!r}\n")
    spec = spec_from_file_location("loaded_here", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "loaded_here", module)
    seen = set()

    @given(st.lists(st.text(), min_size=5))
    def collect(texts: list[str]) -> None:
        seen.update(texts)

    collect()
    assert seen.isdisjoint(module.WORDS)
