"""A file that is chosen with a button or dropped: its name and its bytes are handed on, and no widget keeps them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets

from runbook_lib.certificates.files import LARGEST_FILE
from runbook_lib.words import said

FILES = ".csr,.req,.p10,.pem,.cer,.crt,.der"

# The button of ipywidgets takes no drop. What is dropped goes through a field that nobody sees, a byte more of it than
# may be, so that what is too large is refused like any other. Where a page allows no handlers the button is left.
_READ = """
const field = this.closest('.rb-file').querySelector('textarea');
const files = event.dataTransfer.files;
const hand = (name, base64) => {
  field.value = JSON.stringify({count: files.length, name, base64});
  field.dispatchEvent(new Event('input', {bubbles: true}));
};
const reader = new FileReader();
reader.onload = () => hand(files[0].name, reader.result.split(',')[1] || '');
reader.onerror = () => hand(files[0].name, '');
if (files.length === 1) reader.readAsDataURL(files[0].slice(0, LARGEST + 1)); else hand('', '');
""".replace("LARGEST", str(LARGEST_FILE))
_OVER = "event.preventDefault();this.classList.add('rb-over')"
_AWAY = "this.classList.remove('rb-over')"
_DROP = f"event.preventDefault();event.stopPropagation();{_AWAY};{_READ}"


class FileField:
    """A box that a file is dropped on, and a button that chooses one; ``take`` gets its name and its bytes.

    ``refuse`` gets the sentence that says why nothing was taken.
    """

    def __init__(
        self, words: str, label: str, take: Callable[[str, bytes], None], refuse: Callable[[str], None]
    ) -> None:
        self._take = take
        self._refuse = refuse
        self.button = ipywidgets.FileUpload(
            description=said(label), accept=FILES, multiple=False, layout={"width": "max-content", "min_width": "16em"}
        )
        self.dropped = ipywidgets.Textarea(layout={"display": "none"})
        handlers = f'ondragover="{_OVER}" ondragleave="{_AWAY}" ondrop="{escape(_DROP)}"'
        box = ipywidgets.HTML(f'<div class="rb-drop" {handlers}>{escape(said(words))}</div>')
        self.widget = ipywidgets.VBox([box, self.dropped, self.button])
        self.widget.add_class("rb-file")
        self.button.observe(self._chosen, names="value")
        self.dropped.observe(self._drop, names="value")

    def _chosen(self, change: Any) -> None:
        if not change["new"]:
            return
        chosen = change["new"][0]
        name, content = str(chosen["name"]), bytes(chosen["content"])
        self.button.value = ()  # what it was is not kept in the widget, whatever it was
        self._take(name, content)

    def _drop(self, change: Any) -> None:
        if not change["new"]:
            return
        self.dropped.value = ""
        given = json.loads(change["new"])
        if given["count"] != 1:
            self._refuse("That was not one file; drop the file of one CSR or certificate.")
        else:
            self._take(str(given["name"]), base64.b64decode(given["base64"]))
