import { alert, box, button, call, field, heading, values } from "./widgets.js";

const { host, error, notice } = document.body.dataset;

function draw() {
  const fields = [field("Username", "username"), field("Password", "password", { secret: true })];
  const message = box({}, alert(error), notice ? box({ role: "status", class: "done" }, notice) : null);
  const enter = async () => {
    const said = await call("/webacs/login", values(fields));
    if (said.next) window.location.assign(said.next);
    else message.replaceChildren(alert(said.error));
  };
  const card = box(
    { class: "card", onkeydown: (event) => event.key === "Enter" && event.target.tagName === "INPUT" && enter() },
    box({ class: "brand" }, "Prime Infrastructure"), heading(`Sign in to ${host}`, 1), message,
    ...fields.map((one) => one.row), button("Sign In", enter, "strong wide"),
  );
  document.body.append(card);
}

if (window.top !== window) window.top.location.assign("/webacs/login");
else setTimeout(draw, 250);
