// Parts that the pages of the skin “dojo” are made of. Texts only ever become text nodes.
define([
  "dijit/ConfirmDialog", "dijit/Dialog", "dijit/form/Button", "dijit/form/CheckBox", "dijit/form/FilteringSelect",
  "dijit/form/Select", "dijit/form/TextBox", "dijit/form/ValidationTextBox", "dojo/data/ItemFileWriteStore",
  "dojo/store/Memory", "dojo/topic", "dojox/grid/DataGrid", "dojox/widget/Standby", "dojox/widget/Toaster",
], (ConfirmDialog, Dialog, Button, CheckBox, FilteringSelect, Select, TextBox, ValidationTextBox, WriteStore, Memory,
  topic, DataGrid, Standby, Toaster) => {
  let last = 0;
  const kit = {};
  kit.unique = (stem) => `${stem}_${last += 1}`;
  kit.el = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };
  const { el } = kit;
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  // -- the server ----------------------------------------------------------------------------------
  const token = document.querySelector("meta[name=xsrf]").content;
  kit.call = async (path, fields) => {
    const options = { headers: { Accept: "application/json", "X-Xsrf-Token": token } };
    if (fields) Object.assign(options, { method: "POST", body: new URLSearchParams(fields) });
    const answer = await fetch(path, options);
    if (answer.status === 401) { window.top.location.assign("/webacs/login"); return new Promise(() => {}); }
    return answer.json();
  };
  kit.loading = async (target, work) => {
    // The cover lies over the content; the header above it stays usable.
    if (KNOBS.loading === "none") return work();
    const cover = new Standby({ target, duration: 50 });
    document.body.append(cover.domNode);
    cover.startup();
    if (KNOBS.loading === "late") await pause(150);
    cover.show();
    try { await pause(200); return await work(); } finally { cover.hide(); setTimeout(() => cover.destroy(), 300); }
  };

  // -- words ---------------------------------------------------------------------------------------
  let toaster = null;
  kit.say = (place, text, type) => {
    if (KNOBS.says === "inline") { place.replaceChildren(text ? el("div", { class: `says ${type}` }, text) : ""); return; }
    if (!text) return;
    if (!toaster) {
      toaster = new Toaster({ positionDirection: "tr-left", messageTopic: "labMessages" });
      document.body.append(toaster.domNode);
    }
    topic.publish("labMessages", { message: text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`), type, duration: 3500 });
  };
  kit.ask = (title, text) => {
    if (KNOBS.question === "none") return Promise.resolve(true);
    if (KNOBS.question === "native") return Promise.resolve(window.confirm(text));
    return new Promise((answer) => {
      const close = (yes) => () => { answer(yes); setTimeout(() => asked.destroyRecursive(), 400); };
      const asked = new ConfirmDialog({ title, content: el("div", {}, text), style: "width: 380px",
        onExecute: close(true), onCancel: close(false) });
      asked.show();
    });
  };
  kit.notice = (id, title, text, button) => new Promise((closed) => {
    const body = el("div", {}, el("p", {}, text));
    const shown = new Dialog({ id, title, content: body, style: "width: 360px",
      onHide: () => { setTimeout(() => shown.destroyRecursive(), 300); closed(); } });
    if (button) body.append(new Button({ label: button, onClick: () => shown.hide() }).domNode);
    shown.show();
  });

  // -- fields --------------------------------------------------------------------------------------
  kit.row = (caption, widget, id) => el("div", { class: "row" },
    el("label", { for: id, class: "cap" }, `${caption}:`), el("span", { class: "val" }, widget));
  kit.text = (caption, name, { secret = false, value = "", required = false } = {}) => {
    const id = kit.unique("xwt_widget_form_TextBox");
    const Kind = required && KNOBS.tips === "tooltips" ? ValidationTextBox : TextBox;
    const widget = new Kind({ id, name, type: secret ? "password" : "text", value, required, intermediateChanges: true,
      missingMessage: `${caption} is required.`, promptMessage: Kind === ValidationTextBox ? `Enter ${caption}` : "" });
    widget.startup();
    return { caption, name, widget, row: kit.row(caption, widget.domNode, id), read: () => widget.get("value") };
  };
  kit.choice = (caption, name, options, value, own = false) => {
    const id = kit.unique("xwt_widget_form_DropDown");
    let widget = null, node = null, read = null;
    if (KNOBS.choice === "native") {
      node = el("select", { id, name }, ...options.map((text) => el("option", { value: text }, text)));
      node.value = value;
      read = () => node.value;
    } else {
      widget = KNOBS.choice === "select"
        ? new Select({ id, name, value, options: options.map((text) => ({ label: text, value: text })) })
        : new FilteringSelect({ id, name, value, searchAttr: "name", required: false,
          store: new Memory({ data: options.map((text) => ({ id: text, name: text })) }) });
      widget.startup();
      node = widget.domNode;
      read = () => widget.get("value");
    }
    return { caption, name, widget, read, row: own ? node : kit.row(caption, node, id) };
  };
  kit.box = (caption, name, on, changed) => {
    const id = kit.unique("xwt_widget_form_CheckBox");
    const widget = new CheckBox({ id, name, checked: on, onChange: changed });
    return { caption, name, widget, read: () => (widget.get("checked") ? "on" : ""), row: kit.row(caption, widget.domNode, id) };
  };
  kit.button = (label, act, id) => {
    const widget = new Button({ id: id || kit.unique("xwt_widget_form_Button"), label, onClick: () => act(widget) });
    widget.startup();
    return widget;
  };
  kit.values = (fields) => Object.fromEntries(fields.map((one) => [one.name, one.read()]));

  // -- tables --------------------------------------------------------------------------------------
  kit.table = (place, columns, rows, plain) => {
    // Returns what changes a cell later.
    if (plain) {
      const lines = rows.map((row) => el("tr", {}, ...columns.map(([, field]) => el("td", {}, row[field]))));
      place.replaceChildren(el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ...columns.map(([name]) =>
        el("th", {}, name)))), el("tbody", {}, ...lines)));
      return (n, field, value) => { lines[n].children[columns.findIndex((one) => one[1] === field)].textContent = value; };
    }
    const items = rows.map((row, n) => ({ n, ...row }));
    const store = new WriteStore({ data: { identifier: "n", items } });
    const holder = el("div", { class: "gridHolder" });
    place.replaceChildren(holder);
    const grid = new DataGrid({ store, structure: columns.map(([name, field, width]) => ({ name, field, width: width || "160px" })),
      selectionMode: "extended", escapeHTMLInData: true, autoHeight: false }, el("div", {}));
    holder.append(grid.domNode);
    grid.startup();
    place.grid = grid;
    return (n, field, value) => store.fetchItemByIdentity({ identity: n, onItem: (item) => store.setValue(item, field, value) });
  };
  kit.pause = pause;
  return kit;
});
