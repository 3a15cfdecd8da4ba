"use strict";
// The page of load: draws what the server says that a load would send, moves the points of its curve, and sends what was edited.

// What is designed, as its fields and points are; null: the file says more than a design does.
let design = null;
let forecast = null;
let recordings = {};
let fileName = "load.toml";
let chosen = 1;
let dragged = null;

const renew = () => fetchPart("/page/load", find("experiments"));
const heard = soon;
const moved = () => {};
const entered = () => { if (pending) check(pending); };

const form = find("design");
const curve = find("curve");
const WIDTH = curve.viewBox.baseVal.width;
const HEIGHT = curve.viewBox.baseVal.height;
const FINE = 0.001;
const STEP = 0.01;
const FAR = 0.1;

function element(name, attributes) {
  const made = document.createElementNS(curve.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// What is asked is the design or the text, whichever was edited last; the answer to what was edited meanwhile is asked for once more.
let pending = null;
let asking = null;
function check(what) {
  pending = what;
  if (asking) return asking;
  asking = (async () => {
    await new Promise((done) => setTimeout(done, 150));
    while (pending) {
      const asked = pending;
      pending = null;
      try {
        heed(asked, await sendAnew("POST", "/api/v1/load/checks", { file: fileName, [asked]: asked === "design" ? design : find("text").value, ...besides() }));
      } catch (error) {
        find("sends").textContent = "Not checked: " + error.message;
        pending = pending || asked;
        break;
      }
    }
  })().finally(() => { asking = null; });
  return asking;
}

const words = (text) => text.split(/[\s,]+/).filter((word) => word);
const besides = () => ({ recordings, allow: words(find("allow").value) });

// What the server says of what was asked. What was edited since then stays.
function heed(asked, answer) {
  forecast = answer.forecast;
  if (asked === "design") {
    if (pending !== "text") find("text").value = answer.text;
  } else if (pending !== "design") {
    design = answer.design;
    fill();
  }
  blame(answer.faults);
  draw();
}

// Each fault at its field, or else beside the text.
function blame(faults) {
  const left = new Set(faults);
  for (const place of form.querySelectorAll(".fault")) {
    const mine = design ? [...left].filter((fault) => new RegExp(place.dataset.faults).test(fault.place + ": " + fault.problem)) : [];
    mine.forEach((fault) => left.delete(fault));
    place.textContent = mine.map((fault) => fault.problem + "; " + fault.help).join("; ");
    form.elements[place.id.slice("fault-".length)].setAttribute("aria-invalid", mine.length > 0);
  }
  find("faults").replaceChildren(...[...left].map((fault) => {
    const item = document.createElement("li");
    item.textContent = (fault.place ? fault.place + ": " : "") + fault.problem + " (" + fault.help + ")";
    return item;
  }));
}

// The fields of what is designed.
function fill() {
  for (const field of [...form.elements].filter((field) => field.name)) {
    field.disabled = !design;
    field.value = !design ? "" : field.name === "hosts" ? (design.hosts ? design.hosts.join(", ") : "table") : design[field.name];
  }
}

function edited(field) {
  const place = find("fault-" + field.name);
  place.textContent = field.validationMessage;
  field.setAttribute("aria-invalid", !field.validity.valid);
  if (!field.validity.valid) return;
  const value = field.value;
  if (field.type === "number") design[field.name] = Number(value);
  else if (field.name === "hosts") design.hosts = value.trim() === "table" ? null : words(value);
  else design[field.name] = value;
  draw();
  check("design");
}

// How far a point is along the whole, from 0 to 1, and the x of such a share.
const ends = () => [design.points[0][0], design.points[design.points.length - 1][0]];
function share(x) { const [first, last] = ends(); return (x - first) / (last - first); }
function x(share) { const [first, last] = ends(); return Number((first + Math.round(share / FINE) * FINE * (last - first)).toPrecision(12)); }
const bounded = (value, least, most) => Math.min(most, Math.max(least, value));

// The first and the last point stay at their ends, and none passes another.
function place(at, along, height) {
  const { points } = design;
  const isEnd = at === 0 || at === points.length - 1;
  if (!isEnd) points[at][0] = x(bounded(along, share(points[at - 1][0]) + FINE, share(points[at + 1][0]) - FINE));
  points[at][1] = bounded(Math.round(height / FINE) / (1 / FINE), 0, 1);
  draw();
  check("design");
}

// A new point; -1: there is no room for one.
function add(along, height) {
  const { points } = design;
  const at = points.findIndex((point) => share(point[0]) > along);
  const has_room = at > 0 && along - share(points[at - 1][0]) >= FINE && share(points[at][0]) - along >= FINE;
  if (!has_room) return -1;
  points.splice(at, 0, [x(along), 0]);
  place(at, along, height);
  return at;
}

// Half-way to the next one, or from the last to the one before.
function addBehind(at) {
  const { points } = design;
  const from = Math.min(at, points.length - 2);
  const [one, other] = [points[from], points[from + 1]];
  choose(add((share(one[0]) + share(other[0])) / 2, (one[1] + other[1]) / 2));
}

function remove(at) {
  const { points } = design;
  if (at <= 0 || at >= points.length - 1) { find("sends").textContent = "The first and the last point stay."; return; }
  points.splice(at, 1);
  draw();
  choose(at - 1);
  check("design");
}

function choose(at) {
  if (at < 0) return;
  chosen = at;
  draw();
  find("points").children[at].focus();
}

function draw() {
  const clients = forecast ? forecast.clients.filter((client) => client.rates_per_s.length > 0) : [];
  const most = design ? design.max_per_s : Math.max(0, ...clients.map((client) => client.rates_per_s.reduce((a, b) => Math.max(a, b), 0)));
  drawTicks(clients, most);
  drawPoints();
  find("add").disabled = find("remove").disabled = !design;
  find("top").textContent = design || clients.length > 0 ? "Its height is " + most + " requests/s of each client." : "Nothing of it can be drawn.";
  if (!forecast) { find("sends").textContent = find("faults").children.length + form.querySelectorAll("[aria-invalid=true]").length > 0 ? "Something is wrong with it." : ""; return; }
  const ticks = clients.map((client) => client.ticks + " ticks of " + client.interval_s + " s");
  const requests = forecast.requests === null ? "more requests than can be counted in a moment" : forecast.requests + " requests in all";
  find("sends").textContent = [requests, ...ticks].join("; ") + (design ? "" : "; the file says more than can be drawn here, and is queued as it is");
}

// The rate of each tick, as the server says it.
function drawTicks(clients, most) {
  const seconds = Math.max(0, ...clients.map((client) => client.rates_per_s.length * client.interval_s));
  find("ticks").replaceChildren(...clients.map((client) => {
    const height = (rate) => most > 0 ? (HEIGHT * (1 - rate / most)).toFixed(2) : HEIGHT;
    const width = (tick) => (tick * client.interval_s / seconds * WIDTH).toFixed(2);
    const steps = client.rates_per_s.map((rate, tick) => "V" + height(rate) + "H" + width(tick + 1));
    return element("path", { d: "M0 " + HEIGHT + steps.join("") + "V" + HEIGHT + "Z" });
  }));
}

function drawPoints() {
  const points = design ? design.points : [];
  const group = find("points");
  chosen = Math.min(chosen, points.length - 1);
  while (group.children.length > points.length) group.lastElementChild.remove();
  while (group.children.length < points.length) group.append(element("circle", { r: 11, tabindex: 0, role: "slider", "aria-valuemin": 0, "aria-valuemax": 100 }));
  const at = points.map(([along, height]) => [share(along) * WIDTH, (1 - height) * HEIGHT]);
  find("line").setAttribute("points", at.map((pair) => pair.join(",")).join(" "));
  points.forEach(([along, height], index) => {
    const [percent, high] = [(share(along) * 100).toFixed(1), (height * 100).toFixed(1)];
    const told = { cx: at[index][0], cy: at[index][1], class: index === chosen ? "chosen" : "", "aria-label": "Point " + (index + 1) + " of " + points.length,
      "aria-valuenow": high, "aria-valuetext": percent + " % of the time, " + high + " % of the most" };
    for (const [key, value] of Object.entries(told)) group.children[index].setAttribute(key, value);
  });
}

const pointOf = (target) => [...find("points").children].indexOf(target);
function under(event) {
  const box = curve.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
}

curve.addEventListener("pointerdown", (event) => {
  if (!design || event.button !== 0) return;
  event.preventDefault();
  const at = pointOf(event.target);
  choose(at >= 0 ? at : add(...under(event)));
  dragged = at >= 0 || pointOf(document.activeElement) === chosen ? chosen : null;
  curve.setPointerCapture(event.pointerId);
});
curve.addEventListener("pointermove", (event) => { if (dragged !== null) place(dragged, ...under(event)); });
for (const end of ["pointerup", "pointercancel"]) curve.addEventListener(end, () => { dragged = null; });

curve.addEventListener("keydown", (event) => {
  const at = pointOf(event.target);
  if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const [along, height] = [share(design.points[at][0]), design.points[at][1]];
  const step = event.shiftKey ? FAR : STEP;
  const keys = {
    ArrowLeft: () => place(at, along - step, height),
    ArrowRight: () => place(at, along + step, height),
    ArrowUp: () => place(at, along, height + step),
    ArrowDown: () => place(at, along, height - step),
    Enter: () => addBehind(at),
    Insert: () => addBehind(at),
    Delete: () => remove(at),
    Backspace: () => remove(at),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});
curve.addEventListener("focusin", (event) => {
  const at = pointOf(event.target);
  if (at >= 0 && at !== chosen) { chosen = at; drawPoints(); }
});

// Text that replaces what was there, with the recordings that it names.
function take(name, text, named) {
  [fileName, recordings] = [name, named];
  find("text").value = text;
  return check("text");
}

async function read(files) {
  const loads = files.filter((file) => file.name.endsWith(".toml"));
  if (loads.length !== 1) throw new Error("Choose one file that ends in .toml, and the recordings that it names.");
  const others = files.filter((file) => file !== loads[0]);
  const named = Object.fromEntries(await Promise.all(others.map(async (file) => [file.name, await file.text()])));
  await take(loads[0].name, await loads[0].text(), named);
  return {};
}

async function open(id) {
  const response = await fetch("/api/v1/load/experiments/" + id, { headers: headers() });
  if (!response.ok) throw await refusal(response);
  const { file, text, recordings } = await response.json();
  await take(file, text, recordings);
  find("designer").scrollIntoView();
  return {};
}

// With what is being checked: the file is that of the design.
async function queue() {
  while (asking) await asking;
  try {
    const body = { file: fileName, text: find("text").value, ...besides(), key: newKey() };
    const queued = await send("POST", "/api/v1/load/experiments", body);
    return { changed: "Experiment " + queued.id + " is queued: a daemon runs it." };
  } catch (error) {
    if (error.faults) blame(error.faults);
    throw error;
  }
}

async function save() {
  while (asking) await asking;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([find("text").value], { type: "application/toml" }));
  link.download = design ? design.name + ".toml" : fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  return { changed: link.download + " is exported." };
}

form.addEventListener("input", (event) => { if (design) edited(event.target); });
form.addEventListener("submit", (event) => event.preventDefault());
find("text").addEventListener("input", () => check("text"));
find("allow").addEventListener("input", () => check("text"));
find("import").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  if (files.length > 0) told(() => read(files), "It is imported.");
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.open) told(() => open(button.dataset.open), "It is there to be changed, and queued as another one.");
  if (button.id === "add") addBehind(chosen);
  if (button.id === "remove") remove(chosen);
  if (button.id === "queue") told(queue);
  if (button.id === "export") told(save);
});

heed("text", JSON.parse(find("designer").dataset.check));
soon();
listen();
setInterval(soon, 1000);
