"use strict";
// Fetches the page's parts again when something happened, and sends what was edited. Everything else is written by the server.

const find = (id) => document.getElementById(id);
const KEY = "agent-token";
let token = sessionStorage.getItem(KEY) || "";
let undo = [];

function headers(more) {
  return token ? { Authorization: "Bearer " + token, ...more } : { ...more };
}

// The parts that changed are replaced; whoever has the focus keeps it.
function show(place, text) {
  const fresh = new DOMParser().parseFromString(text, "text/html").body;
  const focused = document.activeElement;
  const way = focused && place.contains(focused) ? focused.getAttribute("href") || focused.id || focused.name : null;
  const old = [...place.children];
  const parts = [...fresh.children];
  if (old.length !== parts.length) {
    place.replaceChildren(...parts);
  } else {
    parts.forEach((part, at) => {
      if (old[at].outerHTML !== part.outerHTML && !(old[at].contains(focused) && focused.matches("input"))) old[at].replaceWith(part);
    });
  }
  if (way && !place.contains(document.activeElement)) {
    const again = [...place.querySelectorAll("a, button, input")].find((one) => (one.getAttribute("href") || one.id || one.name) === way);
    if (again) again.focus();
  }
}

async function problem(response) {
  try {
    const told = await response.json();
    return told.detail + (told.help ? " (" + told.help + ")" : "");
  } catch (_) {
    return "status " + response.status;
  }
}

let renewing = null;
async function renew() {
  try {
    const response = await fetch("/page/now" + location.search, { headers: headers() });
    if (response.ok) show(find("now"), await response.text());
    else find("live").textContent = await problem(response);
  } catch (_) {
    find("live").textContent = "The agent does not answer.";
  }
}

// At most one request at a time, and one more for what came meanwhile.
function soon() {
  if (renewing) { renewing.again = true; return; }
  const now = { again: false };
  renewing = now;
  renew().finally(() => setTimeout(() => { renewing = null; if (now.again) soon(); }, 250));
}

async function renewChanges() {
  const response = await fetch("/page/changes" + location.search, { headers: headers() });
  if (response.ok) { find("changes").innerHTML = await response.text(); staged(); }
}

// EventSource cannot show a token; a stream that is read can.
async function listen() {
  try {
    const response = await fetch("/api/v1/events/stream", { headers: headers() });
    if (!response.ok) throw new Error(await problem(response));
    find("live").textContent = "live";
    const reader = response.body.getReader();
    for (;;) {
      const { done } = await reader.read();
      if (done) break;
      soon();
    }
    find("live").textContent = "The stream has ended.";
  } catch (error) {
    find("live").textContent = "Not live: " + error.message;
  }
  setTimeout(listen, 2000);
}

function edited() {
  return [...document.querySelectorAll("#edits input")].filter((input) => input.value !== input.defaultValue);
}

function staged() {
  const all = edited();
  document.querySelectorAll("#edits input").forEach((input) => input.classList.toggle("staged", input.value !== input.defaultValue));
  find("staged").textContent = all.length === 0 ? "Nothing is changed yet." : all.map((input) =>
    input.closest("label").firstElementChild.textContent + ": " + input.defaultValue + " to " + input.value).join("; ");
  find("apply").disabled = all.length === 0;
  find("revert").disabled = all.length === 0 && undo.length === 0;
}

async function send(method, path, body) {
  const options = { method, headers: headers({ "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID ? crypto.randomUUID() : String(Math.random()) }), body: JSON.stringify(body) };
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(await problem(response));
  return response.json();
}

function change(path, member, value, oneWay) {
  const body = { [member]: value };
  if (oneWay) body.both_directions = false;
  return send("PATCH", path, body);
}

async function told(work, done) {
  try {
    const result = await work();
    find("told").textContent = done || result.changed || "done";
    return result;
  } catch (error) {
    find("told").textContent = error.message;
    return null;
  } finally {
    soon();
  }
}

async function apply() {
  const all = edited().map((input) => ({
    path: input.dataset.path, member: input.dataset.member, oneWay: input.dataset.oneWay === "true",
    before: Number(input.defaultValue), after: Number(input.value) }));
  const done = await told(async () => {
    for (const one of all) await change(one.path, one.member, one.after, one.oneWay);
    return {};
  }, "Applied; it acts from the next job on.");
  if (done) undo = all;
  await renewChanges();
}

// What is staged is taken back; when nothing is, what was applied last.
async function revert() {
  if (edited().length > 0) { find("edits").reset(); staged(); return; }
  const last = undo;
  undo = [];
  await told(async () => {
    for (const one of last) await change(one.path, one.member, one.before, one.oneWay);
    return {};
  }, "Taken back.");
  await renewChanges();
}

async function plan() {
  find("planned").textContent = "Simulating ...";
  const planned = await told(() => send("POST", "/api/v1/plans", {}), " ");
  find("planned").textContent = "";
  if (!planned) return;
  const list = document.createElement("ol");
  for (const step of planned.steps) {
    const item = document.createElement("li");
    item.textContent = "agent " + step.agent + ": " + step.action + " (" + step.because + ")";
    list.append(item);
  }
  const end = document.createElement("p");
  end.textContent = planned.steps.length === 0 ? "Nothing would be done." : planned.converges ? "Then every goal holds." : "";
  find("planned").append(list, end);
  find("do").hidden = planned.steps.length === 0;
}

document.addEventListener("input", (event) => { if (event.target.closest("#edits")) staged(); });
document.addEventListener("submit", (event) => {
  if (event.target.id === "edits") { event.preventDefault(); apply(); }
  if (event.target.id === "door") {
    event.preventDefault();
    token = find("token").value.trim();
    sessionStorage.setItem(KEY, token);
    find("token").value = "";
    find("told").textContent = token ? "The token is used for this tab." : "No token is used.";
    soon();
    renewChanges();
  }
  if (event.target.matches(".period")) {
    event.preventDefault();
    const query = new URLSearchParams(new FormData(event.target));
    for (const [name, value] of [...query]) if (!value) query.delete(name);
    go("/?" + query);
  }
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) {
    const { method, path, body } = button.dataset;
    if (method) told(() => send(method, path, JSON.parse(body)), " ");
    if (button.id === "revert") revert();
    if (button.id === "pause") told(() => send("POST", "/api/v1/pause", {}));
    if (button.id === "resume") told(() => send("POST", "/api/v1/resume", {}));
    if (button.id === "plan") plan();
    if (button.id === "do") told(() => send("POST", "/api/v1/plans/apply", {})).then(() => { button.hidden = true; });
    return;
  }
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const way = link.getAttribute("href");
  if (way && way.startsWith("/?")) { event.preventDefault(); go(way); }
});

// Every state has an address.
function go(way) {
  history.pushState(null, "", way);
  soon();
  if (edited().length === 0) renewChanges();
}
window.addEventListener("popstate", () => { soon(); if (edited().length === 0) renewChanges(); });

soon();
if (token) renewChanges();
listen();
setInterval(soon, 2000);
