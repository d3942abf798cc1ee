"""Read off a screen: the text beside a caption, what the page says of itself, the list of ISE servers. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from runbook_lib.observations import ListedIseServer
from runbook_lib.params.labels import OURS, Label, Labels
from runbook_lib.params.values import any_same_host, is_address, same_host, split_port
from runbook_lib.web.controls import READ, filtered_by, find, lines_of, same_line, unread_rows
from runbook_lib.web.screen import FIELDS, Item, Screen, ScreenRow, is_unspaced, plain, same_words, says

_BELOW_GAP, _MESSAGE_WORDS = 60, 60
_WHOLE = 4  # words: an expected phrase of so many is a question that a site's file holds
_SPAN = re.compile(r"\b\d+ (?=(?:to \d+ )?(?:hours?|minutes?)\b)")
_REGISTRATION = ("registration", "registering", "register")
_HOSTS = ("secondary_server", "ise_address", "virtual_ipv4", "virtual_ipv6")
_PADDING = re.compile(r"[_\s]+(?=\.|$)")
_BETWEEN = re.compile(r"[,;\s]+")  # two mail addresses
_MEANINGS = ("wrong_key", "mismatch", "unauthorized", "duplicate", "too_many", "unreachable")


def meaning(text: str, labels: Labels) -> str:
    """Return what a refusal means: ``wrong_key``, ``mismatch``, ``unauthorized``, ``duplicate``, ``too_many``,
    ``unreachable``, or nothing where the words are not known."""
    return next((name for name in _MEANINGS if says(text, labels.phrases[name])), "")


def concerns(text: str, labels: Labels) -> bool:
    """Whether a dialogue speaks of what is done here, and not of something else on the server."""
    return says(text, (*OURS, *labels.phrases["wrong_key"], *labels.phrases["mismatch"]))


def elsewhere(text: str, labels: Labels, about: str) -> bool:
    """Whether a text is about something else on the server, by its words or by another host's address."""
    words = (word.strip(".:") for word in re.split(r"[\s,;()]+", text))
    hosts = [word for word in words if is_address(word)]
    others = bool(hosts) and not any_same_host(about, tuple(hosts))
    return not concerns(text, labels) and (others or says(text, labels.phrases["elsewhere"]))


def agrees(question: str, labels: Labels, expected: Iterable[str], dangers: Iterable[str]) -> bool:
    """Whether a question is an expected one, in known words only: what is not understood is not agreed to.

    Another server, another user or what else goes on are words that nobody knows. In a script without blanks what is
    left once the known words are taken out is such a word.
    """
    phrases, rest = tuple(expected), f" {plain(question)} "
    whole = (phrase for phrase in phrases if len(phrase.split()) >= _WHOLE)
    for phrase in sorted((*labels.phrases["ask_planned"], *whole), key=len, reverse=True):
        rest = rest.replace(f" {plain(phrase)} ", " ")
    known = labels.phrases["ask_words"] + phrases
    words = {word for phrase in known for word in plain(phrase).split()}
    for word in sorted(filter(is_unspaced, words), key=len, reverse=True):
        rest = rest.replace(word, " ")
    understood = words.issuperset(_SPAN.sub("", rest).split())
    return understood and says(question, phrases) and not says(rest, dangers)


def refusal(texts: Iterable[str], labels: Labels) -> str:
    """Return the texts that say no, joined by line feeds; empty where none does."""
    no = [text for text in texts if _is_message(text) and (_says_no(text, labels) or meaning(text, labels))]
    return "\n".join(no)


def fresh_texts(before: Screen, after: Screen) -> tuple[str, ...]:
    """Return the texts of ``after`` that ``before`` did not show (or showed less often)."""
    return tuple((Counter(after.texts) - Counter(before.texts)).elements())


