from __future__ import annotations

import http.client
import re
import ssl
from pathlib import Path

import pytest
from pages_site import ISE, ISE_PASSWORD, SECONDARY, Client, Reply, served, site

from runbook_lib.lab.backend import HaView, IseView, MilestoneView
from runbook_lib.lab.pages import Sessions, handlers
from runbook_lib.lab.pages.__main__ import serve
from runbook_lib.lab.pages.dojo import KNOBS, find_dojo, has_dojo
from runbook_lib.lab.pages.memory import MILESTONES
from runbook_lib.lab.pages.skins import HERE
from runbook_lib.lab.pki import Authority

SKINS = ("forms", "tables", "spa")
HTML_SKINS = ("forms", "tables")
FORM = (("secondary_server", SECONDARY), ("auth_key", "hakey-1"), ("failover", "Manual"))
HA, ISE_LIST, ISE_ADD = "/webacs/ha/configuration", "/webacs/ise", "/webacs/ise/add"


def new_ise(address: str = ISE, password: str = ISE_PASSWORD, again: str | None = None) -> tuple[tuple[str, str], ...]:
    confirmed = password if again is None else again
    return (("address", address), ("username", "admin"), ("password", password), ("confirm_password", confirmed))


def ended(client: Client) -> dict[str, object]:
    """Ask for the state until no registration is under way."""
    for _ in range(10_000):
        state = client.send("GET", "/webacs/ha/progress").json
        if not state["under_way"]:
            return dict(state)
    raise AssertionError("the registration never ended")


def error_of(reply: Reply, client: Client) -> str:
    return str(reply.json["error"]) if client.as_json else reply.text


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not has_dojo(), reason="Dojo is not on this machine: make setup installs it where it may")
@pytest.mark.parametrize("theme", KNOBS["theme"])
def test_styles_of_a_theme_are_one_sheet_whose_pictures_are_there(theme: str) -> None:
    """Nothing is imported, and each picture that it names is found."""
    with served(site(skin="dojo")) as port:
        client = Client(port)
        sheet = client.get(f"/webacs/lib/{theme}.css").text
        assert ".dijitDialogTitleBar" in sheet
        assert "@import" not in sheet
        pictures = set(re.findall(r"url\(([^)]+)\)", sheet))
        assert len(pictures) > 20
        assert {name for name in pictures if not (find_dojo() / name.removeprefix("/webacs/lib/")).is_file()} == set()


# -- login ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("skin", SKINS)
def test_every_page_leads_to_login_first(skin: str) -> None:
    """Without a login every page is the login page, and nothing of the site is shown."""
    with served(site(skin=skin)) as port:
        for path in ("/", "/webacs/home", "/webacs/ha", HA, ISE_LIST, ISE_ADD, "/webacs/search?q=ise"):
            client = Client(port)
            assert "HA not Configured" not in client.get(path).text
            assert client.path == "/webacs/login"


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_wrong_password_is_said_on_the_login_page(skin: str) -> None:
    """A wrong password shows the server's words and lets nobody in."""
    with served(site(skin=skin)) as port:
        client = Client(port)
        assert "Invalid username or password." in client.log_in("wrong").text
        client.get("/webacs/home")
        assert client.path == "/webacs/login"


@pytest.mark.parametrize("as_json", [False, True])
def test_locked_account_is_said(as_json: bool) -> None:
    """After too many wrong passwords the right one is answered with the lock's message."""
    with served(site()) as port:
        client = Client(port, as_json=as_json)
        for _ in range(5):
            client.log_in("wrong")
        assert "locked" in error_of(client.log_in(), client)


def test_login_makes_a_new_session() -> None:
    """The cookie from before the login is worth nothing after it."""
    with served(site()) as port:
        client = Client(port)
        client.get("/webacs/login")
        before = client.cookie
        client.log_in()
        assert client.cookie != before
        stale = Client(port, cookie=before)
        stale.get("/webacs/home")
        assert stale.path == "/webacs/login"


