"""Whose logs they are where both servers' lie in one folder: told for what belongs together, guessed, or not known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from log_kit import CORE, HEAD, tgz_of, zip_of

from runbook_lib.cli.diagnosing import read_store
from runbook_lib.logs.conclusions import exit_code, next_steps, verdict, with_entries
from runbook_lib.logs.diagnosis import LogWatcher, diagnose_sources
from runbook_lib.logs.formats import Report, as_json, as_text
from runbook_lib.logs.jobs import Settings
from runbook_lib.logs.rules import RULES
from runbook_lib.observations import Diagnosis, LogLine
from runbook_lib.show.findings import diagnosis_page

STAMP = "2026-11-23 12:00:00,000 ERROR [system] "
REPORTS = f"TOFU failed. Check local trust {CORE}"
OF_ISE = f"{STAMP}[seqtaskexecutor-7] {REPORTS}CN=ise-1\n"
OF_SECONDARY = f"{STAMP}[HealthMonitorThread] {HEAD}\n"
OF_PRIMARY = f"{STAMP}[HealthMonitorThread] {REPORTS}CN=prime-pri, O=Cisco Systems\n"
OF_PROXY = f"{STAMP}[HealthMonitorThread] {REPORTS}CN=proxy\n"
PRIMARY = {"hm-0-0.log": OF_SECONDARY, "ncs-0-0.log": OF_ISE}
SECONDARY = {"hm-0-0.log": OF_PRIMARY, "ncs-0-0.log": f"{STAMP}[main] nothing\n"}


def write(folder: Path, logs: dict[str, str]) -> Path:
    for name, text in logs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def in_folders(path: Path) -> Path:
    write(path / "pri-logs", PRIMARY)
    write(path / "sec-logs", SECONDARY)
    return path


def packed(logs: dict[str, str], folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}": text.encode() for name, text in logs.items()}


def in_archives(path: Path) -> Path:
    path.mkdir()
    (path / "prime01-logs.tgz").write_bytes(tgz_of(packed(PRIMARY, "logs")))
    (path / "prime02-logs.zip").write_bytes(zip_of(packed(SECONDARY, "logs")))
    return path


def in_one_archive(path: Path) -> Path:
    path.write_bytes(tgz_of(packed(PRIMARY, "prime01") | packed(SECONDARY, "prime02")))
    return path


def in_archives_in_an_archive(path: Path) -> Path:
    one, other = tgz_of(packed(PRIMARY, "logs")), tgz_of(packed(SECONDARY, "logs"))
    path.write_bytes(zip_of({"prime01.tgz": one, "prime02.tgz": other}))
    return path


def flat_with_the_servers_names(path: Path) -> Path:
    named = {f"prime01-{name}": text for name, text in PRIMARY.items()}
    return write(path, named | {f"prime02-{name}": text for name, text in SECONDARY.items()})


def flat_as_a_browser_names_them(path: Path) -> Path:
    return write(path, PRIMARY | {name.replace(".log", " (1).log"): text for name, text in SECONDARY.items()})


def below_a_word_that_tells_of_one(path: Path) -> Path:
    in_folders(path / "primary is down")
    return path


def told(found: Diagnosis) -> set[tuple[str, str, bool]]:
    """Return whose CN is reported where, and whether that is guessed."""
    return {(m.subject.split(",")[0], m.place, m.guessed) for m in found.mismatches}


@pytest.mark.parametrize(
    "lie",
    [
        in_folders,
        in_archives,
        in_one_archive,
        in_archives_in_an_archive,
        flat_with_the_servers_names,
        flat_as_a_browser_names_them,
        below_a_word_that_tells_of_one,
    ],
)
def test_one_servers_sign_says_nothing_of_the_others_logs(lie, tmp_path: Path) -> None:
    """However the logs of both lie in what is named, the primary's own mismatch of an ISE server makes no log of the
    secondary the primary's: that one stays unknown, and what is guessed of the primary's is said to be."""
    found = diagnose_sources({"": [lie(tmp_path / "download")]})
    assert told(found) == {
        ("CN=prime-sec", "primary_health_monitor", True),
        ("CN=ise-1", "primary_infrastructure", True),
        ("CN=prime-pri", "unknown", False),
    }
    assert {m.server for m in found.mismatches} == {"primary", "unknown"}


@pytest.mark.parametrize(
    ("logs", "sources", "health_monitors"),
    [
        ({"x/ncs-0-0.log": OF_ISE, "x/hm-0-0.log": OF_SECONDARY + OF_PROXY}, {"": "x"}, {"unknown"}),
        ({"x/ncs-0-0.log": OF_ISE + OF_SECONDARY + OF_PRIMARY}, {"": "x"}, {"unknown"}),
        ({"x/pri-ncs-0-0.log": OF_ISE, "x/sec-hm-0-0.log": OF_PRIMARY}, {"": "x"}, {"unknown"}),
        (
            {f"{a}/{n}": t for a, hm in (("x/1", OF_SECONDARY), ("x/2", OF_PRIMARY)) for n, t in
             (("hm-0-0.log", hm), ("ncs-0-0.log", OF_ISE))},
            {"": "x"},
            {"unknown"},
        ),
        (
            {"x/hm-0-0.log": OF_PRIMARY, "x/ncs-0-0.log": OF_ISE, "y/hm-0-0.log": OF_PRIMARY},
            {"": "x", "secondary": "y"},
            {"unknown", "secondary_health_monitor"},
        ),
        (
            {"x/hm-0-0.log": OF_PRIMARY, "x/ncs-0-0.log": OF_ISE, "y/hm-0-0.log": OF_SECONDARY},
            {"": "x", "primary": "y"},
            {"unknown", "primary_health_monitor"},
        ),
        ({"x/hm.log": OF_SECONDARY, "x/hm.log.1": OF_SECONDARY, "x/ncs.log.1": OF_ISE, "x/ncs.log": STAMP}, {"": "x"},
         {"primary_health_monitor"}),
    ],
    ids=["two peers", "one file", "flat", "two signs", "the same as the secondary", "another than the primary",
         "rotated"],
)  # fmt: skip
def test_a_guess_gives_way_to_what_speaks_against_it(
    logs: dict[str, str], sources: dict[str, str], health_monitors: set[str], tmp_path: Path
) -> None:
    """Two peers in one server's logs, both servers' signs, the other server's mismatch: then nobody knows."""
    write(tmp_path, logs)
    found = diagnose_sources({server: [tmp_path / path] for server, path in sources.items()})
    assert {m.place for m in found.mismatches if m.threads == ("HealthMonitorThread",)} == health_monitors


