"""Expectations: what is read of CSRs, certificates, fingerprints and CA bundles, and what is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificate_kit import DAY, NOW, key_of, make, request
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from incident_kit import Incident
from pydantic import ValidationError
from site_kit import site_with
from waiting import forbid_waiting_opens

from runbook_lib.certificates.expectation import Knowledge, combine, read_expectation
from runbook_lib.certificates.facts import key_sha256, sha256_of, spki_sha256_of
from runbook_lib.cli import running
from runbook_lib.cli.running import run_command
from runbook_lib.errors import ExpectationInvalid, RunbookError, SecretUnavailable
from runbook_lib.params.model import CaBundle, Expectation, Site
from runbook_lib.params.values import canonical_sha256
from runbook_lib.repair.context import Context
from runbook_lib.repair.inventory import check_given, gather_knowledge, knowledge_of, parse_given

CSR = request()
LEAF = make("prime-sec")
ROOT = make("root", key=key_of("ec", 1), ca=True)
INTER = make("intermediate", key=key_of("ec", 2), by=ROOT, ca=True)
ISSUED = make("ise.example.com", by=INTER)
DIGITS = "0123456789abcdef" * 4
COLONS = ":".join(re.findall("..", DIGITS.upper()))


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "given"
        path.write_bytes(data)
        return path

    return write


def text_around(pem: bytes) -> bytes:
    return b"Subject: CN = x\nIssuer - \xff\n-- \n" + pem + b"\nthat was all\n"


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "PEM": lambda pem: pem,
    "CRLF": lambda pem: pem.replace(b"\n", b"\r\n"),
    "text around": text_around,
    "a BOM before": lambda pem: b"\xef\xbb\xbf" + pem,
    "indented": lambda pem: pem.replace(b"\n", b"\n    "),
    "no line break at the end": lambda pem: pem.rstrip(),
}


# -- CSR -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_csr_in_pem(put: Any, spelling: str) -> None:
    """A CSR in PEM is known by its key, whatever stands around it and however its lines end."""
    known = read_expectation(Expectation(csr=put(SPELLINGS[spelling](CSR.public_bytes(Encoding.PEM)))))
    assert known == Knowledge(spki_sha256=(key_sha256(CSR),), words="the key of the CSR given")
    assert known.spki_sha256 == (spki_sha256_of(LEAF.der),)


def test_csr_in_der_and_under_its_older_label(put: Any) -> None:
    """DER is read as well, and the label that Microsoft writes."""
    old = CSR.public_bytes(Encoding.PEM).replace(b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST")
    for data in (CSR.public_bytes(Encoding.DER), old, old + LEAF.pem):
        assert read_expectation(Expectation(csr=put(data))).spki_sha256 == (key_sha256(CSR),)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_csr_whose_own_signature_is_wrong_is_refused(put: Any, encoding: Encoding) -> None:
    """Nobody proved to hold the key of a CSR whose signature does not verify."""
    from cryptography import x509

    der = bytearray(CSR.public_bytes(Encoding.DER))
    der = der.replace(b"prime-sec", b"prime-pri")
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(encoding)
    with pytest.raises(ExpectationInvalid, match="own signature is wrong"):
        read_expectation(Expectation(csr=put(forged)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a CSR"),
        (b"hello", "not a CSR"),
        (LEAF.pem, "holds no CERTIFICATE REQUEST"),
        (LEAF.der, "not a CSR"),
        (CSR.public_bytes(Encoding.PEM) + request(key=key_of("ec", 3)).public_bytes(Encoding.PEM), "holds 2 CSRs"),
        (CSR.public_bytes(Encoding.PEM)[:-40], "has no end"),
        (CSR.public_bytes(Encoding.PEM).replace(b"\nMI", b"\nAA"), "not a CSR"),
    ],
    ids=["empty", "text", "certificate", "DER certificate", "two", "cut off", "damaged"],
)
def test_what_is_no_csr_is_refused(put: Any, data: bytes, words: str) -> None:
    """Anything but one whole CSR is refused, with the file's path and what to do."""
    path = put(data)
    with pytest.raises(ExpectationInvalid, match=words) as caught:
        read_expectation(Expectation(csr=path))
    assert caught.value.where == str(path)
    assert caught.value.next_step


