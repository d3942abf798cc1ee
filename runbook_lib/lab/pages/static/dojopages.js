// The pages High Availability and ISE Servers of the skin “dojo”, each drawn into a node.
define(["lab/dojokit", "dijit/Dialog", "dijit/ProgressBar", "dijit/layout/AccordionContainer", "dijit/layout/ContentPane",
  "dijit/layout/TabContainer"], (kit, Dialog, ProgressBar, AccordionContainer, ContentPane, TabContainer) => {
  const { el } = kit;
  const CONFIGURATION = KNOBS.names === "other" ? "HA Setup" : "HA Configuration";
  const NEXT = { published: ["Secondary Server", "Authentication Key", "Email Address"],
    other: ["Secondary Server IP Address", "Authentication Key", "Email Address"] }[KNOBS.names];

  function parts(node, panes) {
    if (KNOBS.parts === "links") {
      const show = (name) => panes.forEach(([title, pane]) => { pane.style.display = title === name ? "" : "none"; });
      node.append(el("div", { class: "links" }, ...panes.map(([title]) => el("a", { href: "#", onclick: (event) => {
        event.preventDefault(); show(title); } }, title))), ...panes.map(([, pane]) => pane));
      show(panes[0][0]);
      return show;
    }
    const Kind = KNOBS.parts === "tabs" ? TabContainer : AccordionContainer;
    const container = new Kind({ style: "width: 1000px; height: 620px", doLayout: true });
    const children = panes.map(([title, pane]) => new ContentPane({ title, content: pane }));
    children.forEach((child) => container.addChild(child));
    node.append(container.domNode);
    container.startup();
    return (name) => container.selectChild(children[panes.findIndex(([title]) => title === name)]);
  }

  async function ha(node) {
    const data = await kit.loading(node, () => kit.call("/webacs/ha"));
    const mode = el("span", { class: "modeValue" }), bars = el("div"), says = el("div"), work = el("div"), checked = el("div");
    const status = el("div", {}, el("div", { class: "row" }, el("span", { class: "cap" }, "Configuration Mode:"), mode),
      says, bars);
    const conf = el("div", {}, work, checked);
    const titles = ["HA Status", CONFIGURATION];
    node.replaceChildren(el("h2", {}, "High Availability"));
    const show = parts(node, [[titles[0], status], [titles[1], conf]]);
    let drawn = {};

    const draw = (now) => {
      mode.textContent = now.configuration_mode;
      for (const step of now.milestones) {
        const known = drawn[step.name];
        if (known) { known(step.percent, step.failed); continue; }
        const caption = el("span", { class: "cap" }, step.name);
        if (KNOBS.bars === "text") {
          const value = el("span", {}, `${step.percent} %`);
          bars.append(el("div", { class: "row" }, caption, value));
          drawn[step.name] = (percent, failed) => { value.textContent = failed ? `Failed at ${percent} %` : `${percent} %`; };
        } else {
          const bar = new ProgressBar({ maximum: 100, value: step.percent, style: "width: 300px" });
          bars.append(el("div", { class: "row" }, caption, bar.domNode));
          drawn[step.name] = (percent, failed) => { bar.update({ progress: percent }); bar.domNode.classList.toggle("failed", failed); };
        }
      }
      kit.say(says, now.message, "error");
    };
    const watch = async () => {
      const now = await kit.call("/webacs/ha/progress").catch(() => null);
      if (now) draw(now);
      if (!now || now.under_way) setTimeout(watch, 300);
      else ha(node);
    };
    const begun = () => { show(titles[0]); watch(); };
    draw(data);
    if (data.under_way) { work.append(el("p", {}, "Registration is in progress.")); watch(); return; }
    if (data.registered) {
      work.append(el("p", {}, `Secondary server ${data.form.secondary_server} is registered.`));
      return;
    }
    form(work, checked, data.form, begun, draw);
  }

  function form(work, checked, given, begun, draw) {
    const says = el("div");
    const addresses = [kit.text("IPV4 Virtual IP", "virtual_ipv4"), kit.text("IPV6 Virtual IP", "virtual_ipv6")];
    const hide = (on) => addresses.forEach((one) => { one.row.style.display = on ? "" : "none"; });
    hide(given.virtual_ip);
    const fields = [
      kit.text(NEXT[0], "secondary_server", { value: given.secondary_server, required: true }),
      kit.text(NEXT[1], "auth_key", { secret: true, required: true }),
      kit.text(NEXT[2], "email", { value: given.email }),
      kit.choice("Failover Type", "failover", ["Manual", "Automatic"], "Automatic"),
      kit.box("Enable Virtual IP", "virtual_ip", given.virtual_ip, hide),
      ...addresses,
    ];
    const check = kit.button("Check Readiness", async () => {
      const answer = await kit.loading(work, () => kit.call("/webacs/ha/readiness", kit.values(fields)));
      kit.say(says, answer.error, "error");
      if (answer.readiness) readiness(checked, answer.readiness);
    });
    const register = kit.button("Register", async () => {
      if (!await kit.ask("Register", "The database is copied to the secondary. Continue with the registration?")) return;
      const answer = await kit.loading(work, () => kit.call("/webacs/ha/register", kit.values(fields)));
      kit.say(says, answer.error, "error");
      if (!answer.error) { draw(answer); begun(); }
    });
    if (KNOBS.keys === "keys") {
      let keys = 0;
      register.set("disabled", true);
      work.addEventListener("keyup", () => { keys += 1; if (keys > 3) register.set("disabled", false); });
    }
    work.replaceChildren(says, ...fields.map((one) => one.row), el("div", { class: "row" }, check.domNode, register.domNode));
  }

  async function readiness(place, rows) {
    let where = place, shown = null;
    if (KNOBS.grid === "dialogue") {
      where = el("div");
      shown = new Dialog({ title: "Readiness", content: el("div", {}, where), style: "width: 700px" });
      await shown.show();
      where.parentElement.append(kit.button("Close", () => shown.hide()).domNode);
    }
    const columns = [["Checklist Name", "item", "180px"], ["Checklist Status", "status", "140px"], ["Remarks", "detail", "280px"]];
    const begun = rows.map((row) => ({ item: row.item, status: "In Progress", detail: row.detail }));
    const change = kit.table(where, columns, begun, KNOBS.grid === "table");
    for (const [n, row] of rows.entries()) {
      await kit.pause(60);
      change(n, "status", row.passed ? "Pass" : "Fail");
    }
  }

  async function ise(node, notice) {
    const data = await kit.loading(node, () => kit.call("/webacs/ise"));
    const says = el("div"), list = el("div");
    const command = kit.choice("", "command", ["-- Select a command --", "Add ISE Server", "Delete ISE Server(s)"],
      "-- Select a command --", true);
    const chosen = new Set();
    const go = kit.button("Go", async () => {
      if (command.read() === "Add ISE Server") { add(node); return; }
      const picked = list.grid ? list.grid.selection.getSelected().map((item) => item.address[0]) : [...chosen];
      if (command.read().startsWith("Delete") && picked.length && await kit.ask("Delete", "Delete the selected ISE server?")) {
        const body = new URLSearchParams({ command: "delete" });
        picked.forEach((address) => body.append("selected", address));
        const answer = await kit.call("/webacs/ise/command", body);
        ise(node, answer.notice);
      }
    });
    node.replaceChildren(el("h2", {}, "ISE Servers"), says,
      el("div", { class: "tools" }, command.row, go.domNode), list);
    kit.say(says, notice, "message");
    if (!data.servers.length) { list.append(el("p", {}, "No ISE server has been added.")); return; }
    if (KNOBS.grid === "datagrid") {
      kit.table(list, [["Server Address", "address", "180px"], ["Port", "port", "80px"], ["Status", "status", "300px"]],
        data.servers, false);
      return;
    }
    const tick = (address) => el("input", { type: "checkbox", onchange: (event) => {
      if (event.target.checked) chosen.add(address); else chosen.delete(address); } });
    list.append(el("table", { class: "plain" }, el("tr", {}, ...["", "Server Address", "Port", "Status"].map((name) => el("th", {}, name))),
      ...data.servers.map((one) => el("tr", {}, el("td", {}, tick(one.address)), ...[one.address, one.port, one.status].map((text) =>
        el("td", {}, String(text)))))));
  }

  function add(node) {
    const says = el("div");
    const fields = [
      kit.text("Server Address", "address", { required: true }), kit.text("Port", "port"),
      kit.text("Username", "username", { required: true }), kit.text("Password", "password", { secret: true, required: true }),
      kit.text("Confirm Password", "confirm_password", { secret: true, required: true }),
    ];
    const save = kit.button("Save", async () => {
      const answer = await kit.loading(node, () => kit.call("/webacs/ise/add", kit.values(fields)));
      if (answer.error) kit.say(says, answer.error, "error");
      else ise(node, answer.notice);
    });
    node.replaceChildren(el("h2", {}, "Add ISE Server"), says, ...fields.map((one) => one.row),
      el("div", { class: "row" }, save.domNode, kit.button("Cancel", () => ise(node)).domNode));
  }

  return { ha, ise };
});
