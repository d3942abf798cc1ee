"""What stage 40 decides from the servers' own words and from the page, and that nothing dangerous follows from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest
from certificate_kit import seen
from held_clock import turns
from site_kit import PRIMARY, SECONDARY, site_with
from waiting import PATIENCE_S, let_pass

from runbook_lib.device.prime import REMOVE_HA
from runbook_lib.errors import (
    DecisionNeeded,
    DeviceSilent,
    OutcomeUnknown,
    PageNotUnderstood,
    PageRefused,
    RepairFailed,
)
from runbook_lib.models import HaStatus, Presented, Stage, TofuEntry, TofuStore, Vantage
from runbook_lib.observations import HaPage, Milestone
from runbook_lib.params.labels import HaForm, labels_for
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.repair import context as settling
from runbook_lib.repair import ha, ha_state, ise
from runbook_lib.repair.context import Context
from runbook_lib.repair.ha import HaAction, decide_ha, remove_ha, why_no_readiness
from runbook_lib.repair.ha_state import prove_ha, watch_registration
from runbook_lib.repair.planned_changes import adding
from runbook_lib.web import ha_page
from runbook_lib.web.ha_page import HaPages
from runbook_lib.web.ha_reading import milestones
from runbook_lib.web.screen import Item, Screen

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NONE, HEALTHY = ("HA not Configured", "HA not Configured"), ("Primary Active", "Secondary Syncing")
BROKEN = ("Primary Lost Secondary", "Secondary Lost Primary")


class Server:
    """One PI server's command line, as far as HA asks it; ``sent`` are the changes that arrived."""

    def __init__(self, name: str, state: str, entries: tuple[str, ...], after: str) -> None:
        self.name, self.state, self.entries, self.after = name, state, entries, after
        self.role = name.title()
        self.sent: list[str] = []

    async def ha_status(self) -> HaStatus:
        return HaStatus(server=self.name, role=self.role, state=self.state, read_utc=NOW)

    async def list_tofu(self) -> TofuStore:
        entries = tuple(
            TofuEntry(key=key, host=key.rpartition("_")[0], port=8082, subject="CN=x", line=key) for key in self.entries
        )
        return TofuStore(server=self.name, entries=entries, read_utc=NOW)

    async def remove_ha(self) -> None:
        self.sent.append(REMOVE_HA)

    async def version(self) -> Any:
        return SimpleNamespace(release=(3, 10), line="3.10")


class Pair:
    """Both servers; where HA is removed on the primary each one's state becomes what ``after`` says."""

    def __init__(
        self,
        states: tuple[str, str],
        *,
        after: tuple[str, str] = NONE,
        entries: tuple[tuple[str, ...], ...] = ((f"{SECONDARY}_8082",), (f"{PRIMARY}_8082",)),
    ) -> None:
        names = ("primary", "secondary")
        self.servers = {n: Server(n, s, e, a) for n, s, e, a in zip(names, states, entries, after, strict=True)}

    def prime(self, key: str) -> Server:
        if self.servers["primary"].sent:
            for server in self.servers.values():
                server.state = server.after
        return self.servers[key]

    async def look(self, target: Any) -> tuple[Presented, ...]:
        return (seen(Vantage.HERE, problem="no answer"),)


class Recovering(Pair):
    """A pair that was looked at too early: when both are asked again, it is healthy."""

    asked = 0

    def prime(self, key: str) -> Server:
        self.asked += 1
        if self.asked > len(self.servers):
            for server, state in zip(self.servers.values(), HEALTHY, strict=True):
                server.state = state
        return self.servers[key]


class Pages:
    """The primary's pages, which show ``page``."""

    def __init__(self, page: HaPage, *, guided: bool = False) -> None:
        self.guided, self._page = guided, page

    async def open(self) -> Pages:
        return self

    async def ha_page(self) -> HaPage:
        return self._page

    async def give_up(self, error: PageNotUnderstood) -> None:
        self.guided = True


