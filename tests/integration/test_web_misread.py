"""Pages that were once misread: each is now worked as a person would, or stopped at before anything is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.async_api import ElementHandle, Error
from test_web_pages import FORM, FORM_AT, INSIDE, drive
from waiting import awaited
from web_site import PLAIN_MENU, Product

from runbook_lib.errors import OutcomeUnknown, PageNotUnderstood, PageRefused
from runbook_lib.repair.primary_pages import PageProblem, why_guided
from runbook_lib.web import actions, dialogs, ha_page, menu, screen
from runbook_lib.web.dialogs import is_notice
from runbook_lib.web.pages import PrimePages
from runbook_lib.web.screen import Item, Screen
from runbook_lib.web.submit import choose, click_box

pytestmark = pytest.mark.usefixtures("one_browser")
HEADING = "<h2>HA Configuration</h2>"


def dialogue(words: str, *buttons: str) -> str:
    """A dialogue with the markup of dijit: a cross titled Cancel, and buttons whose role is inside."""
    row = "".join(
        f"<span class=dijitButton role=presentation><span role=button tabindex=0 onclick=\"shut('{name}')\">"
        f"<span>{name}</span></span></span> "
        for name in buttons
    )
    return f"""<div class=over><div class=box role=dialog aria-labelledby=t_title><div class=bar>
      <span id=t_title role=heading>Warning</span><span title=Cancel role=button tabindex=-1 class=x
      onclick="shut('cross')"><span title=Cancel style="display:none">x</span></span></div>
      <p>{words}</p>{row}</div></div>"""


def shown(*dialogues: str) -> tuple[tuple[str, str], ...]:
    """How the form shows dialogues, each once the one before it was shut."""
    listed = json.dumps(dialogues).replace("</", "<\\/")
    one_by_one = f"""<style>.over{{position:fixed;inset:0;z-index:950;background:#fff8}}
      .box{{position:absolute;left:300px;top:200px;width:400px;background:#fff;border:1px solid}}
      .bar{{position:relative;height:24px}}
      .x{{position:absolute;right:4px;top:4px;width:14px;height:14px;background:#888}}</style>
    <script>const all = {listed};
    const next = () => all.length && document.body.insertAdjacentHTML('beforeend', all.shift());
    function shut(way) {{ document.querySelector('.over').remove(); fetch('/said?' + way); next(); }}
    addEventListener('keydown', (event) => event.key === 'Escape' && document.querySelector('.over') && shut('Escape'));
    next();</script>"""
    return ((HEADING, one_by_one + HEADING),)


async def register_once(pages: PrimePages) -> None:
    assert (await pages.register(FORM)).under_way


def drive_form(
    product: Product,
    folder: Path,
    use: Callable[[PrimePages], Awaitable[None]] = register_once,
    skin: str = "plain",
    **options: float,
) -> None:
    """Do something at the form HA Configuration: register, unless it is something else."""
    drive(product, skin, folder, use, at=FORM_AT[skin], **options)


def heard(product: Product) -> list[str]:
    return [what for what, _ in product.heard]


def test_a_form_below_a_dialogue_is_no_login_page(tmp_path: Path) -> None:
    """The HA form with its one password field, no menu and an OK in front: nobody logs in a second time."""
    ((heading, after),) = shown(dialogue("License is about to expire.", "OK"))
    gone = "<script>document.querySelector('nav').remove()</script>"
    product = Product(rewrite=((heading, gone + after),))
    drive_form(product, tmp_path)
    assert heard(product) == ["register"]


NOTICE = """<dialog open class=over aria-label=News style="width:100%;height:100%"><p>There is something new</p>
<button onclick="shut('Close')">Close</button></dialog>"""
COVER = """<div class=over><p>There is something newer</p>
<a href="javascript:void 0" onclick="shut('Got it')">Got it</a></div>"""


def test_a_notice_is_closed_whatever_its_cross_is_called(tmp_path: Path) -> None:
    """By its button where that only closes, else by the cross: never by a button that does or agrees to something.

    Whether its markup calls it a dialogue or not.

    One with nothing to press, such as a warning about disk space that has words only, by Escape.
    """
    notices = {
        dialogue("License is about to expire.", "OK"): "OK",
        dialogue("The last backup failed."): "cross",
        dialogue("Look around.", "Okay, got it"): "Okay, got it",
        dialogue("There is a newer version.", "Install it now"): "cross",
        dialogue("Send usage data to the vendor?", "OK"): "cross",
        dialogue("Disk space is low.").replace("role=button tabindex=-1 class=x", "hidden"): "Escape",
        NOTICE: "Close",
        COVER: "Got it",
    }
    product = Product(rewrite=shown(*notices))
    ways: list[str] = []

    async def use(pages: PrimePages) -> None:
        pages._browser.page.on("request", lambda request: ways.append(unquote(request.url.partition("/said?")[2])))
        await register_once(pages)

    drive_form(product, tmp_path, use)
    assert [way for way in ways if way] == list(notices.values())
    assert heard(product) == ["register"]


def test_a_message_that_stays_over_a_button_is_clicked_away(tmp_path: Path) -> None:
    """As toolkits close one that has no button."""
    toast = """<p id=toast style="position:fixed;left:0;top:25%;width:60%;height:75%;background:#ffd">
      <b>Backup is done.</b> The job took 4 minutes.</p>
      <script>toast.addEventListener('click', () => toast.remove())</script>"""
    product = Product(rewrite=((HEADING, toast + HEADING),))
    drive_form(product, tmp_path)
    assert heard(product) == ["register"]


@pytest.mark.parametrize("buttons", [("Yes", "No"), ("Install now", "Remind me")])
def test_a_question_with_a_cross_is_left_to_a_person(buttons: tuple[str, ...], tmp_path: Path) -> None:
    """Its words and what it offers stand in the error and in the guide for that person; nothing is registered."""
    product = Product(rewrite=shown(dialogue("Update the database now?", *buttons)))
    with pytest.raises(PageNotUnderstood) as caught:
        drive_form(product, tmp_path)
    guide = why_guided(PageProblem(looked_for=caught.value.what, picture=""))
    for told in (caught.value.found, guide):
        assert "Update the database now?" in told
        assert f"[{buttons[0]}]" in told
    assert not product.heard


def test_a_cover_with_words_that_stays_is_named(tmp_path: Path) -> None:
    """What loads is waited for and never answered; the error says what lay over the page."""
    style = "position:fixed;inset:0;z-index:950;background:#fffc"
    product = Product(rewrite=((HEADING, f"<div style='{style}'>Loading the grid data</div>{HEADING}"),))
    with pytest.raises(PageNotUnderstood) as caught:
        drive_form(product, tmp_path, page_s=3.0)
    assert caught.value.what.endswith("in the way: Loading the grid data")
    assert not product.heard


@pytest.mark.parametrize("height", [1000, 600])
def test_what_loads_below_a_usable_header_is_waited_for(
    height: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cover over nearly all of the page, or over its form: neither a question in the way nor the end of patience."""
    style = f"position:absolute;left:0;top:60px;width:100%;height:{height}px;z-index:950;background:#888c"
    cover = f"<div id=cover style='{style}'></div><script>setTimeout(() => cover.remove(), 4000)</script>"
    product = Product(rewrite=((HEADING, cover + HEADING),))

    monkeypatch.setattr(dialogs, "ACTION_MS", 700)  # the cover stays for more tries than there are
    drive_form(product, tmp_path)
    assert heard(product) == ["register"]


def menu_behind_an_icon(opens_ms: int, unfolds_ms: int) -> str:
    """A menu behind an icon without words, which opens late, or whose entries unfold late; each click turns it."""
    return f"""<style>nav a{{display:block}} nav{{position:absolute;top:40px;background:#fff;z-index:5;width:200px}}
      .burger{{position:absolute;left:8px;top:8px;width:24px;height:24px;cursor:pointer}}
      .burger::before{{content:"\\2261"}}</style>
    <span class=burger onclick="turn('menu', {opens_ms}); shut('admin', 'settings')"></span>
    <nav id=menu hidden><a href="#" onclick="turn('admin', {unfolds_ms})">Administration</a>
      <div id=admin hidden><a href="#" onclick="turn('settings', {unfolds_ms})">Settings</a>
        <div id=settings hidden><a href=/ha>High Availability</a></div></div></nav><hr style="margin-top:60px">
    <script>const open_ = {{}};
      function show(id) {{ document.getElementById(id).hidden = !open_[id]; }}
      function turn(id, ms) {{ open_[id] = !open_[id]; setTimeout(show, ms, id); }}
      function shut(...ids) {{ for (const id of ids) {{ open_[id] = false; show(id); }} }}</script>"""


@pytest.mark.parametrize(("opens_ms", "unfolds_ms"), [(4000, 0), (0, 2500)], ids=["the menu", "what is below an entry"])
def test_a_menu_that_comes_late_is_not_closed_by_what_opens_it(
    opens_ms: int, unfolds_ms: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow page shows it after other ways were tried: it is waited for, and opened again where it was closed."""
    monkeypatch.setattr(menu, "_STEP_S", 5.0)
    product = Product(rewrite=((PLAIN_MENU, menu_behind_an_icon(opens_ms, unfolds_ms)),))
    modes: list[str] = []

    async def use(pages: PrimePages) -> None:
        modes.append((await pages.ha_page()).configuration_mode)

    drive(product, "plain", tmp_path, use, at=INSIDE)
    assert modes == ["HA not Configured"]
    assert not product.heard


def test_a_button_that_moves_away_under_the_pointer_leaves_the_click_to_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is laid out anew at that moment has something else there: that is not pressed, and the button is."""
    place = "style='position:absolute;left:0;top:0;width:90px;height:24px'"
    moves = """<script>let armed = false; addEventListener('mousemove', (event) => {
      if (!armed) return;
      armed = false;
      event.target.style.left = '400px';
      setTimeout(() => event.target.style.left = '0', 500); }, true)</script>"""
    before = f"<span style='position:relative;display:inline-block;width:90px;height:24px'>{moves}"
    other = f"<button type=button {place} onclick=\"fetch('/other')\">Other</button>"
    button = "<button name=do value=Register"
    product = Product(rewrite=((button, f"{before}{other}<button {place} name=do value=Register"),))
    asked: list[str] = []
    tried = actions.PageActions._try

    async def try_and_arm(self: actions.PageActions, key: str, element: ElementHandle) -> None:
        await tried(self, key, element)
        await element.evaluate("() => { armed = true; }")

    async def use(pages: PrimePages) -> None:
        pages._browser.page.on("request", lambda request: asked.append(request.url))
        monkeypatch.setattr(actions.PageActions, "_try", try_and_arm)
        await register_once(pages)

    drive_form(product, tmp_path, use, page_s=10.0)
    assert heard(product) == ["register"]
    assert not [url for url in asked if url.endswith("/other")]


def test_a_message_that_stood_there_before_the_click_fails_no_registration(tmp_path: Path) -> None:
    """The sentence about an earlier registration stays on every page, and this one is watched to its end."""
    old = "HA registration failed: TOFU failed, the certificate of the remote host is different."
    product = Product(rewrite=(("<hr>", f"<hr><p role=alert>{old}</p>"),))
    modes: list[str] = []

    async def use(pages: PrimePages) -> None:
        await register_once(pages)
        modes.append((await pages.watch_registration(lambda _: None)).configuration_mode)

    drive_form(product, tmp_path, use)
    assert modes == ["Primary Active"]
    assert heard(product) == ["register"]


def test_a_registration_that_failed_between_two_looks_has_begun(tmp_path: Path) -> None:
    """An earlier failure's words stand there before and after: that it was under way was shown for a moment only."""
    old = "HA registration failed: TOFU failed, the certificate of the remote host is different."
    moment = """<script>addEventListener("submit", (event) => {
      if (!event.target.querySelector("[type=password]") || !document.querySelector("h2")) return;
      event.preventDefault();
      const shown = document.createElement("p");
      shown.textContent = "HA registration is in progress.";
      document.body.append(shown);
      setTimeout(() => shown.remove(), 0);
    }, true)</script>"""
    product = Product(rewrite=(("<hr>", f"<hr><p role=alert>{old}</p>{moment}"),))
    begun: list[bool] = []

    async def use(pages: PrimePages) -> None:
        begun.append((await pages.register(FORM)).under_way)

    drive_form(product, tmp_path, use, page_s=6)
    assert begun == [False]


OVERLAID = """<style>.f{position:relative;display:block;width:300px;height:26px;margin-bottom:3px}
.f input{width:290px;height:22px} .f span{position:absolute;left:4px;top:4px;pointer-events:none}</style>"""


def overlaid(name: str, field: str, kind: str) -> str:
    """A field with its caption drawn over it until something is typed, as dijit draws one."""
    hide = "this.nextElementSibling.style.display = this.value ? 'none' : ''"
    return f'<div class=f><input id={field} name={name} type={kind} oninput="{hide}"><span>{{}}</span></div>'


def test_a_caption_over_its_field_belongs_to_that_field(tmp_path: Path) -> None:
    """The user name goes into the field below its caption, and not into the password field that follows."""
    user = "<label for=a>User Name</label><input id=a name=user autocomplete=off>"
    password = "<label for=b>Password</label><input id=b name=password type=password>"
    fields = (
        (user, OVERLAID + overlaid("user", "a", "text").format("User Name")),
        (password, overlaid("password", "b", "password").format("Password")),
    )
    product = Product(rewrite=fields)

    async def logged_in(pages: PrimePages) -> None:
        assert pages.is_logged_in

    drive(product, "plain", tmp_path, logged_in)
    (fields_sent,) = [sent for what, sent in product.heard if what == "login"]
    assert (fields_sent["user"], fields_sent["password"]) == (product.user, product.password)


def test_nothing_is_typed_into_what_takes_the_focus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that moves on to the next field under the hands is not understood, and that field keeps what it held."""
    key = "<input id=k name=key type=password>"
    moves = "<input id=k name=key type=password onkeydown=\"document.getElementById('s').focus()\">"
    product = Product(rewrite=((key, moves),))
    held: list[str] = []

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageNotUnderstood) as caught:
            await pages.register(FORM)
        assert caught.value.found == "the page gave the focus to something else"
        page, hand = pages._browser.page, pages._actions
        held.append(await page.input_value("#s"))
        # What it moves on by a script is taken out again.
        moves_text = "<label>User Name <input oninput='other.value = value; value = \"\"'></label><input id=other>"
        await page.set_content(moves_text)
        hand.view.forget_last_look()
        with pytest.raises(PageNotUnderstood, match="went into another field"):
            await hand.fill("ise_user", "admin")
        held.append(await page.input_value("#other"))
        # Enter would press what has got the focus since.
        await page.set_content("<label>User Name <input id=f></label><button onclick='title = 1'>Erase</button>")
        hand.view.forget_last_look()
        await hand.fill("ise_user", "admin")
        await page.evaluate("f.onfocus = () => document.querySelector('button').focus()")
        with pytest.raises(PageNotUnderstood, match="gave the focus"):
            await hand.enter()
        held.append(await page.title())
        # A list that is filled anew has the same options in another order.
        await page.set_content("<label>Failover Type <select><option>Automatic<option>x<option>Manual</select></label>")
        hand.view.forget_last_look()
        act = hand.act_on

        async def reordered(item: Item, choosing: Callable[[ElementHandle], Awaitable[object]]) -> None:
            await page.evaluate("document.querySelector('select').append(document.querySelector('option + option'))")
            await act(item, choosing)

        monkeypatch.setattr(hand, "act_on", reordered)
        await choose(hand, "failover_type", "failover_manual")
        held.append(await page.input_value("select"))

    drive_form(product, tmp_path, use, page_s=3.0)
    assert held == [FORM.secondary_server, "", "", "Manual"]
    assert not product.heard


@pytest.mark.parametrize("asks", [False, True], ids=["notice", "question"])
def test_a_dialogue_that_takes_the_focus_gets_no_key(asks: bool, tmp_path: Path) -> None:
    """A blank would press its button, as dijit's do; a field of its own would show part of a secret.

    One that only tells something is closed by a click, and the whole is typed after it.
    """
    field = "<input id=own>" if asks else ""
    dialog = f"<div role=dialog>Disk space is low.{field}<span id=ok role=button tabindex=0>OK</span></div>"
    page_ = f"""<p><label>User Name <input id=u></label><div id=d></div><script>let heard = '', late = true;
      u.oninput = () => {{ if (u.value.length < 3 || !late) return;
        late = false; d.innerHTML = {json.dumps(dialog)};
        ok.onkeydown = ok.onkeyup = () => {{ heard += 'key '; }}; ok.onclick = () => d.replaceChildren();
        (d.querySelector('input') || ok).focus(); }};
      document.onfocusin = () => {{ if (d.firstChild && !d.contains(document.activeElement)) ok.focus(); }};</script>"""

    async def use(pages: PrimePages) -> None:
        page, hand = pages._browser.page, pages._actions
        await page.set_content(page_)
        hand.view.forget_last_look()
        with pytest.raises(PageNotUnderstood, match="Disk space") if asks else nullcontext():
            await hand.fill("ise_user", "an open door")
        held = await page.evaluate("[u.value, d.querySelector('input') ? d.querySelector('input').value : '', heard]")
        assert held == (["an ", "", ""] if asks else ["an open door", "", ""])

    drive(Product(), "plain", tmp_path, use, at=INSIDE)


SENDS = "<button name=do value=Register"


@pytest.mark.parametrize("always", [False, True], ids=["once", "each time"])
def test_what_a_page_writes_over_the_form_is_not_sent(always: bool, tmp_path: Path) -> None:
    """An earlier registration's values that come late: what was planned is filled in again, or nothing is sent."""
    remembers = f"""<script>let late = true; f.addEventListener('change', () => {{
      if (late) {{ s.value = '198.51.100.99'; e.value = 'old@example.org'; f.selectedIndex = 0; }}
      late = {json.dumps(always)}; }})</script>"""
    product = Product(rewrite=(("</form>", f"</form>{remembers}"),))

    async def use(pages: PrimePages) -> None:
        await pages.register(replace(FORM, email=()))

    if always:
        with pytest.raises(PageNotUnderstood, match="the form does not keep"):
            drive_form(product, tmp_path, use)
        assert not product.heard
        return
    drive_form(product, tmp_path, use)
    ((_, sent),) = product.heard
    assert (sent["secondary"], sent["email"], sent["failover"]) == (FORM.secondary_server, "", "Manual")


def test_a_button_of_other_fields_is_not_pressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """*Save* of what stands beside the form is another button: the form's own is pressed, or nothing."""
    beside = "<form><label>Interval <input name=i></label><p><button type=button>Save</button></p></form>"
    # One that is in a menu is found there: in none of other fields, and by no click that sends a form.
    opener = "<button {} aria-haspopup=true onclick='document.title += 1'>More {}</button>"
    others = f"<form><input><p>{opener.format('type=button', 1)}</form><form>{opener.format('', 2)}</form>"
    menu = """<button aria-haspopup=true onclick="m.hidden = false">Actions</button><div id=m role=menu hidden>
      <div role=menuitem onclick="document.title = 'pressed ' + document.title">Save</div></div>"""
    form = """<div><table><tr><td>Server Address<td><input></table>
      <p><button onclick="document.title = 'pressed ' + document.title" type=button>{}</button></p></div>"""

    async def use(pages: PrimePages) -> None:
        page, hand = pages._browser.page, pages._actions

        async def fields() -> None:
            await hand.fill("ise_address", "198.51.100.7")

        async def pressed(content: str) -> str:
            await page.set_content(f"<title>once</title><main>{content}</main>")
            hand.view.forget_last_look()
            await fields()
            await hand.press_once("save", lambda: hand.fill_until_kept(fields), only=hand.stands_with_fields)
            return await page.title()

        assert await pressed(beside + form.format("Save")) == "pressed once"
        await page.evaluate("fetch('/x')")
        assert isinstance(hand.unknown("Save"), OutcomeUnknown)
        # What comes up between press and release gets the click; that nothing was sent is known, and stays true.
        over = "<dialog open style=position:fixed;inset:0;width:99%;height:99%>Hm"
        comes = f"<script>onmousedown = () => document.body.insertAdjacentHTML('beforeend', '{over}')</script>"
        assert await pressed(comes + form.format("Save")) == "once"
        assert isinstance(hand.unknown("Save"), PageNotUnderstood)
        with pytest.raises(Error, match="Failed to fetch"):
            await page.evaluate("fetch('/x')")
        assert await pressed(beside + form.format("OK")) == "pressed once"
        assert await pressed(others + form.replace("button>{}<", "button hidden>x<") + menu) == "pressed once"
        with pytest.raises(PageNotUnderstood, match="other fields"):
            await pressed(beside + form.format("Submit"))
        assert await page.title() == "once"

    monkeypatch.setattr(actions, "_MENU_S", 0.1)
    drive(Product(), "plain", tmp_path, use, at=INSIDE)


def test_no_ise_server_is_removed_while_another_one_is_ticked(tmp_path: Path) -> None:
    """A page that ticks more rows than one, or whose rows have changed places since, is not told to delete.

    Nor one whose row is by its value that of another server of the list; what says both, or neither, tells nothing.
    """
    one, two, box = "198.51.100.5", "198.51.100.7", "<tr><td><input type=checkbox name=row"
    product = Product(ise={one: "Reachable", two: "Unreachable"})

    async def use(pages: PrimePages) -> None:
        product.rewrite = ((box, box.replace(" name", " checked name")),)
        with pytest.raises(PageNotUnderstood, match=r"not that of 198\.51\.100\.7 alone"):
            await pages.remove_ise(two)
        for row, other in (
            (f"{box} value={one}", True),
            (f"{box.replace('tr', f'tr id=row_{one}', 1)} value={two}", True),
            (f"{box.replace('tr', f'tr id=7 data-of={one},{two}', 1)} value=2", False),
        ):
            product.rewrite = ((f"{box} value={two}", row),)
            await pages._browser.go("/ise")
            listed = await pages.ise_servers(anew=False)
            with pytest.raises(PageNotUnderstood, match=f"marked as that of {one}") if other else nullcontext():
                await pages._ise._require_alone(two, listed, marked=False)

    drive(product, "plain", tmp_path, use, at="/ise")
    assert not product.heard
    assert len(product.ise) == 2


BOXES = "document.querySelectorAll('[data-a]')"


HOLD = f"""const none = document.createElement('p'); none.textContent = 'No data';
  const hold = () => {{ app.append(none); {BOXES}.forEach((box, n) => {{ const row = box.closest('[role=row]').style;
    row.display = 'none'; setTimeout(() => {{ none.remove(); row.display = ''; }}, 900 * (n + 1)); }}); }};
"""
# The rows of a list come one after another, in the place of *No data*.
DRAWN_LATE = ((f"{BOXES}.for", f"hold(); {BOXES}.for"), ("const $ =", f"{HOLD} const $ ="))
# The last row is not drawn in the list that is shown after a removal; it is when the page is opened again.
NOT_DRAWN = (
    (f"{BOXES}.for", f"if (window.sent) [...{BOXES}].at(-1).closest('[role=row]').remove(); {BOXES}.for"),
    ("await post('ise/del'", "window.sent = await post('ise/del'"),
)


def test_a_server_that_a_timer_draws_late_is_neither_missing_nor_removed(tmp_path: Path) -> None:
    """What the server answered names it: its row is waited for, and a removal is not believed before the page was
    opened once more."""
    one, two = "198.51.100.5", "198.51.100.7"
    product = Product()
    product.remove_ise = lambda _: None  # type: ignore[method-assign]

    async def use(pages: PrimePages) -> None:
        product.ise, product.rewrite = {two: "Reachable"}, DRAWN_LATE
        with pytest.raises(PageRefused, match="in the list already"):
            await pages.add_ise(two, "admin", "ise-Secret")
        product.ise, product.rewrite = {one: "Reachable", two: "Reachable"}, NOT_DRAWN
        with pytest.raises(OutcomeUnknown, match="there again"):
            await pages._ise.remove(two)

    drive(product, "aria", tmp_path, use, at=INSIDE)
    assert not product.heard


PAGED = """<p><span id=which></span> <button type=button onclick="show(0)">Previous</button>
  <button id=on type=button onclick="show(1)">Next</button><script>addEventListener('load', () => {
  const rows = [...document.querySelectorAll('tr')].slice(1);
  window.show = (n) => { rows.forEach((row, m) => row.hidden = n !== m); on.disabled = n === rows.length - 1;
    which.textContent = `${n + 1} - ${n + 1} of ${rows.length}` };
  show(0) })</script><table><tr><th>"""
ROW_MENUS = """<button type=button aria-haspopup=true onclick="more(this)">⋮</button><span hidden value="""
MORE = """<script>function more(of) {
  const its = of.closest('tr').cells[1].textContent, menu = document.createElement('div');
  menu.setAttribute('role', 'menu');
  menu.innerHTML = '<div role=menuitem>Edit</div><div role=menuitem>Delete</div>'; document.body.append(menu);
  menu.lastChild.onclick = () => confirm(`Delete ISE server ${its}?`) && fetch('/ise', {method: 'POST',
    headers: {'Content-Type': 'application/json'}, body: JSON.stringify({command: 'del', row: its})})
    .then(() => location.reload()) }</script><h2>ISE Servers</h2><button type=button>Delete</button>"""


def test_a_server_is_removed_on_a_later_page_of_the_list_or_by_its_own_menu(tmp_path: Path) -> None:
    """Where its row is marked and none is on any other page, or by what is the row's own and by no other *Delete*."""
    one, two, ticked = "198.51.100.5", "198.51.100.7", "<input type=checkbox checked name=row value=198.51.100.5"
    product = Product(ise={one: "Reachable", two: "Unreachable"})

    async def use(pages: PrimePages) -> None:
        product.rewrite = ((ticked.replace(" checked", ""), ticked), ("<table><tr><th>", PAGED))
        with pytest.raises(PageNotUnderstood, match=rf"alone \({one}\)"):
            await pages.remove_ise(two)
        product.rewrite = product.rewrite[1:]
        await pages.remove_ise(two)
        product.ise = {one: "Reachable", two: "Unreachable"}
        product.rewrite = (("<input type=checkbox name=row value=", ROW_MENUS), ("<h2>ISE Servers</h2>", MORE))
        await pages.remove_ise(two)

    drive(product, "plain", tmp_path, use, at="/ise")
    assert product.heard == [("remove_ise", {"address": two})] * 2
    assert list(product.ise) == [one]


def test_a_button_that_waits_for_keys_is_pressed_once_they_came(tmp_path: Path) -> None:
    """Typed as a person types: a form that counts keys and not values is filled all the same."""
    button = "<button name=do value=Register"
    waits = """<script>let keys = 0; addEventListener('keyup', () => { if (++keys > 5)
      document.querySelector('[value=Register]').disabled = false })</script><button disabled name=do value=Register"""
    product = Product(rewrite=((button, waits),))
    first: list[bool] = []

    async def use(pages: PrimePages) -> None:
        first.append(await pages.checks_first())
        await register_once(pages)

    drive_form(product, tmp_path, use)
    assert heard(product) == ["register"]
    assert first == [True]  # its check is run on the form before, since it may be that which enables it


def test_a_button_that_is_named_otherwise_than_it_looks_is_not_pressed(tmp_path: Path) -> None:
    """Its accessible name decides: what is drawn on it is the second opinion."""
    button = "<button name=do value=Register"
    product = Product(rewrite=((button, f"{button} aria-label='Remove everything'"),))
    with pytest.raises(PageNotUnderstood):
        drive_form(product, tmp_path, page_s=6.0)
    assert not product.heard


def test_nothing_is_pressed_that_the_roles_call_otherwise(tmp_path: Path) -> None:
    """Were another control taken for Register, the browser's own reading of roles and names would stop the click."""
    product = Product()

    async def use(pages: PrimePages) -> None:
        ours, page = pages._actions, pages._browser.page
        with pytest.raises(PageNotUnderstood, match="roles"):
            await ours._try("register", await page.get_by_text("Cancel").element_handle())
        await ours._try("register", await page.get_by_text("Register").element_handle())

    drive_form(product, tmp_path, use)
    assert not product.heard


SAYS = "if (r.error) say.textContent = r.error"


@pytest.mark.parametrize(
    "shows",
    [
        "say.textContent = r.error; setTimeout(() => say.textContent = '', 300)",
        """const b = Object.assign(document.createElement('b'), {textContent: r.error, hidden: true});
        say.append(b); setTimeout(() => b.hidden = false); setTimeout(() => b.hidden = true, 300)""",
    ],
    ids=["written", "revealed"],
)
def test_a_refusal_that_goes_between_two_looks_is_read(shows: str, tmp_path: Path) -> None:
    """Shown for three tenths of a second, when looks are as far apart: it was refused, in the page's words."""
    late = f"if (r.error) setTimeout(() => {{ {shows} }}, 2000)"
    product = Product(rewrite=((SAYS, late),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageRefused) as caught:
            await pages.register(replace(FORM, auth_key="not-the-key"))
        assert "Authentication key does not match" in caught.value.found

    drive_form(product, tmp_path, use, "aria", page_s=15.0)
    assert heard(product) == ["register"]


def test_an_old_message_that_is_drawn_again_and_again_fails_no_registration(tmp_path: Path) -> None:
    """Gone for a moment and back in the same place, before the click and after it: it says nothing of this one."""
    old = "HA registration failed: TOFU failed, the certificate of the remote host is different."
    draws = f"""<script>let sent = false; setInterval(() => {{
      const say = document.getElementById('say'); if (!say) return;
      say.style.height = '3em';  /* a button that moves between press and release gets no click */
      say.replaceChildren('{old}'); setTimeout(() => sent || say.replaceChildren(), 60); }}, 300)</script>"""
    late = "if (r.error) say.textContent = r.error; else { sent = true; setTimeout(ha, 2000); }"
    product = Product(rewrite=((f"{SAYS}; else ha()", late), ("const $ =", f"</script>{draws}<script>const $ =")))
    drive_form(product, tmp_path, skin="aria")
    assert heard(product) == ["register"]


def test_a_frame_is_no_other_one_and_part_of_its_dialogue(tmp_path: Path) -> None:
    """Where one went away, another has not taken its number, and what is looked for there has gone.

    The form in one is filled in within the dialogue, which is no notice to close; a question over it is in front.
    """
    form = "<p>Server Address</p><input>"
    box = "<div role=dialog style='position:fixed;inset:0;background:#fff'><h2>{}</h2><button>x</button>{}</div>"
    frames = "<iframe srcdoc='<button>{}</button>'></iframe>"

    async def use(pages: PrimePages) -> None:
        page, view = pages._browser.page, pages._view
        await page.set_content(frames.format("Inner") + frames.format("Another"))
        button = await view.wait(lambda screen: next((one for one in screen.items if one.text == "Inner"), None), "it")
        await page.evaluate("document.querySelector('iframe').remove()")
        await view.look(anew=True)
        with pytest.raises(PageNotUnderstood, match="has gone"):
            await view.element(button)
        await page.set_content("<a href=#>Menu</a>" + box.format("Add", f"<iframe srcdoc='{form}'></iframe>"))
        view.forget_last_look()
        await pages._actions.fill("ise_address", "198.51.100.7")
        assert await page.frames[-1].input_value("input") == "198.51.100.7"
        front = (await view.look()).in_dialog()
        assert {"Add", "Server Address"} <= {item.text for item in front.items}
        assert not is_notice(Screen(tuple(item for item in front.items if item.frame == 0)), view.labels)
        await page.evaluate("(over) => document.body.insertAdjacentHTML('beforeend', over)", box.format("Sure?", ""))
        assert (await view.look(anew=True)).in_dialog().texts[0] == "Sure?"

    drive(Product(), "plain", tmp_path, use, at=INSIDE)


def test_what_was_seen_before_the_last_look_is_not_taken_for_what_stands_in_its_place(tmp_path: Path) -> None:
    """A button that came up in front of the others moves none of them under what was meant for its neighbour."""

    async def use(pages: PrimePages) -> None:
        page, view = pages._browser.page, pages._view
        await page.set_content("<button>Delete</button><button>Keep</button><button>Twin</button><button>Twin</button>")
        keep, twin = [one for one in (await view.look(anew=True)).items if one.text in ("Keep", "Twin")][:2]
        await page.evaluate("document.body.insertAdjacentHTML('afterbegin', '<button>New</button>')")
        await view.look(anew=True)
        assert await (await view.element(keep)).inner_text() == "Keep"
        with pytest.raises(PageNotUnderstood, match="has gone"):
            await view.element(twin)

    drive(Product(), "plain", tmp_path, use, at=INSIDE)


def test_what_goes_and_comes_back_between_two_looks_is_acted_on(tmp_path: Path) -> None:
    """A page that draws a part of itself anew takes it away first: it is looked for again, as where a click misses."""
    parts = """<button id=one onclick="did('pressed')">One</button>
      <label><input type=checkbox id=two onchange="did('ticked')">Two</label>
      <select id=three aria-label=Three onchange="did(value)"><option>first</option><option>last</option></select>
      <script>window.done = []; const did = (what) => done.push(what);
      function redraw(id) { const part = document.getElementById(id), at = part.parentNode, next = part.nextSibling;
        part.remove(); setTimeout(() => at.insertBefore(part, next), 400); }</script>"""

    async def use(pages: PrimePages) -> None:
        page, view, hand = pages._browser.page, pages._view, pages._actions
        await page.set_content(parts)

        async def gone(name: str) -> Item:
            item = next(one for one in (await view.look(anew=True)).items if name in one.text and one.kind != "text")
            await page.evaluate("redraw", name.lower())
            await view.look(anew=True)
            return item

        await hand.click(await gone("One"))
        await click_box(hand, await gone("Two"))
        three = await gone("Three")
        await hand.act_on(three, lambda element: element.select_option(index=1))
        assert await page.evaluate("done") == ["pressed", "ticked", "last"]

    drive(Product(), "plain", tmp_path, use, at=INSIDE)


def test_a_menu_that_closes_under_the_pointer_is_opened_once_more(tmp_path: Path) -> None:
    """Its last entry is there when it is looked for, and gone when it is clicked: nothing is changed by going there."""
    unfolds = """<nav><a href="#" onclick="below.hidden = false">Administration</a><div id=below hidden>
      <a href="#" onclick="document.title = 'there'">High Availability</a></div></nav>"""

    async def use(pages: PrimePages) -> None:
        page, view, hand = pages._browser.page, pages._view, pages._actions
        await page.set_content(unfolds)
        element, closed = view.element, []

        async def closing(item: Item) -> ElementHandle:
            if item.text == "High Availability" and len(closed) < 4:
                closed.append(item)
                await page.evaluate("below.hidden = true")
                await view.look(anew=True)
            return await element(item)

        view.element = closing  # at this very moment: between the look and the click
        await menu.follow_menu(hand, ("menu_administration", "menu_high_availability"), lambda screen: False)
        assert await page.title() == "there"

    drive(Product(), "plain", tmp_path, use, at=INSIDE)


def test_two_that_are_shown_for_a_moment_are_not_taken_for_two(tmp_path: Path) -> None:
    """A page that fades out while its successor fades in: what both show is one thing a moment later."""
    twice = "<button id=old>Register</button><button onclick=\"document.title = 'sent'\">Register</button>"

    async def use(pages: PrimePages) -> None:
        page = pages._browser.page
        await page.set_content(twice)
        await page.evaluate("setTimeout(() => old.remove(), 600)")
        await pages._actions.press("register")
        assert await page.title() == "sent"
        await page.set_content(twice)
        with pytest.raises(PageNotUnderstood, match="2 controls answer"):
            await pages._actions.press("register")

    drive(Product(), "plain", tmp_path, use, at=INSIDE)


def test_a_field_that_takes_no_keys_but_the_browsers_is_typed_into(tmp_path: Path) -> None:
    """A page may refuse the keys that a script sends it: then the browser types, and nothing stands there twice."""
    key = "<input id=k name=key type=password"
    product = Product(rewrite=((key, f'{key} onkeydown="if (!event.isTrusted) event.preventDefault()"'),))
    drive_form(product, tmp_path)
    (sent,) = [fields for what, fields in product.heard if what == "register"]
    assert sent["key"] == product.key


def test_a_page_that_changes_is_looked_at_before_the_next_look_is_due(tmp_path: Path) -> None:
    """What came up between two looks, in whichever frame, ends the wait for the next one, which would take hours."""
    frame = "<p>outer</p><iframe srcdoc='<p>inner</p>'></iframe>"

    async def use(pages: PrimePages) -> None:
        page, view = pages._browser.page, pages._view
        await page.set_content(frame)
        await view.wait(lambda screen: True if "inner" in screen.texts else None, "both documents")
        for document in page.frames:
            waiting = asyncio.create_task(view.wait_for_change(7200))
            await document.evaluate("document.body.append('news')")
            await awaited(waiting, "the end of a wait")
            assert "news" in " ".join((await view.look(anew=True)).texts)

    drive(Product(), "plain", tmp_path, use, at=INSIDE)


def test_a_menu_that_opens_by_a_click_here_and_by_pointing_there_is_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had to be clicked tells how its neighbours open; where that closes one of them, it is pointed at.

    Where the way to the page that is shown has the same words and leads nowhere, the menu is opened; and a page that
    comes in a window of its own is loaded into this one.
    """
    html = """<style>ul ul {display: none} .open > ul {display: block}</style>
      <ul><li><a href=# onclick="this.parentNode.classList.toggle('open')">Administration</a>
        <ul><li onmouseenter="this.classList.add('open')"><a href=#
            onclick="this.parentNode.classList.toggle('open')">Settings</a>
          <ul><li><a href=# onclick="mode.hidden = false">High Availability</a></li></ul></li></ul></li></ul>
      <p id=mode hidden>Configuration Mode: Primary Active</p>"""
    crumbs = "<p style='margin-left:90px'><a href=#>Administration</a> / <a href=#>Settings</a> / ISE Servers</p>"
    window = """<style>nav a {display: block}</style><span style="cursor:pointer;display:block;width:20px;height:20px"
        onclick="menu.hidden = !menu.hidden"></span>
      <nav id=menu hidden><a href=# onclick="below.hidden = false">Administration</a><div id=below hidden>
        <a href=#>Settings</a><a href=# onclick="window.open('/ha#x')">High Availability</a></div></nav>"""
    for wait in ("_STEP_S", "_ICON_S", "_BUTTON_S"):
        monkeypatch.setattr(menu, wait, 0.1)

    async def use(pages: PrimePages) -> None:
        hand = pages._actions
        await pages._browser.page.set_content(html)
        hand.view.forget_last_look()
        page = await pages.ha_page()
        assert page.configuration_mode == "Primary Active"
        assert hand.opens_by_click >= {"Administration"}
        await pages._browser.page.set_content(window + crumbs)
        hand.view.forget_last_look()
        assert (await pages.ha_page()).configuration_mode == "HA not Configured"

    drive(Product(), "plain", tmp_path, use, at=INSIDE, page_s=3)


def test_a_page_is_still_once_it_changes_nothing_more(tmp_path: Path) -> None:
    """Not while a timer of its own draws, however often it is looked at, nor right after something was done to it."""
    ticks = "<p id=p></p><script>const timer = setInterval(() => p.append('x'), 20)</script>"

    async def use(pages: PrimePages) -> None:
        page, view = pages._browser.page, pages._view

        async def waited(deadline_s: float) -> bool:
            with pytest.raises(PageNotUnderstood):
                await view.wait(lambda _: None, "nothing", deadline_s, until_rest=True)
            return view.at_rest

        await page.set_content(ticks)
        assert not await waited(1.0)
        await page.evaluate("clearInterval(timer)")
        assert await waited(30.0)
        view.forget_last_look()
        await view.look()
        assert not view.at_rest

    drive(Product(), "plain", tmp_path, use, at=INSIDE)


ASKED = "Registration takes long. Do you want to continue?"
LATE = (
    "const r = await post('register', data())",
    "await new Promise((go) => setTimeout(go, 1500)); const r = await post('register', data())",
)


@pytest.mark.parametrize("native", [True, False], ids=["browser", "page"])
def test_what_a_page_asks_first_says_nothing_of_how_it_goes(native: bool, tmp_path: Path) -> None:
    """Its words are neither a registration that is under way nor one that failed: what comes after them tells."""
    browsers = ("ask(", "((words, _, go) => confirm(words) && go('Yes'))(") if native else ("", "")

    def asking(question: str) -> Product:
        return Product(rewrite=((f"{browsers[0]}'{ASKED}'", f"{browsers[1]}'{question}'"), LATE))

    async def refused(pages: PrimePages) -> None:
        with pytest.raises(PageRefused) as caught:
            await pages.register(replace(FORM, auth_key="not-the-key"))
        assert caught.value.found.startswith("Authentication key does not match")

    async def done(pages: PrimePages) -> None:
        assert (await pages.register(FORM)).milestones

    as_if_it_went_on = asking("Registering high availability takes hours. Do you want to continue?")
    as_if_it_failed = asking("HA registration cannot be cancelled once it has begun. Do you want to continue?")
    drive_form(as_if_it_went_on, tmp_path, refused, "aria")
    drive_form(as_if_it_failed, tmp_path, done, "aria")
    assert heard(as_if_it_went_on) == heard(as_if_it_failed) == ["register"]


def test_a_page_that_asks_twice_is_answered_twice(tmp_path: Path) -> None:
    """The second question is no registration that is under way, and nothing is sent until it is answered."""
    first = (
        f"ask('Registering takes hours. Do you want to continue?', ['No', 'Yes'], (b) => b === 'Yes' && ask('{ASKED}'"
    )
    ends = "say.textContent = r.error; else ha(); });"
    product = Product(rewrite=((f"ask('{ASKED}'", first), (ends, ends.replace("});", "}));"))))
    drive_form(product, tmp_path, skin="aria")
    assert heard(product) == ["register"]


def test_a_page_that_goes_on_after_a_no_has_not_refused(tmp_path: Path) -> None:
    """“Save the mail settings first?” and no: it registers all the same, and that is what is told."""
    goes_on = ("async (b) => { if (b !== 'Yes') return;\n    const r", "async (b) => {\n    const r")
    product = Product(rewrite=((ASKED, "Save the mail settings first?"), goes_on))
    drive_form(product, tmp_path, skin="aria")
    assert heard(product) == ["register"]


def test_please_wait_is_no_registration_under_way(tmp_path: Path) -> None:
    """What covers the page while it asks the server says nothing of the answer."""
    wait = "const w = document.createElement('p'); w.role = 'status'; w.textContent = 'Please wait...'; app.append(w);"
    product = Product(rewrite=((LATE[0], f"{wait} {LATE[1]}; w.remove()"),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageRefused, match="wrong key"):
            await pages.register(replace(FORM, auth_key="not-the-key"))

    drive_form(product, tmp_path, use, "aria")
    assert heard(product) == ["register"]


def test_a_registration_of_somebody_else_is_not_taken_for_the_one_that_was_asked_for(tmp_path: Path) -> None:
    """What goes on already refuses this one, in the words of the page."""
    product, theirs = Product(), "A registration is already in progress. It was started by jdoe."
    product.register = lambda _: theirs  # type: ignore[method-assign]

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageRefused) as caught:
            await pages.register(FORM)
        assert caught.value.found == theirs

    drive_form(product, tmp_path, use, "aria")


@pytest.mark.parametrize("mode", ["HA not Configured", "HA Registering"])
def test_bars_that_stand_there_before_anything_began_are_no_registration(mode: str, tmp_path: Path) -> None:
    """All at 0 %, on a page that does not offer Register, while the form does: unless the mode says that it goes on."""
    product = Product(rewrite=(("HA not Configured", mode),))
    begun = product.percents
    product.percents = lambda: begun() or (0, 0, 0)  # type: ignore[method-assign]

    async def use(pages: PrimePages) -> None:
        assert (await pages.ha_page()).under_way is (mode == "HA Registering")
        await register_once(pages)
        assert (await pages.ha_page()).under_way

    drive(product, "plain", tmp_path, use, at=INSIDE)


@pytest.mark.parametrize(
    "gone", ["", ", setTimeout(() => say.textContent = '', 300)"], ids=["stay", "are gone by then"]
)
def test_words_that_nobody_knows_are_told_first_where_the_end_is_not_seen(gone: str, tmp_path: Path) -> None:
    """A refusal in words of the server's own leaves it unknown, and stands before everything else on the page."""
    says = "The two servers are not of one release."
    product = Product(rewrite=((SAYS, f"if (r.error) say.textContent = '{says}'{gone}"),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(OutcomeUnknown) as caught:
            await pages.register(replace(FORM, auth_key="not-the-key"))
        assert caught.value.found.startswith(f"new on the page: {says}")

    drive_form(product, tmp_path, use, "aria", page_s=6.0)


def test_a_servers_error_is_no_refusal(tmp_path: Path) -> None:
    """“Internal server error” does not say that nothing was done: here the ISE server is added all the same."""
    broken = "isay.textContent = 'Internal server error.'; else"
    product = Product(rewrite=(("if (r.error) isay.textContent = r.error; else", f"if (1) {broken}"),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(OutcomeUnknown) as caught:
            await pages.add_ise("198.51.100.7", "admin", "ise-Secret")
        assert caught.value.found == "Internal server error."

    drive(product, "aria", tmp_path, use, at=INSIDE)
    assert product.ise


@pytest.mark.parametrize("button", ["", "Cancel"])
def test_a_dialogue_that_shows_how_far_it_is_is_left_alone(button: str, tmp_path: Path) -> None:
    """Neither closed nor asked to stop: the registration has begun, and is told so."""
    bars = "Pre-HA Registration 40% <br> Database Replication 0% <br> Post HA Registration 0%"
    shows = f"ask('<div>{bars}</div>', {[button] if button else []}, (b) => post('pressed', {{b}}))"
    product = Product(rewrite=((f"{SAYS}; else ha()", f"{SAYS}; else {shows}"),))
    seen: list[int] = []

    async def use(pages: PrimePages) -> None:
        asked: list[str] = []
        pages._browser.page.on("request", lambda request: asked.append(request.url))
        seen.extend(step.percent for step in (await pages.register(FORM)).milestones)
        assert not [url for url in asked if url.endswith("pressed")]

    drive_form(product, tmp_path, use, "aria")
    assert seen == [40, 0, 0]
    assert heard(product) == ["register"]


def test_what_a_page_changes_while_the_click_is_prepared_is_filled_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form held everything twice, and another server stands in it a moment later."""
    changed: list[str] = []
    tried = actions.PageActions._try

    async def try_and_change(self: actions.PageActions, key: str, element: ElementHandle) -> None:
        await tried(self, key, element)
        changed.append(key)
        if len(changed) == 1:
            await element.evaluate("() => { document.getElementById('s').value = '10.9.9.9'; }")

    monkeypatch.setattr(actions.PageActions, "_try", try_and_change)
    product = Product()
    drive_form(product, tmp_path)
    assert [sent["secondary"] for _, sent in product.heard] == [FORM.secondary_server]


OTHERS = {
    "its button": (SENDS, "<button onmousedown=\"s.value = '10.9.9.9'\" name=do value=Register"),
    "its form": ("<form method=post action=/ha", "<form onsubmit=\"s.value = 'old.example'\" method=post action=/ha"),
    "its script": ("body:JSON.stringify(b)", "body:JSON.stringify(b.key ? {...b, secondary: '10.9.9.9'} : b)"),
    "its field": (f"ask('{ASKED}'", "((_, buttons, go) => { sec.value = 'old.example'; go('Yes'); })(''"),
}


@pytest.mark.parametrize("changes", OTHERS)
def test_another_server_than_was_filled_in_does_not_leave_with_the_key(changes: str, tmp_path: Path) -> None:
    """Whatever a page does under the click, and whoever asks: what it sends is looked at before it goes on."""
    product = Product(rewrite=(OTHERS[changes],))

    async def use(pages: PrimePages) -> None:
        told = r"to send (10\.9\.9\.9|old\.example) in the place of 198\.51\.100\.2"
        with pytest.raises((PageNotUnderstood, OutcomeUnknown), match=told):
            await pages.register(FORM)

    drive_form(product, tmp_path, use, "aria" if changes in ("its script", "its field") else "plain", page_s=10.0)
    assert not product.heard


def test_a_password_without_a_caption_is_not_left_empty(tmp_path: Path) -> None:
    """It may be the key once more: a form that asks for what nobody can name is neither checked nor sent.

    One that holds something already, as that of a mail server, is left as it is.
    """
    key = "<input id=k name=key type=password>"
    product = Product(rewrite=((key, f"{key}<input name=again type=password>"),))

    async def use(pages: PrimePages) -> None:
        for verb in (pages.check_readiness, pages.register):
            with pytest.raises(PageNotUnderstood, match="asks for a password that is not known"):
                await verb(FORM)
        assert not product.heard
        await pages._browser.page.fill("[name=again]", "was there before")
        await register_once(pages)

    drive_form(product, tmp_path, use)
    assert [fields["again"] for _, fields in product.heard] == ["was there before"]


def test_a_click_that_a_page_swallows_is_made_again(tmp_path: Path) -> None:
    """What is drawn before it is ready to be clicked: going to the form changes nothing, and is tried once more."""
    link = "<a href=/haconf>HA Configuration</a>"
    deaf = f"{link}<script>addEventListener('click', (event) => event.preventDefault(), {{once: true}})</script>"
    product = Product(rewrite=((link, deaf),))
    drive(product, "plain", tmp_path, register_once, at="/ha", page_s=10.0)
    assert heard(product) == ["register"]


# The first result stands in the page, and those after it in windows of their own.
CHECK = "<button name=do value=Check"
OWN_WINDOW = ((CHECK, CHECK + """ onclick="form.target = document.querySelector('th') ? '_blank' : ''" """),)


def test_a_result_that_stands_elsewhere_is_not_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows that are seen have passed, and a closed section beside them may hold one that has not.

    A result in a window of its own is read, with what takes a word back; where none comes in it the earlier one that
    still stands there is none.
    What has not ended at the deadline is named.
    """
    for module, wait in ((ha_page, "_STUCK_S"), (ha_page, "_LONG_S"), (screen, "_FEW_S"), (screen, "_NEXT_ROW_S")):
        monkeypatch.setattr(module, wait, 1.0)
    closed = "<details><summary>Network</summary><table><tr><td>Port 1522<td>Failed</table></details>"
    head = "<table><tr><th>Check"
    product = Product(readiness=(("CPU", "Passed"), ("RAM", "Passed")), rewrite=((head, closed + head),))

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageNotUnderstood, match="is collapsed: Network"):
            await pages.check_readiness(FORM)
        product.rewrite, product.readiness = OWN_WINDOW, tuple((name, "Passed") for name, _ in Product().readiness)
        await pages._browser.go("/haconf")
        assert len(await pages.check_readiness(FORM)) == 7
        product.readiness = Product().readiness
        product.rewrite += (("<td>Failed", "<td><b title=Failed>Passed</b>"),)
        items = await pages.check_readiness(FORM)
        assert [item.name for item in items if not item.passed] == ["Disk speed"]
        product.readiness = ()
        with pytest.raises(PageNotUnderstood, match=r"only an earlier one stands there, .* window that came: https://"):
            await pages.check_readiness(FORM)
        product.readiness, product.rewrite = (("CPU", "Passed"), ("RAM", "Running")), ()
        pages._browser.deadlines = pages._browser.deadlines.model_copy(update={"readiness_s": 1.0})
        await pages._browser.go("/haconf")
        with pytest.raises(PageNotUnderstood, match=r"not passed: RAM Running"):
            await pages.check_readiness(FORM)

    drive_form(product, tmp_path, use)
    assert heard(product) == ["readiness"] * 5
