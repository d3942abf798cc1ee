"""The form for a new site: checked while one types, no password in it, written once and for its owner alone."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import yaml
from closed_port import closed_port

from runbook_lib import paths
from runbook_lib.errors import ParameterRefused, SiteFileInvalid
from runbook_lib.notebook import opening
from runbook_lib.notebook.opening import look_at, show_host_key, write_site
from runbook_lib.notebook.workspace import current_choice
from runbook_lib.params.load import Draft, draft_site, load_site
from runbook_lib.show.document import DOUBT, MARKS
from runbook_lib.show.site_form import GROUPS, ShownKey, SiteControls, Where

HOST_KEY = f"SHA256:{'A' * 43}"
TYPED = {
    ("name",): "paris",
    ("ha", "auth_key"): "env:HA_KEY",
    ("primary", "address"): "192.0.2.10",
    ("primary", "ssh", "user"): "admin",
    ("primary", "ssh", "password"): "env:PRIMARY_SSH",
    ("primary", "ssh", "host_key"): HOST_KEY,
    ("primary", "web", "user"): "root",
    ("primary", "web", "password"): "file:secrets/web",
    ("secondary", "address"): "192.0.2.11",
    ("secondary", "ssh", "user"): "0012",
    ("secondary", "ssh", "password"): "keyring:prime sec/admin",
    ("secondary", "ssh", "host_key"): HOST_KEY,
}


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of site files, and records of its own."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setattr(paths, "params_dir", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def form(params: Path) -> SiteControls:
    return SiteControls(
        params, write_site, lambda address, port: ShownKey(f"shows {address}:{port}", f"SHA256:{address}")
    )


def fill(form: SiteControls) -> None:
    for where, value in TYPED.items():
        form.fields[where].control.value = value


def said(shown: str) -> str:
    return re.sub(r"<[^>]+>", " ", re.sub(r"<wbr[^>]*>", "", shown))


def test_what_is_written_is_what_load_site_takes(form: SiteControls, params: Path) -> None:
    """The file holds what was typed, numbers that are names included, for its owner alone, and is then chosen."""
    fill(form)
    form.button.click()
    path = params / "paris.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    site = load_site(path)
    assert (site.kind, site.secondary.ssh.user) == ("production", "0012")
    choice = current_choice()
    assert choice
    assert choice.site == "paris"
    assert "Written: params/paris.yaml" in said(form.said.value)


def test_a_file_that_is_there_is_never_written_over(form: SiteControls, params: Path) -> None:
    """The second press, as any other file of that name, is refused and leaves the file as it was."""
    (params / "paris.yaml").write_text("mine")
    fill(form)
    form.button.click()
    assert "There is a site paris already" in said(form.said.value)
    assert (params / "paris.yaml").read_text() == "mine"


def test_each_field_says_what_is_wrong_while_one_types(form: SiteControls) -> None:
    """The words are those of `runbook check`, beside the field they are of."""
    field = form.fields["primary", "address"]
    field.control.value = "https://192.0.2.10"
    assert "is neither an IP address nor a host name" in said(field.said.value)
    field.control.value = "192.0.2.10"
    assert "good" in said(field.said.value)


def test_the_button_waits_until_nothing_is_missing(form: SiteControls) -> None:
    """Disabled with one needed field empty, and the form names it; an optional one may be empty."""
    fill(form)
    assert not form.button.disabled
    form.fields["secondary", "address"].control.value = ""
    assert form.button.disabled
    assert "Secondary: address" in said(form.said.value)


def test_what_only_several_fields_show_is_said_too(form: SiteControls) -> None:
    """Two servers at one address: the model's own words, and nothing is written."""
    fill(form)
    form.fields["secondary", "address"].control.value = "192.0.2.10"
    assert "is the same server as primary" in said(form.fields["secondary", "address"].said.value)
    assert form.button.disabled


