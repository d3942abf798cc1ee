"""What a page asks in the middle of a submit: answered with yes only where it was expected and holds no danger."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest

from runbook_lib.errors import DeviceSilent, OutcomeUnknown, PageNotUnderstood, PageRefused
from runbook_lib.params.labels import labels_for
from runbook_lib.web import actions, dialogs, reading, submit, traffic
from runbook_lib.web.actions import PageActions
from runbook_lib.web.controls import find_radios, pressables
from runbook_lib.web.dialogs import ELEMENT_LOST, dismiss, question_in
from runbook_lib.web.pages import PrimePages
from runbook_lib.web.screen import Item, Screen, Stability
from runbook_lib.web.view import _MOST_HEARD, PageView, SessionEnded

LABELS = labels_for()
HARMLESS = "Registration takes hours. Do you want to continue?"
DANGEROUS = "Registration will overwrite the database of the secondary. Do you want to continue?"
OTHER = "Send usage statistics to the vendor?"


class Browser:
    """As much of a browser as asks questions."""

    def __init__(self) -> None:
        self.page = SimpleNamespace(on=lambda *_: None, url="https://prime-pri/")
        self.relay = SimpleNamespace(kept_back="")
        self.secrets: frozenset[str] = frozenset()
        self.deadlines = SimpleNamespace(page_s=5)
        self.blocked: tuple[str, ...] = ()

    def raise_for_certificate(self) -> None: ...


def view_that_registers() -> PageView:
    view = PageView(cast("Any", Browser()), LABELS)
    view.logged_in = True
    view.dialogs.expect(*LABELS.phrases["ask_register"], dangers=LABELS.phrases["ask_danger"], about="10.0.0.2")
    return view


class Dialog:
    """A question of the browser's own; ``answer`` is what it got."""

    def __init__(self, kind: str, message: str) -> None:
        self.type, self.message, self.answer = kind, message, ""

    async def accept(self) -> None:
        self.answer = "yes"

    async def dismiss(self) -> None:
        self.answer = "no"


def test_a_message_is_heard_after_any_number_of_others() -> None:
    """A clock in the page says something new each second of a registration; the latest thousands are kept."""
    view = view_that_registers()
    view.new_messages.clear()
    view._note_messages([("SPAN", f"{number} s") for number in range(3 * _MOST_HEARD)], first=False)
    view._note_messages([("DIV", "Database replication failed."), ("SPAN", "1 s")], first=False)
    assert list(view.new_messages)[-2:] == ["Database replication failed.", "1 s"]
    assert len(view.new_messages) == len(view._noted_messages) == _MOST_HEARD


@pytest.mark.parametrize(
    ("kind", "message", "answer"),
    [
        ("confirm", HARMLESS, "yes"),
        ("confirm", DANGEROUS, "no"),
        ("confirm", OTHER, "no"),
        ("confirm", "You have changed the mail server. Do you want to continue?", "no"),
        ("confirm", "All data of the secondary will be erased. Are you sure?", "no"),
        ("confirm", "The database on the secondary server will be overwritten. Register?", "yes"),
        ("confirm", "The secondary's database will be overwritten, the primary's is lost. Register?", "no"),
        ("confirm", "The database of the primary will be overwritten. Register?", "no"),
        ("confirm", "Register? The database of 10.0.0.2 will be replaced by this server's.", "yes"),
        ("confirm", "Register? The database of 10.0.0.21 will be replaced by this server's.", "no"),
        ("confirm", "Register? This server's database will be replaced by that of 10.0.0.2.", "no"),
        ("confirm", "Register? The existing registration will be replaced.", "no"),
        ("confirm", "The secondary's certificate is not trusted. Continue with registration?", "no"),
        ("confirm", "Some readiness checks have failed. Do you want to register anyway?", "no"),
        ("confirm", "Do you accept the license for high availability?", "no"),
        ("confirm", "Another administrator (jdoe) is working on High Availability. Continue?", "no"),
        ("confirm", "User jdoe is registering high availability right now. Take over?", "no"),
        ("confirm", "The secondary server is already registered with 10.0.0.9. Continue?", "no"),
        ("confirm", "Registration restarts all services of this server. Continue?", "no"),
        ("confirm", "To register, all running jobs will be stopped. Continue?", "no"),
        ("confirm", "Are you sure you want to cancel the registration?", "no"),
        ("confirm", "You have unsaved changes. Are you sure you want to leave this page?", "no"),
        ("confirm", "The database is copied from the secondary to the primary. Register?", "no"),
        ("confirm", "HA registration may take 2 to 3 hours, depending on the size of the database. Continue?", "yes"),
        ("confirm", "You are about to register 10.0.0.2 as the secondary server. Please confirm.", "yes"),
        (
            "confirm",
            "Once started, registration cannot be interrupted. Press OK to continue or Cancel to abort.",
            "yes",
        ),
        ("confirm", "All existing data on the secondary server will be overwritten. Register?", "yes"),
        ("prompt", HARMLESS, "no"),
        ("alert", OTHER, "yes"),
    ],
)
def test_a_question_of_the_browser_gets_yes_only_where_it_was_expected(kind: str, message: str, answer: str) -> None:
    """Every other one gets no, and is told in its words."""
    view, dialog = view_that_registers(), Dialog(kind, message)
    asyncio.run(view.dialogs._answer(cast("Any", dialog)))
    assert dialog.answer == answer
    assert view.dialogs.unexpected == ([message] if answer == "no" else [])
    assert view.dialogs.said == ([] if (kind, answer) == ("confirm", "yes") else [message])


