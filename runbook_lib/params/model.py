"""A site's file as a frozen and validated model, and what it lacks for a later stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from runbook_lib.params import values
from runbook_lib.secrets import NOT_NAMED, SecretRef

# -- The kinds of values: each says what is wrong with a value that is none ---------------------------


def _or_empty(check: Callable[[str], str]) -> Callable[[str], str]:
    """The same check for a key that may be left empty."""
    return lambda text: check(text) if text else text


Secret = Annotated[SecretRef, BeforeValidator(SecretRef.parse), PlainSerializer(str)]
Host = Annotated[str, AfterValidator(values.checked_host)]
HostOrEmpty = Annotated[str, AfterValidator(_or_empty(values.checked_host))]
Label = Annotated[str, AfterValidator(values.checked_label)]
Line = Annotated[str, AfterValidator(values.checked_line)]
IgnoredLine = Annotated[str, AfterValidator(values.checked_ignored_line)]
LineOrEmpty = Annotated[str, AfterValidator(_or_empty(values.checked_line))]
Email = Annotated[str, AfterValidator(values.checked_email)]
HostKey = Annotated[str, AfterValidator(values.checked_host_key)]
FilePath = Annotated[Path, BeforeValidator(values.checked_path)]
Fingerprint = Annotated[str, AfterValidator(values.canonical_sha256)]
VirtualIPv4 = Annotated[str, AfterValidator(partial(values.checked_virtual_address, family=4, other=6))]
VirtualIPv6 = Annotated[str, AfterValidator(partial(values.checked_virtual_address, family=6, other=4))]
WebAddress = Annotated[str, AfterValidator(values.checked_web_address)]
Subnet = Annotated[str, AfterValidator(values.checked_subnet)]
Zone = Annotated[str, AfterValidator(values.checked_zone)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


# -- The sections of a site's file
#
# One file in ``params/`` describes one deployment of Prime Infrastructure: a primary, a secondary
# and up to two ISE servers. ``params/example.yaml`` explains every key.


class SiteSection(BaseModel):
    # The input is hidden in errors because it may be a password in the wrong place.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


SSH_PORT = 22


class SshLogin(SiteSection):
    """``host_key`` pins: OpenSSH public keys (``ssh-ed25519 AAAA…``) or ``SHA256:…``; with none, nothing connects.

    ``legacy``: old algorithms that this server may use, by name; a closed list, and none by default.
    """

    port: Port = SSH_PORT
    user: Line
    password: Secret
    host_key: tuple[HostKey, ...] = ()
    legacy: tuple[Literal["ssh-rsa", "diffie-hellman-group14-sha1", "hmac-sha1"], ...] = ()


class JumpHost(SshLogin):
    """A host through which a server's SSH is reached; its own host key is pinned too."""

    address: Host


class SshAccess(SshLogin):
    """SSH to a server's command line. ``prompt_host``: the host name in its prompt, where it is not obvious."""

    prompt_host: LineOrEmpty = ""
    jump: JumpHost | None = None


class CaBundle(SiteSection):
    """CA certificates in a file, and the names of which one has to be in what they issued."""

    bundle: FilePath
    names: Annotated[tuple[Host, ...], Field(min_length=1)]


class Expectation(SiteSection):
    """What the operator knows of a new certificate by another way; where several are given, all must agree.

    ``sha256`` is canonical: empty, or 64 lower-case hex digits.
    """

    csr: FilePath | None = None
    certificate: FilePath | None = None
    sha256: Fingerprint = ""
    ca: CaBundle | None = None
    self_: bool = Field(default=False, alias="self")


class WebAccess(SiteSection):
    """``expect`` is for a web port that shows another certificate than the Health Monitor; empty: the server's own."""

    port: Port = 443
    user: Line
    password: Secret
    expect: Expectation = Expectation()


