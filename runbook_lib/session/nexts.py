"""What comes after each stage, by the way in which it ended."""

from __future__ import annotations

from runbook_lib.models import Stage

_NEXT: dict[Stage, tuple[tuple[str, str], ...]] = {
    Stage.START: (
        ("everything answers", "10_diagnose_logs.ipynb: find out which certificate is not accepted, and by whom"),
        ("a server does not answer, or its host key is not pinned", "mend that first; each line above says how"),
    ),
    Stage.DIAGNOSE: (
        ("a mismatch is reported", "20_list_certificates.ipynb: see what is stored and what is presented"),
        ("only look-alikes", "follow their advice; deleting entries does not help"),
        ("no logs at hand", "download them, name them in the site's file, and run this stage again"),
    ),
    Stage.LIST: (
        ("the plan has deletions and is not blocked", "30_delete_stale_certificates.ipynb: approve and delete"),
        ("nothing to delete", "40_register_ha.ipynb: see whether HA needs to be registered"),
        ("the plan is blocked", "settle each reason above, then run this stage again"),
    ),
    Stage.DELETE: (
        ("every entry is gone, or back already", "40_register_ha.ipynb: register high availability"),
        ("the plan is stale", "20_list_certificates.ipynb: look again and make a new plan"),
        ("no approval yet", "runbook approve {incident} DIGEST --by NAME, then run this stage again"),
    ),
    Stage.REGISTER: (
        ("Primary Active on both servers' word", "50_readd_ise.ipynb: the ISE servers"),
        ("a milestone failed", "10_diagnose_logs.ipynb: see whether a mismatch is left"),
        ("still under way", "run this stage again: it goes on watching, it does not register twice"),
    ),
    Stage.READD_ISE: (
        ("every ISE server answers", "60_verify.ipynb: prove the repair"),
        ("the page refused", "settle what it says, then run this stage again"),
    ),
    Stage.VERIFY: (
        ("repaired, or nothing to do", "done; the record holds what the post-mortem needs"),
        ("a check failed", "10_diagnose_logs.ipynb: start over; what is right already is left alone"),
    ),
}


def next_steps(stage: Stage, incident: str) -> tuple[tuple[str, str], ...]:
    """Return pairs of a condition and what to do then."""
    return tuple((when, then.format(incident=incident)) for when, then in _NEXT[stage])
