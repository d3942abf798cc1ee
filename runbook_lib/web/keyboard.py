"""Type into a field as a person does, and read back where it went."""

from __future__ import annotations

from playwright.async_api import ElementHandle

_FIELDS = """el => [...el.getRootNode().querySelectorAll("input, textarea")].filter((other) => other !== el
  && !["hidden", "checkbox", "radio", "button", "submit", "image", "reset", "file"].includes(other.type))"""
_VALUES = "fields => fields.map((field) => field.value)"
_OWN = "el => el.value !== undefined ? el.value : el.innerText"
_EMPTY = """(fields, [before, typed]) => fields.flatMap((field, n) => {
  // One letter that went astray is as wrong as all of them.
  const now = field.value, strayed = now !== before[n] && now && (typed.includes(now) || now.includes(typed));
  if (!strayed) return [];
  field.value = "";
  for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
  const label = field.labels && field.labels[0];
  return [field.getAttribute("aria-label") || (label && label.textContent) || field.name || field.type];
})"""


async def type_into(element: ElementHandle, value: str, timeout_ms: float) -> tuple[str, list[str]]:
    """Type key by key, leave the field, and return what it holds and the names of other fields that it went into.

    Those are emptied. Buttons that wait for keys, and forms that judge a field once it is left, see what they wait for.
    """
    fields = await element.evaluate_handle(_FIELDS)
    before = await fields.evaluate(_VALUES)
    await element.fill("", timeout=timeout_ms)
    await element.type(value, timeout=max(timeout_ms, 100 * len(value)))
    await element.evaluate("el => el.blur()")
    elsewhere = await fields.evaluate(_EMPTY, [before, value]) if value else []
    return await element.evaluate(_OWN), elsewhere
