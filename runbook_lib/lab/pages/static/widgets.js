// Widgets made of plain boxes with ARIA roles, and the calls to the server. Texts only ever become text nodes.
let last = 0;

export function box(attributes, ...children) {
  const { tag = "div", ...rest } = attributes;
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(rest)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function unique(stem) {
  last += 1;
  return `${stem}${last}`;
}

function pressable(made, act) {
  made.addEventListener("click", act);
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act(event);
  });
  return made;
}

export function button(text, act, kind = "") {
  return pressable(box({ role: "button", tabindex: 0, class: `push ${kind}` }, text), (event) => {
    if (event.currentTarget.getAttribute("aria-disabled") !== "true") act(event);
  });
}

export function heading(text, level) {
  return box({ role: "heading", "aria-level": level, class: `head${level}` }, text);
}

export function alert(text) {
  return text ? box({ role: "alert", class: "alert" }, text) : null;
}

export function field(caption, name, { secret = false, value = "" } = {}) {
  const id = unique("cap");
  const input = box({
    tag: "input", type: secret ? "password" : "text", name, "aria-labelledby": id, autocomplete: "off",
  });
  input.value = value;
  const row = box({ class: "row" }, box({ id, class: "cap" }, caption), input);
  return { row, name, read: () => input.value };
}

export function toggle(caption, name, { on = false, changed = () => {} } = {}) {
  const id = unique("cap");
  const mark = box({ role: "checkbox", tabindex: 0, "aria-checked": String(on), "aria-labelledby": id, class: "tick" });
  const isOn = () => mark.getAttribute("aria-checked") === "true";
  const flip = () => {
    mark.setAttribute("aria-checked", String(!isOn()));
    changed(isOn());
  };
  pressable(mark, flip);
  const row = box({ class: "row" }, mark, box({ id, class: "beside", onclick: flip }, caption));
  return { row, mark, name, read: () => (isOn() ? "on" : "") };
}

export function choice(caption, name, options, { value = "", hint = "" } = {}) {
  const [id, listId] = [unique("cap"), unique("list")];
  const list = box({ role: "listbox", id: listId, class: "options", "aria-labelledby": id });
  const face = box({
    role: "combobox", tabindex: 0, "aria-haspopup": "listbox", "aria-controls": listId, "aria-expanded": "false",
    "aria-labelledby": id, class: "face",
  });
  let chosen = "";
  list.hidden = true;
  const open = (yes) => {
    list.hidden = !yes;
    face.setAttribute("aria-expanded", String(yes));
    if (yes) (list.querySelector('[aria-selected="true"]') || list.firstElementChild).focus();
  };
  const choose = (option) => {
    chosen = option;
    face.textContent = option || hint;
    for (const one of list.children) one.setAttribute("aria-selected", String(one.textContent === option));
  };
  for (const option of options) {
    const pick = () => {
      choose(option);
      open(false);
      face.focus();
    };
    list.append(pressable(box({ role: "option", tabindex: -1 }, option), pick));
  }
  list.addEventListener("keydown", (event) => {
    const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (next && document.activeElement[next]) document.activeElement[next].focus();
    if (event.key === "Escape") open(false);
  });
  pressable(face, () => open(list.hidden));
  document.addEventListener("click", (event) => {
    if (!face.contains(event.target)) open(false);
  }, true);
  choose(value);
  const row = box({ class: "row" }, box({ id, class: "cap" }, caption), box({ class: "holder" }, face, list));
  return { row, name, read: () => chosen };
}

export function ask(title, text, { yes = "OK", no = "Cancel" } = {}) {
  return new Promise((resolve) => {
    const id = unique("title");
    const end = (answer) => {
      veil.remove();
      resolve(answer);
    };
    const buttons = [button(yes, () => end(true), "strong"), no ? button(no, () => end(false)) : null];
    const dialog = box(
      { role: "dialog", "aria-modal": "true", "aria-labelledby": id, class: "dialog" },
      box({ id, role: "heading", "aria-level": 2, class: "head2" }, title),
      box({ class: "words" }, text),
      box({ class: "row right" }, ...buttons.filter(Boolean)),
    );
    const veil = box({ class: "veil" }, dialog);
    veil.addEventListener("keydown", (event) => event.key === "Escape" && end(false));
    document.body.append(veil);
    buttons[0].focus();
  });
}

export async function call(address, fields = null) {
  const headers = { Accept: "application/json" };
  const request = { headers };
  if (fields) {
    request.method = "POST";
    request.body = new URLSearchParams(fields);
    headers["X-Xsrf-Token"] = document.querySelector('meta[name="xsrf"]').content;
  }
  const answer = await fetch(address, request);
  const said = await answer.json();
  if (answer.status === 401) {
    window.top.location.assign(said.login);
    return new Promise(() => {});
  }
  return said;
}

export function values(fields) {
  return fields.map((one) => [one.name, one.read()]);
}

// A view stands in the shell's frame; opened alone, it calls the shell. It is drawn a moment after its data is there.
export async function view(where, address, draw) {
  if (window.top === window) {
    window.location.replace(`/webacs/home#${where}`);
    return;
  }
  const data = await call(address);
  setTimeout(() => draw(document.getElementById("root"), data), 250);
}
