// The shell of the skin “dojo”: header, slide menu, search for devices, notices after the login, and the content.
define(["lab/dojokit", "lab/dojopages", "dijit/form/Button", "dijit/form/CheckBox", "dijit/form/TextBox"],
  (kit, pages, Button, CheckBox, TextBox) => {
    const { el } = kit;
    const PAGES = { ha: pages.ha, ise: pages.ise };
    const alone = new URLSearchParams(location.search).get("frame");
    if (alone) {
      document.body.className = `${KNOBS.theme} inner`;
      const node = el("div", { class: "content" });
      document.body.append(node);
      PAGES[alone](node);
      return;
    }

    const content = el("div", { class: "content", id: "content" }, el("h2", {}, "Dashboard"), el("p", {}, HOST));
    let now = 0;
    const open = (name) => {
      if (KNOBS.closes === "chosen") menu.classList.remove("open");
      now += 1;
      const node = el("div");
      content.replaceChildren(KNOBS.content === "frame"
        ? el("iframe", { class: "contentFrame", title: name, src: `/webacs/home?frame=${name}&n=${now}` }) : node);
      if (KNOBS.content !== "frame") PAGES[name](node);
    };

    // -- the menu: an icon that is drawn by the style sheet -------------------------------------------
    const submenu = el("div", { class: "submenu" });
    const leaf = (text, id, name) => el("a", { href: "#", id, class: "leaf", onclick: (event) => {
      event.preventDefault(); if (name) open(name); } }, text);
    const branch = (text, id, leaves) => {
      const unfold = () => submenu.replaceChildren(...leaves);
      return el("div", { id }, el("div", {}, el("div", { [KNOBS.opens === "pointer" ? "onmouseenter" : "onclick"]: unfold },
        el("a", { href: "#", onclick: (event) => event.preventDefault() }, text))));
    };
    const group = (text, id, leaves) => {
      const inner = el("div", { class: "group", style: "display: none" }, ...leaves);
      return el("div", {}, el("a", { href: "#", id, onclick: (event) => {
        event.preventDefault(); inner.style.display = inner.style.display ? "" : "none"; } }, text), inner);
    };
    const menu = el("div", { class: "slideMenu", id: "wcsuishell_menu" },
      el("div", { id: "wcsuishell_node_id_menu_home" }, el("div", {}, el("div", {}, "Dashboard"))),
      branch("Configuration", "wcsuishell_node_id_menu_configure", [leaf("Network Devices", null, "")]),
      branch("Administration", "wcsuishell_node_id_menu_admin", [
        group("Settings", "wcsuishell_node_id_admin_settings", [leaf("System Settings", null, ""), leaf("High Availability", null, "ha")]),
        group("Servers", "wcsuishell_node_id_admin_servers", [leaf("ISE Servers", null, "ise"), leaf("MSE Servers", null, "")]),
      ]), submenu);
    // A menu that stays until the pointer has left it covers what was opened.
    if (KNOBS.closes === "left") menu.addEventListener("mouseleave", () => menu.classList.remove("open"));
    const icon = el("span", { class: "toggleIcon icon-cisco-menu", onclick: () => menu.classList.toggle("open"),
      title: KNOBS.menu === "title" ? "Menu" : null, tabindex: KNOBS.menu === "tabindex" ? "0" : null });

    // -- the rest of the header -----------------------------------------------------------------------
    const leave = async () => { await kit.call("/webacs/logout", {}); location.assign("/webacs/login"); };
    const out = el("div", { class: "settingsMenu", style: "display: none" },
      el("div", {}, "Help"), el("div", {}, el("span", { id: "logout_text", onclick: leave }, "Log Out")));
    const settings = el("div", { class: "dijitInline settingsNode", onclick: () => {
      out.style.display = out.style.display ? "" : "none"; } });
    const header = el("div", { class: "header" }, icon, el("span", { class: "brand" }, "Cisco Prime Infrastructure"));
    if (KNOBS.search === "devices") {
      const found = el("div", { class: "found" });
      const box = new TextBox({ placeHolder: "Search", intermediateChanges: true, onChange: (words) => found.replaceChildren(
        ...(words ? [el("a", { href: "#", onclick: (event) => { event.preventDefault(); location.assign(`/webacs/search?q=${words}`); } },
          `${words}`), el("div", {}, `${words}-switch-1 (device)`)] : [])) });
      header.append(el("div", { class: "search" }, box.domNode, found));
    }
    header.append(settings, out);
    document.body.append(header, menu, content);

    // -- notices after the login, one after another ---------------------------------------------------
    const tutorial = () => new Promise((closed) => {
      const box = new CheckBox({});
      const over = el("div", { class: "shellTutorialOverlay" }, ...["1", "2", "3", "4", "5"].map((n) => el("div", {}, n)),
        el("div", {}, box.domNode, " Do not show this again ",
          new Button({ label: "Okay, got it", onClick: () => { over.remove(); closed(); } }).domNode));
      document.body.append(over);
    });
    const notices = async () => {
      if (KNOBS.covers === "none" || sessionStorage.getItem("noticed")) return;
      for (const [id, title, text, button] of [
        ["telemetryDialog", "Telemetry", "This server sends usage data."],
        ["warningLoginDialog", "Warning", "License is about to expire.", "OK"],
        ["warningOutOfDiskSpaceDialog", "Warning", "Disk space is low."],
        ["backupFailsDialog", "Warning", "The last backup failed."],
      ]) {
        await kit.pause(120);
        await kit.notice(id, title, text, button);
      }
      await kit.pause(120);
      await tutorial();
      sessionStorage.setItem("noticed", "yes");
    };
    const linked = () => {
      const page = new URLSearchParams(location.hash.slice(1)).get("pageId");
      if (page === "lab_ha") open("ha");
      if (page === "lab_ise") open("ise");
    };
    window.addEventListener("hashchange", linked);
    linked();
    notices();
  });