# -- certificate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_certificate_in_pem(put: Any, spelling: str) -> None:
    """A certificate's file is known by the certificate's SHA-256."""
    known = read_expectation(Expectation(certificate=put(SPELLINGS[spelling](LEAF.pem))))
    assert known == Knowledge(sha256=(sha256_of(LEAF.der),), words="the certificate file given")


def test_certificate_in_der(put: Any) -> None:
    """DER is read as well."""
    assert read_expectation(Expectation(certificate=put(LEAF.der))).sha256 == (sha256_of(LEAF.der),)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 0, 1), (0,)], ids=str)
def test_of_a_chain_the_servers_certificate_is_taken(put: Any, order: tuple[int, ...]) -> None:
    """In a file with the whole chain, the certificate that issued no other is the server's, wherever it stands."""
    chain = (ISSUED, INTER, ROOT)
    path = put(b"".join(chain[n].pem for n in order))
    assert read_expectation(Expectation(certificate=path)).sha256 == (sha256_of(ISSUED.der),)


def test_several_servers_certificates_in_a_file_are_refused(put: Any) -> None:
    """Where it cannot be told which certificate is the server's, none is taken: not the first one either."""
    for others in (
        (make("a"), make("b")),
        (LEAF, make("prime-sec", valid=(NOW, NOW + DAY))),
        (ROOT, INTER, ISSUED, LEAF),
    ):
        with pytest.raises(ExpectationInvalid, match="nothing shows which"):
            read_expectation(Expectation(certificate=put(b"".join(one.pem for one in others))))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cannot be read"),
        (CSR.public_bytes(Encoding.PEM), "holds no CERTIFICATE"),
        (CSR.public_bytes(Encoding.DER), "cannot be read"),
        (LEAF.der + b"\n", "cannot be read"),
        (LEAF.pem + LEAF.pem[:-40], "has no end"),
        (LEAF.pem[30:], "has no end"),
        (LEAF.pem + LEAF.pem.replace(b"\nMI", b"\nAA"), "Certificate 2 of 2"),
        (LEAF.pem.replace(b"BEGIN CERTIFICATE", b"BEGIN TRUSTED CERTIFICATE"), "has no end"),
        (b"-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n", "holds no CERTIFICATE"),
    ],
)
def test_what_is_no_certificate_is_refused(put: Any, data: bytes, words: str) -> None:
    """Anything but whole certificates is refused; nothing is taken from a file of which a part cannot be read."""
    with pytest.raises(ExpectationInvalid, match=words):
        read_expectation(Expectation(certificate=put(data)))


# -- CA bundle -------------------------------------------------------------------------------------


def test_ca_bundle_with_names(put: Any) -> None:
    """A bundle is known by all of its certificates, each once, and by the names that it may vouch for."""
    given = Expectation(
        ca=CaBundle(bundle=put(text_around(ROOT.pem) + INTER.pem + ROOT.pem), names=("ise", "192.0.2.30"))
    )
    known = read_expectation(given)
    assert [(issuer.ca, issuer.names) for issuer in known.issuers] == [((ROOT.der, INTER.der), ("ise", "192.0.2.30"))]
    assert known.words == "issued by given for ise or 192.0.2.30"


def test_bundle_without_a_ca_is_refused(put: Any) -> None:
    """A server's certificate vouches for nothing; the error says where it belongs."""
    with pytest.raises(ExpectationInvalid, match="None of the bundle's certificates is a CA's") as caught:
        read_expectation(Expectation(ca=CaBundle(bundle=put(LEAF.pem), names=("ise",))))
    assert "certificate:" in caught.value.next_step