def test_session_cookie_is_not_for_scripts_or_other_sites() -> None:
    """The session's cookie is HttpOnly and SameSite=Strict."""
    with served(site()) as port:
        client = Client(port)
        client.get("/webacs/login")
        assert "HttpOnly" in client.cookies_set[0]
        assert "SameSite=Strict" in client.cookies_set[0]


@pytest.mark.parametrize("skin", SKINS)
def test_ended_session_leads_back_to_login(skin: str) -> None:
    """A cookie whose session has ended leads from any page to the login page, which says why."""
    with served(site(skin=skin)) as port:
        client = Client(port, cookie="JSESSIONID_primary=gone")
        assert "Your session has expired. Log in again." in client.get("/webacs/ha").text
        assert client.path == "/webacs/login"


def test_expired_session_is_401_for_scripts() -> None:
    """A script's request without a session is told where the login page is."""
    with served(site()) as port:
        reply = Client(port, as_json=True).send("GET", "/webacs/ha/progress")
        assert (reply.status, reply.json["login"]) == (401, "/webacs/login")


def test_idle_session_is_gone() -> None:
    """A session that was idle for longer than it may be is not found again."""
    sessions = Sessions(idle_s=-1.0)
    assert sessions.find(sessions.open("root").key) is None


def test_all_sessions_can_be_ended_at_once() -> None:
    """``expire_all`` ends every login, as a restart of the web service does."""
    sessions = Sessions()
    session = sessions.open("root")
    assert sessions.find(session.key) is session
    sessions.expire_all()
    assert sessions.find(session.key) is None


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_logout_ends_the_session(skin: str) -> None:
    """After logging out the pages are closed again."""
    with served(site(skin=skin)) as port:
        client = Client(port)
        client.log_in()
        assert "You have logged out." in client.post("/webacs/logout").text
        client.get("/webacs/ha")
        assert client.path == "/webacs/login"


@pytest.mark.parametrize("path", ["/webacs/ha/register", "/webacs/ha/remove", ISE_ADD, "/webacs/ise/command"])
def test_post_without_token_changes_nothing(path: str) -> None:
    """A POST that does not carry its session's token is refused before the site hears of it."""
    backend = site()
    with served(backend) as port:
        client = Client(port)
        client.log_in()
        client.token = "forged"
        assert client.post(path, *FORM, *new_ise()).status == 403
    assert backend.registered_with == []
    assert backend._ise == []


def test_strict_policy_on_every_answer() -> None:
    """Every page and asset forbids scripts, styles and frames from elsewhere and inline ones."""
    with served(site()) as port:
        for path in ("/webacs/login", "/webacs/home", "/webacs/static/forms.css"):
            policy = Client(port).send("GET", path).headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy


def test_session_cookie_stays_on_tls(tmp_path: Path) -> None:
    """Over HTTPS the session's cookie is Secure, so a browser never sends it in the clear."""
    authority = Authority()
    identity = authority.new_identity("prime-pri", "127.0.0.1")
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    trust.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 has it
    with served(site(), tls=identity.context(tmp_path)) as port:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=30)
        connection.request("GET", "/webacs/login")
        cookie = connection.getresponse().headers["Set-Cookie"]
        connection.close()
    assert "Secure" in cookie


# -- home, menu, search --------------------------------------------------------------------------


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_menu_and_search_lead_to_both_pages(skin: str) -> None:
    """High Availability and ISE Servers are in the menu and found by a search."""
    with served(site(skin=skin)) as port:
        client = Client(port)
        assert {"/webacs/ha", "/webacs/ise"} <= set(re.findall(r'href="([^"]+)"', client.log_in().text))
        assert "Administration &gt; Settings &gt; High Availability" in client.get("/webacs/search?q=high+avail").text


@pytest.mark.parametrize("skin", SKINS)
@pytest.mark.parametrize(("path", "name"), [("/webacs/ha", "High Availability"), ("/webacs/ise", "ISE Servers")])
def test_title_names_the_page(skin: str, path: str, name: str) -> None:
    """A page's title holds its published name."""
    with served(site(skin=skin)) as port:
        client = Client(port)
        client.log_in()
        assert re.search(rf"<title>[^<]*{name}", client.get(path).text)


