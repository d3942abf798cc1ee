"""JupyterLab in a real browser, as a person works in it: notebooks are opened, cells are run, fields are filled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect, sync_playwright

from runbook_lib.paths import find_browser, notebooks_dir
from runbook_lib.show.advice import UNSEEN_S
from runbook_lib.web.launching import launch_arguments

SLOW_MS = 120_000
LONG_MS = 240_000
READ_MS = 1000 * UNSEEN_S + 100
DONE = re.compile(r"\[\d+\]:")
_CUT_OFF = """(panel) => {
  const folded = [...panel.querySelectorAll('details:not([open])')];
  folded.forEach((each) => { each.open = true; });
  const shown = [...panel.querySelectorAll('.rb, .jp-OutputArea-output')].filter((each) => each.clientWidth);
  const found = shown.filter((each) => each.scrollWidth > each.clientWidth + 1)
    .map((each) => `${each.scrollWidth} of ${each.clientWidth}: ${each.innerText.slice(0, 80)}`);
  const texts = [...panel.querySelectorAll('.rb .whole, .rb thead th')].flatMap((each) => [...each.childNodes]);
  for (const text of texts.filter((each) => each.nodeType === Node.TEXT_NODE)) {
    for (const word of text.data.matchAll(/[!-~]+/g)) {
      const place = document.createRange();
      place.setStart(text, word.index);
      place.setEnd(text, word.index + word[0].length);
      if (word[0].length <= 24 && place.getClientRects().length > 1) found.push(`broken: ${word[0]}`);
    }
  }
  folded.forEach((each) => { each.open = false; });
  return found;
}"""
_HEIGHTS = """(panel) => [
  [...panel.querySelectorAll('.jp-Cell')].reduce((sum, each) => sum + each.getBoundingClientRect().height, 0),
  panel.querySelector('.jp-WindowedPanel-outer').clientHeight,
]"""


_LAID_OUT = """([panel, cells]) => {
  const room = panel.querySelector('.jp-WindowedPanel-outer').getBoundingClientRect();
  const fills = window.innerHeight - room.height < 400 && Math.abs(window.innerWidth - room.right) < 100;
  return fills && panel.querySelectorAll('.jp-Cell').length >= cells;
}"""


_STYLED = """addEventListener('DOMContentLoaded', () => {
  const style = document.createElement('style');
  style.textContent = '%s';
  document.head.append(style);
});"""
# What blinks or turns keeps a browser drawing, and no test looks at it.
_AT_REST = _STYLED % "*, *::before, *::after { animation: none !important; transition: none !important }"
UNDRAWN = _STYLED % ":root { opacity: 0 }"
"""For who takes no pictures: all is laid out, hit and read as ever, and millions of pixels are not drawn."""


@contextmanager
def browser_context(**options: Any) -> Iterator[Any]:
    """One browser; what it is told to do has a minute and a half, on a machine that does much else."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=launch_arguments([]), timeout=SLOW_MS)
        context = browser.new_context(**options)
        context.add_init_script(_AT_REST)
        context.set_default_timeout(SLOW_MS)
        expect.set_options(timeout=SLOW_MS)
        try:
            yield context
        finally:
            browser.close()


