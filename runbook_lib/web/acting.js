// What is done within the page where a field is filled in or pressed, and where something lies over it.
({
  // The other fields of the page, and what they hold before anything is typed.
  before: (el) => {
    const kinds = ["hidden", "checkbox", "radio", "button", "submit", "image", "reset", "file"];
    const others = [...el.getRootNode().querySelectorAll("input, textarea")].filter((other) => other !== el
      && !kinds.includes(other.type));
    return { others, before: others.map((other) => other.value) };
  },

  // What has the focus of the field: itself, or something within it; null where the page has given the focus elsewhere.
  focused(el) {
    let at = el.ownerDocument.activeElement, within = el.contains(at);
    while (at && at.shadowRoot && at.shadowRoot.activeElement) {
      at = at.shadowRoot.activeElement;
      within ||= el.contains(at);
    }
    return within ? at : null;
  },

  // Give the focus back to the field; whether it has it then.
  refocused(el) {
    el.focus();
    return this.focused(el) !== null;
  },

  // Each letter with the events of its key: limits and masks meet what they would meet, and the page comes to its turn
  // after each. Nothing else that gets the focus meanwhile, such as a dialogue, gets a key: a blank presses its button,
  // and part of a secret would stand in its field. Whether all of it was typed.
  async type(el, value) {
    for (const key of value) {
      if (!this.focused(el)) return false;
      const code = key.toUpperCase().codePointAt(0), letter = key.codePointAt(0);
      const press = (type, code) => {
        const at = this.focused(el);
        return at && at.dispatchEvent(new KeyboardEvent(type, { key, keyCode: code, which: code,
          charCode: type === "keypress" ? code : 0, bubbles: true, cancelable: true, composed: true }));
      };
      if (press("keydown", code) && press("keypress", letter) && this.focused(el)) {
        el.ownerDocument.execCommand("insertText", false, key);
      }
      press("keyup", code);
      await (self.scheduler && scheduler.postTask ? scheduler.postTask(() => {}) : null);
    }
    return true;
  },

  // Leave the field; empty others that what was typed went into. What it holds, and the names of those.
  after: (el, [{ others, before }, typed]) => {
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
  },

  // What holds a node, and whether it stands within another one: out of shadow roots too.
  up: (at) => at.parentNode || at.host,
  within(at, outer) {
    return !!at && (at === outer || this.within(this.up(at), outer));
  },

  // Whether the next field around something to press is one of those.
  standsWith(el, fields) {
    const typed = (field) => !field.readOnly && field.checkVisibility() && !field.closest("[inert]")
      && !/^(hidden|button|submit|reset|image|checkbox|radio|file|range|color)$/.test(field.type);
    for (let at = el; at; at = this.up(at)) {
      if (fields.some((field) => this.within(field, at))) return true;
      if (at.querySelectorAll && [...at.querySelectorAll("input, textarea")].some(typed)) return false;
    }
    return true;
  },

  // Whether the form of a field asks for a password and holds none. What stands in one is left as it is, as a person leaves
  // the password of a mail server: where it is the key once more, the page or its server says that the two differ.
  unfilled: (el) => [...(el.closest("form, dialog, [role=dialog], [role=form]") || el.getRootNode()).querySelectorAll("input[type=password]")]
    .some((one) => !one.value && !one.disabled && !one.readOnly && !one.closest("[inert]") && one.checkVisibility({ checkVisibilityCSS: true })),

  // What a part of a row says of it that nobody sees, such as the value of its box; and what each that holds it up to the row says.
  carried(el) {
    const says = (one) => [...one.attributes].filter((each) => /^(value|name|id|href|onclick|data-.*)$/.test(each.name));
    const row = el.closest("tr, [role=row], li"), parts = [...el.querySelectorAll("input")];
    for (let at = el; at && at !== el.ownerDocument.body; at = at === row || !row ? null : at.parentElement) parts.push(at);
    return parts.map((one) => says(one).map((each) => each.value.replace(/_/g, " ")).join(" "));
  },

  // The option of a list that is called so.
  option: (el, text) => [...el.options].find((one) => one.text.replace(/\s+/g, " ").trim() === text),

  // The small thing at the right end of a field, such as the arrow that opens its list.
  end: (el) => {
    const box = el.getBoundingClientRect(), y = box.top + box.height / 2;
    for (const x of [-6, -12, -18, -24, 6, 12].map((step) => box.right + step)) {
      const found = el.getRootNode().elementFromPoint(x, y);
      if (found && found !== el && !found.contains(el) && found.getBoundingClientRect().width <= 40) return found;
    }
    return null;
  },

  // What lies over the middle of an element, if anything does.
  cover(el) {
    const box = el.getBoundingClientRect();
    const over = el.getRootNode().elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return !over || this.within(over, el) || this.within(el, over) ? null : over;
  },

  // What lies over each of the listed elements, in words.
  covers(h, indices) {
    return indices.map((i) => {
      const over = this.cover(h.elements[i]);
      return over ? [over.tagName.toLowerCase(), over.className, (over.innerText || "").slice(0, 60)].filter(Boolean).join(" ") : "";
    });
  },

  // The numbers of the listed elements that lie over one of them.
  over(h, i) {
    const el = h.elements[i];
    let over = this.cover(el);
    if (!over) return [];
    while (!this.within(el, this.up(over))) over = this.up(over);
    return h.elements.flatMap((other, n) => this.within(other, over) ? [n] : []);
  },
})
