"""The page ISE Servers: its table, adding one, removing one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence, Set
from functools import partial

from runbook_lib.errors import PageNotUnderstood, PageRefused, RunbookError
from runbook_lib.observations import ListedIseServer
from runbook_lib.params.values import any_same_host, same_host
from runbook_lib.web import menu, reading
from runbook_lib.web.actions import Only, PageActions
from runbook_lib.web.controls import find, same_line
from runbook_lib.web.dialogs import script
from runbook_lib.web.screen import FIELDS, Item, Screen, ScreenRow, Stability, same_words
from runbook_lib.web.submit import NEXT_STEPS, Submit, choose
from runbook_lib.web.traffic import naming
from runbook_lib.web.view import When

# -- The page ISE Servers: its list, adding one, removing one --------------------------------------

_PATH = ("menu_administration", "menu_servers", "menu_ise_servers")
# Rows are drawn some tenths of a second apart. An empty list may be one whose answer is on its way or was not asked for
# yet, or one whose rows a timer draws, as long as it does not say that there is nothing, whatever columns it shows.
# That is believed as soon as rows are where the page asked the server before it said so, and waits for nothing more.
_SETTLE_S, _EMPTY_S, _QUIET_S, _STEP_S = 0.5, 6.0, 1.2, 2.0
_IN_VAIN, _VAIN_S = 2, 3.0  # presses, of which a busy page may have swallowed one; of each, on a page that is still
_BOXES, _AGAIN = ("checkbox", "radio"), "ise_password_again"
_CARRIED = script("carried")


class IsePages:
    """Verbs on the ISE Servers page of somebody who is logged in."""

    def __init__(self, actions: PageActions) -> None:
        self.actions, self.view, self.labels = actions, actions.view, actions.labels
        self._turns = True  # until what is called *Next* has turned nothing: another list's, or at the last page
        self._whole = set[str]()  # the servers that stood in the list then
        self._pages = 1  # of the list when it was last read

    async def open(self) -> None:
        """Go to Administration > Servers > ISE Servers by the menu."""
        await menu.open_by_menu(self.actions, _PATH, self._is_list, "the list of ISE servers", "ise_page_id")
        screen = await self.view.look()
        # Another tab may have a list of its own, with the same addresses.
        tabs = [hit.item for key in _PATH[:0:-1] for hit in find(screen, self.labels[key], kinds=("tab",))]
        if tabs and not tabs[0].checked:
            await self.actions.click(tabs[0])

    async def servers(self, *sought: str, anew: bool = True) -> reading.Listed:
        """Open the page and return its list, page by page, once it rests; an empty one has to stay empty for longer.

        So has one without a server that is ``sought`` and that an answer of the server names: a timer may draw its row.
        Where the server has answered nothing, the page is loaded anew. Without ``anew`` it is not opened where it is
        shown already, as it is after a change. Raises PageNotUnderstood where the page does not show all of it.
        """
        began = time.monotonic()
        listed = [listed async for listed in self._read(*sought, anew=anew)][-1]
        if reading.missing(sought, listed) and not self.view.traffic.heard(began):
            await self.view.browser.go("/")
            listed = [listed async for listed in self._read(*sought)][-1]
        return listed

    async def _read(self, *sought: str, anew: bool = True) -> AsyncIterator[reading.Listed]:
        """Turn the pages of the list, and give at each of them the rows so far."""
        began = time.monotonic()
        opened, shown, screen = 0.0, Stability(), await self.view.look(anew=True)
        paged = reading.further_rows(screen, self.labels, self._rows(screen))  # it may not be the first page
        if anew or paged or not self._is_list(screen):
            opened = time.monotonic()
            await self.open()
        listed = await self.actions.wait(self._settled(opened, shown), "the list of ISE servers", rest=shown)
        self._turns, self._pages = self._whole != {row.address for row in listed}, 1
        yield listed
        while why := reading.further_rows(
            now := await self.view.look(), self.labels, listed, self._pages, turns=self._turns
        ):
            if not (self._turns and reading.ways_on(now, self.labels)):
                raise self.view.problem(f"the list of ISE servers is not shown whole: {why}")
            for _ in range(_IN_VAIN):
                opened, shown = time.monotonic(), Stability()
                await self.actions.press("next_page")
                settled = self._settled(opened, shown, frozenset(listed))
                what = f"page {self._pages + 1} of the list of ISE servers"
                if more := await self.actions.wait(settled, what, rest=shown):
                    break
            if not more:
                self._whole = {row.address for row in listed}
            listed, self._turns = listed + more, bool(more)
            self._pages += self._turns
            yield listed
        if late := [host for host in reading.missing(sought, listed) if await self.view.traffic.names(host, began)]:
            settled = self._settled(opened, shown, late=late)
            last = await self.actions.wait(settled, "the list of ISE servers", rest=shown)
            yield listed + tuple(row for row in last if not reading.row_of(row.address, listed))

    def _settled(
        self, opened: float, shown: Stability, known: Set[ListedIseServer] = frozenset(), late: Sequence[str] = ()
    ) -> When[reading.Listed]:
        """Return what gives the list ``opened`` then, once it rests; with others than the ``known`` rows.

        Nothing where the page goes on showing these, and has asked its server for no others. An empty one is not
        believed where the server did not answer what the page has asked since. The rows of those that are ``late`` are
        waited for as long as any are of a list that may be empty.
        """
        said: int | None = None  # how often it had asked the server when it first said that there is nothing

        def empty_s(screen: Screen) -> float:
            nonlocal said
            asked, says_so = self.view.traffic.questions(opened), reading.says_in_short("empty", screen, self.labels)
            if said is None and says_so:
                said = asked
            for_s = _SETTLE_S if said else _QUIET_S
            sure = asked and says_so and not reading.further_rows(screen, self.labels, ())
            return for_s if sure and self.view.traffic.answered(opened, for_s) else _EMPTY_S

        def settled(screen: Screen) -> reading.Listed | None:
            listed, loading = self._rows(screen), reading.says_in_short("loading", screen, self.labels)
            same = bool(known) and set(listed) <= known
            for_s = _SETTLE_S if listed and not same else empty_s(screen)
            for_s = _EMPTY_S if reading.missing(late, listed) else for_s
            rests = shown.is_stable((listed, loading), min(for_s, _VAIN_S) if same and self.view.at_rest else for_s)
            failed = not listed and self.view.traffic.failed_at > opened
            another = not self._is_own_list(screen) and not reading.list_is_drawn(screen, self.labels)
            if not rests or loading or failed or another or (same and self.view.traffic.questions(opened)):
                return None
            return () if same else listed

        return settled

    async def add(self, address: str, user: str, password: str) -> ListedIseServer:
        """Add a server: Select a command > Add ISE Server > Go, fill in, Save once; return its row of the list.

        Raises PageRefused (its ``found`` are the page's words; ``reading.meaning`` tells a 401, a duplicate,
        an unreachable and a third server apart) or OutcomeUnknown. SessionEnded: Save may have been clicked.
        """

        if row := reading.row_of(address, await self.servers(address)):
            what = "the ISE server is in the list already; nothing was typed"
            raise self.view.refused(what, f"already added: {address}, status {row.status!r}", NEXT_STEPS["duplicate"])
        await self._command("ise_command_add", "ise_add")
        form = _Form(self.actions, address, user, password)
        await form.fill()
        submit = Submit(self.actions, "ise-add", "save", "ask_save", "ask_danger", address, form=form.type)
        try:
            return await submit.send(lambda screen: reading.row_of(address, self._rows(screen)))
        except PageRefused:
            await self._leave_form()
            raise

    async def remove(self, address: str) -> None:
        """Choose the server's row, Select a command > Delete ISE Server > Go, agree, and see the row gone.

        A row without a box, but with a *Delete* or a menu of its own, is removed by that. The page is opened once more
        before it is believed to be gone. Raises as ``add`` does.
        """
        async for listed in self._read():
            known, pages = listed, self._pages
            if others := set(self._chosen(await self.view.look())[0]) - {address}:
                raise self._not_alone(address, ", ".join(others))
        if not reading.row_of(address, self._rows(await self.view.look())):
            async for so_far in self._read():
                if reading.row_of(address, so_far):
                    break
        submit = Submit(self.actions, "ise-remove", "ise_delete", "ask_delete", "", address)
        submit.only = await self._own_way(address)
        if not submit.only:
            what = f"a box to tick in the row of {address}"
            box = await self.view.wait(lambda screen: self._box(screen, address), what)
            if not box.checked:
                await self.actions.click(box)
            if await self.actions.is_shown("ise_command"):
                await choose(self.actions, "ise_command", "ise_command_delete")
                submit.key = "ise_go"
        submit.ready = partial(self._require_alone, address, known, pages, marked=not submit.only)
        settled = self._settled(time.monotonic(), Stability())

        def gone(screen: Screen) -> bool | None:
            # A list of commands that is its own caption is called otherwise once one was chosen.
            there = self._is_list(screen) or reading.list_is_drawn(screen, self.labels)
            left = settled(screen) if there else None
            unread = left is None or reading.further_rows(screen, self.labels, left, turns=self._turns)
            return None if unread or reading.row_of(address, left or ()) else True

        await submit.send(gone)
        if row := reading.row_of(address, await self.servers(address)):
            raise self.view.unknown("ise-remove: the row had gone, and is there again", f"status {row.status!r}")

    async def _own_way(self, address: str) -> Only:
        """Return what tells a row's own *Delete*, in its menu where it has one; None where the row has to be chosen."""

        screen = await self.view.look()

        async def own(now: Screen, item: Item) -> bool:
            in_row = item.row >= 0 and _names(now.rows[item.row], address)
            return in_row or (item.kind == "menuitem" and item not in screen.items)

        in_row = [item for item in screen.items if await own(screen, item)]
        menus = [item for item in in_row if item.menu]
        if (box := self._box(screen, address)) and box.kind in _BOXES:
            return None
        if not find(Screen(tuple(in_row)), self.labels["ise_delete"]):
            if len(menus) != 1:
                return None
            await self.actions.click(menus[0])
        return own

    async def _require_alone(self, address: str, known: reading.Listed, pages: int = 1, *, marked: bool = True) -> None:
        """See that this server's row is chosen, and no other: rows move, and some pages keep or tick others.

        ``known`` is the list as it was read on its ``pages``; not ``marked``: the row need not be chosen. Raises
        PageNotUnderstood, too where rows are shown by now that were not, where none of several is marked as chosen, or
        where a value or name in the row is that of another one.
        """
        screen = await self.view.look(anew=True)
        chosen, ticks = self._chosen(screen)
        unseen = reading.further_rows(screen, self.labels, known, pages, turns=self._turns and pages == 1)
        must = marked and (ticks or chosen or len(known) > 1)
        if unseen or (chosen != [address] if must else set(chosen) - {address}):
            raise self._not_alone(address, unseen or ", ".join(chosen) or "the page marks none as chosen")
        box = self._box(screen, address)
        for item in screen.items:
            if item == box or (item.row >= 0 and _names(screen.rows[item.row], address)):
                for carried in await (await self.view.element(item)).evaluate(_CARRIED):
                    named = [row.address for row in known if naming(row.address).search(carried)]
                    if named and not any_same_host(address, tuple(named)):
                        raise self._not_alone(address, f"its row is marked as that of {', '.join(named)}")

    def _chosen(self, screen: Screen) -> tuple[list[str], bool]:
        """Return the servers whose rows are chosen, and whether rows have something to tick."""
        boxes = {row.address: self._box(screen, row.address) for row in self._rows(screen)}
        ticks = any(box and box.kind in _BOXES for box in boxes.values())
        marked = [row for row in screen.rows if row.selected and not ticks]
        return [of for of, box in boxes.items() if (box and box.checked) or any(_names(r, of) for r in marked)], ticks

    def _not_alone(self, address: str, why: str) -> PageNotUnderstood:
        what = f"the rows that are chosen are not that of {address} alone ({why}); nothing was removed"
        return self.view.problem(what, next_step="Remove it by hand, then run the stage again.")

    async def _leave_form(self) -> None:
        """Load the first page anew where the refused form lies over all others; nothing is sent by that."""
        with contextlib.suppress(RunbookError):  # what was refused must not be hidden
            screen = await self.view.look()
            if screen.blocked and find(screen.in_dialog(), self.labels["ise_address"]):
                await self.view.browser.go("/")

    async def _command(self, option: str, button: str) -> None:
        if await self.actions.is_shown("ise_command"):
            await choose(self.actions, "ise_command", option)
            await self.actions.press("ise_go")
        else:
            await self.actions.press(button, deadline_s=10.0)

    def _rows(self, screen: Screen) -> reading.Listed:
        return reading.ise_servers(screen, self.labels)

    def _is_list(self, screen: Screen) -> bool:
        return bool(find(screen, self.labels["ise_add"])) or self._is_own_list(screen)

    def _is_own_list(self, screen: Screen) -> bool:
        """Whether it shows rows, or commands that speak of servers: *Add* alone may be that of another list."""
        named = any(not same_words(hit.item.text, "Add") for hit in find(screen, self.labels["ise_add"]))
        return bool(named or find(screen, self.labels["ise_command"]) or self._rows(screen))

    def _box(self, screen: Screen, address: str) -> Item | None:
        boxes = [item for item in screen.items if item.kind in _BOXES]
        words = [
            item for item in screen.items if item.kind not in FIELDS and same_host(reading.host_in(item.text), address)
        ]
        for box in boxes:
            if box.row >= 0 and _names(screen.rows[box.row], address):
                return box
        for word in words:
            beside = [box for box in boxes if box.frame == word.frame and same_line(box, word)]
            if beside:
                return beside[0]
        # Where rows have no box, one is chosen by a click on it.
        return next((word for word in words if word.kind != "link" and not boxes), None)


