// List what a person sees in one frame, in the order of the document: controls and runs of text.
// Returns {items, rows, scrolls, elements, busy}; elements[i] belongs to items[i]. busy: where something lies over the page that
// has nothing to press or to fill in, the items in it, and -1 at last. hinted: with what words say beside themselves, which
// costs more than all else where a table is long. Reads only; changes nothing.
(hinted) => {
  const items = [], elements = [], rows = [], tops = [], tables = [], scrolls = [];
  const tableOf = (el) => {
    // Grids draw a table for each row, which is none to anybody who hears the page.
    const table = el.closest("[role=grid],[role=treegrid]")
      || el.closest("table,[role=table],[role=list],ul,ol") || el.parentElement;
    if (!tables.includes(table)) tables.push(table);
    return tables.indexOf(table);
  };
  const KINDS = {
    button: "button", link: "link", checkbox: "checkbox", switch: "checkbox", radio: "radio", tab: "tab",
    menuitem: "menuitem", menuitemcheckbox: "menuitem", menuitemradio: "menuitem", treeitem: "menuitem",
    option: "option", combobox: "combobox", listbox: "listbox", textbox: "textbox", searchbox: "textbox",
    spinbutton: "textbox", progressbar: "progressbar", meter: "progressbar",
  };
  const PRESSED = new Set(["button", "link", "tab", "menuitem", "option", "checkbox", "radio", "clickable"]);
  const clean = (text) => (text || "").replace(/\s+/g, " ").trim();
  const number = (el, ...attributes) => Math.max(0, ...attributes.map((name) => parseInt(el.getAttribute(name), 10) || 0));
  const root = document.scrollingElement || document.documentElement;
  if (!root || !document.body) return { items, rows, scrolls, elements, busy: [] };
  if (root.scrollHeight > innerHeight + 4) {
    scrolls.push({ whole: true, moved: root.scrollTop > 0, top: Math.round(window.scrollY + innerHeight), bottom: root.scrollHeight });
  }

  // What is read from right to left is listed as in a mirror: a caption stands before its field.
  const mirrored = getComputedStyle(document.body).direction === "rtl";
  const left = (rect) => mirrored ? root.clientWidth - rect.right - window.scrollX : rect.left + window.scrollX;
  const box = (rect) => [left(rect), rect.top + window.scrollY, rect.width, rect.height].map(Math.round);
  const onPage = (rect) => rect.width > 0 && rect.height > 0
    && left(rect) + rect.width > 0 && rect.bottom + window.scrollY > 0;
  const seen = (el) => {
    const style = getComputedStyle(el);
    return style.visibility === "visible" && style.opacity !== "0" && onPage(el.getBoundingClientRect());
  };
  const shown = (el) => el && (el.checkVisibility ? el.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })
    : el.offsetParent !== null) && onPage(el.getBoundingClientRect());

  // What elements of a page's own make show stands in no text of those around them.
  const pierced = [...document.querySelectorAll("*")].some((el) => el.shadowRoot);
  const drawnIn = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return node.data;
    if (node.nodeType !== Node.ELEMENT_NODE || /^(SCRIPT|STYLE|TEMPLATE)$/.test(node.tagName)) return "";
    if (!node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && getComputedStyle(node).display !== "contents") return "";
    const inner = node.tagName === "SLOT" && node.assignedNodes().length ? node.assignedNodes() : (node.shadowRoot || node).childNodes;
    const text = [...inner].map(drawnIn).join("");
    return getComputedStyle(node).display.startsWith("inline") ? text : ` ${text} `;
  };
  const below = (el, what) => !pierced ? el.querySelectorAll(what)
    : [el, ...el.querySelectorAll("*")].flatMap((one) => [...(one !== el && one.matches(what) ? [one] : []),
      ...(one.shadowRoot ? below(one.shadowRoot, what) : [])]);
  const words = (el) => {
    // The text that an element shows, with the words of its pictures.
    if (!el) return "";
    let text = clean(pierced ? drawnIn(el) : el.innerText !== undefined ? el.innerText : el.textContent);
    for (const picture of el.querySelectorAll ? below(el, "img[alt], [role=img], svg, i[title], span[title], :is(i, span)[aria-label]:empty") : []) {
      const alt = picture.getAttribute("alt") || picture.getAttribute("aria-label")
        || (picture.querySelector && picture.querySelector("title") || {}).textContent
        || (clean(picture.textContent) ? "" : picture.getAttribute("title"));
      if (alt && !text.includes(clean(alt))) text = clean(text + " " + alt);
    }
    return text;
  };
  // What an element says of itself beside its words: hints, signs drawn by CSS, what calls it invalid, struck out or failing.
  const FAILING = new Set("error err fail fails failed failure critical danger fatal invalid warn warning red".split(" "));
  const NEGATED = new Set("no not non without hide hidden if on".split(" "));
  const failing = (text) => {
    const parts = ((text || "").match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) || []).map((part) => part.toLowerCase());
    return parts.some((part) => FAILING.has(part)) && !parts.some((part) => NEGATED.has(part));
  };
  const fileOf = (address) => (address || "").startsWith("data:") ? "" : (address || "").split(/[?"')]/)[0].split(/[\/#]/).pop();
  const hints = (el) => {
    const style = getComputedStyle(el), found = ["title", "aria-label", "aria-description", "aria-valuetext", "alt"].map((name) => el.getAttribute(name));
    for (const other of [...referred(el, "aria-describedby"), ...referred(el, "aria-errormessage")]) found.push(other.textContent);
    const drawn = ["::before", "::after"].map((part) => getComputedStyle(el, part).content).filter((text) => !/^(none|normal)$/.test(text));
    found.push(...drawn.map((text) => text.replace(/["']/g, "")));
    if (!/^(|false)$/.test(el.getAttribute("aria-invalid") || "")) found.push("error: marked as invalid");
    if (/line-through/.test(style.textDecorationLine)) found.push("error: struck out");
    // A class may only say where a message would stand; one of a picture, or of words that name a state, speaks of that.
    const image = style.backgroundImage.replace(/^url\(["']?/, ""), picture = /^(img|svg|use|image|input)$/i.test(el.tagName);
    const signs = [...(el.getAttribute("class") || "").split(/\s+/), el.getAttribute("data-status"), el.getAttribute("data-state"), fileOf(image),
      ...(picture ? [fileOf(el.getAttribute("src")), fileOf(el.getAttribute("href") || el.getAttribute("xlink:href"))] : [])];
    const mute = !clean(el.textContent) && (picture || drawn.length || style.backgroundImage !== "none");
    for (const sign of signs.filter((sign) => failing(sign) && !sign.includes(":"))) found.push(mute ? `error: ${sign}` : clean(el.textContent) ? `${sign}: error` : "");
    return found.map(clean).filter(Boolean);
  };
  // As a state is: all that is asked of hints is what they say of one.
  const short = (text) => hinted && /^\D{1,24}$/.test(text);
  const hintsIn = (el) => [el, ...[...below(el, "*")].filter(shown)].flatMap(hints);
  const beside = (el, text) => {
    // Of words in no row: what the outermost element says that shows nothing else.
    if (!short(text)) return [];
    let outer = el;
    for (let up = el; up && up.childElementCount < 4 && clean(up.textContent) === text; up = up.parentElement) outer = up;
    return hintsIn(outer);
  };
  const referred = (el, attribute) => (el.getAttribute(attribute) || "").split(/\s+/).filter(Boolean)
    .map((id) => el.getRootNode().getElementById && el.getRootNode().getElementById(id)).filter(Boolean);

  const kindOf = (el, style) => {
    const tag = el.tagName.toLowerCase();
    const role = (el.getAttribute("role") || "").trim().split(/\s+/)[0];
    if (role === "listbox" && el.getAttribute("aria-haspopup") === "true") return "combobox";
    if (tag === "input") {
      const sign = el.readOnly && el.tabIndex < 0;
      if (sign && (/presentation/.test(el.getAttribute("role")) || el.getAttribute("aria-hidden") === "true")) return "";
      const type = (el.getAttribute("type") || "").toLowerCase();
      if (type === "hidden" || type === "file") return "";
      if (type === "password") return "password";
      if (["button", "submit", "reset", "image"].includes(type)) return role === "tab" ? "tab" : "button";
      if (type === "checkbox" || type === "radio") return type;
      if (role === "combobox") return "combobox";
      return ["range", "color"].includes(type) ? "" : "textbox";
    }
    if (tag === "textarea") return "textbox";
    if (tag === "select") return "combobox";
    if (KINDS[role]) return KINDS[role] === "button" && el.getAttribute("aria-haspopup") === "listbox" ? "combobox" : KINDS[role];
    if (tag === "progress" || tag === "meter") return "progressbar";
    if (tag === "button" || tag === "summary") return el.getAttribute("aria-haspopup") === "listbox" ? "combobox" : "button";
    if (tag === "a" && (el.hasAttribute("href") || el.onclick || style.cursor === "pointer")) return "link";
    if (tag === "area" && el.hasAttribute("href")) return "link";
    if (el.isContentEditable && !(el.parentElement && el.parentElement.isContentEditable)) return "textbox";
    return "";
  };

  const native = (el) => el.tagName === "INPUT" || el.tagName === "TEXTAREA" || el.tagName === "SELECT";
  const names = (el, kind) => {
    const found = [];
    const add = (level, text) => { const t = clean(text); if (t && !found.some((f) => f[1] === t)) found.push([level, t]); };
    for (const other of referred(el, "aria-labelledby")) add(0, words(other));
    add(0, el.getAttribute("aria-label"));
    for (const label of labelsOf(el, kind)) add(0, ownLabel(label));
    // What roles and names say of a control decides over what is drawn on it.
    const named = found.some(([, text]) => /\p{L}/u.test(text));
    if (PRESSED.has(kind) && !native(el) && !named) add(0, words(el));
    if (kind === "button" && native(el)) { add(0, el.value); add(0, el.getAttribute("alt")); }
    add(1, el.getAttribute("placeholder"));
    for (const text of overlaid(el)) add(1, text);
    add(1, el.getAttribute("title"));
    const field = el.closest("fieldset, [role=group], [role=radiogroup]");
    if (kind === "radio" || kind === "checkbox") return found;
    if (field && field.querySelectorAll("input:not([type=hidden]),select,textarea,[role=combobox]").length === 1) {
      add(1, groupName(field));
    }
    return found;
  };
  const labelsOf = (el, kind) => {
    // The label of a drawn drop-down belongs to the field in it, or to its element.
    if (native(el) || kind !== "combobox") return el.labels || [];
    const inner = el.querySelector("input:not([type=hidden]):not([aria-hidden=true]):not([role=presentation])");
    const byId = el.id ? [...el.getRootNode().querySelectorAll(`label[for="${CSS.escape(el.id)}"]`)] : [];
    return [...byId, ...((inner && inner.labels) || [])];
  };
  const overlaid = (el) => {
    // Some libraries draw a hint over the field and hide it once something is typed.
    if (!native(el) || !el.parentElement) return [];
    return [...el.parentElement.children].filter((other) => other !== el && !other.childElementCount
      && getComputedStyle(other).position === "absolute" && /\p{L}{2}/u.test(other.textContent)).map((other) => other.textContent);
  };
  const ownLabel = (label) => {
    // A label that wraps its control shows the control's words too: leave those out.
    const copy = label.cloneNode(true);
    for (const inner of copy.querySelectorAll("input,select,textarea,button,script,style")) inner.remove();
    return copy.textContent;
  };
  const groupName = (group) => {
    const legend = group.querySelector(":scope > legend");
    const by = referred(group, "aria-labelledby").map(words).join(" ");
    return clean(by || group.getAttribute("aria-label") || (legend ? words(legend) : ""));
  };

  const value = (el, kind) => {
    if (kind === "password") return el.value ? "(hidden)" : "";
    if (el.tagName === "SELECT") return clean([...el.selectedOptions].map((o) => o.text).join(", "));
    if (kind === "progressbar") {
      const now = el.getAttribute("aria-valuenow") ?? el.value, max = el.getAttribute("aria-valuemax") ?? el.max ?? 100;
      const min = Number(el.getAttribute("aria-valuemin") ?? 0);
      if (now === null || now === undefined || now === "" || el.position === -1) return "";
      return String(Math.floor((100 * (Number(now) - min)) / (Number(max) - min || 1)));
    }
    if (el.value !== undefined && typeof el.value === "string") return clean(el.value);
    const inner = kind === "combobox"
      && el.querySelector("input:not([type=hidden]):not([aria-hidden=true]):not([role=presentation])");
    if (inner) return clean(inner.value);
    return kind === "combobox" || el.isContentEditable ? words(el) : "";
  };
  const state = (el, attribute, native) => {
    const aria = el.getAttribute(attribute);
    return aria === "true" || aria === "mixed" ? true : aria === "false" ? !!native : !!native;
  };

  const off = (el) => {
    // Some pages only draw it so: greyed out by a class, deaf to the pointer, or with a sign at it. A page that is all
    // so for a while says nothing of one button.
    const style = getComputedStyle(el), around = el.parentElement && getComputedStyle(el.parentElement);
    const grey = (one) => one && [...one.classList].some((name) => /disabled?$/i.test(name));
    const own = (name, value) => style[name] === value && !(around && around[name] === value);
    return el.disabled === true || el.getAttribute("aria-disabled") === "true" || !!el.closest("fieldset:disabled,[inert]")
      || own("cursor", "not-allowed") || own("pointerEvents", "none") || grey(el)
      || (!!el.parentElement && el.parentElement.childElementCount === 1 && grey(el.parentElement));
  };

  const folds = (el, kind) => {
    // What it names as its own part of the page and does not show: a closed section, another tab; a menu or a list is none.
    if (el.hasAttribute("aria-haspopup") || kind === "combobox" || kind === "textbox") return false;
    if (el.tagName === "SUMMARY") return !!el.parentElement && !el.parentElement.open;
    if (kind === "tab") {
      // dijit marks none but the one that is chosen.
      const chosen = el.getAttribute("aria-selected"), all = el.closest("[role=tablist]");
      if (chosen === "false" || (!chosen && all && all.querySelector("[aria-selected=true]"))) return true;
    }
    const parts = referred(el, "aria-controls");
    return parts.some((part) => !shown(part) && !part.contains(el) && /\S/.test(part.textContent))
      || (!parts.length && el.getAttribute("aria-expanded") === "false");
  };

  const leadsTo = (form) => {
    // A field called “action” hides the form's own property of that name.
    try { return form ? new URL(form.getAttribute("action") || "", location.href).href : ""; } catch { return ""; }
  };

  let run = null;
  const flush = () => {
    if (run && clean(run.text)) {
      const range = document.createRange();
      range.setStartBefore(run.first); range.setEndAfter(run.last);
      const rect = range.getBoundingClientRect();
      const text = clean(run.text), el = run.first.parentElement || run.first.parentNode.host;
      if (onPage(rect)) put(el, { kind: "text", names: [[0, text]], box: box(rect), hints: run.place.row === undefined ? beside(el, text) : [] }, run.place);
    }
    run = null;
  };
  const put = (el, item, place) => {
    items.push({
      value: "", options: [], checked: false, disabled: false, href: "", group: "",
      ...item, ...place,
    });
    elements.push(el);
  };
  const control = (el, kind, place) => {
    let acted = el;
    if ((kind === "checkbox" || kind === "radio") && !shown(el)) acted = [...(el.labels || [])].find(shown) || el;
    const radios = el.closest("fieldset, [role=radiogroup], [role=group]");
    put(acted, {
      kind, names: names(el, kind), value: value(el, kind), box: box(acted.getBoundingClientRect()),
      options: el.tagName === "SELECT" ? [...el.options].map((o) => clean(o.text)) : [],
      checked: el.tagName === "INPUT" ? el.checked : state(el, "aria-checked", false) || state(el, "aria-selected", false),
      disabled: off(el),
      folded: folds(el, kind),
      menu: kind === "button" && /^(true|menu)$/.test(el.getAttribute("aria-haspopup")) && !(el.type === "submit" && el.form),
      href: el.href && typeof el.href === "string" ? el.href : kind === "password" ? leadsTo(el.form) : "",
      group: kind === "radio" && radios ? groupName(radios) : "",
      series: kind === "radio" ? (el.name || (el.closest("[role=radiogroup]") ? "aria" : "")) : "",
    }, place);
  };

  const isIcon = (el, style) => {
    const rect = el.getBoundingClientRect();
    const presses = style.cursor === "pointer" || el.onclick || el.hasAttribute("tabindex") || /icon|toggle|menu|burger/i.test(el.className);
    return presses && rect.width <= 64 && rect.height <= 64 && rect.width >= 8 && rect.height >= 8;
  };

  const DIALOGUE = "[role~=dialog], [role~=alertdialog], dialog[open], [aria-modal=true]";
  const dialogue = (el) => ({
    dialog: groupName(el) || clean((el.querySelector("h1,h2,h3,h4") || {}).textContent) || "dialog",
    modal: el.getAttribute("role") === "alertdialog" || el.getAttribute("aria-modal") === "true" || el.matches(":modal"),
  });
  const onTop = (el) => {
    const rect = el.getBoundingClientRect();
    return el.ownerDocument.elementFromPoint(rect.left + rect.width / 2, rect.top + rect.height / 2) === el;
  };

  let pressed = null;
  const walk = (node, place, pointer) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const parent = node.parentElement || (node.parentNode && node.parentNode.host);
      if (!node.data.trim()) { if (run) run.text += " "; return; }
      if (parent && getComputedStyle(parent).visibility !== "visible") return;
      if (!run) run = { text: "", first: node, last: node, place: { ...place } };
      run.text += node.data; run.last = node;
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const el = node, tag = el.tagName;
    if (tag === "SCRIPT" || tag === "STYLE" || tag === "NOSCRIPT" || tag === "TEMPLATE" || tag === "HEAD") return;
    if (tag === "BR") { flush(); return; }
    const style = getComputedStyle(el);
    const ticked = tag === "INPUT" && (el.type === "checkbox" || el.type === "radio");
    if (ticked) {
      // Libraries draw the box themselves and lay the real one over it, fully transparent.
      const clear = style.opacity === "0" && style.visibility === "visible" && onPage(el.getBoundingClientRect());
      if (shown(el) || clear || [...(el.labels || [])].some(shown)) { flush(); control(el, kindOf(el, style), place); }
      return;
    }
    if (style.display === "none" || style.opacity === "0") return;
    if (style.display !== "contents" && style.overflow !== "visible" && tag !== "BODY" && tag !== "HTML"
      && (el.offsetWidth <= 1 || el.offsetHeight <= 1)) return;
    const role = (el.getAttribute("role") || "").trim().split(/\s+/)[0];
    const inside = { ...place, ...(el.matches(DIALOGUE) ? dialogue(el) : {}) };
    if (tag === "IFRAME" && inside.dialog && onTop(el)) put(el, { kind: "frame", box: box(el.getBoundingClientRect()) }, inside);
    if (["alert", "status", "log"].includes(role) || ["polite", "assertive"].includes(el.getAttribute("aria-live"))) inside.live = true;
    if (tag === "NAV" || ["navigation", "menubar", "menu", "tree", "tablist"].includes(role)) inside.nav = true;
    if (/auto|scroll/.test(style.overflowY) && el !== root && el !== document.body && el.scrollHeight > el.clientHeight + 4) {
      inside.scrolls = [...(place.scrolls || []), scrolls.length];
      const top = el.getBoundingClientRect().top + window.scrollY + el.clientTop - el.scrollTop;
      scrolls.push({ moved: el.scrollTop > 0, top: Math.round(top), bottom: Math.round(top + el.scrollHeight) });
    }
    if (/^H[1-6]$/.test(tag) || role === "heading" || tag === "LEGEND") inside.heading = true;
    if (tag === "TR" || role === "row" || tag === "LI" || role === "listitem") {
      const cells = [...el.querySelectorAll("td,th,[role=cell],[role=gridcell],[role=columnheader],[role=rowheader]")]
        .filter((cell) => cell.closest("tr,[role=row],li,[role=listitem]") === el && shown(cell));
      // A table within a cell may only hold the cell's words; anything more is a layout and no row.
      const nested = (part) => part.querySelectorAll("tr,[role=row],li").length;
      const wraps = cells.length > 1 && cells.every((cell) => nested(cell) <= 1 && words(cell).length <= 80);
      if ((!nested(el) || wraps) && shown(el)) {
        const loose = [...el.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
        const parts = cells.length ? cells : loose ? [] : [...el.children].filter(shown);
        const all = [...el.querySelectorAll("th,[role=columnheader]")].filter(shown);
        // Grids draw a table for each row, and mark what is around it.
        const outer = el.closest("[role=row]"), marked = outer && nested(outer) === 1 ? outer : el;
        const table = tableOf(el), top = Math.round(el.getBoundingClientRect().top);
        const said = parts.length ? parts.map(words) : [words(el)];
        const row = {
          cells: said,
          header: cells.length > 0 && all.length === cells.length,
          selected: [el, marked].some((one) => one.getAttribute("aria-selected") === "true" || /(^|[^n])selected/i.test(one.className)),
          listed: !cells.length,
          spans: cells.length === 1 ? Math.max(cells[0].colSpan || 1, number(cells[0], "aria-colspan")) : 1,
          table,
          position: number(el, "aria-rowindex", "aria-posinset"),
          hints: !hinted || (cells.length && !said.some(short)) ? [] : [
            ...[...new Set([el, marked])].flatMap(hints).map((hint) => ["", hint]),
            ...(parts.length ? parts : [...el.children]).flatMap((part) => hintsIn(part).map((hint) => [words(part), hint])),
            ...[...el.children].filter((part) => !shown(part)).map((part) => ["(hidden)", clean(part.textContent)]),
          ],
          total: number(el.closest("[aria-rowcount]") || el, "aria-rowcount", "aria-setsize"),
        };
        // Columns that stay in view while others scroll have rows of their own beside those of the others.
        const beside = el.closest("[role=grid],[role=treegrid]") ? tops.findIndex((at, n) => at === top && rows[n].table === table) : -1;
        if (beside >= 0) {
          const other = rows[beside];
          Object.assign(other, { cells: [...other.cells, ...row.cells], hints: [...other.hints, ...row.hints], header: other.header && row.header, selected: other.selected || row.selected });
        } else {
          rows.push(row);
          tops.push(top);
        }
        inside.row = beside >= 0 ? beside : rows.length - 1;
      }
    }
    const kind = kindOf(el, style);
    // Words in a frame of their own stand for themselves: a button, as far as anybody can see.
    const inline = (style.display === "inline" || style.display === "contents") && style.borderLeftStyle === "none";
    if (kind && kind !== "listbox") {
      if (!seen(el)) { if (kind !== "textbox" && kind !== "combobox") descend(el, inside, pointer); return; }
      flush();
      control(el, kind, inside);
      if (el.tagName === "DIV" || el.tagName === "SPAN" || el.tagName === "LI" || el.shadowRoot) nestedControls(el, inside);
      return;
    }
    const points = (style.cursor === "pointer" || el.onclick || el.getAttribute("tabindex") === "0") && !pointer && tag !== "LABEL";
    // Buttons of a toolbar are often nothing but a picture, whose name shows under the pointer.
    const hint = inside.heading ? "" : clean(el.getAttribute("title") || el.getAttribute("aria-label") || el.getAttribute("alt"));
    // One in a row that can be pressed speaks for itself, unless that row is listed with all that it says.
    const alone = hint && !(pressed && pressed.contains(el)) && ![...el.children].some(shown) && !words(el);
    if ((points || alone) && seen(el)) {
      const text = words(el) || hint;
      if (text && text.length <= 80 && !el.querySelector("input,select,textarea,button,a[href],[role=button],[role=option],[role=menuitem]")) {
        flush();
        pressed = el;
        put(el, { kind: "clickable", names: [[0, text]], disabled: off(el), box: box(el.getBoundingClientRect()) }, inside);
      }
    }
    if (!hint && !pointer && !clean(el.textContent) && !el.childElementCount && seen(el) && isIcon(el, style)) {
      const glyph = ["::before", "::after"].map((part) => getComputedStyle(el, part).content.replace(/["']/g, "")).join(" ");
      flush();
      put(el, { kind: "icon", names: [[2, clean(`${el.className} ${glyph}`.replace(/none|normal/g, ""))]],
        box: box(el.getBoundingClientRect()) }, inside);
    }
    if (!inline) flush();
    descend(el, inside, pointer || points);
    if (!inline) flush();
  };
  const nestedControls = (el, place) => {
    // Menus put further entries inside an entry, comboboxes their field or their options.
    for (const child of el.querySelectorAll("ul,ol,[role=menu],[role=group],[role=listbox],input,[role=option],[role=textbox]")) {
      if (child.parentElement.closest("ul,ol,[role=menu],[role=group],[role=listbox]") !== el.closest("ul,ol,[role=menu],[role=group],[role=listbox]")
        && el.contains(child.parentElement.closest("ul,ol,[role=menu],[role=group],[role=listbox]"))) continue;
      walk(child, place, true); flush();
    }
  };
  const descend = (el, place, pointer) => {
    if (el.tagName === "SLOT" && el.assignedNodes().length) {
      for (const child of el.assignedNodes()) walk(child, place, pointer);
    } else {
      for (const child of (el.shadowRoot || el).childNodes) walk(child, place, pointer);
    }
  };
  // What stands in a frame of a dialogue is part of that, as long as nothing lies over it.
  const holder = window.frameElement, around = holder && holder.closest(DIALOGUE);
  walk(document.body, around && onTop(holder) ? dialogue(around) : {}, false);
  flush();

  // What lies over the whole page lets nothing else be used, whether its markup calls it a dialogue or not.
  const hit = (x, y) => {
    let found = document.elementFromPoint(x, y);
    while (found && found.shadowRoot) {
      const inner = found.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === found) break;
      found = inner;
    }
    return found;
  };
  const above = (el) => el.parentElement || (el.getRootNode() instanceof ShadowRoot ? el.getRootNode().host : null);
  const within = (el, outer) => { for (let e = el; e; e = above(e)) if (e === outer) return true; return false; };
  const covers = (el) => {
    // The document itself, which is an only child too, covers nothing, however tall it is.
    if (el === document.documentElement || el === document.body) return false;
    const style = getComputedStyle(el), rect = el.getBoundingClientRect();
    return (style.position === "fixed" || style.position === "absolute" || el.matches(":only-child"))
      && rect.width >= innerWidth * 0.9 && rect.height >= innerHeight * 0.9;
  };
  const drawn = (el) => {
    // Some covers are drawn by an element within one that is not.
    const style = getComputedStyle(el);
    if ([...el.children].some((child) => covers(child) && drawn(child))) return true;
    return style.backgroundImage !== "none" || !/^(transparent|rgba\(.*, 0\))$/.test(style.backgroundColor);
  };
  const cover = () => {
    const votes = new Map();
    for (const fx of [0.05, 0.5, 0.95]) {
      for (const fy of [0.05, 0.5, 0.95]) {
        let top = null;
        for (let e = hit(innerWidth * fx, innerHeight * fy); e; e = above(e)) if (covers(e)) top = e;
        if (top) votes.set(top, (votes.get(top) || 0) + 1);
      }
    }
    return [...votes].filter(([, count]) => count >= 5).map(([el]) => el)[0];
  };
  const centre = (el) => { const r = el.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; };
  const layer = cover();
  const atTheEdge = (el) => {
    let outer = el;
    while (above(outer) && !within(layer, above(outer))) outer = above(outer);
    const rect = outer.getBoundingClientRect();
    return rect.width >= innerWidth * 0.9 || rect.height >= innerHeight * 0.9;
  };
  let busy = [];
  if (layer) {
    const inner = elements.map((el) => within(el, layer));
    const free = elements.map((el, i) => { const h = inner[i] ? null : hit(...centre(el)); return !!h && (within(h, el) || within(el, h)); });
    const hidden = elements.some((el, i) => !inner[i] && !free[i] && within(hit(...centre(el)) || root, layer));
    // A header that stays usable beside a cover is no part of it.
    const before = elements.map((el, i) => inner[i] || (free[i] && (!!items[i].dialog || !atTheEdge(el))));
    const front = items.filter((_, i) => before[i]);
    if (hidden && (drawn(layer) || inner.includes(true))) {
      const usable = front.some((item) => !["text", "progressbar", "frame"].includes(item.kind));
      if (!usable) busy = items.map((_, i) => i).filter((i) => before[i]).concat(-1);
      if (usable) for (const item of front) { item.modal = true; item.dialog = item.dialog || "over the page"; }
    }
  }
  return { items, rows, scrolls, elements, busy };
}