def test_combining_keeps_each_bundle_to_its_own_names() -> None:
    """What one CA may vouch for is not lent to another: each has to hold by itself."""
    one, other = (
        Knowledge(issuers=read_issuers, words=words)
        for read_issuers, words in (((issuer(b"1", "a"),), "one"), ((issuer(b"2", "b"),), "other"))
    )
    both = combine(one, other)
    assert both.issuers == (issuer(b"1", "a"), issuer(b"2", "b"))
    assert both.words == "one; other"
    assert combine(Knowledge(), one) == one == combine(one, Knowledge())


@pytest.mark.parametrize("field", ["spki_sha256", "sha256", "issuers"])
def test_of_two_that_are_known_neither_is_left_out(field: str) -> None:
    """A key that is given at the desk does not take the place of the one in the site's file; self is asked for once."""
    given: list[dict[str, Any]] = [{field: ("1",)}, {field: ("2",), "self_": True}]
    first, second = (Knowledge(**each) for each in given)
    for both, expected in ((combine(first, second), ("1", "2")), (combine(second, first), ("2", "1"))):
        assert getattr(both, field) == expected
        assert both.self_
    assert getattr(combine(first, first), field) == ("1",)


def issuer(ca: bytes, name: str) -> Any:
    from runbook_lib.certificates.expectation import Issuer

    return Issuer(ca=(ca,), names=(name,))


def test_everything_that_is_given_is_known_at_once(put: Any, tmp_path: Path) -> None:
    """Several kinds in one expectation all have to hold, and the words name each."""
    csr = tmp_path / "csr.pem"
    csr.write_bytes(CSR.public_bytes(Encoding.PEM))
    given = Expectation.model_validate({"csr": csr, "certificate": put(LEAF.pem), "sha256": DIGITS, "self": True})
    known = read_expectation(given)
    assert known.spki_sha256 == (key_sha256(CSR),)
    assert known.sha256 == (sha256_of(LEAF.der), DIGITS)
    assert known.self_
    assert known.words.count(";") == 3
    assert Knowledge().empty
    assert not known.empty
    assert read_expectation(Expectation()) == Knowledge()


# -- private keys ----------------------------------------------------------------------------------


