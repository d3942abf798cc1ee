"""`runbook new`: what is asked, what a server shows is proposed and never taken, and the smallest file that works."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runbook_lib import paths
from runbook_lib.cli import site_file
from runbook_lib.cli.site_file import Interview, new_command
from runbook_lib.errors import DeviceUnreachable, ParameterRefused, UsageError
from runbook_lib.notebook import opening
from runbook_lib.notebook.opening import write_file
from runbook_lib.params.load import load_site
from runbook_lib.params.values import split_port
from runbook_lib.repair import confirmation
from runbook_lib.repair.confirmation import Look

SHOWN = f"SHA256:{'A' * 43}"
HERE = "b" * 64
BASE = {
    "primary: address": "192.0.2.10",
    "secondary: address": "192.0.2.11",
    "the ISE server: address": "192.0.2.20",
}


class Person:
    """Answers each question by how it begins, else with nothing; remembers what was asked."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = BASE | answers
        self.asked: list[str] = []

    def __call__(self, question: str) -> str:
        self.asked.append(question)
        return next((said for begins, said in self.answers.items() if question.startswith(begins)), "")


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A params folder of its own, and servers that show what the test says; ``logins`` are those that were tried."""
    looks: dict[str, Any] = {"logins": [], "key": SHOWN, "look": Look(sha256=HERE), "ports": []}

    async def key(_: str, port: int, **__: Any) -> tuple[str, str]:
        looks["ports"].append(port)
        if not looks["key"]:
            raise DeviceUnreachable("no SSH host key was shown", found="x")
        return looks["key"], "ssh-ed25519"

    async def look(target: Any, *, login: bool) -> Look:
        looks["logins"] += [target.name] if login else []
        seen: Look = looks["look"]
        return seen if login or not seen.own else seen._replace(own="")

    monkeypatch.setattr(paths, "params_dir", lambda: tmp_path)
    monkeypatch.setattr(opening, "presented_host_key", key)
    monkeypatch.setattr(confirmation, "look_at_certificate", look)
    for name in ("BERLIN_PRIMARY_SSH", "BERLIN_SECONDARY_SSH"):
        monkeypatch.setenv(name, "correct-horse")
    return looks


def made(person: Person) -> dict[str, Any]:
    """Return the file as it would be written, which is valid."""
    found = Interview("berlin", person).draft()
    assert found.site is not None
    value: dict[str, Any] = yaml.safe_load(found.text)
    return value


def test_the_smallest_file_that_works(desk: dict[str, Any]) -> None:
    """With nothing but addresses the file is valid: no HA key, no login to web pages or ISE, nothing pinned."""
    assert made(Person({})) == {
        "name": "berlin",
        "primary": {"address": "192.0.2.10", "ssh": {"user": "admin", "password": "env:BERLIN_PRIMARY_SSH"}},
        "secondary": {"address": "192.0.2.11", "ssh": {"user": "admin", "password": "env:BERLIN_SECONDARY_SSH"}},
        "ise": [{"address": "192.0.2.20", "name": "ise"}],
    }
    assert desk["logins"] == []


@pytest.mark.parametrize(("said", "pinned"), [("yes", [SHOWN]), ("YES", [SHOWN]), ("y", []), ("", []), ("no", [])])
def test_a_host_key_is_pinned_only_when_somebody_compared_it(
    said: str, pinned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown beside the command for the console; only the whole word yes pins it."""
    site = made(Person({"primary: was it compared": said}))
    shown = capsys.readouterr().out
    assert SHOWN in shown
    assert "show crypto host_key" in shown
    assert "recalled" in shown
    assert [site["primary"]["ssh"].get("host_key")] == (pinned or [None])


def test_self_is_proposed_where_the_hosts_own_server_shows_the_same(desk: dict[str, Any]) -> None:
    """Behind a compared key one login is made where its password is at hand; what it shows is taken on yes."""
    desk["look"] = Look(sha256=HERE, own="same", names=("prime-pri",))
    person = Person({"primary: was it compared": "yes", "primary: its own SSH": "yes", "primary: it names": "yes"})
    site = made(person)
    assert desk["logins"] == ["primary"]
    assert site["primary"]["expect"] == {"self": True}
    assert site["primary"]["names"] == ["prime-pri"]
    assert "names" not in site["secondary"]
    assert not any(asked.startswith("secondary: its own SSH") for asked in person.asked)


