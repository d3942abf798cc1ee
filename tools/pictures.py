"""Make the pictures in docs/images anew (``make pictures``): one repair of the lab in JupyterLab, light and dark.

The browser, the server and the words that are looked for are those of tests/notebooks, so that whoever changes what a
notebook shows finds this way broken by the same change.
"""

from __future__ import annotations

import shutil
import struct
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "notebooks")]

from jupyter_page import Notebook, browser_context  # noqa: E402
from lab_server import Server, jupyter_server  # noqa: E402
from test_by_hand import DROP, FINGERPRINT, OPEN, fields, give_name, keep  # noqa: E402

from runbook_lib.lab import daemon  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WINDOW, TALL = {"width": 1180, "height": 640}, {"width": 1250, "height": 6400}
FOLDER = Path(tempfile.gettempdir()) / "runbook"
"""Where the lab lies: pictures show its path. Where it is there already, this run ends."""
COLOURS, EXACT = 256, 64
FORM_PX = 955
"""How much is shown of the form for a new site, whose end adds nothing."""


def main() -> None:
    """Repair the lab once and write each picture on the way."""
    FOLDER.mkdir()
    try:
        with jupyter_server(FOLDER) as server, browser_context(viewport=WINDOW) as context:
            page = context.new_page()
            page.on("dialog", lambda dialog: dialog.accept())
            page.goto(f"{server.base}/?token={server.token}")
            start = Notebook(page, "00")
            take(start, "00-open")
            page.set_viewport_size(TALL)
            repair(start, server)
    finally:
        shutil.rmtree(FOLDER)


def take(notebook: Notebook, name: str, part: Locator | None = None, height: float = 1e9) -> None:
    """Write what a cell shows, or the window, in both themes."""
    for theme in ("Dark", "Light"):
        notebook.theme(f"JupyterLab {theme}")
        box = part.bounding_box() if part else None
        clip = {**box, "height": min(height, box["height"])} if box else None
        path = IMAGES / f"{name}-{theme.lower()}.png"
        path.write_bytes(with_palette(notebook.page.screenshot(clip=clip, animations="disabled")))
        print(path.relative_to(ROOT), flush=True)


