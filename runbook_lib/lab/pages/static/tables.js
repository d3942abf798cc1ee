"use strict";
// Buttons that are no submit buttons: they post their form, after a question where one is asked.
function post(form, address) {
  form.action = address;
  form.submit();
}

function show(name, visible) {
  document.querySelectorAll("[data-in]").forEach(function (row) {
    if (row.getAttribute("data-in") === name) row.className = visible ? "" : "off";
  });
}

document.addEventListener("click", function (event) {
  const on = event.target.closest("[data-post],[data-submit],[data-open],[data-go]");
  if (!on) return;
  const form = on.form || on.closest("form");
  if (on.tagName === "A") event.preventDefault();
  if (on.hasAttribute("data-ask") && !window.confirm(on.getAttribute("data-ask"))) return;
  if (on.type === "checkbox") show(on.getAttribute("data-open"), on.checked);
  else if (on.hasAttribute("data-open")) show(on.getAttribute("data-open"), true);
  else if (on.hasAttribute("data-go")) window.location = on.getAttribute("data-go");
  else if (on.hasAttribute("data-submit")) form.submit();
  else post(on.tagName === "A" ? document.forms.token : form, on.getAttribute("data-post"));
});

document.addEventListener("keydown", function (event) {
  if (event.key === "Enter" && event.target.form && event.target.form.name === "login") event.target.form.submit();
});