def private_keys() -> dict[str, bytes]:
    """Return files that hold a private key, by kind; ``pw`` is their password, where they have one."""
    key, rsa = key_of("ec"), key_of("rsa2048")
    locked = BestAvailableEncryption(b"pw")
    kinds = {
        "PKCS#8": (key, PrivateFormat.PKCS8, NoEncryption()),
        "encrypted PKCS#8": (key, PrivateFormat.PKCS8, locked),
        "SEC1": (key, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "PKCS#1": (rsa, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "encrypted PKCS#1 PEM": (rsa, PrivateFormat.TraditionalOpenSSL, locked),
        "OpenSSH PEM": (key, PrivateFormat.OpenSSH, NoEncryption()),
        "Ed25519": (key_of("ed25519"), PrivateFormat.PKCS8, NoEncryption()),
    }
    found = {}
    for kind, (secret, form, lock) in kinds.items():
        found[f"{kind} PEM"] = secret.private_bytes(Encoding.PEM, form, lock)
        if not kind.endswith("PEM"):
            found[f"{kind} DER"] = secret.private_bytes(Encoding.DER, form, lock)
    pem = found["PKCS#8 PEM"]
    for kind, lock in (("", NoEncryption()), (" encrypted", locked)):
        found[f"PKCS#12{kind}"] = pkcs12.serialize_key_and_certificates(b"x", key, LEAF.certificate, None, lock)
    return found | {
        "behind a certificate": LEAF.pem + pem,
        "before a CSR": pem + CSR.public_bytes(Encoding.PEM),
        "CRLF": LEAF.pem + pem.replace(b"\n", b"\r\n"),
        "UTF-16": (LEAF.pem + pem).decode().encode("utf-16"),
        "cut off": LEAF.pem + pem[:-50],
        "four dashes": LEAF.pem + pem.replace(b"-----", b"----"),
        "PuTTY": b"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAA\n",
        "Java key store": b"\xfe\xed\xfe\xed\0\0\0\2",
        "DER behind blanks": b" \r\n" + found["PKCS#8 DER"],
    }


PRIVATE_KEYS = private_keys()


@pytest.mark.parametrize("kind", PRIVATE_KEYS)
def test_file_with_a_private_key_is_refused_and_nothing_of_it_is_shown(put: Any, kind: str) -> None:
    """A private key in whatever form makes the whole file refused; the error holds the path and nothing of the file."""
    path = put(PRIVATE_KEYS[kind])
    for given in (
        Expectation(csr=path),
        Expectation(certificate=path),
        Expectation(ca=CaBundle(bundle=path, names=("ise",))),
    ):
        with pytest.raises(ExpectationInvalid, match="holds a private key") as caught:
            read_expectation(given)
        assert (caught.value.where, caught.value.found) == (str(path), "")
        assert caught.value.__cause__ is None


def test_public_files_are_not_taken_for_private_keys(put: Any) -> None:
    """A text that speaks of a private key is no key, and a public key is refused for what it is."""
    talk = b"the PRIVATE KEY stays on the server\n" + LEAF.pem
    assert read_expectation(Expectation(certificate=put(talk))).sha256
    public = key_of("ec").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ExpectationInvalid, match="holds no CERTIFICATE"):
        read_expectation(Expectation(certificate=put(public)))


# -- files that are no files -----------------------------------------------------------------------


PLAIN = "it is not a plain file of 1 MB at most"


def odd_paths(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return paths, and what the error says of them."""
    os.mkfifo(folder / "fifo")
    (folder / "large").write_bytes(LEAF.pem + b"\n" * (2 << 20))
    (folder / "loop").symlink_to("loop")
    return {
        "directory": (folder, PLAIN),
        "FIFO": (folder / "fifo", PLAIN),
        "endless": (Path("/dev/zero"), PLAIN),
        "2 MiB": (folder / "large", PLAIN),
        "not there": (folder / "missing", ""),
        "a loop of links": (folder / "loop", ""),
        "below a file": (folder / "large" / "x", ""),
        "a NUL in the path": (folder / "a\0b", ""),
        "too long a name": (folder / ("x" * 300), ""),
    }


def test_what_cannot_be_read_at_once_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a pipe, an endless device, 2 MiB, nothing at all: refused at once, and nothing is waited for."""
    forbid_waiting_opens(monkeypatch)
    for path, words in odd_paths(tmp_path).values():
        with pytest.raises(ExpectationInvalid, match="cannot be read") as caught:
            read_expectation(Expectation(certificate=path))
        assert (caught.value.where, words in caught.value.found) == (str(path), True)
        assert caught.value.next_step


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_the_right_to_read_it_is_refused(put: Any) -> None:
    """A file that this user may not read is named with the system's reason."""
    path = put(LEAF.pem)
    path.chmod(0)
    with pytest.raises(ExpectationInvalid, match="cannot be read") as caught:
        read_expectation(Expectation(certificate=path))
    assert "ermission" in caught.value.found


def test_pem_of_many_beginnings_is_read_in_linear_time(put: Any) -> None:
    """A file of nothing but BEGIN lines is refused at the second of them."""
    with pytest.raises(ExpectationInvalid, match="has no end"):
        read_expectation(Expectation(certificate=put(b"-----BEGIN CERTIFICATE-----\n" * 30_000)))


# -- fingerprints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        DIGITS,
        DIGITS.upper(),
        COLONS,
        f" {COLONS}\n",
        f"sha256 Fingerprint={COLONS}",
        f"SHA256:{DIGITS}",
        DIGITS[:32] + " " + DIGITS[32:],
    ],
)
def test_sha256_has_one_spelling(text: str) -> None:
    """Upper case, colons, blanks and what tools print before it all come out as 64 lower-case digits."""
    assert canonical_sha256(text) == DIGITS
    assert Expectation(sha256=text).sha256 == DIGITS