def test_an_address_in_a_question_may_be_written_otherwise() -> None:
    """The same host by its value, and no other."""
    dialogs = view_that_registers().dialogs
    dialogs.about = "2001:db8::15"
    for shown, agreed in (("2001:0DB8:0:0:0:0:0:0015", True), ("[2001:db8:0::15]", True), ("2001:db8::1:15", False)):
        assert dialogs.agrees(f"Register secondary server {shown}?") is agreed


@pytest.mark.parametrize(
    ("verb", "asked", "agreed"),
    [
        ("ask_delete", "Are you sure you want to delete 10.0.0.2?", True),
        ("ask_delete", "Delete the selected ISE server(s)?", True),
        ("ask_delete", "Are you sure you want to delete all ISE servers?", False),
        ("ask_delete", "2 servers will be deleted. Continue?", False),
        ("ask_delete", "The server is in use by 12 profiles. Delete it anyway?", False),
        ("ask_save", "Save the ISE server?", True),
        ("ask_save", "This server is already configured. Save anyway?", False),
        ("ask_save", "The maximum is reached. Save and drop the oldest server?", False),
        ("ask_save", "Are you sure you want to leave without saving?", False),
    ],
)
def test_what_is_asked_of_an_ise_server_is_agreed_to_in_known_words_only(verb: str, asked: str, agreed: bool) -> None:
    """Of this server, and of nothing else that goes with it; a site's file may hold a whole question."""
    view = view_that_registers()
    view.dialogs.expect(*LABELS.phrases[verb], about="10.0.0.2")
    assert view.dialogs.agrees(asked) is agreed
    view.dialogs.expect(*LABELS.phrases[verb], asked, about="10.0.0.2")
    assert view.dialogs.agrees(asked)


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ("要注册辅助服务器吗？", True),
        ("要注册 10.0.0.2 吗？", True),
        ("要注册 10.0.0.9 吗？", False),
        ("辅助服务器的证书不受信任。仍要注册吗？", False),
        ("管理员jdoe正在注册。要取代他吗？", False),
        ("Möchten Sie die Registrierung wirklich abbrechen?", False),
    ],
)
def test_a_question_in_another_script_is_agreed_to_in_known_words_only(asked: str, agreed: bool) -> None:
    """What a site's file names is known; what else stands between it is not, with blanks around it or without."""
    view = view_that_registers()
    view.dialogs.expect("注册", "要", "吗", "辅助服务器", "Registrierung", about="10.0.0.2")
    assert view.dialogs.agrees(asked) is agreed


@pytest.mark.parametrize(("asked", "closed"), [("Disk space is low.", 2), (HARMLESS, 1)], ids=["notice", "question"])
def test_a_notice_that_keeps_its_click_is_closed_again_and_a_question_is_answered_once(
    monkeypatch: pytest.MonkeyPatch, asked: str, closed: int
) -> None:
    """A page that is busy swallows a click: a notice over the form would keep what was sent from being seen."""
    parts = (("text", asked), ("button", "OK"))
    front = Screen(tuple(Item(kind=kind, names=((0, words),), dialog="d", modal=True) for kind, words in parts))
    pressed: list[Screen] = []
    view = view_that_registers()

    async def look(*, anew: bool = False) -> Screen:
        return front if len(pressed) < 2 else Screen()

    async def close(_view: PageView, shown: Screen) -> None:
        pressed.append(shown)

    async def nothing(*_given: object) -> None: ...

    monkeypatch.setattr(submit, "dismiss", close)
    monkeypatch.setattr(view, "look", look)
    monkeypatch.setattr(view, "forget_messages", nothing)
    monkeypatch.setattr(view, "wait", nothing)
    hand = cast("Any", SimpleNamespace(view=view))
    asyncio.run(submit.Submit(hand, "register", "register", "ask_register")._answer(front))
    assert len(pressed) == closed


