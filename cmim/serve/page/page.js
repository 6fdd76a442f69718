// Gives pictures to the server, and shows what its networks say of them.

import { classesOf, describe, numbersOf, rangeOf } from "./result.js";

const at = id => document.getElementById(id);
const made = (name, options = {}, ...children) => {
  const element = Object.assign(document.createElement(name), options);
  element.append(...children);
  return element;
};

let limits = { kinds: [], most_bytes: Infinity };
let networks = [];
// The picture that is shown; answers belong to it by network.
let current = null;
let point = { x: 0.5, y: 0.5 };
let shown = [];
let camera = null;

const chosen = () => document.querySelector("#networks input:checked")?.value;
const tell = text => { at("status").textContent = text; };
const fail = text => { at("error").textContent = text; };

async function ask(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(sentence(found.error ?? `The server answers ${response.status}.`));
  return found;
}

const sentence = text => text[0].toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");

async function listNetworks() {
  limits = await ask("api/networks");
  networks = limits.networks;
  for (const [place, network] of networks.entries()) {
    const input = made("input", { type: "radio", name: "network", value: network.name, checked: place === 0 });
    input.addEventListener("change", () => current && look());
    const facts = made("span", { className: "facts" });
    facts.dataset.network = network.name;
    at("networks").append(made("label", {}, input, made("span", { textContent: network.name }), facts));
  }
  showFacts();
}

function showFacts() {
  for (const facts of document.querySelectorAll(".facts")) {
    const network = networks.find(each => each.name === facts.dataset.network);
    const answer = current?.answers.get(network.name);
    const size = `${network.megabytes} MB`;
    facts.textContent = answer ? `${milliseconds(answer)}, ${size}` : size;
  }
}

const milliseconds = answer => `${answer.milliseconds.toFixed(answer.milliseconds < 10 ? 1 : 0)} ms`;

function whyNot(file) {
  if (!limits.kinds.includes(file.type)) return `This is ${file.type || "no picture"}; give a JPEG, PNG or WebP picture.`;
  if (file.size > limits.most_bytes) return `The picture has ${(file.size / 1e6).toFixed(1)} MB; up to ${limits.most_bytes / 1e6} MB are taken.`;
  return "";
}

async function give(file) {
  const refused = whyNot(file);
  fail(refused);
  if (refused) return;
  current?.stop.abort();
  if (current) URL.revokeObjectURL(current.url);
  current = { file, url: URL.createObjectURL(file), answers: new Map(), stop: new AbortController() };
  point = { x: 0.5, y: 0.5 };
  at("results").hidden = true;
  showFacts();
  await look();
}

// The chosen network first, since it is waited for; then the others, for their times.
async function look() {
  const mine = current;
  const order = [chosen(), ...networks.map(each => each.name)];
  fail("");
  try {
    for (const name of new Set(order)) {
      if (!mine.answers.has(name)) mine.answers.set(name, await predict(mine, name));
      if (mine !== current) return;
      showFacts();
      if (name === chosen()) show(mine.answers.get(name));
    }
  } catch (error) {
    if (error.name === "AbortError" || mine !== current) return;
    tell("");
    fail(error.message);
  }
}

async function predict(mine, name) {
  if (name === chosen()) tell(`${name} looks at the picture …`);
  const answer = await ask(`api/predict?network=${encodeURIComponent(name)}`, {
    method: "POST",
    headers: { "content-type": mine.file.type },
    body: mine.file,
    signal: mine.stop.signal,
  });
  for (const view of answer.views) view.numbers = await numbersOf(view);
  return answer;
}

function show(answer) {
  const focused = document.activeElement?.dataset?.task;
  shown = answer.views.map(figureOf);
  at("figures").replaceChildren(...shown.map(each => each.figure));
  at("results").hidden = false;
  tell(`${answer.network}: ${milliseconds(answer)}.`);
  if (focused) document.querySelector(`[data-task="${CSS.escape(focused)}"]`)?.focus();
  move(point, false);
}

function figureOf(view) {
  const picture = made("img", { src: current.url, alt: "" });
  const colours = made("img", { src: `data:image/png;base64,${view.picture}`, alt: "", className: view.names.length ? "colours flat" : "colours" });
  colours.style.opacity = at("opacity").value / 100;
  const mark = made("span", { className: "point" });
  const tip = made("span", { className: "tip" });
  const stage = made("div", { className: "stage", tabIndex: 0 }, picture, colours, mark, tip);
  stage.dataset.task = view.task;
  // Known before the pictures are loaded, so that nothing moves under the pointer.
  stage.style.aspectRatio = `${view.size[1]} / ${view.size[0]}`;
  stage.setAttribute("role", "application");
  stage.setAttribute("aria-label", `${view.title}: a point that the arrow keys move`);
  const caption = made("figcaption", { textContent: view.title });
  if (view.note) caption.append(made("p", { className: "note", textContent: sentence(view.note) }));
  const legend = legendOf(view);
  listen(stage, view);
  return { view, stage, mark, tip, legend, colours, figure: made("figure", {}, stage, caption, legend) };
}