def test_an_ise_server_is_left_out_until_something_is_typed(form: SiteControls) -> None:
    """An empty group is no group; one that was begun has to be finished."""
    fill(form)
    assert "ise" not in yaml.safe_load(form.draft().text)
    form.fields["ise", 0, "name"].control.value = "ise"
    assert form.button.disabled
    form.fields["ise", 0, "address"].control.value = "192.0.2.20"
    assert not form.button.disabled
    form.fields["ise", 0, "user"].control.value = "pi"
    assert form.button.disabled
    form.fields["ise", 0, "password"].control.value = "env:ISE"
    assert not form.button.disabled


@pytest.mark.parametrize("password", ["hunter2", "S3cret!", "env:hunter2", "file", "key: x", "prompt:ask me"])
def test_no_password_stays_in_a_field(form: SiteControls, password: str) -> None:
    """What is no reference, nor the beginning of one, is taken out at once, and its value is nowhere in the form."""
    field = form.fields["primary", "ssh", "password"]
    field.control.value = password
    kept = "".join(str(each.control.value) for each in form.fields.values()) + form.preview.value + field.said.value
    if "file:".startswith(password):
        assert form.button.disabled
    else:
        assert field.control.value == ""
        assert password not in kept
        assert "was not kept" in said(field.said.value)


@pytest.mark.parametrize("text", ["e", "env", "env:", "env:PARIS_1", "file:", "file:/a b", "keyring:", "keyring:a/b"])
def test_a_reference_can_be_typed_letter_by_letter(form: SiteControls, text: str) -> None:
    """No beginning of a reference is taken out under one's fingers."""
    form.fields["primary", "ssh", "password"].control.value = text
    assert form.fields["primary", "ssh", "password"].control.value == text


def test_further_keys_are_checked_and_never_double(form: SiteControls) -> None:
    """YAML of one's own is read as strictly as a file; what a field gives already is refused there."""
    fill(form)
    form.further.value = "deadlines:\n  settle_s: 900"
    assert not form.button.disabled
    for wrong, words in (
        ("deadline: {}", "unknown key"),
        ("policy: {second_person: yes}", "ambiguous in YAML"),
        ("{", "not YAML"),
    ):
        form.further.value = wrong
        assert form.button.disabled, wrong
        assert words in said(form.said.value)


def test_a_key_is_given_once(form: SiteControls) -> None:
    """What a field gives is refused among the further keys, and the field says so."""
    fill(form)
    form.further.value = "name: berlin"
    assert form.button.disabled
    assert "is typed above too" in said(form.fields["name",].said.value)


def test_no_password_stays_among_the_further_keys(form: SiteControls) -> None:
    """Where one of them may be a password, all are taken out; nothing shows it."""
    fill(form)
    form.further.value = "secondary:\n  web: {user: root, password: hunter2}"
    assert form.further.value == ""
    assert "hunter2" not in form.preview.value + form.said.value
    assert "was not kept" in said(form.said.value)


def test_every_control_has_a_label_of_its_own(form: SiteControls) -> None:
    """Two fields are never called the same, for those who hear the page."""
    labels = [spec.label for group in GROUPS for spec in group.fields]
    assert len(set(labels)) == len(labels)
    assert all(field.control.description for field in form.fields.values())


def test_a_draft_with_a_problem_is_not_written(params: Path) -> None:
    """The guard is in the writing, whatever the button did."""
    with pytest.raises(SiteFileInvalid):
        write_site(Draft(text="name: x", site=None, problems=()))
    assert not list(params.glob("*.yaml"))


def test_a_site_that_is_named_in_the_parameters_is_not_chosen_away(form: SiteControls) -> None:
    """The parameters cell counts; a choice beside it would open another site in the next notebook."""
    fill(form)
    with pytest.raises(ParameterRefused, match="names the site berlin"):
        write_site(form.draft(), named="berlin")


