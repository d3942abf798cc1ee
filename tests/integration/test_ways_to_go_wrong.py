"""Each way to go wrong that was tried, from the plan to the end: what the first run says, and that the next repairs.

The servers ask for nothing but their command lines: the web pages are worked by hand (``web: guided``), so that no
browser is needed. High availability is all that there is to repair, with one stale entry on each server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from doomed import only_here
from fault_site import LIST, Begin, Case, Edit, once_behind_the_first_deletion, through_the_primary, without_expectation
from repair_site import DELETE, StartLab, run_stage
from waiting import wait_until

from runbook_lib.decisions import Deletion, Plan
from runbook_lib.errors import (
    AnswerNotUnderstood,
    ApprovalMissing,
    CertificateMoved,
    ConnectionLost,
    DeletionRefused,
    DeviceSilent,
    DeviceUnreachable,
    HostKeyChanged,
    HostKeyUnknown,
    LoginQuestion,
    LoginRefused,
    OutcomeUnknown,
    PlanStale,
    RepairFailed,
    RunbookError,
    VantageUnavailable,
    VersionUnsupported,
)
from runbook_lib.lab import ssh_server
from runbook_lib.lab.backend import HaForm
from runbook_lib.models import Outcome, Stage
from runbook_lib.repair.sent_changes import recorded_deletions

Act = Callable[[Case], object]
Run = Callable[[Case, Plan], object]
STALE = 2
UNKNOWN = Deletion.NOT_DELETED_OR_CAME_BACK
VAULT = "Remove {entry} from the vault, (y)es or (n)o: "
OLD_KEY_EXCHANGE = "diffie-hellman-group14-sha1"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIgqMkQ5dqzxiq1M9CzFjv4DcmKCQyIUtIFTzZmCKyfS"


def by_hand(site: dict[str, Any]) -> None:
    site |= {"ise": [], "web": "guided"}
    site["deadlines"] |= {"quiet_s": 0.2}


def carry_out(case: Case, plan: Plan) -> object:
    return case.carry_out(plan)


@dataclass(frozen=True, kw_only=True)
class Way:
    """``first`` is the error of the first run, with its exit code; ``sent`` how many deletions each run sends.

    ``before`` is done before the plan, ``after`` behind its approval, ``between`` behind the first deletion;
    ``unanswered`` is the fault for which deadlines expire at the primary, as nobody answers;
    ``result`` is what the record says of the deletion that it is about, where the others went as they should;
    ``mend`` is done by a person before the second run, who takes back ``edit`` and what the lab was told as well.
    """

    first: type[RunbookError] | None = None
    code: int = 0
    sent: tuple[int, int] = (0, STALE)
    options: dict[str, Any] = field(default_factory=dict)
    edit: Edit = lambda site: None
    before: Act = lambda case: None
    after: Act = lambda case: None
    between: Act | None = None
    unanswered: str = ""
    old_key_exchange: bool = False
    result: Deletion | None = None
    run: Run = carry_out
    mend: Act = lambda case: None


def fault(name: str, server: str = "primary", **settings: Any) -> Act:
    return lambda case: case.lab.set_fault(name, server, **settings)


def lie(how: str) -> Act:
    return lambda case: case.lab.set_fault("deletecert_lie", "primary", how=how, times=1, entry=case.entry("secondary"))


def soon(site: dict[str, Any]) -> None:
    """A deadline that can be waited for; see ``only_here``."""
    site["deadlines"]["command_s"] = 1.5


def pinned(*keys: str) -> Edit:
    return lambda site: site["secondary"]["ssh"].update(host_key=list(keys))


def options(**changed: Any) -> Act:
    """The servers are set up otherwise from now on."""

    def change(case: Case) -> None:
        core = case.lab._simulation.core
        core.options = replace(core.options, **changed)

    return change


def somebody_else_deletes(case: Case) -> None:
    entry = case.entry("primary")  # it asks the lab, which cannot answer while it acts

    async def act() -> None:
        case.lab._simulation.core.world.delete_entry("secondary", entry)

    case.lab._do(act())


def with_the_answer(case: Case) -> None:
    case.write_site(together(by_hand, lambda site: site.update(answers={VAULT.replace("{entry}", "{key}"): "y"})))


def with_the_footer(case: Case) -> None:
    case.write_site(together(by_hand, lambda site: site.update(listing={"ignore": ["-- end --"]})))


def with_two_releases(case: Case) -> None:
    case.write_site(together(by_hand, lambda site: site.update(policy={"allow_unequal_releases": True})))


def with_old_algorithms(case: Case) -> None:
    def allow(site: dict[str, Any]) -> None:
        for server in ("primary", "secondary"):
            site[server]["ssh"]["legacy"] = [OLD_KEY_EXCHANGE]

    case.write_site(together(by_hand, allow))


def up_to_the_registration(case: Case, plan: Plan) -> None:
    case.carry_out(plan)
    run_stage(Stage.REGISTER, case.site, case.incident)


def together(*edits: Edit) -> Edit:
    def edit(site: dict[str, Any]) -> None:
        for each in edits:
            each(site)

    return edit


def second_person(site: dict[str, Any]) -> None:
    site["policy"] = {"second_person": True}


def on_an_older_approval(case: Case, plan: Plan) -> object:
    case.open(Stage.DELETE, approve=plan.digest).approval()
    case.lab.plant("secondary", "192.0.2.77_8082")
    case.make_plan()
    return case.delete_only()


IMPOSTOR = {"server": "secondary", "seen_from": ("here", "peer")}
WAYS: dict[str, Way] = {
    # what became of a deletion
    "the connection died before it": Way(
        after=fault("reset_before", command=DELETE, times=1), sent=(2, 1), result=UNKNOWN
    ),
    "the connection died after it": Way(
        after=fault("reset_after", command=DELETE, times=1), sent=(2, 0), result=Deletion.GONE
    ),
    "its answer never came": Way(
        edit=soon, after=fault("silent_command", command=DELETE, times=1), unanswered="silent_command",
        first=DeviceSilent, code=4, sent=(1, 2),
    ),
    "it took effect after its deadline": Way(
        after=fault("late_command", command=DELETE, times=1, seconds=4.0), unanswered="late_command", sent=(2, 0),
        result=Deletion.GONE,
    ),
    "it was called done, and the entry stays": Way(after=lie("done_but_stays"), sent=(2, 1), result=UNKNOWN),
    "it was called an error, and the entry is gone": Way(
        after=lie("error_but_gone"), sent=(2, 0), result=Deletion.GONE
    ),
    "it took another entry": Way(after=lie("deletes_another"), first=RepairFailed, code=1, sent=(1, 2)),
    "the list was lost behind it": Way(after=fault("reset_after", command=LIST, skip=2, times=1), sent=(2, 0)),
    "the list could not be read behind it": Way(
        edit=soon, after=fault("silent_command", command=LIST, skip=2), unanswered="silent_command",
        first=OutcomeUnknown, code=6, sent=(1, 1),
    ),
    "an impostor came behind it": Way(
        between=fault("impostor", "primary", seen_from=("peer",)), first=CertificateMoved, code=3, sent=(1, 1)
    ),
    "somebody else changed the store behind it": Way(
        between=somebody_else_deletes, first=PlanStale, code=3, sent=(1, 0)
    ),
    # what it asks
    "it asks about something else": Way(
        options={"deletecert": "question", "question": "Erase all data and continue? (yes/no) [no]: "},
        first=AnswerNotUnderstood, code=4, sent=(1, 2), mend=options(deletecert="message"),
    ),
    "it asks what nobody foresaw": Way(
        options={"deletecert": "question", "question": VAULT},
        first=AnswerNotUnderstood, code=4, sent=(1, 2), mend=with_the_answer,
    ),
    "the login asks first": Way(
        options={"login_question": "A session is open elsewhere. End it? (yes/no) [no] ? "},
        first=LoginQuestion, code=4, mend=options(login_question=""),
    ),
    # who allows it
    "nobody approved": Way(run=lambda case, plan: case.delete_only(), first=ApprovalMissing, code=3),
    "an older plan is approved": Way(run=on_an_older_approval, first=ApprovalMissing, code=3),
    "one person approves where two have to": Way(edit=second_person, first=ApprovalMissing, code=3),
    # who answers
    "an impostor everywhere but at home": Way(before=fault("impostor", **IMPOSTOR), first=DeletionRefused, code=3),
    "an impostor on the way from here": Way(
        before=fault("impostor", "secondary", seen_from=("here",)), first=DeletionRefused, code=3
    ),
    "an impostor on the peer's way": Way(
        before=fault("impostor", "secondary", seen_from=("peer",)), first=DeletionRefused, code=3
    ),
    "two certificates in turn": Way(before=fault("alternating", "secondary"), first=DeletionRefused, code=3),
    "an impostor behind the approval": Way(after=fault("impostor", **IMPOSTOR), first=PlanStale, code=3),
    "nothing is known of the certificate": Way(
        edit=without_expectation("secondary"), first=DeletionRefused, code=3
    ),
    "no certificate is seen": Way(
        before=fault("refuse", "secondary", service="hm"), first=DeletionRefused, code=3
    ),
    "nothing is seen from the server itself": Way(before=fault("forwarding_off", "*"), first=DeletionRefused, code=3),
    "another host key": Way(edit=pinned(OTHER_KEY), first=HostKeyChanged, code=4),
    "no host key is pinned": Way(edit=pinned(), first=HostKeyUnknown, code=4),
    # what the command line says
    "the password has expired": Way(before=fault("password_expired"), first=LoginRefused, code=4),
    "no session is left": Way(before=fault("session_limit", limit=0), first=ConnectionLost, code=4),
    "the server takes the connection and is silent": Way(
        before=fault("silent", service="ssh"), unanswered="silent", first=DeviceSilent, code=4
    ),
    "the server resets": Way(before=fault("refuse", service="ssh"), first=DeviceUnreachable, code=4),
    "every list is lost": Way(before=fault("reset_after", command=LIST), first=ConnectionLost, code=4),
    "the list is something else": Way(before=fault("listcerts_garbage"), first=AnswerNotUnderstood, code=4),
    "the list is cut off behind the approval": Way(
        after=fault("listcerts_truncated", keep=60), first=AnswerNotUnderstood, code=4
    ),
    "an entry is listed twice": Way(
        before=fault("listcerts_edited", pattern=r"(?m)^(host=.*\n)", by=r"\1\1"), first=DeletionRefused, code=3
    ),
    "an entry is new behind the approval": Way(
        after=lambda case: case.lab.plant("secondary", "192.0.2.77_8082"), first=PlanStale, code=3
    ),
    "the list has a line that nobody knows": Way(
        options={"list_footer": "-- end --"}, first=AnswerNotUnderstood, code=4, mend=with_the_footer
    ),
    "the pair runs two releases": Way(
        options={"secondary_release": "3.10.4"}, run=up_to_the_registration,
        first=VersionUnsupported, code=3, sent=(2, 0), mend=with_two_releases,
    ),
    "the jump host forwards nothing": Way(
        edit=through_the_primary, before=fault("forwarding_off", "primary"), first=VantageUnavailable, code=4
    ),
    "it knows old algorithms only": Way(
        old_key_exchange=True, first=DeviceUnreachable, code=4, mend=with_old_algorithms
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # old servers have nothing else
@pytest.mark.parametrize("name", WAYS)
def test_each_way_to_go_wrong_ends_as_it_should_and_the_next_run_repairs(
    faulty: StartLab, begin: Begin, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever went wrong: no wrong entry goes at our word, none is sent twice on one approval, and it can be mended.

    It never takes what `deletecert` printed, or what the HA page announced, for proof that a change worked.

    What the store lists is what the record says. The error and its exit code, the deletions that the servers saw in
    each run, and what they deleted.
    """
    way = WAYS[name]
    if way.old_key_exchange:
        monkeypatch.setattr(ssh_server, "_KEX", [OLD_KEY_EXCHANGE])
    case = begin(faulty("renewed", **way.options), together(by_hand, way.edit))
    if way.unanswered:
        only_here(monkeypatch, case.lab, "primary", way.unanswered, answer_s=0.5)
    if way.between:
        once_behind_the_first_deletion(monkeypatch, lambda: way.between and way.between(case))
    error = None
    try:
        way.before(case)
        plan = case.make_plan()
        way.after(case)
        way.run(case, plan)
    except RunbookError as raised:
        error = raised
    first = case.seen().sent
    assert (type(error), error.exit_code if error else 0) == (way.first or type(None), way.code)
    if way.result:
        found = {(each.server, each.key): each.result for each in recorded_deletions(case.record)}
        assert found.pop(("primary", case.entry("secondary"))) is way.result
        assert found == {("secondary", case.entry("primary")): Deletion.GONE}
        case.carry_out(plan)  # the stage again: nothing is sent
        assert case.seen().sent == first
        case.assert_agrees()

    case.lab.clear_fault()
    case.write_site(by_hand)
    way.mend(case)
    again = case.make_plan()
    if again.deletions:
        case.carry_out(again)
    register_by_hand(case)
    for stage in (Stage.REGISTER, Stage.VERIFY):
        run_stage(stage, case.site, case.incident)

    seen = case.seen()
    assert (first, seen.sent - first) == way.sent
    # Whoever answers next is trusted in the place of what was taken, and this site's file does not know that host.
    unproven = name == "it took another entry"
    assert case.record.outcome() is (Outcome.REPAIRED_UNVERIFIED if unproven else Outcome.REPAIRED)
    wanted = {("primary", case.entry("secondary")), ("secondary", case.entry("primary"))}
    if name == "somebody else changed the store behind it":
        wanted -= {("secondary", case.entry("primary"))}
    if name == "it took another entry":
        wanted |= {("primary", case.entry("ise"))}  # it did, for the server's own reasons
    assert sorted(seen.deleted) == sorted(wanted)
    case.assert_agrees()


def register_by_hand(case: Case) -> None:
    """What a person does in the web pages, to the end."""
    lab = case.lab
    form = HaForm(
        secondary_server=lab.world["servers"]["secondary"]["address"],
        auth_key=lab.secret("auth_key"),
        failover="Manual",
    )
    assert lab.on_pages("primary", lambda pages: pages.register(form)) is None
    state = "the registration of both servers"
    wait_until(lambda: lab.world["servers"]["primary"]["ha_state"] == "Primary Active", state, within_s=60)
