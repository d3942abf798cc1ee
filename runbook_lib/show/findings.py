"""Tables and pictures of what was found: in the logs, in the stores, and at the hosts."""

from __future__ import annotations

import html
from dataclasses import replace
from datetime import datetime

from runbook_lib.certificates.facts import expiry, sha256_of
from runbook_lib.i18n.language import AsIs, count, span
from runbook_lib.logs.conclusions import timeline, verdict
from runbook_lib.logs.formats import Report, as_text, logged_moment, moment_in_words
from runbook_lib.models import Inventory, Judgement, Presented, Stage
from runbook_lib.observations import Diagnosis
from runbook_lib.show.document import (
    ALARM,
    BAD,
    DOUBT,
    GOOD,
    PLAIN,
    Row,
    Table,
    below,
    common_folder,
    facts_folder,
    first_and_last,
    mark_of,
    places_below,
)
from runbook_lib.show.rendering import View, text_of
from runbook_lib.show.tables import ha_states
from runbook_lib.show.timeline import MismatchLane, draw_mismatches, remarks_of
from runbook_lib.show.trust import TONES, UNSEEN, Trusts, draw_trust

# -- Tables of what was found: in the logs, in the stores, and at the hosts. No decisions are made here

PLACES = {
    "primary_health_monitor": "the primary's Health Monitor log",
    "primary_infrastructure": "the primary's Infrastructure log",
    "secondary_health_monitor": "the secondary's Health Monitor log",
    "unknown": "another log",
}

_PAGE_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f3f3f3;color:#1f2328;padding:.5rem}"
)


def diagnosis(value: Diagnosis) -> View[Diagnosis]:
    """Return the mismatches with their evidence, and what else was found in the logs."""
    lines = [each.evidence for each in value.mismatches] + [each.evidence for each in value.look_alikes]
    folder = common_folder([place for evidence in lines for place in first_and_last(evidence)])
    tables = (_mismatches(value, folder), _look_alikes(value, folder), *_history(value))
    return View(value, tables, (draw_mismatches(value),))


def _mismatches(value: Diagnosis, folder: str) -> Table:
    return Table(
        title="Mismatches: a certificate is different from what was used earlier",
        headers=(
            *("whose log", "whose certificate", "thread", "count"),
            *("first seen", "last seen", "then quiet for", "evidence"),
        ),
        rows=tuple(
            Row(
                PLACES.get(each.place, each.place),
                AsIs(each.subject),
                AsIs(", ".join(each.threads)),
                str(each.count),
                logged_moment(each.first_utc, each.first_said, each.zone_known),
                logged_moment(each.last_utc, each.last_said, each.zone_known),
                _quiet(MismatchLane(each, value.log_end_utc.get(each.server))),
                places_below(first_and_last(each.evidence), folder),
                mark=BAD,
            )
            for each in value.mismatches
        ),
        empty="no mismatch in the logs that were read",
        note=" ".join(filter(None, (_read_note(value), *remarks_of(value), below(folder)))),
        whole=("evidence",),
        below=("thread", "evidence"),
        artifact=facts_folder(Stage.DIAGNOSE),
        counted="whose log",
    )


def _look_alikes(value: Diagnosis, folder: str) -> Table:
    return Table(
        title="Look-alikes: messages that no deletion repairs",
        headers=("whose log", "what", "count", "what to do", "evidence"),
        rows=tuple(
            Row(
                each.server,
                each.meaning,
                str(each.count),
                each.advice,
                places_below(first_and_last(each.evidence), folder),
                mark=DOUBT,
            )
            for each in value.look_alikes
        ),
        empty="none",
        whole=("evidence",),
        below=("what to do", "evidence"),
        artifact=facts_folder(Stage.DIAGNOSE),
        counted="whose log",
        fold="" if value.look_alikes else "Look-alikes: none",
    )


