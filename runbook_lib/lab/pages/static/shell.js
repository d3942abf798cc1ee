import { ask, box, button, call, unique } from "./widgets.js";

const VIEWS = {
  home: { title: "Home", address: "/webacs/dashboard" },
  ha: { title: "High Availability", address: "/webacs/ha", group: "Settings" },
  ise: { title: "ISE Servers", address: "/webacs/ise", group: "Servers" },
};
const { host, user } = document.body.dataset;
const frame = box({ tag: "iframe", title: "Content", name: "content", class: "content" });

function go(name) {
  if (window.location.hash === `#${name}`) show();
  else window.location.hash = name;
}

function show() {
  const wanted = VIEWS[window.location.hash.slice(1)] || VIEWS.home;
  document.title = `${wanted.title} | Prime Infrastructure | ${host}`;
  frame.contentWindow.location.replace(wanted.address);
}

function item(text, act) {
  const made = button(text, act, "item");
  made.setAttribute("role", "menuitem");
  return made;
}

function group(name, pick) {
  const id = unique("group");
  const inside = Object.keys(VIEWS).filter((key) => VIEWS[key].group === name);
  const items = inside.map((key) => item(VIEWS[key].title, () => pick(key)));
  return box({ role: "group", "aria-labelledby": id, class: "column" }, box({ id, class: "name" }, name), ...items);
}

function administration() {
  const panel = box({ role: "menu", "aria-label": "Administration", class: "panel" });
  panel.hidden = true;
  const open = (yes) => {
    panel.hidden = !yes;
    head.setAttribute("aria-expanded", String(yes));
  };
  const pick = (key) => {
    open(false);
    go(key);
  };
  panel.append(group("Settings", pick), group("Servers", pick));
  const head = item("Administration", () => open(panel.hidden));
  head.setAttribute("aria-haspopup", "menu");
  head.setAttribute("aria-expanded", "false");
  const whole = box({ class: "drop" }, head, panel);
  document.addEventListener("click", (event) => whole.contains(event.target) || open(false));
  window.addEventListener("blur", () => open(false));
  return whole;
}

function search() {
  const id = unique("list");
  const list = box({ role: "listbox", id, class: "options", "aria-label": "Pages found" });
  const input = box({
    tag: "input", type: "text", role: "combobox", "aria-label": "Search menu", placeholder: "Search menu",
    "aria-controls": id, "aria-expanded": "false", autocomplete: "off",
  });
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
  };
  close();
  input.addEventListener("input", async () => {
    const asked = input.value;
    const said = await call(`/webacs/search?q=${encodeURIComponent(asked)}`);
    if (input.value !== asked) return;
    list.replaceChildren(...said.found.map((entry) => {
      const key = Object.keys(VIEWS).find((one) => VIEWS[one].title === entry.title);
      const pick = () => {
        input.value = "";
        close();
        go(key);
      };
      return box({ role: "option", onclick: pick }, entry.trail);
    }));
    list.hidden = said.found.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !list.hidden) list.firstElementChild.click();
    if (event.key === "Escape") close();
  });
  return box({ class: "holder find" }, input, list);
}

async function leave() {
  window.location.assign((await call("/webacs/logout", [])).next);
}

// Comes once per tab, a moment late, and covers everything.
function greet() {
  if (sessionStorage.getItem("greeted")) return;
  sessionStorage.setItem("greeted", "yes");
  const text = "Pages can now be found by typing their name into the search field at the top.";
  ask("What's New", text, { yes: "Close", no: null });
}

function draw() {
  document.body.append(
    box({ class: "top" }, box({ class: "brand" }, "Prime Infrastructure"), box({ class: "host" }, host),
      box({ role: "menubar", "aria-label": "Menu", class: "menubar" }, item("Home", () => go("home")), administration()),
      search(), box({ class: "host" }, user), button("Log Out", leave, "quiet")),
    frame,
  );
  window.addEventListener("hashchange", show);
  show();
  setTimeout(greet, 400);
}

setTimeout(draw, 150);
