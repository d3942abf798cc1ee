"""Pictures of pages that mirror what is typed into them, in every way that a page has of showing a word."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import tornado.web
from tls_site import Identity, serving

from runbook_lib.params.labels import labels_for
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.web.actions import PageActions
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.view import PageView, take_picture

SECRET = "Kz-mirrored-Word7"
FORM = """<!doctype html><style>%s</style><h1>Prime</h1><label>Password <input type=password id=p></label>
<div id=out></div><script>const p = document.getElementById("p"), out = document.getElementById("out");
function mirror(word) { %s } p.addEventListener("input", () => p.value && mirror(p.value));</script>"""
SVG = (
    "`data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='300' height='20'>"
    "<text y='15'>${word}</text></svg>`"
)
CANVAS = "const c = document.createElement('canvas'); %s.append(c); c.getContext('2d').fillText(word, 10, 20)"
SPREAD = """[...word].map((c, i) => [c, i]).sort(() => Math.random() - 0.5).forEach(([c, i]) => {
  const e = document.createElement('b'); e.textContent = c; e.style.left = `${20 * i}px`; out.append(e); })"""
ROOT = "out.root ??= out.attachShadow({mode: 'closed'})"  # the page is told of each key that is typed
MIRRORS = {
    "text": ("", "out.textContent = word"),
    "an attribute shown by ::after": ("#out::after { content: attr(data-x) }", "out.dataset.x = word"),
    "a rule written for ::after": (
        "",
        "const s = document.createElement('style'); s.textContent = `#out::after{content:'${word}'}`; out.append(s)",
    ),
    "letter by letter": ("", "out.innerHTML = [...word].map((c) => `<b>${c}</b>`).join('')"),
    "letters put in place": ("b { position: absolute; top: 200px }", SPREAD),
    "a canvas": ("", CANVAS % "out"),
    "capitals": ("#out { text-transform: uppercase }", "out.textContent = word"),
    "capitals of the script": ("", "out.textContent = word.toUpperCase()"),
    "a closed shadow root": ("", f"({ROOT}).innerHTML = `<p>${{word}}</p>`"),
    "a canvas in a closed shadow root": ("", f"const r = {ROOT}; " + CANVAS % "r"),
    "hidden from assistive software": ("", "out.setAttribute('aria-hidden', 'true'); out.textContent = word"),
    "another field": ("", "out.innerHTML = '<input>'; out.firstChild.value = word"),
    "half of it in another secret field": (
        "",
        "out.innerHTML = '<input type=password>'; out.firstChild.value = word.slice(0, 8)",
    ),
    "a placeholder": ("", "out.innerHTML = '<input>'; out.firstChild.placeholder = word"),
    "a button": ("", "out.innerHTML = '<input type=button>'; out.firstChild.value = word"),
    "an area for text": ("", "out.innerHTML = '<textarea>'; out.firstChild.value = word"),
    "an entry of a list": ("", "out.innerHTML = `<select><option>${word}</select>`"),
    "the words of a missing image": ("", "out.innerHTML = `<img alt='${word}'>`"),
    "a drawing": ("", "out.innerHTML = `<svg width=300><text y=20>${word}</text></svg>`"),
    "an image of data": ("", f"const i = new Image(); i.src = {SVG}; out.append(i)"),
    "an image behind a box": (
        "#out { width: 300px; height: 20px }",
        f"out.style.backgroundImage = 'url(\"' + {SVG} + '\")'",
    ),
    "full-width letters": (
        "",
        "out.textContent = [...word].map((c) => String.fromCharCode(c.charCodeAt(0) + 0xFEE0)).join('')",
    ),
    "letters with nothing between": ("", "out.textContent = [...word].join('\\u200b\\u00ad')"),
    "letters with marks between": ("", "out.textContent = [...word].join('·')"),
    "backwards": ("", "out.textContent = [...word].reverse().join('')"),
    "a frame": ("", "out.innerHTML = '<iframe>'; out.firstChild.contentDocument.body.textContent = word"),
    "a frame that is shut in": ("", "out.innerHTML = '<iframe sandbox>'; out.firstChild.srcdoc = `<p>${word}`"),
}


class Page(tornado.web.RequestHandler):
    def get(self, name: str) -> None:
        style, script = MIRRORS.get(name, ("", ""))
        self.finish(FORM % (style, script))


class Later(tornado.web.RequestHandler):
    """A page that comes after the form: with a chart, and with the word that is asked for."""

    def get(self) -> None:
        said = f"p::after {{ content: '{self.get_argument('says', '')}' }}"
        self.finish(f"<!doctype html><canvas></canvas><style>{said}</style><p>")


async def pictures(folder: Path) -> dict[str, list[str]]:
    """Return for each page of which moments there are pictures, from an empty form to the pages after it."""
    identity = Identity(folder, "prime-pri")
    application = tornado.web.Application([("/later", Later), ("/(.*)", Page)])
    kept: list[str] = []
    found = {}
    with serving(application, identity.context()) as url:
        async with PinnedBrowser.open(find_browser(), url, identity.pin, Deadlines(connect_s=30, page_s=60)) as browser:
            view = PageView(browser, labels_for(), lambda name, png: kept.append(name))
            for how in ("nothing", *MIRRORS):
                await browser.go(f"/{how}")
                await take_picture(view, "empty")
                await PageActions(view).fill("login_password", SECRET, secret=True)
                await take_picture(view, "filled")
                if "shut in" in how:  # such a frame is loaded whenever the browser comes to it
                    await browser.page.frame_locator("iframe").get_by_text(SECRET).wait_for()
                await browser.page.evaluate("p.value = ''")
                await take_picture(view, "emptied")
                for word, name in (("", "later"), (SECRET, "repeated")):
                    await browser.go(f"/later?says={word}")
                    await take_picture(view, name)
                found[how], kept[:] = list(kept), []
    return found


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """One browser goes through all the pages."""
    return asyncio.run(pictures(tmp_path_factory.mktemp("pictures")))


def test_no_picture_is_taken_while_a_secret_stands_in_the_page(taken: dict[str, list[str]]) -> None:
    """It takes no picture of a page that a secret stands in.

    Where a page mirrors nothing there are pictures before the secret is typed, after the field is empty again, and of
    later pages, a chart and all; not of one whose server repeats the secret.
    """
    assert taken["nothing"] == ["empty", "emptied", "later"]


@pytest.mark.parametrize("how", MIRRORS)
def test_a_page_that_mirrors_a_secret_is_not_pictured(taken: dict[str, list[str]], how: str) -> None:
    """However a page shows what was typed into it, there is no picture of it, also when the field is empty again."""
    assert taken[how] == ["empty", "later"]
