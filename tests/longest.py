"""Which files of tests take longest: they are begun first.

One worker runs a whole file. One that takes a minute or more and is begun late would be waited for alone.
"""

from __future__ import annotations

LONGEST = (
    *("test_by_hand", "test_ways_to_go_wrong", "test_fleet_workers", "test_web_stages", "test_resume_kill"),
    *("test_cli_repair", "test_web_faults", "test_state_machine", "test_repair", "test_repair_stops"),
    *("test_resume_run", "test_web_dojo", "test_web_dojo_one", "test_web_dojo_two", "test_web_misread"),
    *("test_faults_vantages", "test_faults_listing", "test_faults_deletion", "test_warm_kernels", "test_fleet_dask"),
)