BAD_FINGERPRINTS = {
    "SHA-1": DIGITS[:40],
    "MD5": DIGITS[:32],
    "63 digits": DIGITS[:63],
    "65 digits": DIGITS + "0",
    "a prefix": DIGITS[:8],
    "empty": "",
    "blank": "  ",
    "SHA-1 with its name": f"SHA1 Fingerprint={COLONS[:59]}",
    "SHA-512": DIGITS * 2,
    "no hex": "g" * 64,
    "full-width digits": "\uff10" * 64,
    "base64": "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdE=",
}


@pytest.mark.parametrize("kind", BAD_FINGERPRINTS)
def test_other_fingerprints_are_refused(kind: str) -> None:
    """Another digest's length, a part, or nothing: refused in the site's file and in the parameter."""
    with pytest.raises(ValidationError):
        Expectation(sha256=BAD_FINGERPRINTS[kind])
    with pytest.raises(ExpectationInvalid):
        parse_given(f"secondary=sha256:{BAD_FINGERPRINTS[kind]}", site_with())


# -- the parameter expect --------------------------------------------------------------------------


def test_given_expectations_by_host(tmp_path: Path) -> None:
    """The parameter gives any kind for any host of the site, several with a semicolon between them."""
    text = f"secondary = sha256:{COLONS} ;; ise=csr:{tmp_path}/my csr.pem; primary=self;"
    given = parse_given(text + "ise2=ca:/a/b.pem#ise2, 192.0.2.31;", site_with())
    assert given["secondary"] == Expectation(sha256=DIGITS)
    assert given["ise"] == Expectation(csr=tmp_path / "my csr.pem")
    assert given["primary"].self_
    assert given["ise2"] == Expectation(ca=CaBundle(bundle=Path("/a/b.pem"), names=("ise2", "192.0.2.31")))
    assert parse_given(" ; ", site_with()) == {}


@pytest.mark.parametrize(
    "text",
    [
        "secondary",
        DIGITS,
        f"nobody=sha256:{DIGITS}",
        f"secondary=sha1:{DIGITS[:40]}",
        f"secondary={DIGITS}",
        "secondary=sha256:",
        "secondary=self:yes",
        "secondary=csr",
        "ise=self",
        f"secondary=self; secondary=sha256:{DIGITS}",
        "ise=ca:/a/b.pem",
        "ise=ca:/a/b.pem#",
        "ise=ca:/a/b.pem#not a host",
        "ise=csr:~nobody-of-this-name/x",
        "ise=csr:   ",
        "secondary=SELF",
    ],
)
def test_what_is_no_expectation_is_refused(text: str) -> None:
    """Every other text raises ExpectationInvalid, and says what to write; ``self`` needs SSH to the host."""
    with pytest.raises(ExpectationInvalid) as caught:
        check_given(text, site_with())
    assert caught.value.next_step


def test_given_files_are_read_before_anything_is_contacted(tmp_path: Path) -> None:
    """``check_given`` opens the files too, so that a private key or a missing file is refused at the command line."""
    (tmp_path / "key.pem").write_bytes(PRIVATE_KEYS["SEC1 PEM"])
    with pytest.raises(ExpectationInvalid, match="private key"):
        check_given(f"ise=certificate:{tmp_path}/key.pem", site_with())
    check_given("", site_with())


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A stage's context, with a record and no device to ask."""
    return Incident(tmp_path, listed=False).context


def with_site(context: Context, site: Site) -> Context:
    return replace(context, site=site)


def test_what_was_known_is_there_for_the_stages_that_look_again(context: Context, put: Any) -> None:
    """What stage 20 read comes back from the record, CA certificates and all, after the file is gone."""
    path = put(ROOT.pem)
    given = {"ise": Expectation(ca=CaBundle(bundle=path, names=("ise",))), "secondary": Expectation(sha256=DIGITS)}
    known = gather_knowledge(context, given)
    path.unlink()
    assert knowledge_of(context, "ise") == known["ise"]
    assert knowledge_of(context, "ise").issuers[0].ca == (ROOT.der,)
    assert knowledge_of(context, "secondary").sha256 == (DIGITS,)
    assert knowledge_of(context, "primary").empty