def page(mode: str = "", percents: tuple[int, ...] = (), *, under_way: bool = False) -> HaPage:
    steps = tuple(Milestone(name=f"step {n}", percent=percent) for n, percent in enumerate(percents))
    return HaPage(configuration_mode=mode, milestones=steps, message="", under_way=under_way, read_utc=NOW)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Context]:
    """``context(pair, **policy)``: stage 40 of a site that waits for nothing."""
    monkeypatch.setattr(settling, "POLL_S", 0.01)

    def make(pair: Pair, **policy: Any) -> Context:
        site = site_with(policy=policy)
        short = site.deadlines.model_copy(update={"settle_s": 0.05, "page_s": 0.05})
        return Context(
            site=site.model_copy(update={"deadlines": short}),
            record=Record.create(tmp_path / "records", "lab"),
            stage=Stage.REGISTER,
            devices=cast("Any", pair),
            operator="ada@desk",
            records_root=tmp_path / "records",
        )

    return make


Make = Callable[..., Context]


def decided(context: Context, shown: HaPage, *, guided: bool = False) -> HaAction:
    action, _ = asyncio.run(decide_ha(context, cast("Any", Pages(shown, guided=guided))))
    return action


def test_both_servers_are_asked_before_anything_is_called_healthy(context: Make) -> None:
    """Where the primary alone calls HA healthy, that is not “nothing to do”."""
    assert decided(context(Pair(HEALTHY)), page()) is HaAction.NOTHING
    with pytest.raises(DecisionNeeded):
        decided(context(Pair(("Primary Active", "Secondary Lost Primary"))), page())


def test_a_registration_under_way_is_watched_and_not_repeated(context: Make) -> None:
    """Neither server may say so yet: the page's word is enough to keep from registering."""
    assert decided(context(Pair(NONE)), page("HA not Configured", (100, 40, 0), under_way=True)) is HaAction.WATCH
    assert decided(context(Pair(NONE)), page("HA not Configured")) is HaAction.REGISTER


def test_the_milestones_of_a_registration_that_is_over_are_not_watched(context: Make) -> None:
    """All at 100 % above a pair that has broken since: there is nothing to wait for."""
    shown = page("Primary Lost Secondary", (100, 100, 100), under_way=True)
    assert decided(context(Pair(BROKEN), remove_broken_ha=True), shown) is HaAction.REMOVE
    assert decided(context(Pair(("Primary Syncing", "HA not Configured"))), shown) is HaAction.WATCH


@pytest.mark.parametrize(
    "states",
    [("Dreaming", "Secondary Syncing"), ("HA not Configured", "Dreaming"), ("Primary Lost Secondary", "Dreaming")],
)
def test_a_state_that_nobody_knows_stops_the_stage(context: Make, states: tuple[str, str]) -> None:
    """Neither registered nor removed, even where the site allows to remove broken HA."""
    with pytest.raises(DecisionNeeded, match="Dreaming"):
        decided(context(Pair(states), remove_broken_ha=True), page())


@pytest.mark.parametrize("mode", ["Primary Active", "Secondary Syncing", "Primary Lost Secondary", "Grue", ""])
def test_nothing_is_registered_on_a_page_that_says_otherwise_than_its_server(context: Make, mode: str) -> None:
    """It may come out of a cache, or be another server's; words that nobody knows say nothing."""
    action = HaAction.REGISTER if mode in ("Grue", "") else HaAction.GUIDE
    assert decided(context(Pair(NONE)), page(mode)) is action


def test_a_registration_that_ends_while_the_page_is_read_is_done(context: Make) -> None:
    """The servers were asked first, in a state that no table knows; the page was read once they were healthy."""
    made = context(Recovering(("Primary Initializing", "Secondary Initializing")), remove_broken_ha=True)
    assert decided(made, page("Primary Active", (100, 100, 100))) is HaAction.NOTHING


def test_what_is_shown_of_the_servers_is_what_decided(context: Make) -> None:
    """A pair that recovers while it is waited for is not shown as it was before."""
    pages = cast("Any", Pages(page("Primary Active", (100, 100, 100))))
    action, states = asyncio.run(decide_ha(context(Recovering(BROKEN)), pages))
    assert (action, tuple(status.state for status in states)) == (HaAction.NOTHING, HEALTHY)


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("primary", ["Primary Lost Secondary", "HA not Configured", "Primary Failover"])
def test_nothing_is_done_while_the_secondary_serves(context: Make, primary: str, guided: bool) -> None:
    """Its database is the newest: it is not replaced, neither after a removal nor by a primary that was set up anew."""
    made = context(Pair((primary, "Secondary Active")), remove_broken_ha=True)
    with pytest.raises(DecisionNeeded, match="secondary is active"):
        decided(made, page(), guided=guided)


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("states", [NONE, BROKEN, ("Primary Syncing", "Dreaming")])
def test_nothing_is_done_where_the_sites_file_has_the_servers_crossed(
    context: Make, states: tuple[str, str], guided: bool
) -> None:
    """What is overwritten then is the primary's database, and what is removed is removed at the secondary."""
    pair = Pair(states)
    for server, role in (("primary", "Secondary"), ("secondary", "Primary")):
        pair.servers[server].role = role
    made = context(pair, remove_broken_ha=True)
    with pytest.raises(DecisionNeeded, match="reports the other one's role"):
        decided(made, page(), guided=guided)
    with pytest.raises(DecisionNeeded, match="nothing was removed"):
        asyncio.run(remove_ha(made))