class PiServer(SiteSection):
    """A primary or secondary server. ``names``: further hosts under which TOFU lists may know it.

    ``logs`` are files, folders or archives; ``log_zone`` is the zone of their times, empty where it is not known.
    """

    address: Host
    names: tuple[Host, ...] = ()
    health_monitor_port: Port = 8082
    ssh: SshAccess
    web: WebAccess | None = None
    expect: Expectation = Expectation()
    logs: tuple[FilePath, ...] = ()
    log_zone: Zone = ""


class IseServer(SiteSection):
    """``user`` and ``password`` are what Prime Infrastructure signs in to ISE with; only stage 50 needs them."""

    name: Label = "ise"
    address: Host
    names: tuple[Host, ...] = ()
    port: Port = 443
    user: LineOrEmpty = ""
    password: Secret = NOT_NAMED
    expect: Expectation = Expectation()
    ssh: SshAccess | None = None


class HaSettings(SiteSection):
    """What is typed into the HA page, by stage 40 alone. ``secondary_address`` empty: the secondary's address.

    ``hosts_files``: the servers know each other by hosts files instead of DNS, so that an address has to be typed.
    ``subnets``: those that both servers stand in, for the virtual addresses; empty where they are not known.
    """

    auth_key: Secret = NOT_NAMED
    secondary_address: HostOrEmpty = ""
    hosts_files: bool = False
    email: tuple[Email, ...] = ()
    failover: Literal["manual", "automatic"] = "manual"
    virtual_ipv4: VirtualIPv4 = ""
    virtual_ipv6: VirtualIPv6 = ""
    subnets: tuple[Subnet, ...] = ()


class Policy(SiteSection):
    """What the site allows. ``named_entries``: stale entries that the operator names, as ``primary 192.0.2.20_8082``.

    A mismatch whose last line is more than ``mismatch_current_h`` hours older than the end of its log is over.
    ``allow_unequal_releases``: high availability is registered although both servers run different releases.
    ``remove_broken_ha``: a registration that stays broken is removed on the primary before HA is registered anew.
    """

    second_person: bool = False
    allow_older_release: bool = False
    allow_unequal_releases: bool = False
    accept_readiness: tuple[Line, ...] = ()
    remove_broken_ha: bool = False
    named_entries: tuple[Line, ...] = ()
    mismatch_current_h: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 24.0


class Deadlines(SiteSection):
    """Seconds. ``login_s``: from the accepted password to the prompt; ``command_s``: from a command to the whole of
    its answer, whatever arrives meanwhile; ``settle_s``: how long entries and HA states may take to come back;
    ``quiet_s``: how long the logs are watched for new mismatches at the end."""

    connect_s: Seconds = 15.0
    login_s: Seconds = 60.0
    command_s: Seconds = 300.0
    probe_s: Seconds = 15.0
    probe_spacing_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    page_s: Seconds = 60.0
    readiness_s: Seconds = 600.0
    registration_s: Seconds = 14400.0
    settle_s: Seconds = 600.0
    quiet_s: Seconds = 30.0


class Listing(SiteSection):
    """``ignore``: lines of ``listcerts`` that mean nothing, whole or as patterns between slashes."""

    ignore: tuple[IgnoredLine, ...] = ()


class TimeStamping(SiteSection):
    """An RFC 3161 authority that stamps each seal; ``certificate`` holds its certificate, or its issuer's, in PEM."""

    url: WebAddress
    certificate: FilePath
    timeout_s: Seconds = 15.0