def diagnosis_page(report: Report) -> str:
    """Return the picture, the tables and the whole text as a page that loads and runs nothing."""
    shown = diagnosis(report.diagnosis)
    tables = tuple(replace(table, artifact="") for table in shown.tables)  # there is no record that holds them whole
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>Log diagnosis</title>'
        f"<style>{_PAGE_STYLE}</style></head><body><h1>Log diagnosis</h1>"
        f"<p><strong>{text_of(verdict(report.diagnosis))}</strong></p>"
        f"{replace(shown, tables=tables)._repr_html_()}"
        f"<h2>In full</h2><pre>{html.escape(as_text(report))}</pre></body></html>\n"
    )


def _quiet(lane: MismatchLane) -> str:
    return "not known" if lane.quiet is None else span(lane.quiet)


def _read_note(value: Diagnosis) -> str:
    note = f"{value.lines_read:,} lines read ({value.bytes_read:,} bytes)."
    if value.not_logs:
        note += f" {value.recognised_files:,} of {value.files_read:,} files look like logs."
    return note


def _history(value: Diagnosis) -> tuple[Table, ...]:
    """Return the timeline, and what could not be read whole where there is such a thing."""
    moments = timeline(value)
    in_doubt = "(zone?): the site's file names no log_zone, and the time was read as UTC."
    times = Table(
        title="Timeline",
        headers=("when", "whose log", "what"),
        rows=tuple(Row(moment_in_words(moment), moment.server, moment.what) for moment in moments),
        empty="nothing in the logs holds a time",
        note="" if all(moment.zone_known for moment in moments) else in_doubt,
        whole=("when",),
        artifact=facts_folder(Stage.DIAGNOSE),
        fold=f"Timeline: {len(moments):,} moments",
    )
    damaged = Table(
        title="Not read to the end: the rest is unknown",
        headers=("source", "problem"),
        rows=tuple(Row(damage.source, damage.problem, mark=DOUBT) for damage in value.damaged),
        artifact=facts_folder(Stage.DIAGNOSE),
    )
    others = Table(
        title="It does not look like a log, so it says nothing",
        headers=("source", "looks like"),
        rows=tuple(Row(AsIs(other.source), other.looks_like, mark=DOUBT) for other in value.not_logs),
        artifact=facts_folder(Stage.DIAGNOSE),
    )
    return times, *((damaged,) if value.damaged else ()), *((others,) if value.not_logs else ())


def stores(value: Inventory) -> tuple[Table, ...]:
    """Return both TOFU lists as they were read."""
    counted = [(store, count(len(store.entries), "entry", "entries")) for store in value.stores]
    return tuple(
        Table(
            title=f"TOFU list of the {store.server}",
            headers=("entry", "subject"),
            rows=(
                *(Row(entry.key, AsIs(entry.subject)) for entry in store.entries),
                *(Row("left out, as the site's file says", AsIs(line), mark=DOUBT) for line in store.ignored),
            ),
            empty="the list is empty",
            note="The product shows no fingerprint: a renewed certificate with the same subject looks the same.",
            whole=("entry",),
            artifact=facts_folder(Stage.LIST),
            fold=f"TOFU list of the {store.server}: {number}",
        )
        for store, number in counted
    )


def presented(value: Inventory, now_utc: datetime) -> tuple[Table, Table]:
    """Return what each host presents, from each vantage, and the facts of each certificate."""
    facts = Table(
        title="Certificates that the hosts present now",
        headers=("host", "subject", "issuer", "valid until", "key", "SHA-256"),
        rows=tuple(_facts_row(judgement, now_utc) for judgement in value.judgements),
        below=("issuer", "SHA-256"),
        fold="Certificates that the hosts present now, in full",
    )
    looks = Table(
        title="Probes by vantage",
        headers=("host and port", "vantage", "through", "what was seen"),
        rows=tuple(_look_row(look) for look in value.presented),
        note="here: this machine · self: through the host's own SSH server · peer: through the server that stores it.",
        below=("what was seen",),
        fold=f"Probes by vantage: {len(value.presented)}",
    )
    return facts, looks


