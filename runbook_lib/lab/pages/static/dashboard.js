import { box, heading, view } from "./widgets.js";

function tile(caption, value) {
  return box({ class: "tile" }, box({ class: "cap" }, caption), box({ class: "big" }, value));
}

view("home", "/webacs/dashboard", (root, data) => root.replaceChildren(
  heading("Home", 1),
  box({ class: "tiles" }, tile("Server", data.server), tile("High Availability", data.configuration_mode),
    tile("ISE servers reachable", `${data.ise_reachable} of ${data.ise_total}`)),
));
