"""References to secrets: what is accepted, what is refused, and that no value is ever repeated."""

from __future__ import annotations

import io
import os
import pickle
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import NoKeyringError
from pydantic import BaseModel, ConfigDict

from runbook_lib import secrets
from runbook_lib.errors import SecretUnavailable
from runbook_lib.params.model import Secret
from runbook_lib.redactor import Redactor
from runbook_lib.secrets import SecretRef, learn

VALUE = 'Tr0ub4dor&3 \\ "quoted"'


@pytest.fixture(autouse=True)
def redactor(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    fresh = Redactor()
    monkeypatch.setattr(secrets, "REDACTOR", fresh)
    monkeypatch.setattr(secrets, "_prompted", {})
    return fresh


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> SecretRef:
    path = folder / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return SecretRef.parse(f"file:{path}")


@pytest.mark.parametrize(
    "text", ["env:PI_PASSWORD", "file:/run/secrets/pi", "keyring:https://pi/x/admin", "prompt:PI admin"]
)
def test_reference_is_read_and_given_back(text: str) -> None:
    """Each of the four schemes is read, and ``str`` gives the reference back."""
    reference = SecretRef.parse(text)
    assert str(reference) == text
    assert SecretRef.parse(reference) is reference
    assert pickle.loads(pickle.dumps(reference)) == reference


@pytest.mark.parametrize(
    "text",
    ["hunter2", "", "env:", "env:my password", "env:1X", "ENV:X", "file:", "keyring:service", "keyring:/user",
     "keyring:service/", "prompt:", "prompt: ", "https://x", "file:a\nb", None, 7, b"env:X", ["env:X"]],
)  # fmt: skip
def test_anything_else_is_refused_without_repeating_it(text: object) -> None:
    """What does not look like a reference is refused, and the text, which may be a password, is not repeated."""
    with pytest.raises(ValueError, match="a secret must be a reference: env:NAME") as caught:
        SecretRef.parse(text)
    assert str(caught.value) == (
        "a secret must be a reference: env:NAME, file:PATH, keyring:SERVICE/USER or prompt:LABEL"
    )


def test_reference_in_a_strict_model() -> None:
    """A strict pydantic model takes the text of a reference, and a reference."""

    class Model(BaseModel):
        model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
        password: Secret

    reference = SecretRef.parse("env:PI_PASSWORD")
    assert Model.model_validate({"password": "env:PI_PASSWORD"}).password == reference
    assert Model.model_validate({"password": reference}).password == reference


def test_relative_file_is_relative_to_the_folder(tmp_path: Path) -> None:
    """A relative ``file:`` path is taken from the given folder; absolute ones and other schemes stay."""
    assert str(SecretRef.parse("file:pw").relative_to_folder(tmp_path)) == f"file:{tmp_path}/pw"
    assert str(SecretRef.parse("file:/a/pw").relative_to_folder(tmp_path)) == "file:/a/pw"
    assert str(SecretRef.parse("file:~/pw").relative_to_folder(tmp_path)) == f"file:{Path.home()}/pw"
    assert str(SecretRef.parse("env:PW").relative_to_folder(tmp_path)) == "env:PW"


def test_env_gives_the_variables_value_and_the_redactor_knows_it(
    monkeypatch: pytest.MonkeyPatch, redactor: Redactor
) -> None:
    """``env:`` gives the variable's value, and the redactor knows it from then on."""
    monkeypatch.setenv("PI_PASSWORD", VALUE)
    assert SecretRef.parse("env:PI_PASSWORD").resolve() == VALUE
    assert redactor.redact_text(f"<{VALUE}>") == "<[secret env:PI_PASSWORD]>"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_or_empty_is_named(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """A variable that is not set, or empty, is unavailable, and the error names the variable."""
    monkeypatch.delenv("PI_PASSWORD", raising=False)
    if value is not None:
        monkeypatch.setenv("PI_PASSWORD", value)
    with pytest.raises(SecretUnavailable, match="PI_PASSWORD"):
        SecretRef.parse("env:PI_PASSWORD").resolve()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_file_gives_the_content_without_its_last_newline(tmp_path: Path, ending: str) -> None:
    """``file:`` gives the content without one trailing newline."""
    assert secret_file(tmp_path, (" " + VALUE + " " + ending).encode()).resolve() == f" {VALUE} "


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """A file with any permission for group or world is refused, and the error says how to mend it."""
    with pytest.raises(SecretUnavailable) as caught:
        secret_file(tmp_path, VALUE.encode(), mode).resolve()
    assert f"{mode:04o}" in str(caught.value)
    assert "chmod 600" in caught.value.next_step


@pytest.mark.parametrize(
    "content",
    [b"first-line\nsecond-line\n", b"password\n\n", b"tab\there", b"\xff\xfe\xfa\xfb", b"x" * 70_000, b"", b"\n"],
)
def test_file_that_holds_no_single_line_is_refused(tmp_path: Path, content: bytes) -> None:
    """Several lines, control characters, other encodings, too much and nothing are refused without repeating it."""
    reference = secret_file(tmp_path, content)
    with pytest.raises(SecretUnavailable) as caught:
        reference.resolve()
    assert "first-line" not in str(caught.value)


def test_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    """A missing file and a folder are unavailable, and named."""
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(SecretUnavailable, match=str(path)):
            SecretRef.parse(f"file:{path}").resolve()


class OnePassword(KeyringBackend):
    """A keyring that holds one password."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        if service == "locked":
            raise NoKeyringError(VALUE)
        return VALUE if (service, username) == ("https://pi/web", "admin") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        raise NotImplementedError


@pytest.fixture
def own_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(OnePassword())
    yield
    keyring.set_keyring(before)


@pytest.mark.usefixtures("own_keyring")
def test_keyring_is_asked_for_the_user_behind_the_last_slash() -> None:
    """``keyring:`` asks the system's keyring; the user stands after the last slash."""
    assert SecretRef.parse("keyring:https://pi/web/admin").resolve() == VALUE


@pytest.mark.usefixtures("own_keyring")
@pytest.mark.parametrize("locator", ["pi/nobody", "locked/admin"])
def test_a_keyring_that_has_no_such_password_is_not_quoted(locator: str) -> None:
    """A keyring that holds no such password, or refuses, is unavailable; its words are not repeated."""
    with pytest.raises(SecretUnavailable) as caught:
        SecretRef.parse(f"keyring:{locator}").resolve()
    assert VALUE not in "".join(traceback.format_exception(caught.value))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_prompt_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """``prompt:`` asks on the terminal at most once per label and process."""
    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda label: asked.append(label) or VALUE)
    values = {SecretRef.parse("prompt:PI admin").resolve() for _ in range(3)}
    assert (values, asked) == ({VALUE}, ["PI admin: "])


def test_prompt_is_refused_at_once_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal ``prompt:`` is refused at once instead of waiting for an answer."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed\n"))
    with pytest.raises(SecretUnavailable, match="no terminal"):
        SecretRef.parse("prompt:PI admin").resolve()