def form(listed: str = "Manual", radio: str = "Manual", *, ticked: bool = False) -> tuple[Item, ...]:
    """What is chosen and ticked in the form; its way of failing over is shown twice, as a list and as a group."""
    options = [
        Item(kind="radio", names=((0, name),), group="Failover Mode", checked=name == radio)
        for name in ("Manual", "Automatic")
    ]
    box = Item(kind="checkbox", names=((0, "Enable Virtual IP"),), checked=ticked)
    return (Item(kind="combobox", names=((0, "Failover Type"),), value=listed), *options, box)


@pytest.mark.parametrize(
    ("held", "shown", "changed"),
    [
        ("10.0.0.2", form(), False),
        ("", (), False),
        ("10.0.0.9", form(), True),
        ("10.0.0.2", form(listed="Automatic"), True),
        ("10.0.0.2", form(radio="Automatic"), True),
        ("10.0.0.2", form(ticked=True), True),
    ],
    ids=["kept", "emptied", "text", "list", "group", "box"],
)
def test_a_form_that_has_changed_below_its_question_is_not_agreed_to(
    monkeypatch: pytest.MonkeyPatch, held: str, shown: tuple[Item, ...], changed: bool
) -> None:
    """Values that a page loads late would be registered with the HA key; one that empties its fields has sent them."""
    parts = (("text", HARMLESS), ("button", "OK"), ("button", "Cancel"))
    front = tuple(Item(kind=kind, names=((0, words),), dialog="d", modal=True) for kind, words in parts)
    screens, pressed = [Screen(form())], list[str]()
    view = view_that_registers()

    async def look(*, anew: bool = False) -> Screen:
        return Screen() if pressed else screens[-1]

    async def yes(_view: PageView, _shown: Screen) -> None:
        pressed.append("OK")

    async def no(item: Item) -> None:
        pressed.append(item.text)

    async def value(_script: str) -> str:
        return held

    async def nothing(*_given: object) -> None: ...

    async def fill() -> None:
        await submit.choose(hand, "failover_type", "failover_manual")
        monkeypatch.setattr(submit, "find_radios", find_radios)
        await submit.choose(hand, "failover_type", "failover_manual")
        await submit.tick(hand, "enable_virtual_ip", False)
        hand._held.append(("secondary_server", cast("Any", SimpleNamespace(evaluate=value)), "10.0.0.2"))

    hand = PageActions(view)
    monkeypatch.setattr(submit, "dismiss", yes)
    monkeypatch.setattr(submit, "find_radios", lambda *_: [])
    for of, name, instead in ((view, "look", look), (view, "forget_messages", nothing), (hand, "click", no)):
        monkeypatch.setattr(of, name, instead)
    asyncio.run(hand.fill_until_kept(fill))
    screens.append(Screen((*shown, *front)))
    asked = submit.Submit(hand, "register", "register", "ask_register", form=nothing)
    with pytest.raises(PageRefused, match="changed the form") if changed else nullcontext() as refused:
        asyncio.run(asked._answer(Screen(front)))
    assert not refused or refused.value.declined
    assert pressed == (["Cancel"] if changed else ["OK"])


ASKS_FOR_IT = "Please enter your password to continue with registration."


