"""What each stage does: observe, decide, act, prove."""