@pytest.mark.parametrize("value", ["a", "abc"])
def test_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch, redactor: Redactor, value: str) -> None:
    """A value of fewer than four characters is refused as a secret: no record could be kept free of it."""
    monkeypatch.setenv("PI_PASSWORD", value)
    with pytest.raises(SecretUnavailable, match="fewer than 4 characters"):
        SecretRef.parse("env:PI_PASSWORD").resolve()
    with pytest.raises(ValueError, match="fewer than 4"):
        redactor.know("env:PI_PASSWORD", value)


def test_a_word_of_every_record_is_no_secret(monkeypatch: pytest.MonkeyPatch, redactor: Redactor) -> None:
    """A password that names one of the two servers would be replaced wherever a record says which server it means."""
    monkeypatch.setenv("PI_PASSWORD", "Primary")
    with pytest.raises(SecretUnavailable, match="stands in every record"):
        SecretRef.parse("env:PI_PASSWORD").resolve()
    assert redactor.known() == ()


def test_learn_asks_nobody(monkeypatch: pytest.MonkeyPatch, redactor: Redactor) -> None:
    """``learn`` makes known what can be had without asking, and names the rest."""
    monkeypatch.setenv("PI_PASSWORD", VALUE)
    monkeypatch.delenv("PI_MISSING", raising=False)
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda label: pytest.fail("asked"))
    references = [SecretRef.parse(text) for text in ("env:PI_PASSWORD", "env:PI_MISSING", "prompt:PI admin")]
    assert learn(references) == tuple(references[1:])
    assert redactor.redact(VALUE.encode()) == b"[secret env:PI_PASSWORD]"


def test_no_repr_holds_a_value(monkeypatch: pytest.MonkeyPatch, redactor: Redactor) -> None:
    """Neither a reference nor the redactor shows a value."""
    monkeypatch.setenv("PI_PASSWORD", VALUE)
    reference = SecretRef.parse("env:PI_PASSWORD")
    reference.resolve()
    assert "Tr0ub4dor" not in f"{reference!r} {reference} {redactor!r} {redactor}"
    assert os.environ["PI_PASSWORD"] == VALUE