def test_skins_share_no_markup() -> None:
    """No two skins have a template line in common, apart from what HTML itself demands."""
    lines = {}
    for skin in SKINS:
        texts = [path.read_text() for path in (HERE / "templates" / skin).glob("*.html")]
        lines[skin] = {line.strip() for text in texts for line in text.splitlines() if "<" in line and "{" not in line}
    boring = re.compile(
        r"</?(table|tr|td|tbody|form|p|div|html|head|body|section|ul|li|nav)>|<html>|</td></tr>|</html>"
    )
    for one, other in (("forms", "tables"), ("forms", "spa"), ("tables", "spa")):
        assert {line for line in lines[one] & lines[other] if boring.sub("", line)} == set()


def test_unknown_skin_is_refused_by_name() -> None:
    """A skin that is not there is refused when the pages are made, with the names of those that are."""
    with pytest.raises(ValueError, match="forms"):
        handlers(site(skin="chrome"), "primary")


def test_standalone_pages_stay_on_loopback() -> None:
    """The pages are never served without TLS on an address that others can reach."""
    with pytest.raises(ValueError, match="not a loopback address"):
        serve(site(), address="192.0.2.1")


# -- high availability ---------------------------------------------------------------------------


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_configuration_has_the_published_fields(skin: str) -> None:
    """HA Configuration shows every caption of the procedure, and the key is typed blind."""
    with served(site(skin=skin)) as port:
        client = Client(port)
        client.log_in()
        text = client.get(HA).text
    for caption in (
        *("Secondary Server", "Authentication Key", "Email Address", "Failover Type", "Enable Virtual IP"),
        *("IPV4 Virtual IP", "IPV6 Virtual IP", "Check Readiness", "Register", "Configuration Mode"),
    ):
        assert caption in text
    assert re.search(r'<input type="password"[^>]*name="auth_key"', text)


@pytest.mark.parametrize("skin", SKINS)
def test_registration_reaches_primary_active(skin: str) -> None:
    """Register starts one registration with the typed values, and it ends in Primary Active at 100 %."""
    backend = site(skin=skin)
    with served(backend) as port:
        client = Client(port, as_json=skin == "spa")
        client.log_in()
        client.post("/webacs/ha/register", *FORM, ("email", "a@b.example"))
        state = ended(client)
    assert state["configuration_mode"] == "Primary Active"
    assert [(m["name"], m["percent"]) for m in state["milestones"]] == [(n, 100) for n in MILESTONES]  # type: ignore[attr-defined]
    assert [(f.secondary_server, f.email) for f in backend.registered_with] == [(SECONDARY, "a@b.example")]


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_finished_page_shows_mode_and_remove(skin: str) -> None:
    """Once registered the page shows Primary Active and Remove, and no Register button."""
    with served(site(skin=skin)) as port:
        client = Client(port)
        client.log_in()
        client.post("/webacs/ha/register", *FORM)
        ended(client)
        text = client.get(HA).text
        assert "Primary Active" in text
        assert "/webacs/ha/remove" in text
        assert "Check Readiness" not in text
        client.post("/webacs/ha/remove")
        assert "HA not Configured" in client.get(HA).text


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_wrong_key_is_said_in_the_servers_words(skin: str) -> None:
    """A failed registration shows which milestone failed and the message of the site."""
    with served(site(skin=skin)) as port:
        client = Client(port)
        client.log_in()
        client.post("/webacs/ha/register", *FORM[:1], ("auth_key", "wrong"), *FORM[2:])
        ended(client)
        text = client.get(HA).text
    assert "Authentication key does not match between primary" in text
    assert "failed" in text.lower()


