"use strict";
// What all pages do: parts are fetched again when something happened, and what was edited is sent. A page says what `renew`, `heard`,
// `entered` and `moved` do.

const find = (id) => document.getElementById(id);
const KEY = "agent-token";
let token = sessionStorage.getItem(KEY) || "";

function headers(more) {
  return token ? { Authorization: "Bearer " + token, ...more } : { ...more };
}

// The parts that changed are replaced; whoever has the focus keeps it.
function show(place, text) {
  const fresh = new DOMParser().parseFromString(text, "text/html").body;
  const focused = document.activeElement;
  const wayOf = (one) => one.getAttribute("href") || one.dataset.path || one.id || one.name;
  const way = focused && place.contains(focused) ? wayOf(focused) : null;
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
    const again = [...place.querySelectorAll("a, button, input")].find((one) => wayOf(one) === way);
    if (again) again.focus();
  }
}

// An error in the server's words; it has what is wrong with a file, if that is why.
async function refusal(response) {
  try {
    const { detail, help, faults } = await response.json();
    return Object.assign(new Error(detail + (help ? " (" + help + ")" : "")), { faults });
  } catch (_) {
    return new Error("status " + response.status);
  }
}

async function fetchPart(path, place) {
  try {
    const response = await fetch(path + location.search, { headers: headers() });
    if (response.ok) show(place, await response.text());
    else find("live").textContent = (await refusal(response)).message;
  } catch (_) {
    find("live").textContent = "The agent does not answer.";
  }
}

// At most one request at a time, and one more for what came meanwhile.
let renewing = null;
function soon() {
  if (renewing) { renewing.again = true; return; }
  const now = { again: false };
  renewing = now;
  renew().finally(() => setTimeout(() => { renewing = null; if (now.again) soon(); }, 250));
}

// EventSource cannot show a token; a stream that is read can.
async function listen() {
  try {
    const response = await fetch("/api/v1/events/stream", { headers: headers() });
    if (!response.ok) throw await refusal(response);
    find("live").textContent = "live";
    const reader = response.body.getReader();
    for (;;) {
      const { done } = await reader.read();
      if (done) break;
      heard();
    }
    find("live").textContent = "The stream has ended.";
  } catch (error) {
    find("live").textContent = "Not live: " + error.message;
  }
  setTimeout(listen, 2000);
}

const newKey = () => crypto.randomUUID ? crypto.randomUUID() : String(Math.random());

// Carried out once, however often it arrives.
function send(method, path, body) {
  return sendAnew(method, path, body, { "Idempotency-Key": newKey() });
}

async function sendAnew(method, path, body, more) {
  const options = { method, headers: headers({ "Content-Type": "application/json", ...more }), body: JSON.stringify(body) };
  const response = await fetch(path, options);
  if (!response.ok) throw await refusal(response);
  return response.json();
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

// Every state has an address.
function go(way) {
  history.pushState(null, "", way);
  soon();
  moved();
}
window.addEventListener("popstate", () => { soon(); moved(); });

document.addEventListener("submit", (event) => {
  if (event.target.id !== "door") return;
  event.preventDefault();
  token = find("token").value.trim();
  sessionStorage.setItem(KEY, token);
  find("token").value = "";
  find("told").textContent = token ? "The token is used for this tab." : "No token is used.";
  soon();
  entered();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) {
    const { method, path, body } = button.dataset;
    if (method && (!button.dataset.sure || confirm(button.dataset.sure))) told(() => send(method, path, JSON.parse(body || "{}")), " ");
    return;
  }
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const way = link.getAttribute("href");
  if (way && way.startsWith(location.pathname + "?")) { event.preventDefault(); go(way); }
});