function legendOf(view) {
  if (!view.names.length) return made("p", { className: "note", textContent: view.readings.length === 1 ? sentence(rangeOf(view, view.numbers)) : "" });
  const list = made("ul", { className: "legend" });
  for (const each of classesOf(view, view.numbers)) {
    const swatch = made("span", { className: "swatch" });
    swatch.style.backgroundColor = `rgb(${each.colour.join(" ")})`;
    const share = each.share < 0.005 ? "below 1 %" : `${Math.round(100 * each.share)} %`;
    const item = made("li", {}, swatch, `${each.name} ${share}`);
    item.dataset.number = each.number;
    list.append(item);
  }
  return list;
}

function listen(stage, view) {
  const follow = event => {
    const box = stage.getBoundingClientRect();
    const share = (value, size) => Math.min(1, Math.max(0, value / size));
    move({ x: share(event.clientX - box.left, box.width), y: share(event.clientY - box.top, box.height) }, false);
  };
  stage.addEventListener("pointermove", follow);
  stage.addEventListener("pointerdown", follow);
  stage.addEventListener("focus", () => stage.matches(":focus-visible") && speak(view));
  stage.addEventListener("keydown", event => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const step = event.shiftKey ? 0.1 : 0.01;
    const within = value => Math.min(1, Math.max(0, value));
    move({ x: within(point.x + step * way[0]), y: within(point.y + step * way[1]) }, view);
  });
}

// All figures show the same place.
function move(place, spoken) {
  point = place;
  for (const { view, mark, tip, stage, legend } of shown) {
    mark.style.left = `${100 * point.x}%`;
    mark.style.top = `${100 * point.y}%`;
    tip.textContent = describe(view, view.numbers, point).join("\n");
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    const beside = point.x * width + 14 + tip.offsetWidth > width ? point.x * width - 14 - tip.offsetWidth : point.x * width + 14;
    tip.style.left = `${Math.max(0, Math.min(beside, width - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, Math.min(point.y * height + 10, height - tip.offsetHeight))}px`;
    for (const item of legend.children) item.classList.toggle("here", view.names[item.dataset.number] === tip.textContent);
  }
  if (spoken) speak(spoken);
}

let saying = 0;
// Not at every key that is held down: a screen reader would still be at the first one.
function speak(view) {
  clearTimeout(saying);
  saying = setTimeout(() => { at("spoken").textContent = `${view.title}: ${describe(view, view.numbers, point).join(", ")}`; }, 150);
}

async function openCamera() {
  fail("");
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    fail(error.name === "NotAllowedError" ? "The camera is not allowed; allow it beside the address." : "There is no camera that can be used.");
    return;
  }
  at("video").srcObject = camera;
  at("capture").hidden = false;
  at("camera").disabled = true;
  await at("video").play();
  at("take").focus();
}

function closeCamera() {
  camera?.getTracks().forEach(track => track.stop());
  camera = null;
  at("video").srcObject = null;
  at("capture").hidden = true;
  at("camera").disabled = false;
  at("camera").focus();
}

async function takePicture() {
  const { videoWidth: width, videoHeight: height } = at("video");
  if (!width) return fail("The camera has no picture yet; try again in a moment.");
  const canvas = made("canvas", { width, height });
  canvas.getContext("2d").drawImage(at("video"), 0, 0);
  const blob = await new Promise(done => canvas.toBlob(done, "image/jpeg", 0.92));
  closeCamera();
  await give(blob);
}

function giveFirst(transfer) {
  const [file] = transfer?.files ?? [];
  if (file) give(file);
  else fail("There is no picture in what was given; copy or drop a picture file.");
}

function ready() {
  at("file").addEventListener("change", event => {
    const [file] = event.target.files;
    // The same file can be chosen again.
    event.target.value = "";
    if (file) give(file);
  });
  at("opacity").addEventListener("input", event => shown.forEach(each => { each.colours.style.opacity = event.target.value / 100; }));
  at("camera").addEventListener("click", openCamera);
  at("close").addEventListener("click", closeCamera);
  at("take").addEventListener("click", takePicture);
  if (!navigator.mediaDevices?.getUserMedia) {
    at("camera").disabled = true;
    at("hint").textContent += " Browsers allow cameras on this machine's own page and with https only.";
  }
  document.addEventListener("paste", event => giveFirst(event.clipboardData));
  document.addEventListener("dragover", event => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave", event => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop", event => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    giveFirst(event.dataTransfer);
  });
  addEventListener("resize", () => move(point, false));
  listNetworks().catch(error => fail(error.message));
}

ready();