@pytest.mark.parametrize("skin", SKINS)
def test_readiness_rows_are_shown_and_nothing_is_registered(skin: str) -> None:
    """Check Readiness lists each item with its result and changes nothing."""
    backend = site(skin=skin, failing_item="Disk speed")
    with served(backend) as port:
        client = Client(port, as_json=skin == "spa")
        client.log_in()
        reply = client.post("/webacs/ha/readiness", *FORM)
    if skin == "spa":
        assert {row["item"]: row["passed"] for row in reply.json["readiness"]}["Disk speed"] is False
    else:
        assert len(re.findall(r">PASS(?:ed)?<", reply.text, re.IGNORECASE)) == 6
        assert len(re.findall(r">FAIL(?:ed)?<", reply.text, re.IGNORECASE)) == 1
    assert backend.registered_with == []


@pytest.mark.parametrize("skin", SKINS)
def test_checked_key_is_used_and_never_sent_back(skin: str) -> None:
    """A key that was checked still registers with the field left empty, and no answer contains it."""
    backend = site(skin=skin, auth_key="s3cret-key")
    form = (FORM[0], ("auth_key", "s3cret-key"), FORM[2])
    with served(backend) as port:
        client = Client(port, as_json=skin == "spa")
        client.log_in()
        answers = [client.post("/webacs/ha/readiness", *form)]
        answers.append(client.post("/webacs/ha/register", form[0], ("auth_key", ""), form[2]))
        assert ended(client)["configuration_mode"] == "Primary Active"
        answers.append(client.get(HA))
    assert [a.status for a in answers] == [200, 200, 200]
    assert not any("s3cret-key" in a.text for a in answers)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((("auth_key", "k"),), "Secondary Server is required."),
        ((("secondary_server", SECONDARY),), "Authentication Key is required."),
        ((*FORM[:2], ("failover", "Never")), "Failover Type must be"),
        ((*FORM, ("virtual_ip", "on")), "IPV4 Virtual IP is required"),
        ((*FORM, ("virtual_ip", "on"), ("virtual_ipv4", "192.0.2.9"), ("virtual_ipv6", "fe80::1")), "fe80"),
    ],
)
def test_incomplete_form_is_refused(fields: tuple[tuple[str, str], ...], words: str) -> None:
    """A form that cannot be registered is answered with what is missing, and nothing starts."""
    backend = site()
    with served(backend) as port:
        client = Client(port)
        client.log_in()
        assert words in client.post("/webacs/ha/register", *fields).text
    assert backend.registered_with == []


