"use strict";
// The page of the network. What it shows is written by the server.

let undo = [];
let drawn = null;

const renew = () => drawn ? Promise.resolve() : fetchPart("/page/now", find("now"));

// What was does not change, and nobody is disturbed while drawing.
const isPast = () => Date.parse(new URLSearchParams(location.search).get("until") || "") < Date.now() - 5000;

async function renewChanges() {
  const response = await fetch("/page/changes" + location.search, { headers: headers() });
  if (response.ok) { find("changes").innerHTML = await response.text(); staged(); }
}

const heard = () => { if (!isPast()) soon(); };
const entered = renewChanges;
const moved = () => { if (edited().length === 0) renewChanges(); };

function edited() {
  return [...document.querySelectorAll("#edits input")].filter((input) => input.value !== input.defaultValue);
}

function staged() {
  const all = edited();
  document.querySelectorAll("#edits input").forEach((input) => input.classList.toggle("staged", input.value !== input.defaultValue));
  find("staged").textContent = all.length === 0 ? "Nothing is changed yet." : all.map((input) =>
    input.closest("label").firstElementChild.textContent + ": " + input.defaultValue + " to " + input.value).join("; ");
  find("plan").textContent = all.length === 0 ? "What would be done now?" : "What would follow?";
  find("apply").disabled = all.length === 0;
  find("revert").disabled = all.length === 0 && undo.length === 0;
}

function change(path, member, value, oneWay) {
  const body = { [member]: value };
  if (oneWay) body.both_directions = false;
  return send("PATCH", path, body);
}

// A field's text as it is sent; of texts nothing is null: as is configured.
const meant = (input, text) => input.dataset.kind === "text" ? text.trim() || null : Number(text);

// A staged edit as a plan supposes it: /api/v1/nodes/2, /api/v1/links/1/2, /api/v1/agents/3.
function supposed(input) {
  const [kind, first, second] = input.dataset.path.split("/").slice(3);
  const value = meant(input, input.value);
  const what = kind === "links" ? { from: Number(first), to: Number(second) } : { [kind === "nodes" ? "node" : "agent"]: Number(first) };
  return { ...what, [input.dataset.member]: value };
}

async function apply() {
  const all = edited().map((input) => ({
    path: input.dataset.path, member: input.dataset.member, oneWay: input.dataset.oneWay === "true",
    before: "own" in input.dataset ? null : meant(input, input.defaultValue), after: meant(input, input.value) }));
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
  // What is configured elsewhere nobody here can suppose.
  const changes = edited().map(supposed).filter((one) => !Object.values(one).includes(null));
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
  if (!button) return;
  if (button.id === "revert") revert();
  if (button.id === "pause") told(() => send("POST", "/api/v1/pause", {}));
  if (button.id === "resume") told(() => send("POST", "/api/v1/resume", {}));
  if (button.id === "plan") plan();
  if (button.id === "do") told(() => send("POST", "/api/v1/plans/apply", {})).then(() => { button.hidden = true; });
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

soon();
if (token) renewChanges();
listen();
setInterval(heard, 2000);