def _names(row: ScreenRow, address: str) -> bool:
    """Whether a row of the list is this server's."""
    return any(same_host(reading.host_in(cell), address) for cell in row.cells)


class _Form:
    """The form for a new server, on one page or over the steps of a wizard; ``shown`` is what this step has to hold."""

    def __init__(self, actions: PageActions, address: str, user: str, password: str) -> None:
        self.actions, self.view = actions, actions.view
        self.values = {"ise_address": address, "ise_user": user, "ise_password": password, _AGAIN: password}
        self.shown: list[str] = []
        self.went_on: float | None = None  # when the first step was left

    async def type(self, *keys: str) -> None:
        """Fill in some fields, else the step that is shown, where it does not hold everything."""
        for key in keys or self.shown:
            await self.actions.fill(key, self.values[key], secret=key.startswith("ise_password"))

    async def fill(self) -> None:
        """Fill in every field, and come to the step with the button that sends them.

        Raises PageNotUnderstood where one does not come, or OutcomeUnknown where a step asked the server before that.
        """
        try:
            for key in self.values:
                if key == _AGAIN and not await self.actions.is_shown(key):
                    continue
                if self.shown and not await self._comes(key) and await self.actions.is_shown("wizard_next"):
                    await self._next()
                await self.type(key)
                self.shown.append(key)
            while await self.actions.is_shown("wizard_next") and not await self._is_offered("save"):
                await self._next()
        except PageNotUnderstood as error:
            if self.went_on is not None and self.view.traffic.questions(self.went_on):
                what = "ise-add: a step of the form asked the server, and the next one is not understood"
                raise self.view.unknown(what, error.what) from error
            raise

    async def _is_offered(self, key: str) -> bool:
        """Whether something that can be pressed stands with the fields that were filled in."""
        hits = find(screen := await self.view.look(), self.actions.labels[key])
        stands = self.actions.stands_with_fields
        return any([not hit.item.disabled and await stands(screen, hit.item) for hit in hits])

    async def _comes(self, key: str) -> bool | None:
        """Whether the page shows a field before it is still."""
        label = self.actions.labels[key]
        return await self.view.comes(lambda screen: bool(find(screen, label)), _STEP_S, until_rest=True)

    async def _next(self) -> None:
        """Go to the next step once this one holds what was filled in."""
        gone, before = [self.actions.labels[key] for key in self.shown], (await self.view.look()).texts
        now, keep = time.monotonic(), partial(self.actions.fill_until_kept, self.type)
        await self.actions.press_once("wizard_next", keep, more=True, only=self.actions.stands_with_fields)
        self.shown, self.went_on = [], self.went_on or now

        def moved_on(screen: Screen) -> bool:
            left = [hit for label in gone for hit in find(screen, label) if not hit.rank[0]]
            return screen.texts != before and not left

        await self.view.wait(moved_on, "the next step of the form")