def test_a_server_does_not_report_itself(tmp_path: Path) -> None:
    """With the site's names at hand, a log that reports the primary's own certificate is not guessed the primary's."""
    write(tmp_path, {"hm-0-0.log": OF_PRIMARY, "ncs-0-0.log": OF_ISE})
    assert {m.guessed for m in diagnose_sources({"": [tmp_path]}).mismatches} == {True}
    found = diagnose_sources({"": [tmp_path]}, Settings(names={"primary": ("Prime-Pri",)}))
    assert {m.server for m in found.mismatches} == {"unknown"}


def test_what_somebody_says_stands(tmp_path: Path) -> None:
    """Where the command line or the site's file names a folder for one server, nothing is guessed or doubted."""
    found = diagnose_sources({"primary": [in_folders(tmp_path)]})
    assert {(m.server, m.guessed) for m in found.mismatches} == {("primary", False)}
    found = diagnose_sources({"primary": [tmp_path / "pri-logs"], "secondary": [tmp_path / "sec-logs"]})
    assert {m.place for m in found.mismatches} == {
        "primary_health_monitor", "primary_infrastructure", "secondary_health_monitor",
    }  # fmt: skip


def test_a_guess_is_called_one(tmp_path: Path) -> None:
    """Verdict, text, HTML and JSON call a guess a guess, and the first next step is to say whose logs they are."""
    found = diagnose_sources({"": [write(tmp_path / "x", PRIMARY)]})
    report = Report(found)
    assert "the primary's log (guessed) reports" in verdict(found)
    assert "primary, guessed" in as_text(report)
    assert "primary, guessed" in diagnosis_page(report)
    assert [(m["guessed"], m["confidence"]) for m in as_json(report)["mismatches"]] == [(True, "likely")] * 2
    assert "--server primary=PATH" in next_steps(found, {})[0].advice
    said = diagnose_sources({"primary": [tmp_path / "x"]})
    assert "guessed" not in as_text(Report(said))
    assert not any("--server" in step.advice for step in next_steps(said, {}))


def test_a_guess_hides_no_entry(tmp_path: Path) -> None:
    """The entry that a guessed server's mismatch may mean is looked for in every list, not in that server's alone."""
    write(tmp_path, {"list.txt": "host=10.0.0.2_8082;  subject= /CN=ise-1\n", "x/ncs-0-0.log": OF_ISE})
    stores = [read_store("secondary", tmp_path / "list.txt")]
    for server, entries in (("", 1), ("primary", 0)):
        (mismatch,) = with_entries(diagnose_sources({server: [tmp_path / "x"]}), stores).mismatches
        assert len(mismatch.entries) == entries


def test_a_guessed_server_lends_no_time_zone(tmp_path: Path) -> None:
    """Times that were read before anybody guessed the server are not said to be in that server's zone."""
    write(tmp_path, PRIMARY)
    found = diagnose_sources({"": [tmp_path]}, Settings(zones={"primary": "Asia/Tokyo"}))
    assert {(m.server, m.first_utc.hour if m.first_utc else 0, m.zone_known) for m in found.mismatches} == {
        ("primary", 12, False)
    }
    assert (found.zones, found.ends_assumed) == ({}, ("primary",))