# -- ISE servers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("skin", SKINS)
def test_added_ise_server_is_listed_and_can_be_deleted(skin: str) -> None:
    """Add, Save lists the server with its status; the delete command takes it off again."""
    backend = site(skin=skin)
    with served(backend) as port:
        client = Client(port, as_json=skin == "spa")
        client.log_in()
        client.post(ISE_ADD, *new_ise())
        text = client.send("GET", ISE_LIST).text
        if skin != "spa":
            assert "Reachable" in text
        assert [s.address for s in backend._ise] == [ISE]
        client.post("/webacs/ise/command", ("command", "delete"), ("selected", ISE))
        assert backend._ise == []


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_select_a_command_leads_to_the_form(skin: str) -> None:
    """Add ISE Server, Go opens the form with the published fields."""
    with served(site(skin=skin)) as port:
        client = Client(port)
        client.log_in()
        text = client.post("/webacs/ise/command", ("command", "add")).text
    for caption in ("Server Address", "Username", "Password", "Confirm Password", "Save", "Cancel"):
        assert caption in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (new_ise(again="other"), "do not match"),
        (new_ise("192.0.2.31"), "already been added"),
        (new_ise("192.0.2.99"), "unreachable"),
        (new_ise(password="wrong"), "401"),
        (new_ise("192.0.2.33"), "Trust-on-first-use is configure for this connection"),
        ((*new_ise(), ("port", "99999")), "Port must be"),
        ((*new_ise(), ("port", "٣")), "Port must be"),
        (new_ise(""), "Server Address is required"),
        (new_ise(password=""), "Password are required"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_each_reason_not_to_add_is_told_apart(fields: tuple[tuple[str, str], ...], words: str, as_json: bool) -> None:
    """Every failure of Add ISE Server is said in words of its own, and nothing is added."""
    known = IseView(address="192.0.2.31", port=443, reachable=True, status="Reachable")
    backend = site(_ise=[known])
    with served(backend) as port:
        client = Client(port, as_json=as_json)
        client.log_in()
        assert words in error_of(client.post(ISE_ADD, *fields), client)
    assert backend._ise == [known]


def test_third_ise_server_is_refused() -> None:
    """PI holds at most two ISE servers; a third is refused with the site's words."""
    two = [IseView(address=f"192.0.2.3{n}", port=443, reachable=True, status="Reachable") for n in (1, 2)]
    with served(site(_ise=two)) as port:
        client = Client(port)
        client.log_in()
        assert "No more than two ISE servers" in client.post(ISE_ADD, *new_ise()).text


@pytest.mark.parametrize(
    ("command", "words"), [("", "Select a command first."), ("delete", "Select at least one ISE server.")]
)
def test_go_without_a_choice_says_so(command: str, words: str) -> None:
    """Go with no command, or Delete with no server, is answered with what to select."""
    with served(site()) as port:
        client = Client(port)
        client.log_in()
        assert words in client.post("/webacs/ise/command", ("command", command)).text


# -- what is true of all -------------------------------------------------------------------------

EVIL = "<script>alert(1)</script>\"'"


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_texts_from_the_site_are_inert(skin: str) -> None:
    """Markup in a host name, a state, a message, an address or a typed value is shown, never parsed."""
    view = HaView(configuration_mode=EVIL, message=EVIL)
    evil = IseView(address=EVIL, port=443, reachable=None, status=EVIL)
    with served(site(skin=skin, host_name=EVIL, _view=view, _ise=[evil])) as port:
        client = Client(port)
        pages = [client.log_in(), *map(client.get, ("/webacs/ha", HA, ISE_LIST, "/webacs/search?q=%3Cscript%3E"))]
        pages.append(client.post(ISE_ADD, *new_ise(EVIL, again="other")))
    for page in pages:
        assert "<script>alert" not in page.text
        assert page.status == 200


def test_truth_log_names_fields_and_no_values() -> None:
    """The site is told of each request with sender, path and field names, and of no typed value."""
    backend = site()
    with served(backend) as port:
        client = Client(port)
        client.log_in()
        client.post("/webacs/ha/register", *FORM)
        ended(client)
    posted = [e for e in backend.events if e["what"] == "POST /webacs/ha/register"]
    assert [(e["user"], e["fields"]) for e in posted] == [("root", ["auth_key", "failover", "secondary_server"])]
    assert str(posted[0]["from"]).startswith("127.0.0.1:")
    assert "hakey-1" not in str(backend.events)
    assert "Public123" not in str(backend.events)


def test_skin_can_change_between_two_pages() -> None:
    """The same session sees another skin as soon as the site has one."""
    backend = site(skin="forms")
    with served(backend) as port:
        client = Client(port)
        client.log_in()
        assert "<label for" in client.get(HA).text
        backend.skin = "tables"
        assert "<label" not in client.get(HA).text


@pytest.mark.parametrize("skin", HTML_SKINS)
def test_reload_under_way_shows_the_milestones(skin: str) -> None:
    """A reload in the middle of a registration shows how far it is, and starts no second one."""
    bars = (MilestoneView(name=MILESTONES[0], percent=100), MilestoneView(name=MILESTONES[1], percent=37))
    backend = site(skin=skin, _view=HaView(configuration_mode="HA Initializing", milestones=bars, under_way=True))
    with served(backend) as port:
        client = Client(port)
        client.log_in()
        assert re.search(r">37 ?%<", client.get("/webacs/ha").text)
        assert "A registration is under way." in client.post("/webacs/ha/register", *FORM).text
        assert not re.search(r"<(button|input)(?![^>]*disabled)[^>]*>?[^<]*Register\b", client.get(HA).text)
    assert backend.registered_with == []


def test_slow_pages_answer_all_the_same() -> None:
    """A page delay keeps the reader waiting and changes no answer."""
    with served(site(page_delay_s=0.05)) as port:
        client = Client(port)
        assert client.log_in().status == 200
        assert "HA not Configured" in client.get("/webacs/ha").text