def test_what_the_next_cell_opens_is_shown_anew_after_a_choice(
    form: SiteControls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table above the form names the site that was chosen; what is only looked at is not named."""
    monkeypatch.setattr(opening, "attended", lambda: True)
    fill(form)
    form.button.click()
    above, controls, _ = opening.choose_site().widget.children
    site, *_, use = (
        each for each in controls.children if getattr(each, "description", "") in ("Site", "Use this site")
    )
    assert "paris" in said(above.value)
    site.value = "lab"
    assert "paris" in said(above.value)
    use.click()
    assert "paris" not in said(above.value)


def test_a_broken_file_is_shown_with_what_is_wrong(params: Path) -> None:
    """It can be seen, not used."""
    (params / "rome.yaml").write_text("name: rome\n")
    state = look_at("rome")
    assert not state.usable
    assert "rome.yaml" in state.about


@pytest.mark.parametrize("typed", [{("name",): "paris", ("primary", "address"): "https://x"}, TYPED])
def test_a_reader_of_chinese_reads_no_english_in_the_form(
    params: Path, monkeypatch: pytest.MonkeyPatch, typed: dict[Where, str]
) -> None:
    """Labels, examples, and what is said of each value and of the whole: two English words never stand together."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    form = SiteControls(params, write_site, lambda *_: ShownKey(""))
    for where, value in typed.items():
        form.fields[where].control.value = value
    form.fields["secondary", "ssh", "password"].control.value = typed.get(("secondary", "ssh", "password"), "hunter2")
    shown = [field.control.description + field.control.placeholder for field in form.fields.values()]
    shown += [field.said.value for field in form.fields.values()] + [
        form.said.value,
        form.preview.value.split("<pre>")[0],
    ]
    assert [text for text in map(said, shown) if re.search(r"good|Second |[a-z]{2,} [a-z]{2,}", text)] == []


def test_the_text_is_what_was_checked(tmp_path: Path) -> None:
    """Names that YAML would take for something else come back as they were typed."""
    odd = {("name",): "3.10", ("ha", "auth_key"): "env:X", ("primary", "ssh", "user"): "no"}
    found = draft_site(odd, "", tmp_path)
    data = yaml.safe_load(found.text)
    assert (data["name"], data["primary"]["ssh"]["user"]) == ("3.10", "no")
    assert found.site is None


def test_a_host_key_is_taken_only_when_somebody_says_that_it_was_compared(form: SiteControls) -> None:
    """The button calls no key good, and takes none; the box takes the one shown; another address takes it back."""
    keys, taken = form.keys, form.fields["primary", "ssh", "host_key"]
    keys.button.click()
    assert "addresses first" in said(keys.said.value)
    form.fields["primary", "address"].control.value = "192.0.2.10"
    form.fields["secondary", "address"].control.value = "192.0.2.11"
    form.fields["secondary", "ssh", "port"].control.value = "1022"
    assert {box.layout.display for box in keys.compared.values()} == {"none"}
    keys.button.click()
    assert MARKS[DOUBT] in said(keys.said.value)
    assert "primary: shows 192.0.2.10:22" in said(keys.said.value)
    assert "secondary: shows 192.0.2.11:1022" in said(keys.said.value)
    assert taken.value() is None
    keys.compared["primary"].value = True
    assert taken.value() == ["SHA256:192.0.2.10"]
    assert form.fields["secondary", "ssh", "host_key"].value() is None
    form.fields["primary", "address"].control.value = "192.0.2.77"
    assert taken.value() is None
    assert not keys.compared["primary"].value
    assert keys.compared["primary"].layout.display == "none"


def test_what_was_typed_from_the_console_is_left_alone(form: SiteControls) -> None:
    """Neither the button nor a box that is taken back removes digits that are not what was shown."""
    form.fields["primary", "address"].control.value = "192.0.2.10"
    form.keys.button.click()
    form.keys.compared["primary"].value = True
    form.fields["primary", "ssh", "host_key"].control.value = HOST_KEY
    form.keys.button.click()
    assert form.fields["primary", "ssh", "host_key"].value() == [HOST_KEY]


def test_a_server_that_shows_no_key_can_have_none_taken() -> None:
    """The words say why, and there is nothing to take: the box does not come."""
    with closed_port() as port:
        shown = show_host_key("127.0.0.1", port)
    assert "no SSH host key was shown" in shown.words
    assert not shown.fingerprint