class Notebook:
    """One notebook that is open in front, its cells by their place or by what they call."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name
        title = page.locator(f"h1:has-text('{name} · ')")
        opened = page.locator(".jp-NotebookPanel:visible").filter(has=title)
        # What is waited for is looked for again and again: by the panel's name and not by its words, which costs more,
        # and not by an assertion, which describes the whole page after each look.
        opened.wait_for()
        # Looked up by the browser: the driver's own search walks through all notebooks that are open.
        self.panel = page.locator(f"xpath=id('{opened.get_attribute('id')}')").filter(visible=True)
        self.wait_idle()

    def cell(self, calls: str) -> Locator:
        """The code cell whose source holds these words."""
        # The browser's own search: the driver's would read every cell of every open notebook at each look.
        editor = f"div[contains(@class, 'jp-InputArea-editor')][contains(., '{calls}')]"
        return self.panel.locator(f"xpath=.//div[contains(@class, 'jp-CodeCell')][.//{editor}]").first

    def start(self, calls: str) -> Locator:
        """Run one cell as with Shift+Enter, and do not wait for it."""
        cell = self.cell(calls)
        cell.locator(".jp-InputPrompt").click()
        expect(cell).to_have_class(re.compile("jp-mod-selected"))
        self.page.keyboard.press("Shift+Enter")
        return cell

    def wait(self, calls: str) -> Locator:
        """Wait until a cell that was started is through, and read it where it is red; return it."""
        cell = self.cell(calls)
        cell.locator(".jp-InputPrompt", has_text=DONE).wait_for(timeout=LONG_MS)
        if self.red(calls).count():
            self.page.wait_for_timeout(READ_MS)
        return cell

    def run(self, *calls: str) -> Locator:
        """Run cells one after the other, none of which is red, and return the last one."""
        for each in calls:
            self.start(each)
            cell = self.wait(each)
            assert self.red(each).count() == 0, self.red(each).first.inner_text()
        return cell

    def red(self, calls: str) -> Locator:
        """What a cell shows in red."""
        return self.cell(calls).locator('[data-mime-type="application/vnd.jupyter.stderr"]')

    def follow(self, link: str) -> Notebook:
        """Click a link in a table and return the notebook to which it leads."""
        self.panel.locator(".rb a", has_text=link).first.click()
        return Notebook(self.page, link[:2])

    def fill(self, label: str, value: object) -> None:
        """Type into the field of a form."""
        self.panel.get_by_label(label, exact=True).fill(str(value))

    def button(self, words: str) -> Locator:
        """The button of a form."""
        return self.panel.get_by_role("button", name=words)

    def drop(self, words: str, path: Path) -> None:
        """Let go of a file over the box that says these words, as the file manager of the desktop does."""
        box = self.panel.get_by_text(words)
        box.scroll_into_view_if_needed()
        place = box.bounding_box()
        assert place
        at = {"x": place["x"] + place["width"] / 2, "y": place["y"] + place["height"] / 2}
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        mouse = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            mouse.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
        mouse.detach()

    def choose(self, button: str, path: Path) -> None:
        """Choose a file for a button that takes one."""
        with self.page.expect_file_chooser() as chosen:
            self.button(button).click()
        chosen.value.set_files(path)

    def says(self, words: str) -> None:
        """Wait until the notebook shows these words."""
        self.panel.get_by_text(words).first.wait_for()

    def menu(self, menu: str, entry: str) -> None:
        """Click an entry of JupyterLab's menu."""
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{entry}$")).click()

    def theme(self, name: str) -> None:
        """Choose one of JupyterLab's themes, and wait until the page has it."""
        self.page.get_by_role("menuitem", name="Settings", exact=True).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Theme$")).hover()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{name}$")).click()
        expect(self.page.locator(f"body[data-jp-theme-name='{name}']")).to_be_attached()

    @contextmanager
    def window(self, width: int) -> Iterator[None]:
        """A window of this width, as tall as all cells, laid out and drawn: JupyterLab draws those alone in view."""
        before = self.page.viewport_size
        assert before
        [template] = notebooks_dir().glob(f"{self.name}_*.ipynb")
        cells = len(json.loads(template.read_text())["cells"])
        self.page.set_viewport_size({"width": width, "height": 12_000})
        self.page.wait_for_function(_LAID_OUT, arg=[self.panel.element_handle(), cells])
        try:
            yield
        finally:
            self.page.set_viewport_size(before)

    def cut_off(self) -> list[str]:
        """Return the tables that are wider than their room, and the keys that are broken, what is folded included."""
        return list(self.panel.evaluate(_CUT_OFF))

    def screens(self, height: int) -> float:
        """Return how many windows of this height it takes to see all cells, beside what JupyterLab itself takes."""
        cells, room = self.panel.evaluate(_HEIGHTS)
        assert self.page.viewport_size
        return float(cells / (height - (self.page.viewport_size["height"] - room)))

    def wait_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        # The status bar speaks of the notebook of before for a moment, and a panel without a kernel calls itself idle.
        self.panel.locator(".jp-KernelName", has_text="Python 3 (ipykernel)").wait_for(timeout=LONG_MS)
        self.panel.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").wait_for(timeout=LONG_MS)