def test_ha_is_registered_where_there_is_none_and_removed_where_it_stays_broken_and_may_be(context: Make) -> None:
    """It never presses *Register* while high availability works or a registration is under way, nor twice on one
    approval; it removes a registration only where that stays broken and your site's file says so
    (`policy: remove_broken_ha: true`); it does neither while the secondary is the active one.

    What the servers and the page say decides; the approvals are `test_guard.py`'s.
    """
    under_way = page("HA not Configured", (100, 40, 0), under_way=True)
    assert decided(context(Pair(HEALTHY), remove_broken_ha=True), page()) is HaAction.NOTHING
    assert decided(context(Pair(NONE), remove_broken_ha=True), under_way) is HaAction.WATCH
    assert decided(context(Pair(NONE), remove_broken_ha=True), page()) is HaAction.REGISTER
    assert decided(context(Pair(BROKEN), remove_broken_ha=True), page()) is HaAction.REMOVE
    assert decided(context(Recovering(BROKEN), remove_broken_ha=True), page()) is HaAction.NOTHING
    with pytest.raises(DecisionNeeded, match="remove_broken_ha"):
        decided(context(Pair(BROKEN)), page())
    with pytest.raises(DecisionNeeded, match="secondary is active"):
        decided(context(Pair(("Primary Failover", "Secondary Active")), remove_broken_ha=True), page())


