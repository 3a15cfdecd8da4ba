"use strict";
// Fetches the page's parts again when something happened, and sends what was edited. Everything else is written by the server.

const find = (id) => document.getElementById(id);
const KEY = "agent-token";
let token = sessionStorage.getItem(KEY) || "";
let undo = [];
let drawn = null;

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

// What was does not change, and nobody is disturbed while drawing.
const isPast = () => Date.parse(new URLSearchParams(location.search).get("until") || "") < Date.now() - 5000;

// At most one request at a time, and one more for what came meanwhile.
function soon() {
  if (drawn) return;
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
      if (!isPast()) soon();
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
  find("plan").textContent = all.length === 0 ? "What would be done now?" : "What would follow?";
  find("apply").disabled = !all.some((input) => !("supposed" in input.dataset));
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

// A staged edit as a plan supposes it: /api/v1/nodes/2, /api/v1/links/1/2, /api/v1/agents/3.
function supposed(input) {
  const [kind, first, second] = input.dataset.path.split("/").slice(3);
  const value = input.dataset.member === "goal" ? input.value : Number(input.value);
  const what = kind === "links" ? { from: Number(first), to: Number(second) } : { [kind === "nodes" ? "node" : "agent"]: Number(first) };
  return { ...what, [input.dataset.member]: value };
}

async function apply() {
  const all = edited().filter((input) => !("supposed" in input.dataset)).map((input) => ({
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
  const changes = edited().map(supposed);
  const planned = await told(() => send("POST", "/api/v1/plans", { changes }), " ");
  find("planned").textContent = "";
  if (!planned) return;
  const list = document.createElement("ol");
  for (const step of planned.steps) {
    const item = document.createElement("li");
    item.textContent = "agent " + step.agent + ": " + step.action + " (" + step.because + ")";
    list.append(item);
  }
  const end = document.createElement("p");
  const goals = planned.converges ? "Every goal holds then." : "Not every goal holds then, within an hour.";
  end.textContent = (planned.steps.length === 0 ? "Nothing would be done. " : "") + goals;
  find("planned").append(list, end);
  find("do").hidden = planned.steps.length === 0 || changes.length > 0;
}

async function addNode(form) {
  const { name, availability_percent, latency_ms, store_url } = Object.fromEntries(new FormData(form));
  const others = form.dataset.nodes.split(",").filter((id) => id);
  const body = { availability_percent: Number(availability_percent), latency_ms: Object.fromEntries(others.map((id) => [id, Number(latency_ms)])) };
  if (name.trim()) body.name = name.trim();
  if (store_url.trim()) body.store_url = store_url.trim();
  const added = await told(() => send("POST", "/api/v1/nodes", body), "The node is there; start its store or its agent.");
  if (added) await renewChanges();
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
  if (event.target.id === "addition") {
    event.preventDefault();
    addNode(event.target);
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
    if (method && (!button.dataset.sure || confirm(button.dataset.sure))) told(() => send(method, path, JSON.parse(body || "{}")), " ");
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

// A period is chosen by drawing over the line of time; its address shows the network as it was at the end.
const shares = (line, event) => Math.min(1, Math.max(0, (event.clientX - line.getBoundingClientRect().left) / line.getBoundingClientRect().width));
document.addEventListener("pointerdown", (event) => {
  const line = event.target.closest("#timeline");
  if (line && event.button === 0) { drawn = { line, from: shares(line, event) }; event.preventDefault(); }
});
document.addEventListener("pointermove", (event) => {
  if (!drawn) return;
  const [begin, end] = [drawn.from, shares(drawn.line, event)].sort((a, b) => a - b);
  const width = drawn.line.viewBox.baseVal.width;
  const mark = drawn.line.querySelector("#drawn");
  mark.setAttribute("x", begin * width);
  mark.setAttribute("width", (end - begin) * width);
});
document.addEventListener("pointerup", (event) => {
  if (!drawn) return;
  const { line, from } = drawn;
  const [begin, end] = [from, shares(line, event)].sort((a, b) => a - b);
  drawn = null;
  const [first, last] = [Date.parse(line.dataset.from), Date.parse(line.dataset.to)];
  const at = (share) => new Date(first + share * (last - first)).toISOString();
  const query = new URLSearchParams(location.search);
  if (end - begin > 0.002) query.set("since", at(begin)); else query.delete("since");
  query.set("until", at(end));
  go("/?" + query);
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
setInterval(() => { if (!isPast()) soon(); }, 2000);