class Site(SiteSection):
    """One deployment. After loading, every path and ``file:`` reference in it is absolute.

    ``web``: whether the web pages are ``driven`` in a browser, or a person is ``guided`` through them.
    ``ha_states``: what further states of ``ncs ha status`` mean; they win over the known ones.
    """

    kind: Literal["production", "lab"] = "production"
    name: Label
    primary: PiServer
    secondary: PiServer
    ise: tuple[IseServer, ...] = ()
    ha: HaSettings = HaSettings()
    policy: Policy = Policy()
    deadlines: Deadlines = Deadlines()
    web: Literal["driven", "guided"] = "driven"
    browser: LineOrEmpty = ""
    rules: FilePath | None = None
    timestamp: TimeStamping | None = None
    labels: dict[str, tuple[Line, ...]] = {}
    answers: dict[Line, Line] = {}
    listing: Listing = Listing()
    ha_states: dict[Line, Literal["healthy", "in transition", "broken", "not configured"]] = {}

    @property
    def servers(self) -> dict[str, PiServer]:
        """Both PI servers, by their keys."""
        return {"primary": self.primary, "secondary": self.secondary}

    @property
    def hosts(self) -> dict[str, PiServer | IseServer]:
        """Both PI servers and the ISE servers, by name."""
        return {**self.servers, **{server.name: server for server in self.ise}}


class LabOptions(SiteSection):
    """How the lab is to be; None where the lab's own default holds. The skins' names are the lab's to know."""

    scenario: Literal["healthy", "renewed", "renewed-secondary-only", "renewed-ise-only", "after-redeploy"] = "renewed"
    monitor_interval_s: Seconds | None = None
    registration_s: Seconds | None = None
    skin: Label | None = None
    addresses: Literal["auto", "block", "single"] | None = None
    forwarding: bool | None = None


class LabRequest(SiteSection):
    """A site's file that holds no servers: it asks for the lab, which then writes a site's file of its own."""

    kind: Literal["lab"]
    lab: LabOptions

    @property
    def name(self) -> str:
        """The name of the site whose file the lab writes."""
        return "lab"

    def options(self) -> dict[str, str | float | bool]:
        """Return the options that were given, and the scenario."""
        return self.lab.model_dump(exclude_none=True)


# -- What a valid site's file lacks, and which later stage that will stop. Pure: nothing is contacted or resolved


def lacking(site: Site) -> tuple[str, ...]:
    """Return in a sentence each what will stop a stage that comes later, the earliest stage first."""
    return (*_logs(site), *_host_keys(site), *_expectations(site), *_typed(site))


def _logs(site: Site) -> Iterator[str]:
    for name, server in site.servers.items():
        if not server.logs and not any(entry.startswith(f"{name} ") for entry in site.policy.named_entries):
            yield (
                f"{name}: no logs are named, so stage 10 finds nothing there and stage 20 calls no entry for it stale;"
                f" write {name}: logs:, or name the stale entries (policy: named_entries)"
            )


def _host_keys(site: Site) -> Iterator[str]:
    for name, server in site.hosts.items():
        if server.ssh is None:
            continue
        jump = server.ssh.jump
        for what, login in ((name, server.ssh), *(((f"{name}'s jump host", jump),) if jump else ())):
            if not login.host_key:
                yield (
                    f"{what}: no SSH host key is pinned, so no stage logs in there; compare it on the server's console"
                    " and write it to ssh: host_key:"
                )


def _expectations(site: Site) -> Iterator[str]:
    for name, server in site.hosts.items():
        if server.expect == Expectation():
            simplest = "expect: {self: true}" if server.ssh else "expect: {sha256: …} from its console"
            yield (
                f"{name}: nothing is known of its certificate by another way, so stage 20 blocks the plan where its"
                f" entries are stale; write {simplest}, or what else you have (expect:)"
            )


def _typed(site: Site) -> Iterator[str]:
    if site.web == "guided":
        return
    if site.ha.auth_key == NOT_NAMED:
        yield "ha: no authentication key is named, so a plan that registers HA is blocked; write ha: auth_key:"
    for server in site.ise:
        if server.password == NOT_NAMED:
            advice = "write its user: and password:"
            yield f"{server.name}: no login is named, so a plan that adds it again is blocked; {advice}"
    if site.primary.web is None:
        advice = "write primary: web:, or web: guided"
        yield f"primary: no login to the web pages is named, so stages 40 and 50 stop; {advice}"