def unsaid(texts: Iterable[str], earlier: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that were not said before; a message may stay on the page long after what it speaks of."""
    known = {plain(text) for text in earlier}
    return tuple(text for text in texts if plain(text) not in known)


def messages(screen: Screen, labels: Labels) -> tuple[str, ...]:
    """Return what the page says of itself: live regions, and sentences that report a failed registration, or one that
    somebody else has begun."""

    def speaks(item: Item) -> bool:
        theirs = says(item.text, labels.phrases["others"]) and says(item.text, _REGISTRATION)
        return item.live or theirs or reports(item.text, labels, heading=item.heading)

    said = (item for item in screen.items if item.kind == "text" and _is_message(item.text))
    return tuple(dict.fromkeys(item.text for item in said if speaks(item)))


def reports(text: str, labels: Labels, *, heading: bool = False) -> bool:
    """Whether a text is a sentence that reports a failed registration; a heading only where it names the reason."""
    if not _is_message(text):
        return False
    about = concerns(text, labels) or says(text, labels["milestone_replication"].texts)
    strong = (*labels.phrases["wrong_key"], *labels.phrases["mismatch"])
    return (about and not heading and _says_no(text, labels)) or says(text, strong)


def says_it_goes_on(texts: Iterable[str], labels: Labels) -> bool:
    """Whether a text says that a registration is under way; “Please wait” is said of anything."""
    return any(says(text, labels.phrases["under_way"]) and concerns(text, labels) for text in texts)


def value_beside(screen: Screen, label: Label, known: Iterable[str] = ()) -> str | None:
    """Return the text that stands beside, below or behind a caption; None where the caption is not there.

    ``known`` are other captions: one of them is never the value.
    """
    captions = (*label.texts, *known)
    for text in label.texts:
        for value in (*_in_rows(screen.rows, text), *_in_texts(screen, text)):
            if value and not any(same_words(value, caption) for caption in captions):
                return value
    for hit in find(screen, label, kinds=FIELDS):
        if hit.item.value and hit.rank[0] == 0:
            return hit.item.value
    return "" if any(same_words(shown, text) for shown in screen.texts for text in label.texts) else None


def _is_message(text: str) -> bool:
    return len(text.split()) <= _MESSAGE_WORDS


def _says_no(text: str, labels: Labels) -> bool:
    """Whether a text refuses; one that reports work under way may warn of what must not be done meanwhile."""
    if says(text, labels.phrases["harmless"]):
        return False
    if says(text, labels.phrases["under_way"]) and not says(text, labels.phrases["milestone_failed"]):
        return False
    return says(text, labels.phrases["refused"])


def _in_rows(rows: Sequence[ScreenRow], text: str) -> Iterator[str]:
    for number, row in enumerate(rows):
        for column, cell in enumerate(row.cells):
            if same_words(cell, text):
                if not row.header:
                    yield from [after for after in row.cells[column + 1 :] if plain(after)][:1]
                below = rows[number + 1] if number + 1 < len(rows) else None
                if below is not None and len(below.cells) == len(row.cells) > 1:
                    yield below.cells[column]


def _in_texts(screen: Screen, text: str) -> Iterator[str]:
    for items in screen.frames.values():
        for position, item in enumerate(items):
            if item.kind != "text":
                continue
            if same_words(item.text, text):
                yield from _values_near(item, items, position)
            elif rest := _rest(item.text, text):
                yield rest


def _values_near(item: Item, items: Sequence[Item], position: int) -> Iterator[str]:
    shown = [other for other in items if other is not item and plain(_word(other)) and other.kind in ("text", *FIELDS)]
    right = [other for other in shown if same_line(other, item) and other.left >= item.right - 4]
    near = (other for other in shown if -4 <= other.top - item.bottom <= _BELOW_GAP)
    below = [other for other in near if min(other.right, item.right) > max(other.left, item.left)]
    yield from (_word(other) for other in sorted(right, key=lambda other: other.left)[:1])
    yield from (_word(other) for other in sorted(below, key=lambda other: other.top)[:1])
    yield from (_word(other) for other in items[position + 1 : position + 2] if other.kind == "text")


def _word(item: Item) -> str:
    return item.text if item.kind == "text" else item.value


def _rest(text: str, caption: str) -> str:
    """What follows a caption within one text, as in ``Configuration Mode: Primary Active``."""
    before, separator, after = text.replace("：", ":").partition(":")
    if separator and same_words(before, caption):
        return after.strip()
    words, count = text.split(), len(plain(caption).split())
    return " ".join(words[count:]) if len(words) > count and same_words(" ".join(words[:count]), caption) else ""


def is_kept(key: str, held: str, value: str) -> bool:
    """Whether a field holds what was typed into it, perhaps in the page's spelling.

    An address may stand in a mask with places that are not filled (``10_.0__.0__.1__``). Hosts and mail addresses mean
    the same in capitals, and a page that writes them so takes no others. In the part before the @ capitals could tell
    two mailboxes apart by the standard; no mail system in use does so.
    """
    if key == "email" and held.isascii():
        return _BETWEEN.split(held.strip().lower()) == _BETWEEN.split(value.strip().lower())
    shown = _PADDING.sub("", held) if is_address(value) else held.strip()
    return held.strip() == value.strip() or (key in _HOSTS and same_host(shown, value.strip()))


# -- Read the table of ISE servers off a screen. Pure ----------------------------------------------

Listed = tuple[ListedIseServer, ...]
_LINE_WORDS, _SHORT = 60, 80
_BRACKETED = re.compile(r"(\S+) \(([^\s()]+)\)")


def ise_servers(screen: Screen, labels: Labels) -> Listed:
    """Return the rows of the table of ISE servers: every row that holds an address.

    Where no table holds one, lines of text count as rows, below a head of columns or with a state that is known.
    """
    servers = _ise_servers(screen.rows, labels)
    lines = () if servers else tuple(row for row in _lines(screen) if len(row.cells) > 1)
    headed = any(_heads(row, labels) for row in lines)
    return servers or tuple(row for row in _ise_servers(lines, labels) if headed or row.answers is not None)


def _ise_servers(rows: Sequence[ScreenRow], labels: Labels) -> Listed:
    servers: list[ListedIseServer] = []
    header: ScreenRow | None = None
    for row in rows:
        if _heads(row, labels):
            header = row
            continue
        if header is not None and (header.table, header.frame) != (row.table, row.frame):
            # Products draw a table's head and body as two tables: it still counts where the columns agree.
            header = header if len(header.cells) == len(row.cells) and header.frame == row.frame else None
        server = None if row.listed else _ise_server(row, header, labels)
        if server is not None and server.address not in [known.address for known in servers]:
            servers.append(server)
    return tuple(servers)


def _heads(row: ScreenRow, labels: Labels) -> bool:
    """Whether a row names columns; layouts without header cells say so by their words alone."""
    texts = labels["column_status"].texts
    return row.header or (len(row.cells) > 1 and any(same_words(cell, text) for cell in row.cells for text in texts))


def _lines(screen: Screen) -> Iterator[ScreenRow]:
    """Texts outside of tables that stand on one line, as rows."""
    for number, items in screen.frames.items():
        for line in lines_of([item for item in items if item.kind == "text" and item.row < 0]):
            cells = tuple(item.text for item in line.items)
            if len(cells) > 1 or len(cells[0].split()) <= _LINE_WORDS:
                yield ScreenRow(cells=cells, frame=number, table=-1)


def _ise_server(row: ScreenRow, header: ScreenRow | None, labels: Labels) -> ListedIseServer | None:
    cells = dict(enumerate(row.cells))
    over = header.cells if header is not None and len(header.cells) == len(row.cells) else ()
    named = [n for n, cell in enumerate(over) if any(same_words(cell, text) for text in labels["column_address"].texts)]
    at = next((n for n, cell in cells.items() if is_address(host_in(cell))), None)
    if at is None:
        at = next((n for n in named if cells[n] and " " not in cells[n]), None)
    if at is None:
        return None
    heads, texts = header.cells if header else (), labels["column_status"].texts
    states = [n for n, head in enumerate(heads) if n in cells and any(same_words(head, text) for text in texts)]
    server = ListedIseServer(address=host_in(cells[at]))
    for number in (*states, *(n for n in cells if n != at)):
        answers = _answers(cells[number], labels)
        if answers is not None:
            return replace(server, status=cells[number], answers=answers)
    return replace(server, status=next((cells[n] for n in states), ""))


def host_in(cell: str) -> str:
    """Return the host that a cell names: with its port, or with its name and its address, one of them in brackets."""
    match = _BRACKETED.fullmatch(cell.strip())
    parts = [split_port(part)[0] for part in (match.groups() if match else (cell.strip(),))]
    return next((part for part in parts if is_address(part)), parts[0])


def row_of(address: str, listed: Sequence[ListedIseServer]) -> ListedIseServer | None:
    """Return the row of a server, however its address is written; None where it is not listed."""
    return next((row for row in listed if same_host(row.address, address)), None)


def missing(sought: Sequence[str], listed: Sequence[ListedIseServer]) -> list[str]:
    """Return the servers that are sought and not listed."""
    return [host for host in sought if not row_of(host, listed)]


def further_rows(
    screen: Screen, labels: Labels, so_far: Sequence[ListedIseServer], pages: int = 1, *, turns: bool = True
) -> str:
    """Return what says that the list has rows that are not among those found on its ``pages`` so far; else nothing.

    Not ``turns``: what is called *Next* has turned nothing, and says nothing.
    """
    addresses = {server.address for server in ise_servers(screen, labels)}
    captions = (*labels["column_address"].texts, *labels["column_status"].texts)
    commands = [hit.item for key in ("ise_command", "ise_add") for hit in find(screen, labels[key])]
    for items in screen.frames.values():
        if by := filtered_by(items, items, labels):
            return by
        shown = [item for item in items if item.kind in READ]
        own = [item for item in shown if host_in(item.text) in addresses]
        heads = [item for item in shown if any(same_words(item.text, text) for text in captions)]
        if own or (heads and not addresses):
            rows = {item.row for item in own if item.row >= 0}
            around = [item for item in shown if item.row not in rows and item not in own]
            top = min(item.top for item in (*own, *heads))
            first = min((item.top for item in own), default=top)
            said = unread_rows(around, top, first, max((item.bottom for item in own), default=top), len(so_far), pages)
            if own and (cut := _leaves_rows_out(screen, own[0], commands)):
                return cut
            if said is not None:
                return said
    # The markup may count the header too.
    listed = (row for row in screen.rows if any(host_in(cell) in addresses for cell in row.cells))
    if any(row.total - 1 > len(so_far) for row in listed):
        return "its rows are not all drawn"
    return next((words for words in ways_on(screen, labels) if turns and says(words, ("next",))), "")


def ways_on(screen: Screen, labels: Labels) -> list[str]:
    """Return the words of what turns to the next page of a list and can be pressed."""
    return [hit.item.text for hit in find(screen, labels["next_page"]) if not hit.item.disabled]


def _leaves_rows_out(screen: Screen, row: Item, commands: Sequence[Item]) -> str:
    """Say so where what a row is scrolled in holds more than is drawn.

    What the page's commands stand in as well is scrolled as a whole.
    """
    for scroll in screen.scrolls:
        inside = [item for item in screen.frames[row.frame] if scroll.number in item.scrolls]
        own = scroll.frame == row.frame and row.scrolls[-1:] == (scroll.number,) and set(commands).isdisjoint(inside)
        if own and (scroll.moved or scroll.bottom - max(item.bottom for item in inside) >= 1.5 * row.box[3]):
            return "its rows are not all drawn"
    return ""


def list_is_drawn(screen: Screen, labels: Labels) -> bool:
    """Whether the page shows the columns of its list, or says that there is nothing in it."""
    return says_in_short("empty", screen, labels) or any(_heads(row, labels) for row in (*screen.rows, *_lines(screen)))


def says_in_short(what: str, screen: Screen, labels: Labels) -> bool:
    """Whether a short text of the page says what the phrases ``what`` mean, such as ``loading``."""
    return any(says(text, labels.phrases[what]) for text in screen.texts if len(text) < _SHORT)


def _answers(text: str, labels: Labels) -> bool | None:
    if says(text, labels.phrases["not_answering"]):
        return False
    return True if says(text, labels.phrases["answering"]) else None