def with_palette(png: bytes) -> bytes:
    """Return a browser's picture with 256 colours, in about two fifths of the bytes; the commonest ones are exact."""
    (width, height), depth = struct.unpack(">II", png[16:24]), {2: 3, 6: 4}[png[25]]
    rows = [
        [row[place : place + 3] for place in range(0, width * depth, depth)]
        for row in pixels(zlib.decompress(parts(png, b"IDAT")), width * depth, depth)
    ]
    used = Counter(colour for row in rows for colour in row)
    coarse: Counter[bytes] = Counter()
    for colour, often in used.items():
        coarse[bytes(value & 0xF0 | 8 for value in colour)] += often
    ranked = [colour for colour, _ in (*used.most_common(EXACT), *coarse.most_common())]
    palette = list(dict.fromkeys(ranked))[:COLOURS]
    nearest = {
        colour: min(
            range(len(palette)), key=lambda n: sum((a - b) ** 2 for a, b in zip(colour, palette[n], strict=True))
        )
        for colour in used
    }
    body = b"".join(b"\0" + bytes(nearest[colour] for colour in row) for row in rows)
    head = struct.pack(">II5B", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(body, 9)), (b"IEND", b""))
    return png[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def parts(png: bytes, wanted: bytes) -> bytes:
    """Return what the chunks of one kind hold, in their order."""
    found, place = b"", 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        found += png[place + 8 : place + 8 + length] if kind == wanted else b""
        place += 12 + length
    return found


def pixels(raw: bytes, stride: int, depth: int) -> Iterator[bytes]:
    """Yield the rows of a picture, its filters undone (PNG, 9.2)."""
    above = bytes(stride)
    for begin in range(0, len(raw), stride + 1):
        kind, row = raw[begin], bytearray(raw[begin + 1 : begin + 1 + stride])
        for n in range(stride) if kind else ():
            left, up, corner = (row[n - depth], above[n], above[n - depth]) if n >= depth else (0, above[n], 0)
            if kind == 4:  # Paeth: whichever is nearest to left + up - corner
                to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
                guess = left if to_left <= to_up and to_left <= to_corner else up if to_up <= to_corner else corner
            else:
                guess = (left, up, (left + up) // 2)[kind - 1]
            row[n] = (row[n] + guess) & 0xFF
        above = bytes(row)
        yield above


def repair(start: Notebook, server: Server) -> None:
    """Go from the form for a new site to the report."""
    page = start.page
    start.run("site =", "choose_site")
    start.button("Make a new site").click()
    start.fill("Site's name", "paris")
    start.fill("Primary: address", "https://192.0.2.10")
    start.panel.get_by_label("Primary: SSH password", exact=True).press_sequentially("hunter2")
    start.says("that was not a reference, and it was not kept")
    take(start, "00-site", start.cell("choose_site").locator(".jp-OutputArea-output").last, FORM_PX)
    for label, value in fields(server.lab).items():
        start.fill(label, value)
    start.button("Write the site's file").click()
    start.says("Written: params/paris.yaml")
    start.run('open_runbook("00')
    take(start, "00-preflight", start.run("rb.preflight"))
    take(start, "00-next", start.run("rb.close"))

    logs = start.follow("10_diagnose_logs")
    logs.run(*OPEN)
    take(logs, "10-logs", logs.run("rb.diagnose"))
    logs.run("rb.close")

    lists = logs.follow("20_list_certificates")
    lists.run(*OPEN, "rb.expectations")
    lists.fill(FINGERPRINT, "AB " * 20)
    lists.says("as SHA-1 has")
    take(lists, "20-expect", lists.cell("rb.expectations"))
    host = lists.panel.get_by_label("Host", exact=True)
    lists.fill(FINGERPRINT, (server.lab / "desk" / "primary.sha256").read_text().strip())
    keep(lists, "primary")
    host.select_option("secondary")
    lists.drop(DROP, server.lab / "desk" / "secondary.csr")
    keep(lists, "secondary")
    lists.run("rb.inventory", "rb.plan", "rb.override")
    lists.fill("In full words", "yes")
    lists.says("that is not the phrase")
    take(lists, "20-override", lists.cell("rb.override"))
    host.select_option("ise")
    lists.choose("CSR or certificate file", server.lab / "desk" / "ise.pem")
    keep(lists, "ise")
    lists.run("rb.inventory")
    take(lists, "20-plan", lists.run("rb.plan"))
    lists.run("rb.override", "rb.close")

    delete = lists.follow("30_delete_stale_certificates")
    delete.panel.locator(".jp-MarkdownCell").first.click()
    delete.menu("Run", "Run All Cells")
    take(delete, "30-approval", delete.wait("rb.approval"))
    delete.fill("Your name", "Ada Example")
    delete.button("Approve this plan").click()
    delete.says("Ada Example")
    delete.run("rb.approval")
    give_name(delete, "rb.delete()", "paris")
    take(delete, "30-deleted", delete.run("rb.delete()"))
    delete.run("rb.prove", "rb.close")

    register = delete.follow("40_register_ha")
    register.run(*OPEN, "rb.observe", "rb.approval")
    give_name(register, "rb.readiness", "paris")
    register.run("rb.readiness")
    daemon.fault(server.lab, "held_registration", "primary")  # so that it goes on until both pictures are taken
    bar = register.start("rb.register()")
    expect(bar).to_contain_text("Database Replication")
    expect(bar.locator("progress[value]")).to_be_visible()
    take(register, "40-bar", bar)
    daemon.fault(server.lab, "none")
    register.wait("rb.register()")
    take(register, "40-active", register.run("rb.prove"))
    register.run("rb.close")

    ise = register.follow("50_readd_ise")
    ise.run(*OPEN, "rb.observe")
    give_name(ise, "rb.readd", "paris")
    ise.run("rb.readd")
    take(ise, "50-ise", ise.run("rb.prove"))
    ise.run("rb.close")

    verify = ise.follow("60_verify")
    verify.run(*OPEN)
    take(verify, "60-checks", verify.run("rb.verify"))
    take(verify, "60-repaired", verify.run("rb.outcome"))
    verify.run("rb.close")

    post_mortem = verify.follow("70_post_mortem")
    post_mortem.run(*OPEN)
    take(post_mortem, "70-summary", post_mortem.run("rb.summary"))
    post_mortem.run("rb.write", "rb.close")
    journal(page)


def journal(page: Page) -> None:
    """Look at the journal in 90_history."""
    page.get_by_role("tab", name="00_").click()
    Notebook(page, "00").panel.get_by_role("link", name="90_history").click()
    history = Notebook(page, "90")
    history.run("site =", "open_history")
    take(history, "90-journal", history.run("history.journal"))


if __name__ == "__main__":
    main()
