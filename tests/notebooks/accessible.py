"""Whether a form can be used without a mouse and without telling colours apart, as the browser itself sees it."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from playwright.sync_api import Locator, Page

CONTROLS = "input, select, textarea, button, summary, [tabindex='0']"
ROLES = "button|checkbox|combobox|group|textbox"
LEAST = {"text": 4.5, "value": 4.5, "hint": 4.5, "edge": 3.0, "strip": 3.0}

_CONTROLS = """(shown, controls) => [...shown.querySelectorAll(controls)]
  .filter((each) => each.checkVisibility() && !each.disabled)
  .map((each) => [each.getBoundingClientRect().x, each.getBoundingClientRect().y])"""
_FOCUSED = """(shown) => {
  const focused = document.activeElement, place = focused.getBoundingClientRect();
  return shown.contains(focused) ? [place.x, place.y] : null;
}"""
# What is half transparent is laid over what is behind it, before it is compared as WCAG 2 does.
_CONTRASTS = """(shown) => {
  const rgba = (css) => { const [r, g, b, a = 1] = css.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, ground(node.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const look = (kind, node, css, behind) => {
    const [low, high] = [light(over(rgba(css), behind)), light(behind)].sort((a, b) => a - b);
    found.push([kind, (high + 0.05) / (low + 0.05), (node.textContent || node.placeholder || '').trim().slice(0, 40)]);
  };
  for (const node of shown.querySelectorAll('*')) {
    if (!node.getClientRects().length || node.closest('svg, style') || node.disabled) continue;
    const style = getComputedStyle(node);
    const words = [...node.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (words && !node.matches('option')) look('text', node, style.color, ground(node));
    if (node.matches('input:not([type=checkbox]), select, textarea')) {
      look('value', node, style.color, ground(node));
      look('hint', node, getComputedStyle(node, '::placeholder').color, ground(node));
    }
    if (node.matches('input:not([type=checkbox]), select, textarea, button, .rb-drop'))
      look('edge', node, style.borderTopWidth === '0px' ? style.backgroundColor : style.borderTopColor,
        ground(node.parentElement));
    if (node.matches('[role=status], .good > :first-child, .bad > :first-child, .doubt > :first-child') &&
        style.borderLeftWidth === '4px') look('strip', node, style.borderLeftColor, ground(node));
  }
  return found;
}"""


def nameless(shown: Locator) -> list[str]:
    """Return the lines of the accessibility tree that are controls without a name."""
    return re.findall(rf"^ *- (?:{ROLES})(?: \[.*\])?:?$", shown.aria_snapshot(), re.MULTILINE)


def out_of_reach(page: Page, shown: Locator) -> list[Any]:
    """Return the places of controls that the tab key does not reach in their order, or that stand before the last."""
    wanted = shown.evaluate(_CONTROLS, CONTROLS)
    assert wanted
    shown.locator(CONTROLS).locator("visible=true").first.focus()
    reached = []
    while (place := shown.evaluate(_FOCUSED)) and len(reached) <= len(wanted):
        reached.append(place)
        page.keyboard.press("Tab")
    missed = [place for place in wanted if place not in reached]
    backward = [later for one, later in pairwise(reached) if later[1] < one[1] and later[0] <= one[0]]
    return missed + backward if reached == wanted else [*missed, *backward, reached]


def gaps_between_headings(panel: Locator) -> list[str]:
    """Return the headings of a notebook that skip a level."""
    levels = panel.locator("h1, h2, h3, h4, h5, h6").evaluate_all(
        "(all) => all.filter((each) => each.getClientRects().length).map((each) => each.tagName)"
    )
    return [f"{one} {later}" for one, later in pairwise(levels) if int(later[1]) > int(one[1]) + 1]


def said_by_colour_alone(shown: Locator) -> list[str]:
    """Return what has a coloured strip and does not begin with a sign."""
    coloured = shown.locator("[role=status][style*='border-left'], tr.good, tr.bad, tr.doubt, tr.ready, tr.alarm")
    return [text for text in coloured.all_text_contents() if not re.match("(?:[✔✘?→]|!!!) *.", text.strip())]


def too_faint(shown: Locator) -> list[tuple[str, float, str]]:
    """Return what has too little contrast with what is behind it: letters 4.5 to 1, edges and strips 3 to 1."""
    found = shown.evaluate(_CONTRASTS)
    assert {kind for kind, _, _ in found} >= {"text"}
    return [(kind, round(ratio, 2), words) for kind, ratio, words in found if ratio < LEAST[kind]]
