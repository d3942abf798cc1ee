import { alert, ask, box, button, call, choice, field, heading, toggle, unique, values, view } from "./widgets.js";

const state = box({ class: "sheet" });
const work = box({ class: "sheet" });
const messages = box({});
const checked = box({});
let shape = "";

function bar(milestone) {
  const fill = box({ class: milestone.failed ? "fill broken" : "fill" });
  fill.style.width = `${milestone.percent}%`;
  const track = box({
    role: "progressbar", "aria-label": milestone.name, "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": milestone.percent, class: "track",
  }, fill);
  const words = milestone.failed ? `${milestone.percent} % failed` : `${milestone.percent} %`;
  return box({ class: "row" }, box({ class: "cap" }, milestone.name), track, box({}, words));
}

function drawState(data) {
  const id = unique("cap");
  const mode = box({ class: "strong", "aria-labelledby": id }, data.configuration_mode);
  state.replaceChildren(
    box({ class: "row" }, box({ id, class: "cap" }, "Configuration Mode"), mode), ...data.milestones.map(bar),
  );
  messages.replaceChildren(...[alert(data.error), alert(data.message),
    data.notice ? box({ role: "status", class: "done" }, data.notice) : null].filter(Boolean));
}

function drawReadiness(rows) {
  const line = (role, ...texts) => box({ role: "row", class: "line" }, ...texts.map((text) => box({ role }, text)));
  checked.replaceChildren(heading("Readiness", 2), box(
    { role: "table", "aria-label": "Readiness", class: "table" }, line("columnheader", "Item", "Status", "Detail"),
    ...rows.map((row) => line("cell", row.item, row.passed ? "Success" : "Failure", row.detail)),
  ));
}

function fieldsOf(form) {
  const hidden = (yes) => addresses.forEach((one) => { one.row.hidden = !yes; });
  const addresses = [
    field("IPV4 Virtual IP", "virtual_ipv4", { value: form.virtual_ipv4 }),
    field("IPV6 Virtual IP", "virtual_ipv6", { value: form.virtual_ipv6 }),
  ];
  hidden(form.virtual_ip);
  return [
    field("Secondary Server", "secondary_server", { value: form.secondary_server }),
    field("Authentication Key", "auth_key", { secret: true }),
    field("Email Address", "email", { value: form.email }),
    choice("Failover Type", "failover", ["Manual", "Automatic"], { value: form.failover }),
    toggle("Enable Virtual IP", "virtual_ip", { on: form.virtual_ip, changed: hidden }),
    ...addresses,
  ];
}

function drawForm(form) {
  const fields = fieldsOf(form);
  const send = async (pushed, address) => {
    pushed.setAttribute("aria-disabled", "true");
    const data = await call(address, values(fields));
    pushed.removeAttribute("aria-disabled");
    update(data);
    if (data.readiness) drawReadiness(data.readiness);
  };
  const check = button("Check Readiness", () => send(check, "/webacs/ha/readiness"));
  const register = button("Register", async () => {
    const text = `The database of ${fields[0].read()} will be replaced by this server's.`;
    if (await ask("Register Secondary Server", text)) send(register, "/webacs/ha/register");
  }, "strong");
  work.replaceChildren(...fields.map((one) => one.row), box({ class: "row" }, check, register));
}

function drawRemoval(data) {
  const remove = button("Remove", async () => {
    const text = "The servers will run on without each other.";
    if (await ask("Remove High Availability", text)) update(await call("/webacs/ha/remove", []));
  });
  work.replaceChildren(box({ class: "words" }, `Secondary server: ${data.form.secondary_server}`), box({ class: "row" }, remove));
}

function update(data) {
  drawState(data);
  const wanted = data.under_way ? "wait" : data.registered ? "remove" : "form";
  if (wanted !== shape) {
    shape = wanted;
    checked.replaceChildren();
    if (wanted === "form") drawForm(data.form);
    else if (wanted === "remove") drawRemoval(data);
    else work.replaceChildren(box({ class: "words" }, "Registration is in progress."));
  }
  if (data.under_way) setTimeout(watch, 1000);
}

function watch() {
  call("/webacs/ha/progress").then(update, () => setTimeout(watch, 3000));
}

function tabs(panels) {
  const made = Object.entries(panels).map(([name, panel]) => {
    const [tabId, panelId] = [unique("tab"), unique("panel")];
    const tab = button(name, () => select(name), "tab");
    const attributes = { role: "tab", id: tabId, "aria-controls": panelId };
    for (const [key, value] of Object.entries(attributes)) tab.setAttribute(key, value);
    return { name, tab, panel: box({ role: "tabpanel", id: panelId, "aria-labelledby": tabId }, ...panel) };
  });
  const select = (name) => made.forEach((one) => {
    one.tab.setAttribute("aria-selected", String(one.name === name));
    one.panel.hidden = one.name !== name;
  });
  select(made[0].name);
  return [box({ role: "tablist", class: "tabs" }, ...made.map((one) => one.tab)), ...made.map((one) => one.panel)];
}

view("ha", "/webacs/ha", (root, data) => {
  root.replaceChildren(
    heading("High Availability", 1), messages,
    ...tabs({ "HA Status": [box({ class: "words" }, `Failover type: ${data.form.failover}`)], "HA Configuration": [work, checked] }),
    heading("Current state", 2), state,
  );
  update(data);
});
