import { alert, ask, box, button, call, choice, field, heading, toggle, values, view } from "./widgets.js";

const ADD = "Add ISE Server";
const DELETE = "Delete ISE Server(s)";

function messages(data) {
  return [alert(data.error), data.notice ? box({ role: "status", class: "done" }, data.notice) : null].filter(Boolean);
}

function line(role, ...cells) {
  return box({ role: "row", class: "line four" }, ...cells.map((cell) => box({ role }, cell)));
}

function drawList(root, data) {
  const ticks = data.servers.map((one) => ({ address: one.address, ...toggle(`Select ${one.address}`, "selected") }));
  const command = choice("Command", "command", [ADD, DELETE], { hint: "Select a command" });
  const go = async () => {
    const chosen = ticks.filter((one) => one.read()).map((one) => one.address);
    if (command.read() === ADD) drawForm(root, data);
    else if (chosen.length && !(await ask(DELETE, chosen.join(", ")))) return;
    else {
      const name = command.read() === DELETE ? "delete" : "";
      drawList(root, await call("/webacs/ise/command", [["command", name], ...chosen.map((one) => ["selected", one])]));
    }
  };
  root.replaceChildren(
    heading("ISE Servers", 1), ...messages(data), box({ class: "row" }, command.row, button("Go", go)),
    box({ role: "table", "aria-label": "ISE Servers", class: "table" },
      line("columnheader", "", "Server Address", "Port", "Status"),
      ...data.servers.map((one, i) => line("cell", ticks[i].mark, one.address, String(one.port), one.status))),
    data.servers.length ? "" : box({ class: "words" }, "No data available"),
  );
  ticks.forEach((one) => {
    one.mark.removeAttribute("aria-labelledby");
    one.mark.setAttribute("aria-label", `Select ${one.address}`);
  });
}

function drawForm(root, list) {
  const fields = [
    field("Server Address", "address"), field("Port", "port"), field("Username", "username"),
    field("Password", "password", { secret: true }), field("Confirm Password", "confirm_password", { secret: true }),
  ];
  const said = box({});
  const save = button("Save", async () => {
    save.setAttribute("aria-disabled", "true");
    const data = await call("/webacs/ise/add", values(fields));
    save.removeAttribute("aria-disabled");
    if (data.error) said.replaceChildren(alert(data.error));
    else drawList(root, data);
  }, "strong");
  const cancel = button("Cancel", () => drawList(root, { servers: list.servers }));
  root.replaceChildren(
    heading(ADD, 1), said, box({ class: "sheet" }, ...fields.map((one) => one.row), box({ class: "row" }, save, cancel)),
  );
}

view("ise", "/webacs/ise", drawList);
