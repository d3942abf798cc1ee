// What is done within the page where a field is filled in, and where what sends a form is pressed.
({
  // The other fields of the page, and what they hold before anything is typed.
  before: (el) => {
    const kinds = ["hidden", "checkbox", "radio", "button", "submit", "image", "reset", "file"];
    const others = [...el.getRootNode().querySelectorAll("input, textarea")].filter((other) => other !== el
      && !kinds.includes(other.type));
    return { others, before: others.map((other) => other.value) };
  },

  // Each letter with the events of its key, as an edit of whatever has the focus then: limits, masks and fields that move
  // on meet what they would meet. The page comes to its turn after each.
  type: async (el, value) => {
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

  // Whether the next field around something to press is one of those.
  standsWith: (el, fields) => {
    const up = (at) => at.parentNode || at.host;
    const within = (at, outer) => at && (at === outer || within(up(at), outer));
    const typed = (field) => !field.readOnly && field.checkVisibility()
      && !/^(hidden|button|submit|reset|image|checkbox|radio|file|range|color)$/.test(field.type);
    for (let at = el; at; at = up(at)) {
      if (fields.some((field) => within(field, at))) return true;
      if (at.querySelectorAll && [...at.querySelectorAll("input, textarea")].some(typed)) return false;
    }
    return true;
  },
})