def test_watching_tells_them_apart_too(tmp_path: Path) -> None:
    """What a watch finds has the same owners as a reading."""
    watcher = LogWatcher({"": [in_folders(tmp_path)]}, Settings(rules=RULES), {})
    watcher.poll()
    assert told(watcher.diagnosis()) == told(diagnose_sources({"": [tmp_path]}))
    watcher.close()


def test_folders_beyond_the_bound_are_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of very many folders is read whole, in bounded memory; of what lies behind them nothing is guessed."""
    monkeypatch.setattr("runbook_lib.logs.jobs.MOST_SETS", 2)
    (tmp_path / "x.tgz").write_bytes(tgz_of({f"{n}/ncs-0-0.log": OF_ISE.encode() for n in range(5)}))
    found = diagnose_sources({"": [tmp_path]})
    assert sorted((m.server, m.count) for m in found.mismatches) == [("primary", 2), ("unknown", 3)]


# -- nothing to read ----------------------------------------------------------------------------------


def steps(found: Diagnosis) -> Iterable[str]:
    return [step.advice for step in next_steps(found, {})]


def test_an_empty_folder_is_no_all_clear(tmp_path: Path) -> None:
    """A folder or an archive without a file is named as one, with what to name instead, and never called clear."""
    (tmp_path / "folder" / "in it").mkdir(parents=True)
    (tmp_path / "x.zip").write_bytes(zip_of({}))
    for name, holds in (("folder", "a folder without a file"), ("x.zip", "an archive without a file")):
        for server in ("", "primary"):
            found = diagnose_sources({server: [tmp_path / name]})
            assert verdict(found).startswith(f"There is nothing to read in {tmp_path / name}: it is {holds}")
            assert "Neither" not in verdict(found)
            assert exit_code(found) == 2
            assert any("Name the logs themselves" in step for step in steps(found))
            assert "more" not in as_text(Report(found))


def test_an_empty_folder_beside_logs_is_named(tmp_path: Path) -> None:
    """Logs without a finding do not speak for the empty folder that was named beside them."""
    (tmp_path / "empty").mkdir()
    write(tmp_path / "logs", {"hm-0-0.log": f"{STAMP}[main] nothing\n"})
    found = diagnose_sources({"": [tmp_path / "logs", tmp_path / "empty"]})
    assert "in what could be read" in verdict(found)
    assert f"No file is in: {tmp_path / 'empty'}." in verdict(found)
    assert (exit_code(found), [other.source for other in found.not_logs]) == (2, [str(tmp_path / "empty")])
    assert exit_code(diagnose_sources({"": [tmp_path]})) == 0  # a folder in a folder was not asked for


# -- short, and nothing lost ------------------------------------------------------------------------


def test_a_files_name_is_never_cut(tmp_path: Path) -> None:
    """Evidence stands below its log's name, which is broken behind a slash only."""
    log = write(tmp_path / "a-long-name-with-hyphens" / "and-one-more", {"hm-health-monitor-0-0.log": OF_SECONDARY})
    text = as_text(Report(diagnose_sources({"": [log]})), 60)
    assert any(line.endswith("hm-health-monitor-0-0.log") for line in text.splitlines())
    assert text.count("hm-health-monitor-0-0.log") == 1
    assert max(map(len, text.splitlines())) <= 60


def test_what_evidence_says_again_is_a_number(tmp_path: Path) -> None:
    """A line of the same words as one above is told by its number; another subject is never taken for the same."""
    found = diagnose_sources({"primary": [write(tmp_path, {"hm-0-0.log": OF_SECONDARY})]})
    for last, again in (("- CN=prime-sec-2", True), ("different", False), ("- CN=prime-sec", False)):
        texts = ("Certificate is different here", "- CN=prime-sec-2, O=Cisco", "Certificate is different here", last)
        lines = tuple(LogLine(source="hm.log", number=n, text=text) for n, text in enumerate(texts, 1))
        text = as_text(Report(replace(found, mismatches=(replace(found.mismatches[0], evidence=lines),))))
        assert ("3, 4: the same words again" in text) == again
        assert (f"4: {last}" in text) != again


def test_next_steps_and_facts_that_all_share_are_said_once(tmp_path: Path) -> None:
    """Three mismatches ask for one list, with the three places to delete; what is known of none is said once."""
    in_folders(tmp_path)
    found = diagnose_sources({"primary": [tmp_path / "pri-logs"], "secondary": [tmp_path / "sec-logs"]})
    for text in (as_text(Report(found)), diagnosis_page(Report(found))):
        assert text.count("List both stores") == 1
        assert text.count("on the primary; HA is registered again") == 1
        assert text.count("on the primary; the ISE server is added again") == 1
        assert text.count("on the secondary; HA is registered again") == 1
        assert text.count("runbook run SITE --until 20") == 1
        assert text.count("no list of trusted certificates was given") == 1
        assert text.count("does not say in which time zone") == 1
    assert len(as_json(Report(found))["next_steps"]) == 3