@pytest.mark.parametrize(
    ("words", "kind", "refuses"),
    [
        (ASKS_FOR_IT, "password", False),
        (ASKS_FOR_IT, "textbox", False),
        (ASKS_FOR_IT, "text", True),
        ("Untrusted certificate. SHA-256 AB:CD:EF. Trust on first use?", "text", False),
        ("证书不受信任。TOFU failed？", "text", False),
        ("Registration failed: authentication key does not match. Try again?", "text", True),
    ],
)
def test_a_page_that_asks_for_something_has_not_refused(
    words: str, kind: str, refuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets no, and nothing is typed; “please enter” refuses where there is nothing to fill in.

    Nor has what would be done if the answer were yes: it may be called as what went wrong elsewhere is.
    """
    parts = (("text", words), (kind, "Password"), ("button", "OK"), ("button", "Cancel"))
    front = Screen(tuple(Item(kind=of, names=((0, said),), dialog="d", modal=True) for of, said in parts))
    view, pressed = view_that_registers(), list[str]()
    monkeypatch.setattr(view, "wait", AsyncMock())
    hand = Mock(view=view, labels=LABELS, click=AsyncMock(side_effect=lambda item: pressed.append(item.text)))
    with pytest.raises(PageRefused) if refuses else nullcontext():
        asyncio.run(submit.Submit(hand, "register", "register", "ask_register")._answer(front))
    assert pressed == ([] if refuses else ["Cancel"])


FORM_BUTTON = Item(kind="button", names=((0, "Register"),))


def saying(*words: str, dialog: str = "") -> Screen:
    """The form, and what has come up on it."""
    items = [Item(kind="text", names=((0, text),), dialog=dialog, modal=bool(dialog)) for text in words]
    items += [Item(kind="button", names=((0, "OK"),), dialog=dialog, modal=True)] * bool(dialog)
    return Screen((FORM_BUTTON, *items))


class Looks(Stability):
    """What is the same at three looks has rested."""

    def is_stable(self, shown: object, for_s: float) -> bool:
        return super().is_stable(shown, 0.0)


BACKUP, STARTED = "Backup failed last night.", Screen((Item(kind="text", names=((0, "Registering"),)),))


@pytest.mark.parametrize(
    ("screens", "quiet", "clicked", "ends"),
    [
        ([*[saying(BACKUP)] * 5, STARTED], False, True, "done"),
        ([*[saying("Device 10.9.9.9 is unreachable.")] * 5, STARTED], False, True, "done"),
        ([*[saying(BACKUP, "Device 10.9.9.9 is unreachable.")] * 5, STARTED], True, True, "done"),
        ([saying("10.9.9.9: wrong password", dialog="Alarm"), STARTED], True, True, "done"),
        ([saying("10.9.9.9 and 10.0.0.2: wrong password")], True, True, PageRefused),
        ([saying("Backup of the secondary failed")], False, True, PageRefused),
        ([saying(BACKUP, dialog="Notice"), saying(), STARTED], True, True, "done"),
        ([saying(BACKUP, dialog="Notice"), saying()], True, True, OutcomeUnknown),
        ([saying(BACKUP)], True, True, OutcomeUnknown),
        ([saying(BACKUP)], True, False, PageNotUnderstood),
        ([saying("401 Unauthorized")], True, True, PageRefused),
        ([saying("Registration failed.")], False, True, PageRefused),
        ([saying("Invalid address.", dialog="Error")], False, True, PageRefused),
        ([saying("High Availability", "Error 17", dialog="Error")], False, True, PageRefused),
    ],
)
def test_words_of_something_else_are_no_refusal(
    monkeypatch: pytest.MonkeyPatch, screens: list[Screen], quiet: bool, clicked: bool, ends: Any
) -> None:
    """A backup that failed and a device that is away are other matters; where the page does no more, nobody knows.

    Unless nothing was sent.
    """
    view = view_that_registers()
    view.traffic._asked |= {} if quiet else {cast("Any", "the answer"): 0}
    shown = iter(screens)

    async def look(*, anew: bool = False) -> Screen:
        return screens[-1]

    async def wait(ready: Callable[[Screen], object], what: str, *_: object) -> object:
        for screen in itertools.chain(shown, [screens[-1]] * 9):
            view.new_messages.extend(text for text in screen.texts if text not in view.new_messages)
            if (found := ready(screen)) is not None:
                return found
        raise PageNotUnderstood(what)

    def unknown(what: str, found: str) -> OutcomeUnknown | PageNotUnderstood:
        return view.unknown(what, found) if clicked else view.problem(what, found)

    async def close(_view: PageView, _front: Screen) -> None: ...

    for of, name, instead in ((view, "look", look), (view, "wait", wait), (submit, "dismiss", close)):
        monkeypatch.setattr(of, name, instead)
    monkeypatch.setattr(submit, "Stability", Looks)
    hand = cast("Any", SimpleNamespace(view=view, labels=LABELS, unknown=unknown))
    sent = submit.Submit(hand, "register", "register", "ask_register", about="10.0.0.2")
    with nullcontext() if ends == "done" else pytest.raises(ends) as caught:
        begun = asyncio.run(sent._outcome(saying(), lambda screen: "done" if screen is STARTED else None))
        assert begun == ends
    if ends in (OutcomeUnknown, PageNotUnderstood):
        assert BACKUP in caught.value.found


def test_nothing_is_expected_outside_of_a_submit() -> None:
    """After the submit the same question gets no."""
    view, dialog = view_that_registers(), Dialog("confirm", HARMLESS)
    view.dialogs.expect()
    asyncio.run(view.dialogs._answer(cast("Any", dialog)))
    assert dialog.answer == "no"


def pressed_in(view: PageView, front: Screen) -> list[int]:
    """Return a list that gets the indices of what is pressed from now on; the dialogue in front closes by that."""
    pressed: list[int] = []

    async def element(item: Item) -> Any:
        async def click(timeout: float) -> None:
            pressed.append(item.index)

        return SimpleNamespace(click=click)

    async def wait(ready: Callable[[Screen], bool | None], what: str, *_: object, **_given: object) -> bool:
        if not ready(Screen() if pressed else front):
            raise PageNotUnderstood(what)
        return True

    view.element, view.wait = cast("Any", element), cast("Any", wait)
    return pressed


def question(words: str, *buttons: str) -> Screen:
    items = [Item(kind="text", names=((0, words),), dialog="q", modal=True)]
    items += [Item(kind="button", names=((0, name),), dialog="q", modal=True) for name in buttons]
    return Screen(tuple(Item(**{**item.__dict__, "index": n}) for n, item in enumerate(items)))


@pytest.mark.parametrize(
    ("words", "buttons", "pressed"),
    [
        (HARMLESS, ("No", "Yes"), 2),
        (DANGEROUS, ("No", "Yes"), None),
        (OTHER, ("No", "Yes"), None),
        (OTHER, ("Cancel", "OK"), None),
        ("The backup ended well.", ("OK",), 1),
        ("Dashboards are new in this release.", ("Next", "Skip"), 2),
        ("Dashboards are new in this release.", ("Next", "Don't show again"), 2),
        ("Dashboards are new in this release.", ("Next", "Install"), None),
        ("Dashboards are new in this release.", ("Done", "Got it"), 2),
        ("The server restarts.", ("OK", "Close"), None),
        ("Your session is about to expire.", ("Log out", "Stay signed in"), 2),
        ("You will be logged out in 60 s.", ("Log out now", "Keep working"), 2),
        ("You will be logged out in 60 seconds.", ("Stay", "Log out"), 1),
        ("Your session is about to expire. Do you want to log out now?", ("Yes", "No"), None),
        ("Other users will be logged out. Continue?", ("Yes", "No"), None),
    ],
)
def test_a_question_of_the_page_is_left_to_a_person_unless_it_was_expected(
    words: str, buttons: tuple[str, ...], pressed: int | None
) -> None:
    """A notice is closed and a session kept; of other questions none is answered."""
    view, front = view_that_registers(), question(words, *buttons)
    clicked = pressed_in(view, front)
    if pressed is None:
        with pytest.raises(PageNotUnderstood):
            asyncio.run(dismiss(view, front))
    else:
        asyncio.run(dismiss(view, front))
    assert clicked == ([pressed] if pressed else [])
    assert not view.dialogs.said, "neither what was agreed to nor what was left is a word on how it went"


def test_a_dialogue_that_is_not_drawn_yet_is_no_question() -> None:
    """Its fields may come a moment after its frame; it is looked at again then."""
    view, front = view_that_registers(), question("Add ISE Server", "Back", "Next", "Cancel")
    whole = Screen((*front.items, Item(kind="textbox", names=((0, "Server Address"),), dialog="q", modal=True)))
    clicked = pressed_in(view, whole)
    asyncio.run(dismiss(view, front))
    assert not clicked
    with pytest.raises(PageNotUnderstood, match="unexpected"):
        asyncio.run(dismiss(view, whole))
    loads = question("Loading...", "×")
    clicked = pressed_in(view, loads)
    asyncio.run(dismiss(view, loads))
    assert not clicked


@pytest.mark.parametrize(("inside", "patience_s"), [((), 30.0), ((1,), 1.5)], ids=["nothing yet", "something"])
def test_a_frame_of_a_dialogue_is_waited_for_as_any_page_is(inside: tuple[int, ...], patience_s: float) -> None:
    """As long as it shows nothing; what it shows may be a question, which is left to a person soon."""
    view, waited = view_that_registers(), list[float]()
    around = question("Add ISE Server", "Cancel")
    parts = [Item(kind="frame", dialog="q"), *(Item(kind="text", dialog="q", frame=frame) for frame in inside)]

    async def wait(_ready: object, what: str, for_s: float, **_given: object) -> None:
        waited.append(for_s)
        raise PageNotUnderstood(what)

    view.browser.deadlines = SimpleNamespace(page_s=30.0)  # type: ignore[assignment]
    view.wait = wait  # type: ignore[method-assign, assignment]
    with pytest.raises(PageNotUnderstood, match="unexpected"):
        asyncio.run(dismiss(view, Screen((*around.items, *parts))))
    assert waited == [patience_s]


@pytest.mark.parametrize("buttons", [("Yes", "No", "Cancel"), ("Cancel", "No", "Yes"), ("No", "Abort", "Cancel")])
def test_cancel_comes_before_no(buttons: tuple[str, ...]) -> None:
    """No answers a question ("Keep what the secondary holds?"), and what it does nobody knows; Cancel answers none."""
    first, *_ = pressables(question(OTHER, *buttons), LABELS["dialog_no"])
    assert first.item.text == "Cancel"


@pytest.mark.parametrize(("submits", "pressed"), [(False, [2]), (True, [])])
def test_an_offer_is_put_off_outside_of_a_submit(submits: bool, pressed: list[int]) -> None:
    """Nothing on the server changes by that; in the middle of a submit it may be about what was sent."""
    view, front = view_that_registers(), question("Your password expires in 5 days. Change it?", "Change now", "Later")
    view.dialogs.expected = view.dialogs.expected if submits else ()
    clicked = pressed_in(view, front)
    with pytest.raises(PageNotUnderstood) if submits else nullcontext():
        asyncio.run(dismiss(view, front))
    assert clicked == pressed


def test_the_words_of_the_buttons_are_no_part_of_the_question() -> None:
    """Nor where they look like any other text; a title that is called like a button is."""
    view, said = view_that_registers(), question("Do you want to continue?", "Register", "Help", "No")
    words = tuple(Item(kind="text", names=((0, name),), dialog="q") for name in ("Register", "Help", "No", "Cancel"))
    asked = question_in(view, Screen((*said.items, *words)))
    assert asked == "Do you want to continue? Register"
    assert view.dialogs.agrees(asked)
    view.dialogs.expect("Voulez-vous lancer l'enregistrement ?", pressed=("Enregistrer",))
    said = question("Voulez-vous lancer l'enregistrement ?", "OK")
    title = Item(kind="text", names=((0, "Enregistrer"),), dialog="q")
    assert view.dialogs.agrees(question_in(view, Screen((title, *said.items))))


def test_what_the_fields_of_a_question_hold_is_part_of_it() -> None:
    """What nobody knows is not agreed to, nor left as it is where it is empty."""
    view, said = view_that_registers(), question(HARMLESS, "OK", "Cancel")
    assert view.dialogs.agrees(question_in(view, said))
    for holds in ("Copy nothing", ""):
        field = Item(kind="combobox", names=((0, "Please select"),), value=holds, dialog="q")
        assert not view.dialogs.agrees(question_in(view, Screen((*said.items, field))))


def test_a_notice_about_the_registration_is_heard() -> None:
    """It has one way on, and is no question, although it speaks of what was expected to be asked."""
    view, front = view_that_registers(), question("HA registration has been started.", "OK")
    pressed_in(view, front)
    asyncio.run(dismiss(view, front))
    assert view.dialogs.said == ["HA registration has been started."]


@pytest.mark.parametrize("clicked", [True, False])
def test_a_session_that_ends_twice_gets_no_second_click(monkeypatch: pytest.MonkeyPatch, clicked: bool) -> None:
    """Before the click and, once logged in again, under it: only what was done is looked for then."""
    done: list[str] = []

    async def press() -> str:
        done.append("press")
        raise SessionEnded(clicked=clicked and len(done) > 1)

    async def seen() -> str:
        return "seen"

    async def login() -> None:
        done.append("login")

    guarded = cast("Any", Browser())
    guarded.guard = nullcontext
    pages = PrimePages(guarded, LABELS)
    monkeypatch.setattr(pages, "_login_again", login)
    with nullcontext() if clicked else pytest.raises(PageNotUnderstood, match="came up again"):
        assert asyncio.run(pages._once("registering", press, seen)) == "seen"
    assert done == ["press", "login", "press", *["login"] * clicked]


@pytest.mark.parametrize(
    ("kind", "to", "for_s", "ended"),
    [
        ("fetch", "/webacs/pages/common/login.jsp", 0.03, True),
        ("fetch", "/webacs/rs/alarms", 0.03, False),
        ("image", "/webacs/pages/common/login.jsp", 0.03, False),
        ("fetch", "/webacs/pages/common/login.jsp", 0.01, False),
    ],
)
def test_a_part_of_a_page_that_was_answered_with_the_login_page_ends_the_session(
    kind: str, to: str, for_s: float, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing comes in the page's whole time; what is waited for in vain for a moment says nothing."""
    view = view_that_registers()
    view.browser.deadlines = cast("Any", SimpleNamespace(page_s=0.04))
    monkeypatch.setattr(view, "look", AsyncMock(return_value=Screen((FORM_BUTTON,))))
    view.traffic._note_request(Mock(method="GET", url=f"https://prime-pri{to}", resource_type=kind))
    with pytest.raises(SessionEnded if ended else PageNotUnderstood):
        asyncio.run(view.wait(lambda _: None, "the list", for_s))
    assert view.logged_in is not ended


@pytest.mark.parametrize(("status", "main", "silent"), [(502, True, True), (404, True, False), (502, False, False)])
def test_a_page_that_came_with_a_servers_error_is_left_to_no_person(status: int, main: bool, silent: bool) -> None:
    """The server may be starting: the stage is run again. What a part of the page was answered with says nothing."""
    view, shown = view_that_registers(), Screen((Item(kind="text", names=((0, "Service unavailable"),)),))
    answer = Mock(status=status, frame=SimpleNamespace(parent_frame=None if main else Mock()))
    answer.request.is_navigation_request.return_value = True
    view.traffic._note_status(answer)
    assert isinstance(view.not_found("the menu", shown, 1.0), DeviceSilent) is silent


def test_what_a_page_asks_again_and_again_is_no_question_for_its_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked before the list was opened too, within three seconds, whatever time it carries; another body is
    another question."""
    view, now = view_that_registers(), [100.0]
    monkeypatch.setattr(traffic, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def ask(at: float, body: str, *, answers: bool = True) -> None:
        now[0] = at
        url = f"https://prime-pri/rpc?_={at}"
        asked = Mock(method="POST", url=url, resource_type="xhr", post_data_buffer=f"{body} {at}".encode())
        view.traffic._note_request(asked)
        if answers:
            view.traffic._note_answer(asked)

    for at in (101, 105, 109.5):
        ask(at, "alarms")
    assert view.traffic.questions(110) == 0
    assert not view.traffic.answered(110, 1)
    ask(110.5, "alarms")
    assert view.traffic.questions(110) == 1
    ask(111, "alarms")
    ask(111.5, "alarms", answers=False)
    assert view.traffic.questions(110) == 0
    assert view.traffic.answered(110, 1)
    ask(112, "list")
    now[0] = 113.5
    assert (view.traffic.questions(110), view.traffic.answered(110, 1.4), view.traffic.answered(110, 1.6)) == (
        1,
        True,
        False,
    )
    goes_on = [view.traffic.asks_on(110)]
    ask(116, "list")
    for now[0] in (123, 125):
        goes_on.append(view.traffic.asks_on(110))
    ask(126, "check", answers=False)
    assert [*goes_on, view.traffic.asks_on(110), view.traffic.asks_on(127)] == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("option", "wanted", "means"),
    [
        *((option, "failover_manual", True) for option in ("Manual", "MANUAL (recommended)", "Manual failover mode")),
        *((option, "failover_manual", False) for option in ("Semi-Manual", "Not manual", "Manual, then automatic")),
        *((option, "ise_command_delete", option.endswith("(s)")) for option in ("Delete ISE Server(s)", "Delete all")),
    ],
)
def test_an_option_that_says_more_is_another_one(option: str, wanted: str, means: bool) -> None:
    """Where the page does not offer the very words, one with words that nobody knows is left alone."""
    hand = Mock(labels=LABELS, act_on=AsyncMock(), click_box=AsyncMock())
    hand.view.problem.side_effect = lambda what, *_: PageNotUnderstood(what)
    hand.view.look, hand.view.wait = AsyncMock(return_value=Screen()), AsyncMock()
    native = Item(kind="combobox", options=("Automatic", option))
    radios = [Item(kind="radio", names=((0, name),), index=n) for n, name in enumerate(native.options)]
    ways = [submit._choose_native(hand, native, LABELS[wanted], LABELS["failover_type"])]
    if wanted == "failover_manual":
        ways.append(cast("Any", submit._choose_radio(hand, radios, "failover_type", wanted)))
    for choosing in ways:
        with nullcontext() if means else pytest.raises(PageNotUnderstood, match="does not offer"):
            asyncio.run(choosing)


def test_no_button_of_another_form_is_pressed_to_uncover_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies over it asks for something, and is left to a person; an OK elsewhere may send what it stands with."""
    ask = [Item(kind="textbox", names=((0, "Reason"),)), Item(kind="button", names=((0, "Send"),))]
    elsewhere = Screen((Item(kind="button", names=((0, "OK"),), box=(500, 20, 60, 20)),))
    view = Mock(labels=LABELS, look=AsyncMock(return_value=elsewhere), element=AsyncMock())
    view.comes = AsyncMock(return_value=None)
    view.problem = lambda what, *_: PageNotUnderstood(what)
    view.dialogs.agrees.return_value, view.dialogs.expected, view.dialogs.pressed = False, (), ()
    monkeypatch.setattr(dialogs, "_over", AsyncMock(return_value=Screen(tuple(ask))))
    assert not asyncio.run(dialogs.uncover(view, ask[0]))
    view.element.assert_not_awaited()


def test_what_covers_something_and_loads_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as it takes within the page's time; what is covered by anything else is tried a few times."""
    view = view_that_registers()
    hand, tried = PageActions(view), [0, 0]
    monkeypatch.setattr(dialogs, "why_unused", AsyncMock(return_value="words"))
    monkeypatch.setattr(view, "element", AsyncMock())
    monkeypatch.setattr(view, "current", AsyncMock(return_value=FORM_BUTTON))

    async def act(_element: object) -> None:
        tried[0] += 1
        if tried[0] < 7:
            raise ELEMENT_LOST[0]("<div> intercepts pointer events")

    for loads in (True, False):
        tried[0] = 0
        monkeypatch.setattr(dialogs, "uncover", AsyncMock(return_value=loads))
        with nullcontext() if loads else pytest.raises(PageNotUnderstood, match="cannot be used"):
            asyncio.run(hand.act_on(FORM_BUTTON, act))
        assert tried[0] == (7 if loads else 4)


@pytest.mark.parametrize(
    ("words", "more", "clicked"),
    [
        ("Backup is done.", None, True),
        ("Click to restart the services.", None, False),
        ("Restart the services?", None, False),
        ("Backup is done.", Item(kind="link", names=((0, "Delete it"),)), False),
        ("Backup is done.", Item(kind="icon"), False),
    ],
)
def test_only_words_that_tell_something_are_clicked_away(words: str, more: Item | None, clicked: bool) -> None:
    """What asks, invites to a click or holds anything to press may do something else than close."""
    shown = (Item(kind="text", names=((0, words),)), *filter(None, (more,)))
    assert dialogs.is_message(Screen(shown), LABELS) is clicked


FORM_SAVE = Item(kind="button", names=((0, "Save"),))


@pytest.mark.parametrize(
    ("key", "held", "same"),
    [
        ("email", "NOC@EXAMPLE.COM; ops@Example.com ", True),
        ("email", "noc@example.com", False),
        ("email", "noc@examp\u017fe.com,ops@example.com", False),
        ("secondary_server", "PI-2.Example.com", True),
        ("secondary_server", "pi-20.example.com", False),
        ("virtual_ipv6", "2001:0DB8::9", True),
        ("virtual_ipv4", "10_.0__.0__.12 ", True),
        ("virtual_ipv4", "10_.0__.0__.1_2", False),
        ("secondary_server", "pi-2_.example.com", False),
        ("auth_key", "KEY", False),
        ("ise_user", "ADMIN", False),
    ],
)
def test_a_field_may_spell_what_means_the_same_otherwise(key: str, held: str, same: bool) -> None:
    """Hosts and mail addresses do so in capitals, addresses in masks; neither secrets nor names of users."""
    planned = {"email": "noc@example.com,ops@example.com", "secondary_server": "pi-2.example.com"}
    planned |= {"virtual_ipv4": "10.0.0.12", "virtual_ipv6": "2001:db8::9", "auth_key": "key", "ise_user": "admin"}
    assert reading.is_kept(key, held, planned[key]) is same


@pytest.mark.parametrize("opens", [True, False])
def test_a_button_of_another_form_hides_none_in_a_menu(opens: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The menu beside the fields is opened; where there is none, nothing is pressed."""
    hand, own = PageActions(view_that_registers()), Item(kind="menuitem", names=((0, "Save"),), index=1)
    shown = [FORM_SAVE]

    async def wait(ready: Callable[[Screen], object], *_: object) -> object:
        return ready(Screen(tuple(shown)))

    async def open_menu(_opened: set[str]) -> bool:
        shown.extend([own] * opens)
        return False

    monkeypatch.setattr(actions, "_TOGETHER_S", 0.0)
    for name, does in (("wait", wait), ("_open_menu", open_menu)):
        monkeypatch.setattr(hand, name, does)
    monkeypatch.setattr(hand, "stands_with_fields", AsyncMock(side_effect=lambda _, item: item is own))
    with nullcontext() if opens else pytest.raises(PageNotUnderstood, match="belongs to other fields"):
        assert asyncio.run(hand.find("save", only=hand.stands_with_fields, menus=True)) is own
