"""Type into a field as a person does, and read back where it went."""

from __future__ import annotations

from contextlib import suppress

from playwright.async_api import ElementHandle, Error

_BEFORE = """el => {
  const kinds = ["hidden", "checkbox", "radio", "button", "submit", "image", "reset", "file"];
  const others = [...el.getRootNode().querySelectorAll("input, textarea")].filter((other) => other !== el
    && !kinds.includes(other.type));
  return { others, before: others.map((other) => other.value) };
}"""
# Each letter with the events of its key, as an edit of whatever has the focus then: limits, masks and fields that move
# on meet what they would meet. The page comes to its turn after each.
_TYPE = """async (el, value) => {
  const focused = () => {
    let at = el.ownerDocument.activeElement;
    while (at && at.shadowRoot && at.shadowRoot.activeElement) at = at.shadowRoot.activeElement;
    return at || el;
  };
  for (const key of value) {
    const code = key.toUpperCase().codePointAt(0), letter = key.codePointAt(0);
    const press = (type, code) => focused().dispatchEvent(new KeyboardEvent(type, { key, keyCode: code, which: code,
      charCode: type === "keypress" ? code : 0, bubbles: true, cancelable: true, composed: true }));
    if (press("keydown", code) && press("keypress", letter)) el.ownerDocument.execCommand("insertText", false, key);
    press("keyup", code);
    await (self.scheduler && scheduler.postTask ? scheduler.postTask(() => {}) : null);
  }
}"""
_AFTER = """(el, [{ others, before }, typed]) => {
  el.blur();
  const strayed = typed ? others.flatMap((field, n) => {
    // One letter that went astray is as wrong as all of them.
    const now = field.value, strayed = now !== before[n] && now && (typed.includes(now) || now.includes(typed));
    if (!strayed) return [];
    field.value = "";
    for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
    const label = field.labels && field.labels[0];
    return [field.getAttribute("aria-label") || (label && label.textContent) || field.name || field.type];
  }) : [];
  return [el.value !== undefined ? el.value : el.innerText, strayed];
}"""


async def type_into(element: ElementHandle, value: str, timeout_ms: float) -> tuple[str, list[str]]:
    """Type key by key, leave the field, and return what it holds and the names of other fields that it went into.

    Those are emptied. Buttons that wait for keys, and forms that judge a field once it is left, see what they wait for.
    The keys are sent within the page, which takes a tenth of the time; where the field does not hold what was typed
    then, and no other one does, they come from the browser once.
    """
    fields = await element.evaluate_handle(_BEFORE)
    await element.fill("", timeout=timeout_ms)
    with suppress(Error):  # a frame that may not run scripts takes the browser's keys alone
        await element.evaluate(_TYPE, value)
    typed, strayed = await element.evaluate(_AFTER, [fields, value])
    if typed != value and not strayed:
        await element.fill("", timeout=timeout_ms)
        await element.type(value, timeout=max(timeout_ms, 100 * len(value)))
        typed, strayed = await element.evaluate(_AFTER, [fields, value])
    return typed, strayed