def test_another_certificate_through_ssh_is_an_alarm(desk: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Where the host's own SSH server shows another certificate than is seen from here, nothing is proposed."""
    desk["look"] = Look(sha256=HERE, own="other")
    site = made(Person({"primary: was it compared": "yes", "primary: its own SSH": "yes"}))
    assert "BEWARE" in capsys.readouterr().out
    assert "expect" not in site["primary"]


def test_a_password_is_no_reference_and_is_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no reference is refused without being repeated, and asked for again; nothing of it is in any question."""
    answers = iter(["hunter2secret", "env:HERE"])
    person = Person({})
    ask = person.__call__

    def tell(question: str) -> str:
        return next(answers) if question.startswith("primary: where is its SSH") else ask(question)

    found = Interview("berlin", tell).draft()
    assert "env:HERE" in found.text
    assert "hunter2" not in found.text + capsys.readouterr().out + " ".join(person.asked)


def test_a_wrong_answer_is_told_and_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Each answer is checked at once by what `runbook check` uses; after three the interview ends without a file."""
    answers = iter(["192.0.2.10", "192.0.2.11"])
    person = Person({})

    def tell(question: str) -> str:
        return next(answers) if question.startswith("secondary: address") else person(question)

    assert "192.0.2.11" in Interview("berlin", tell).draft().text
    assert "is the same server as primary" in capsys.readouterr().out
    with pytest.raises(UsageError, match="nothing was written"):
        Interview("berlin", Person({"primary: address": "https://pri"})).draft()


def test_ports_other_than_the_usual_ones_are_taken_with_the_address(desk: dict[str, Any]) -> None:
    """HOST:PORT and [v6]:PORT name SSH's port of a server and the page's of ISE; the pages of PI have a question."""
    answers = {"primary: address": "192.0.2.10:2222", "secondary: address": "[2001:db8::2]:2022"}
    answers |= {"the ISE server: address": "192.0.2.20:9443", "primary: user of": "root", "primary: port of": "8443"}
    site = made(Person(answers))
    assert [(site[key]["address"], site[key]["ssh"]["port"]) for key in ("primary", "secondary")] == [
        ("192.0.2.10", 2222),
        ("2001:db8::2", 2022),
    ]
    assert desk["ports"] == [2222, 2022]
    assert (site["ise"][0]["address"], site["ise"][0]["port"]) == ("192.0.2.20", 9443)
    assert site["primary"]["web"]["port"] == 8443


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("pri:2222", "pri", 2222),
        ("[::1]:22", "::1", 22),
        ("::1", "::1", None),
        ("2001:db8::2:22", "2001:db8::2:22", None),
        ("pri:", "pri:", None),
        ("pri:²", "pri:²", None),
        ("", "", None),
    ],
)
def test_a_port_stands_behind_a_name_or_brackets_only(text: str, host: str, port: int | None) -> None:
    """An address of IPv6 has its own colons: only in brackets it names a port."""
    assert split_port(text) == (host, port)


def test_what_decides_is_asked_for_before_any_certificate_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A CSR, a file or digits for each host, or later; what is none of these is told and asked again."""
    (tmp_path / "pri.csr").touch()
    answers = iter(["pri.csr", "csr:pri.csr"])
    person = Person({"secondary: csr": f"sha256:{'c' * 64}"})

    def tell(question: str) -> str:
        return next(answers) if question.startswith("primary: csr") else person(question)

    found = Interview("berlin", tell).draft()
    assert "begin with one of csr:" in capsys.readouterr().out
    site = yaml.safe_load(found.text)
    assert (site["primary"]["expect"], site["secondary"]["expect"]) == ({"csr": "pri.csr"}, {"sha256": "c" * 64})
    assert "expect" not in site["ise"][0]


def test_where_it_ends_what_was_answered_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three answers that cannot be used end it; what came before can be copied, and nothing is written."""
    with pytest.raises(UsageError, match="nothing was written"):
        Interview("berlin", Person({"secondary: address": "https://sec"})).draft()
    shown = capsys.readouterr().out
    assert "192.0.2.10" in shown.split("What was answered so far")[1]
    assert str(tmp_path) in shown, "where relative paths begin"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_stops_nothing(desk: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key and a certificate to see, the file is written all the same, and it is said what lacks."""
    desk["key"], desk["look"] = "", Look(problem="no answer")
    assert made(Person({}))["name"] == "berlin"
    assert "no stage logs in there until ssh: host_key: is written" in capsys.readouterr().out


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    """Neither where it was there before the first question, nor where it came while they were asked."""
    (tmp_path / "berlin.yaml").write_text("mine")
    with pytest.raises(ParameterRefused, match="already"):
        Interview("berlin", Person({}))
    draft = Interview("paris", Person({})).draft()
    (tmp_path / "paris.yaml").write_text("theirs")
    with pytest.raises(ParameterRefused, match="already"):
        write_file(draft, "runbook new")
    assert (tmp_path / "paris.yaml").read_text() == "theirs"


def test_the_command_writes_the_file_and_says_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is for its owner alone, and loads; what it lacks and what comes next are told. It needs a terminal."""
    with pytest.raises(UsageError, match="terminal") as refused:
        new_command("berlin")
    assert str(paths.examples_dir() / "example.yaml") in refused.value.next_step
    assert str(tmp_path / "berlin.yaml") in refused.value.next_step
    monkeypatch.setattr(site_file, "can_ask", lambda: True)
    monkeypatch.setattr(site_file, "answer_to", Person({}))
    new_command("berlin")
    path = tmp_path / "berlin.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_site(path).name == "berlin"
    shown = capsys.readouterr().out
    assert "Next: runbook check berlin --live" in shown
    assert "Warning: primary: no SSH host key is pinned" in shown