def _facts_row(judgement: Judgement, now_utc: datetime) -> Row:
    facts = judgement.facts
    if facts is None:
        return Row(judgement.target, judgement.reason, "", "", "", "", mark=DOUBT)
    key = f"{facts.key_type} {facts.key_bits or ''}".strip() + f", {facts.signature_hash}"
    words = (f"{facts.not_after_utc:%Y-%m-%d}", expiry(facts.not_after_utc, now_utc), *facts.warnings)
    until = "\n".join(dict.fromkeys(words))  # one of the warnings may say the same
    cells = (judgement.target, AsIs(facts.subject), AsIs(facts.issuer), until, key, facts.sha256)
    return Row(*cells, mark=DOUBT if facts.warnings else PLAIN)


def _look_row(look: Presented) -> Row:
    place = f"{look.host}:{look.port}"
    seen = ", ".join(map(sha256_of, look.served))
    if not look.seen_each_time:
        word = "no answer" if look.available else "not available"
        once = f"; seen before that: {seen}" if seen else ""
        return Row(place, look.vantage, look.via or "-", f"{word}: {look.problem}{once}", mark=DOUBT)
    seen += "" if look.stable else " (two probes differ)"
    return Row(place, look.vantage, look.via or "-", seen, mark=PLAIN if look.stable else BAD)


def inventory(value: Inventory, now_utc: datetime) -> View[Inventory]:
    """What is stored, what is presented and the verdict in one table; everything that was seen is folded below it."""
    ha = replace(ha_states(value.ha), fold="High availability, as each server reports it")
    seen = (*presented(value, now_utc), *stores(value), ha)
    return View(value, (verdicts(value), *seen))


def verdicts(value: Inventory) -> Table:
    """Return the verdict on each host, and what it was compared with."""
    stored: dict[tuple[str, int], list[str]] = {(judgement.host, judgement.port): [] for judgement in value.judgements}
    others: list[str] = []
    for store in value.stores:
        for entry in store.entries:
            stored.get((entry.host, entry.port), others).append(f"{store.server}: {entry.key}")
    rows = [
        Row(
            f"{judgement.target} ({judgement.host}:{judgement.port})",
            judgement.verdict,
            judgement.reason,
            "\n".join(stored[judgement.host, judgement.port]) or "-",
            judgement.facts.sha256 if judgement.facts else "-",
            judgement.expectation,
            ", ".join(judgement.seen_from) or "nowhere",
            mark={True: GOOD, False: ALARM, None: DOUBT}[judgement.verdict.ok],
        )
        for judgement in value.judgements
    ]
    if others:
        rows.append(Row("under another name, or the server's own", "-", "-", "\n".join(others), "-", "-", "-"))
    return Table(
        title="What is presented, compared with what is known by another way",
        headers=("host", "verdict", "why", "stored by", "presented (SHA-256)", "compared with", "seen from"),
        rows=tuple(rows),
        note="Only a confirmed certificate lets an entry be deleted. Subject and CN prove nothing.",
        whole=("stored by",),
        below=("why", "presented (SHA-256)", "compared with"),
    )


# -- Values that have a picture: the picture, and a table that says the same -----------------------


def trust(value: Trusts) -> View[Trusts]:
    """The picture of who trusts whom, and the same as a table."""
    table = Table(
        title=value.title,
        headers=("server", "entry", "host", "stored and presented", "reason"),
        rows=tuple(
            Row(
                link.server,
                "\n".join(link.keys) or "-",
                link.target,
                link.agreement,
                link.ground,
                mark=mark_of(TONES[link.agreement]),
            )
            for link in value.links
        ),
        note=UNSEEN,
        whole=("entry",),
        fold="The picture as a table",
    )
    return View(value, (table,), (draw_trust(value),))
