"use strict";
// Keeps the milestones of a registration current, and reads the page anew once it has ended.
const list = document.querySelector("[data-watch]");

async function look() {
  const answer = await fetch(list.dataset.watch, { headers: { Accept: "application/json" } });
  if (answer.status === 401) {
    location.assign("/webacs/login");
    return;
  }
  const state = await answer.json();
  for (const milestone of state.milestones) {
    const row = [...list.children].find((one) => one.dataset.name === milestone.name);
    row.querySelector("progress").value = milestone.percent;
    row.querySelector("output").textContent = `${milestone.percent}%`;
  }
  document.getElementById("mode").textContent = state.configuration_mode;
  if (state.under_way) setTimeout(watch, 1000);
  else location.assign("/webacs/ha/configuration");
}

function watch() {
  look().catch(() => setTimeout(watch, 3000));
}

if (list) setTimeout(watch, 500);