def test_a_removal_counts_once_both_servers_say_so(context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent once, to the primary; a secondary that still calls itself registered makes it a failure."""
    monkeypatch.setattr(ha, "permit", AsyncMock())  # test_guard.py is about that, and what begins with it
    monkeypatch.setattr(ha, "begin", lambda made, *_: made.record.intend(made.stage, "primary", ha.REMOVAL))
    monkeypatch.setattr(ha, "planned_change", Mock())
    done, half = Pair(BROKEN), Pair(BROKEN, after=("HA not Configured", "Secondary Lost Primary"))
    asyncio.run(remove_ha(context(done)))
    with pytest.raises(RepairFailed, match="did not remove"):
        asyncio.run(remove_ha(context(half)))
    for pair in (done, half):
        assert [pair.servers[name].sent for name in ("primary", "secondary")] == [[REMOVE_HA], []]


@pytest.mark.parametrize("states", [HEALTHY, NONE, ("Primary Lost Secondary", "Secondary Active")])
def test_a_removal_that_was_decided_earlier_is_not_sent_to_a_pair_that_changed(
    context: Make, states: tuple[str, str]
) -> None:
    """Both servers are asked right before; nothing is sent and nothing stands in the journal as intended."""
    pair = Pair(states)
    made = context(pair, remove_broken_ha=True)
    with pytest.raises(DecisionNeeded, match="no longer"):
        asyncio.run(remove_ha(made))
    assert pair.servers["primary"].sent == []
    assert list(made.record.pending_changes()) == []


@pytest.mark.parametrize(
    ("failover", "noted"),
    [("", ""), ("Manual", ""), ("Automatic", "failover type Automatic; the site's file says manual")],
)
def test_another_failover_type_than_the_sites_is_noted(failover: str, noted: str) -> None:
    """Somebody else may have registered meanwhile: the pair is healthy, and fails over otherwise than planned."""
    status = HaStatus(server="primary", role="Primary", state="Primary Active", read_utc=NOW, failover=failover)
    (check,) = ha_state.state_checks(site_with(), [status])
    assert (check.ok, check.note) == (True, noted)


def test_entries_have_to_be_back_in_both_stores(context: Make) -> None:
    """Healthy states are not the whole proof: each store must list the other server again."""
    one_sided = Pair(HEALTHY, entries=((f"{SECONDARY}_8082",), ()))
    checks = {check.name: check.ok for check in asyncio.run(prove_ha(context(one_sided)))}
    assert checks["entry of secondary on the primary"] is True
    assert checks["entry of primary on the secondary"] is False
    assert checks["HA state of the secondary"] is True


class Progressing:
    """A page that shows one state after another, the last one for good."""

    def __init__(self, *pages: HaPage) -> None:
        self._pages = pages

    async def watch_registration(self, report: Callable[[HaPage], None]) -> HaPage:
        for shown in self._pages:
            report(shown)
        return self._pages[-1]


def test_progress_is_told_once_for_each_change_of_a_milestone(context: Make) -> None:
    """A page that changes its other words only tells nothing new."""
    told: list[tuple[str, float | None]] = []

    def tell(sentence: str, fraction: float | None = None, *, steady: bool = False) -> None:
        told.append((sentence, fraction))

    made = replace(context(Pair(NONE)), progress=tell)
    begun = page("HA not Configured", (50, 0), under_way=True)
    shown = (begun, replace(begun, message="copying"), page("", (100, 0)), page("Primary Active", (100, 100)))
    asyncio.run(watch_registration(made, cast("Any", Progressing(*shown)), None))
    assert told == [
        ("step 0 50 %, step 1 0 %", 0.25),
        ("step 0 100 %, step 1 0 %", 0.5),
        ("step 0 100 %, step 1 100 %", 1),
    ]


class Standing:
    """A page that shows one state for good; ``WATCHED_S`` is how long it is watched at most."""

    WATCHED_S = PATIENCE_S

    def __init__(self, shown: HaPage | None) -> None:
        self._shown = shown

    async def watch_registration(self, report: Callable[[HaPage], None]) -> HaPage:
        if self._shown:
            report(self._shown)
        await asyncio.Event().wait()
        raise AssertionError


def watched(context: Context, shown: HaPage | None, pair_says: Callable[[], None] = lambda: None) -> HaPage:
    async def watch() -> HaPage:
        asyncio.get_running_loop().call_later(0.1, pair_says)
        async with asyncio.timeout(Standing.WATCHED_S):
            return await watch_registration(context, cast("Any", Standing(shown)), None)

    return asyncio.run(watch())


def test_a_registration_that_both_servers_call_over_has_failed(context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not configured on both, and nothing under way on the page: failed at once, with the page's last words."""
    monkeypatch.setattr(ha_state, "_ASK_SERVERS_S", 0.01)
    shown = replace(page("HA not Configured", (100, 40, 0)), message="Database replication failed.")
    with pytest.raises(RepairFailed) as caught:
        watched(context(Pair(NONE)), shown)
    assert "Database replication failed." in caught.value.found


def test_a_registration_that_ended_behind_a_page_that_stands_still_has_failed(
    context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page goes on calling it under way; both servers were on their way and call it not configured again."""
    monkeypatch.setattr(ha_state, "_ASK_SERVERS_S", 0.01)
    pair = Pair(("Primary Syncing", "Secondary Syncing"))

    def end() -> None:
        for server in pair.servers.values():
            server.state = "HA not Configured"

    with pytest.raises(RepairFailed, match="not configured"):
        watched(context(pair), page("HA not Configured", (100, 40, 0), under_way=True), end)


def test_a_registration_that_the_servers_do_not_show_yet_goes_on(
    context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not configured from the start, while the page calls it under way: nothing is over."""
    monkeypatch.setattr(ha_state, "_ASK_SERVERS_S", 0.01)
    done = page("Primary Active", (100, 100, 100))

    class Late(Standing):
        async def watch_registration(self, report: Callable[[HaPage], None]) -> HaPage:
            report(self._shown)
            await let_pass(0.3, "the page is late")
            return done

    shown = page("HA not Configured", (100, 40, 0), under_way=True)
    assert asyncio.run(watch_registration(context(Pair(NONE)), cast("Any", Late(shown)), None)) == done


@pytest.mark.parametrize("told", [None, PageRefused("it failed", where="primary")])
def test_the_page_ends_the_watch_when_the_servers_have_answered(
    told: PageRefused | None, context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is on its way when the page says how it ended is not cut off: that would cost the session."""
    monkeypatch.setattr(ha_state, "_ASK_SERVERS_S", 0.0)
    asked, said = asyncio.Event(), asyncio.Event()
    begun, answered = list[str](), list[str]()
    done = page("Primary Active", (100, 100, 100))

    class Slow(Server):
        async def ha_status(self) -> HaStatus:
            begun.append(self.name)
            asked.set()
            await said.wait()
            await turns()
            answered.append(self.name)
            return await super().ha_status()

    class Ended:
        async def watch_registration(self, report: Callable[[HaPage], None]) -> HaPage:
            report(done)
            await asked.wait()
            said.set()
            if told:
                raise told
            return done

    pair = Pair(HEALTHY)
    pair.servers |= {name: Slow(name, server.state, (), "") for name, server in pair.servers.items()}
    with pytest.raises(OutcomeUnknown) if told else nullcontext():
        assert asyncio.run(watch_registration(context(pair), cast("Any", Ended()), None)) == done
    assert sorted(answered) == sorted(begun) != []


@pytest.mark.parametrize("under_way", [True, False])
def test_a_registration_whose_milestones_nobody_reads_has_ended(
    under_way: bool, context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where both servers are healthy, and the page that stands still calls nothing under way."""
    monkeypatch.setattr(ha_state, "_ASK_SERVERS_S", 0.01)
    if under_way:  # it is watched for hours
        monkeypatch.setattr(Standing, "WATCHED_S", 0.5)
    shown = page("Primary Active", (0, 0, 0), under_way=under_way)
    with pytest.raises(TimeoutError) if under_way else nullcontext():
        assert watched(context(Pair(HEALTHY)), shown) == shown


@pytest.mark.parametrize("states", [HEALTHY, NONE])
def test_a_registration_behind_pages_that_do_not_come_back_is_settled_by_both_servers(
    states: tuple[str, str], context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP 502 for good is no word on it: where they call it healthy it is done, else nobody saw that it began."""
    monkeypatch.setattr(ha_state, "_ASK_SERVERS_S", 0.06)
    with nullcontext() if states == HEALTHY else pytest.raises(OutcomeUnknown, match="not seen"):
        assert watched(context(Pair(states)), None).message == "the web pages did not come back"


@pytest.mark.parametrize("under_way", [True, False])
def test_a_registration_that_nobody_shows_to_have_begun_is_not_watched_for_hours(
    under_way: bool, context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars that stay empty beside servers without HA: whether it began is not known, unless the page says so too."""
    monkeypatch.setattr(ha_state, "_ASK_SERVERS_S", 0.06)
    with pytest.raises(OutcomeUnknown if under_way else RepairFailed, match="not seen" if under_way else "failed"):
        watched(context(Pair(NONE)), page("HA not Configured", (0, 0, 0), under_way=under_way))


@pytest.mark.parametrize("answers", [True, False])
def test_a_click_whose_end_nobody_saw_is_settled_by_both_servers(
    answers: bool, context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the server's web pages says nothing of the registration; it is watched like any other."""
    pair, unknown = Recovering(NONE), OutcomeUnknown("register: the page does not show the result", found="HTTP 500")
    made, done = context(pair), page("Primary Active", (100, 100))
    made.record.intend(made.stage, "primary", ha.REGISTRATION, expected="Primary Active")
    for name in ("require_release", "require_confirmed"):
        monkeypatch.setattr(ha, name, AsyncMock())
    monkeypatch.setattr(ha, "logs_now", Mock())
    monkeypatch.setattr(ha, "_register_once", AsyncMock(side_effect=unknown))
    monkeypatch.setattr(ha, "watch_registration", AsyncMock(return_value=done))
    if not answers:
        monkeypatch.setattr(Server, "ha_status", AsyncMock(side_effect=DeviceSilent("no answer")))
    shown = AsyncMock(checks_first=AsyncMock(return_value=False))
    pages = cast("Any", Mock(open=AsyncMock(return_value=shown)))
    with nullcontext() if answers else pytest.raises(OutcomeUnknown, match="does not show the result"):
        assert asyncio.run(ha._drive(made, pages, HaAction.REGISTER, ())) == done
    lines = made.record.journal.read().lines
    assert any(line.kind is Kind.OBSERVED and "HTTP 500" in line.seen for line in lines)
    assert [line.seen for line in lines if line.kind is Kind.RESULT] == ["Primary Active"] * answers
    assert not answers or pair.asked > len(pair.servers)


@pytest.mark.parametrize(
    "states",
    [
        *(("Primary Syncing", "Secondary Syncing"), HEALTHY, NONE),
        *(("Primary Failover", "Secondary Active"), ("HA Initializing", "HA Initializing")),
    ],
)
def test_a_registration_that_the_servers_go_on_with_has_not_failed(context: Make, states: tuple[str, str]) -> None:
    """A page may show a message of something else where its own failure would stand."""
    made = context(Pair(states))

    class Failing(Standing):
        async def watch_registration(self, report: Callable[[HaPage], None]) -> HaPage:
            raise PageRefused("registration: the page said no", found="Backup failed last night.")

    over = states == NONE or "Failover" in states[0]
    with pytest.raises(RepairFailed if over else OutcomeUnknown, match=r"failed|not seen") as caught:
        asyncio.run(watch_registration(made, cast("Any", Failing(page())), None))
    assert "Backup failed last night." in caught.value.found
    assert states[0] in caught.value.found


@pytest.mark.parametrize(("left", "failed"), [(520, True), (1100, False)])
def test_a_message_at_the_edge_of_the_page_is_no_state_of_the_milestone_beside_it(left: int, failed: bool) -> None:
    """It lies over the page, and stands on the same line by chance."""
    bar = Item(kind="progressbar", value="40", box=(200, 300, 300, 14))
    name = Item(kind="text", names=((0, "Database Replication"),), box=(20, 300, 160, 14), index=1)
    words = Item(kind="text", names=((0, "Backup failed"),), box=(left, 302, 90, 14), index=2)
    (step,) = milestones(Screen((name, bar, words)), labels_for())
    assert (step.percent, step.failed) == (40, failed)


FIELD = Item(kind="textbox", names=((0, "Secondary Server"),))


def buttons(*, check: bool) -> tuple[Item, ...]:
    shown = (("Check Readiness", not check), ("Register", True))
    return tuple(Item(kind="button", names=((0, name),), disabled=disabled) for name, disabled in shown)


@pytest.mark.parametrize(
    ("shown", "form", "under_way"),
    [
        (page("HA not Configured", (0, 0, 0), under_way=True), (FIELD, *buttons(check=True)), False),
        (page("HA not Configured", (0, 0, 0), under_way=True), (FIELD, *buttons(check=False)), True),
        (page("HA not Configured", (0, 0, 0), under_way=True), buttons(check=True), True),
        (page("HA not Configured", (0, 40, 0), under_way=True), (FIELD, *buttons(check=True)), True),
        (page("HA registration in progress", (0, 0, 0), under_way=True), (FIELD, *buttons(check=True)), True),
    ],
)
def test_empty_bars_beside_a_form_that_can_be_checked_are_no_registration(
    shown: HaPage, form: tuple[Item, ...], under_way: bool
) -> None:
    """Some pages show them from the start, and offer Register once the check has passed."""

    async def look(**_: object) -> Screen:
        return Screen(form)

    async def read() -> HaPage:
        return shown

    pages = HaPages(cast("Any", SimpleNamespace(view=SimpleNamespace(look=look), labels=labels_for())))
    pages.page = read  # type: ignore[method-assign]
    assert asyncio.run(pages.at_first()).under_way is under_way


def test_a_virtual_ip_that_stands_ticked_in_a_closed_section_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page remembers would be registered, although nobody sees it."""
    done: list[object] = []
    box = Item(kind="checkbox", names=((0, "Enable Virtual IP"),), checked=True)
    section = Item(kind="button", names=((0, "Virtual IP"),), folded=True)

    async def look(**_: object) -> Screen:
        return Screen((box if section in done else section,))

    async def note(*what: object) -> None:
        done.extend(what)

    async def is_shown(key: str) -> bool:
        return key == "enable_virtual_ip" and section in done

    async def tick(_: object, key: str, on: bool) -> None:
        await note(key, on)

    monkeypatch.setattr(ha_page, "tick", tick)
    hand = SimpleNamespace(
        view=SimpleNamespace(look=look), labels=labels_for(), click=note, find=note, is_shown=is_shown
    )
    asyncio.run(HaPages(cast("Any", hand))._fill_virtual(HaForm(secondary_server="10.0.0.2", auth_key="k")))
    assert done == [section, "enable_virtual_ip", "enable_virtual_ip", False]


@pytest.mark.parametrize(
    ("action", "guided", "words"),
    [
        (HaAction.NOTHING, False, "there is nothing to register"),
        (HaAction.WATCH, False, "a registration is under way"),
        (HaAction.REMOVE, False, "once the broken registration is removed"),
        (HaAction.GUIDE, True, "a person registers by hand"),
        (HaAction.REGISTER, True, "a person registers by hand"),
    ],
)
def test_why_there_is_no_readiness_is_said_truly(action: HaAction, guided: bool, words: str) -> None:
    """Nothing to register, a person at the pages, and a registration under way are told apart."""
    assert words in why_no_readiness(action, guided=guided)


@pytest.mark.parametrize("declined", [True, False])
def test_a_question_that_was_answered_with_no_is_no_refusal_of_the_page(
    declined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record and the error say who said no, and the next step is about the question."""
    error = PageRefused("register: the form was changed", found="Do you want to proceed?", next_step="Look at it.")
    error.declined = declined
    context, page = cast("Any", Mock()), Mock(register=AsyncMock(side_effect=error))
    monkeypatch.setattr(ha, "permit", AsyncMock())
    monkeypatch.setattr(ha_state, "observe_ha", AsyncMock(return_value=()))
    for name in ("planned_change", "typed_form", "logs_now"):
        monkeypatch.setattr(ha, name, Mock(return_value=""))
    for name in ("log_growth", "logs_now"):
        monkeypatch.setattr(ha_state, name, Mock(return_value=""))
    with pytest.raises(RepairFailed) as raised:
        asyncio.run(ha._register_once(context, page, None))
    (told, *_), _ = context.record.intend().result.call_args
    assert told == f"{'not done: register: the form was changed; ' if declined else 'refused: '}Do you want to proceed?"
    assert (error.what in raised.value.what, raised.value.next_step == "Look at it.") == (declined, declined)
    context.site.labels = {}
    monkeypatch.setattr(ise, "permit", AsyncMock())
    monkeypatch.setattr(ise, "planned_change", Mock())
    with pytest.raises(RepairFailed) as raised:
        asyncio.run(ise._change(context, "ise", adding("ise"), page.register))
    assert (raised.value.what == error.what) is declined


@pytest.mark.parametrize(
    ("states", "result"),
    [
        (HEALTHY, "Primary Active"),
        (NONE, "page: Primary Active; primary: HA not Configured; secondary: HA not Configured"),
    ],
)
def test_what_the_page_alone_calls_done_is_recorded_as_its_word(
    states: tuple[str, str], result: str, context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may pretend, or come out of a cache: what both servers say stands beside it."""
    made, done = context(Pair(states)), page("Primary Active", (100, 100))
    made.record.intend(made.stage, "primary", ha.REGISTRATION, expected="Primary Active")
    monkeypatch.setattr(ha, "logs_now", Mock())
    monkeypatch.setattr(ha, "watch_registration", AsyncMock(return_value=done))
    asyncio.run(ha._drive(made, cast("Any", Mock(open=AsyncMock())), HaAction.WATCH, ()))
    assert [line.seen for line in made.record.journal.read().lines if line.kind is Kind.RESULT] == [result]


def test_what_stood_on_the_status_page_before_fails_no_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form may not show it; the page that comes after Register does again."""
    old = "Registration failed: Authentication key does not match between primary A and secondary servers B"
    pages = HaPages(cast("Any", Mock(labels=labels_for())))
    pages.view.look = AsyncMock(return_value=Screen())  # type: ignore[method-assign]
    monkeypatch.setattr(HaPages, "page", AsyncMock(return_value=replace(page(), message=old)))
    monkeypatch.setattr(HaPages, "_fill", AsyncMock())
    monkeypatch.setattr(ha_page.Submit, "send", AsyncMock())
    for stood, failed in ((False, True), (True, False)):
        if stood:
            asyncio.run(pages.at_first())
        asyncio.run(pages.register(HaForm(secondary_server="10.0.0.2", auth_key="k3y-Secret")))
        assert bool(pages.failure(replace(page(), message=old))) == failed
    assert pages.failure(replace(page(), message=f"{old}\nRegistration failed: the disk is full"))
