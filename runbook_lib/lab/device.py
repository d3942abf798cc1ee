"""One PI server as its command line sees it: joins the world, the options and the faults."""

from __future__ import annotations

import re

from runbook_lib.lab import ade_text
from runbook_lib.lab.ade_cli import Reply
from runbook_lib.lab.core import Core
from runbook_lib.lab.world import PEER


class PiDevice:
    """Implements ``ade_cli.Device``."""

    def __init__(self, core: Core, server: str) -> None:
        self._core = core
        self._server = server
        self._pi = core.world.pi[server]

    @property
    def host_name(self) -> str:
        return self._pi.host_name

    def list_certificates(self) -> Reply:
        options, faults = self._core.options, self._core.faults
        entries = [(entry, stored.der) for entry, stored in self._pi.tofu.items()]
        if options.list_order == "turning" and len(entries) % 2:
            entries.reverse()
        peer = self._core.world.pi[PEER[self._server]].entry_key if self._server == "secondary" else ""
        text = ade_text.listing(entries, options.listing, options.banner, narrow=peer, footer=options.list_footer)
        if garbage := faults.happens("listcerts_garbage", self._server):
            text = str(garbage.get("text", "java.lang.NullPointerException\n\tat com.example.Tofu.list\n"))
        if edited := faults.happens("listcerts_edited", self._server):
            text = re.sub(str(edited.get("pattern")), str(edited.get("by")), text)
        if cut := faults.happens("listcerts_truncated", self._server):
            text = text[: int(cut.get("keep", len(text) // 2))]
        return Reply(text, f"listed {len(entries)}")

    def delete_certificate(self, entry: str) -> Reply:
        if entry not in self._pi.tofu:
            return Reply(f"No certificate found for host {entry}\n", "not found")
        if self._core.options.deletecert == "question":
            question = self._core.options.question.replace("{entry}", entry)
            return Reply(effect="asked", question=question, on_yes=lambda: self._delete(entry))
        return self._delete(entry)

    def _delete(self, entry: str) -> Reply:
        said = "" if self._core.options.deletecert == "silent" else f"Certificate of host {entry} deleted\n"
        lie = self._core.faults.happens("deletecert_lie", self._server, entry=entry)
        how = lie.get("how") if lie else ""
        if how == "done_but_stays":
            return Reply(said, "kept")
        if how == "error_but_gone":
            said = f"Error: certificate of host {entry} could not be deleted\n"
        victim = self._another(entry) if how == "deletes_another" else entry
        gone = self._core.world.delete_entry(self._server, victim)
        return Reply(said, f"deleted {victim}" if gone else "not found")

    def _another(self, entry: str) -> str:
        others = [key for key in self._pi.tofu if key != entry]
        foreign = [key for key in others if key not in self._pi.own_entries]
        return (foreign or others or [entry])[0]

    def ha_status(self) -> Reply:
        world = self._core.world
        return Reply(ade_text.ha_status(self._role, world.ha_state(self._server), world.failover))

    def set_auth_key(self, key: str) -> Reply:
        self._pi.auth_key = key
        self._core.world.changed()
        return Reply(f"Going to update {self._server} authentication key\nSuccessfully updated\n", "key set")

    def remove_ha(self) -> Reply:
        text = "High availability configuration will be removed\n"
        return Reply(text, "asked", question="Do you wish to continue? (Y/N) ", on_yes=self._remove)

    def _remove(self) -> Reply:
        problem = self._core.world.remove_ha(self._server)
        if not problem:
            self._core.faults.clear("ha_broken")
        return Reply(f"{problem or 'HA configuration removed'}\n", "refused" if problem else "HA removed")

    def services(self) -> Reply:
        return Reply(ade_text.ncs_status(self._role, self._core.world.ha_state(self._server)))

    def version(self) -> Reply:
        options = self._core.options
        release = options.release_of(self._server)
        fixes = options.fixes.splitlines()
        return Reply(ade_text.version(self._pi.host_name, release, fixes=fixes, ade_block=options.ade_block))

    @property
    def _role(self) -> str:
        return self._server.capitalize()