def test_what_a_sites_file_says_by_now_has_to_hold_too(context: Context) -> None:
    """Whoever wrote other digits into it after the plan knows something: what stage 20 read is not all that counts."""
    planned, corrected = (
        with_site(context, site_with(secondary_expect={"sha256": each})) for each in (DIGITS, "f" * 64)
    )
    known = gather_knowledge(planned, {})["secondary"]
    assert knowledge_of(planned, "secondary") == known
    assert knowledge_of(corrected, "secondary").sha256 == (DIGITS, "f" * 64)


def test_resumed_incident_still_knows_what_was_given(context: Context) -> None:
    """What was given once holds when stage 20 runs again without it; given anew for a host, it takes its place."""
    gather_knowledge(context, {"ise": Expectation(sha256=DIGITS), "secondary": Expectation(sha256=DIGITS)})
    gather_knowledge(context, {})
    assert knowledge_of(context, "ise").sha256 == (DIGITS,)
    gather_knowledge(context, {"ise": Expectation(sha256="f" * 64)})
    assert knowledge_of(context, "ise").sha256 == ("f" * 64,)
    assert knowledge_of(context, "secondary").sha256 == (DIGITS,)


def test_given_expectation_does_not_take_the_place_of_the_sites(context: Context) -> None:
    """The site's file and the parameter have to hold both: two fingerprints that differ let nothing be confirmed."""
    site = site_with(secondary_expect={"sha256": "e" * 64})
    known = gather_knowledge(with_site(context, site), {"secondary": Expectation(sha256=DIGITS)})
    assert known["secondary"].sha256 == ("e" * 64, DIGITS)


def test_bad_expectation_leaves_nothing_in_the_record(context: Context, put: Any) -> None:
    """A file with a private key is refused before anything is written; no byte of it is in the record."""
    secret = PRIVATE_KEYS["SEC1 PEM"]
    before = {path: path.read_bytes() for path in context.record.folder.rglob("*") if path.is_file()}
    with pytest.raises(ExpectationInvalid):
        gather_knowledge(context, {"ise": Expectation(csr=put(secret)), "secondary": Expectation(sha256=DIGITS)})
    assert {path: path.read_bytes() for path in context.record.folder.rglob("*") if path.is_file()} == before


SITE_FILE = """
name: berlin
primary: {address: 192.0.2.10, ssh: {user: admin, password: 'env:SSH'}}
secondary: {address: 192.0.2.20, ssh: {user: admin, password: 'env:SSH'}}
ha: {auth_key: 'env:KEY'}
"""


@pytest.mark.parametrize("text", [f"secondary=sha256:{DIGITS[:40]}", "secondary=csr:missing.pem", "ise=self"])
def test_run_refuses_a_bad_expectation_before_there_is_an_incident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """``runbook run --expect`` reads it first of all: no record is opened, so nothing was contacted either."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    (tmp_path / "berlin.yaml").write_text(SITE_FILE, encoding="utf-8")
    with pytest.raises(ExpectationInvalid) as caught:
        run_command(str(tmp_path / "berlin.yaml"), expect=text)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(("until", "opened"), [("70", False), ("20", False), ("10", True)])
def test_run_without_the_secret_of_a_login_opens_no_incident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: str, opened: bool
) -> None:
    """What cannot begin is no incident, and the site goes on standing as it stood; reading logs needs no login."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.delenv("SSH", raising=False)
    begun: list[object] = []

    def stopped(*given: object, **_: object) -> None:
        begun.append(given)
        raise RunbookError("as far as this test goes")

    monkeypatch.setattr(running, "run_and_tell", stopped)
    (tmp_path / "berlin.yaml").write_text(SITE_FILE, encoding="utf-8")
    with pytest.raises(RunbookError if opened else SecretUnavailable):
        run_command(str(tmp_path / "berlin.yaml"), until=until)
    assert (bool(begun), (tmp_path / "records").exists()) == (opened, opened)
