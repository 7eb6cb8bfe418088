// The page: connects its controls with Pipecat's client.

import { Level, Microphone } from "./media.js";
import { Transcript } from "./transcript.js";
import { PipecatClient, RTVIEvent, SmallWebRTCTransport } from "./vendor/pipecat-client.js";
import { WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const LOOK_EVERY_MS = 1000;
// A server that is there sends sound all the time, if only silence.
const AWAY_AFTER_MS = 2500;
// As long as the server keeps the talk (visit.py).
const LOST_AFTER_MS = 20000;
// Words take longer than this.
const TELL_DELAY_MS = 20;

const saved = JSON.parse(localStorage.getItem("halfcascade") ?? "{}");
let pageLanguage = saved.pageLanguage ?? (navigator.language.startsWith("ko") ? "ko" : "en");
let config = null;
let client = null;
let transport = null;
let microphone = null;
let state = "idle";
let lookTimer = 0;
let packets = { count: 0, at: 0 };
let played = { delay: 0, count: 0 };
let toldDelayMs = 0;
let ending = false;

const level = new Level();
const words = () => WORDS[pageLanguage];
const transcript = new Transcript($("talk"), (text) => ($("spoken").textContent = text), words);

function save(changes) {
  Object.assign(saved, changes);
  localStorage.setItem("halfcascade", JSON.stringify(saved));
}

function show(next) {
  state = next;
  document.body.dataset.state = next;
  const muted = $("mute").getAttribute("aria-pressed") === "true";
  $("status").textContent = next === "listening" && muted ? words().muted : words()[next];
  const talking = next !== "idle";
  const connected = next === "listening" || next === "speaking";
  $("start-text").textContent = talking ? words().end : words().talk;
  for (const id of ["mute", "text", "send"]) $(id).disabled = !connected;
  $("mute").disabled ||= Boolean(microphone?.problem);
}

function complain(problem, detail = "") {
  $("problem").hidden = !problem;
  $("problem").textContent = problem ? [words().problems[problem], detail].filter(Boolean).join(" ") : "";
  $("problem").dataset.problem = problem ?? "";
}

function translate() {
  document.documentElement.lang = pageLanguage;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = words()[element.dataset.text];
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", words()[element.dataset.label]);
    element.title = words()[element.dataset.label];
  }
  for (const element of document.querySelectorAll("[data-placeholder]")) element.placeholder = words()[element.dataset.placeholder];
  if (config) fillChoices();
  show(state);
}

function fillChoices() {
  const names = new Intl.DisplayNames([pageLanguage], { type: "language" });
  const languages = config.languages.map((code) => [code, `${names.of(code.replace("cmn-", "zh-"))} (${code})`]);
  languages.sort((one, other) => one[1].localeCompare(other[1], pageLanguage));
  fill($("language"), languages, saved.language ?? config.language);
  fill($("voice"), config.voices.map(({ name, gender }) => [name, `${name}, ${words()[gender]}`]), saved.voice ?? config.voice);
  $("token-row").hidden = !config.token;
  listMicrophones();
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

async function listMicrophones() {
  const devices = await new Microphone().getAllMics();
  const named = devices.filter(({ deviceId }) => deviceId).map(({ deviceId, label }, index) => [deviceId, label || `${words().microphone} ${index + 1}`]);
  fill($("microphone"), [["", words().defaultMicrophone], ...named], saved.microphone ?? "");
}

async function start() {
  complain(null);
  transcript.clear();
  $("latency").textContent = config?.keeps ? words().kept : "";
  ending = false;
  microphone = new Microphone((track) => transport?.getAudioTransceiver().sender.replaceTrack(track));
  if (saved.microphone) microphone.updateMic(saved.microphone);
  transport = new SmallWebRTCTransport({ mediaManager: microphone });
  client = new PipecatClient({ transport, enableMic: true, enableCam: false, callbacks: { onError: () => {} } });
  listen(client);
  show("connecting");
  try {
    await client.startBotAndConnect({ endpoint: new URL("start", location).href, headers: tokenHeaders(), requestData: { body: { language: $("language").value, voice: $("voice").value } } });
  } catch (error) {
    if (!ending) await explain(error);
    await stop();
  }
}

function tokenHeaders() {
  const token = $("token").value || sessionStorage.getItem("token") || "";
  if (token) sessionStorage.setItem("token", token);
  return new Headers(token ? { Authorization: `Bearer ${token}` } : {});
}

async function explain(error) {
  const status = error?.status ?? error?.cause?.status;
  if (status === 503) complain("full");
  else if (status === 401 || status === 403) {
    complain("token");
    toggleSettings(true);
    $("token").focus();
  } else if (status) complain("other");
  else complain(await fetch("healthz").then(({ ok }) => (ok ? "other" : "server"), () => "server"));
}

function listen(on) {
  on.on(RTVIEvent.BotReady, ready);
  on.on(RTVIEvent.ServerMessage, take);
  on.on(RTVIEvent.BotStartedSpeaking, () => state !== "reconnecting" && show("speaking"));
  on.on(RTVIEvent.BotStoppedSpeaking, () => state === "speaking" && show("listening"));
  on.on(RTVIEvent.TrackStarted, (track, participant) => participant?.local || play(track));
  on.on(RTVIEvent.Disconnected, () => lost(on));
  on.on(RTVIEvent.BotDisconnected, () => lost(on));
}

function ready() {
  client.sendClientMessage("captions");
  level.follow(microphone.stream);
  if (microphone.problem) {
    complain({ NotAllowedError: "denied", SecurityError: "insecure" }[microphone.problem.name] ?? "missing");
  }
  show("listening");
  listMicrophones();
  packets = { count: 0, at: performance.now() };
  played = { delay: 0, count: 0 };
  toldDelayMs = 0;
  lookTimer = setInterval(look, LOOK_EVERY_MS);
  draw();
}

function play(track) {
  if (track.kind !== "audio") return;
  $("loudspeaker").srcObject = new MediaStream([track]);
  $("loudspeaker").play().catch(() => {});
}

// Looks how the connection is: whether anything comes, and how long it takes.
async function look() {
  const looking = client;
  const all = [...((await transport?.pc?.getStats())?.values() ?? [])];
  if (!looking || looking !== client) return;
  const sound = all.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
  const pair = all.find(({ type, nominated, currentRoundTripTime }) => type === "candidate-pair" && nominated && currentRoundTripTime);
  follow(sound?.packetsReceived ?? 0);
  if (state !== "reconnecting") reportDelay(sound, pair);
}

// Pipecat's client connects anew by itself. Until it has, nothing that is said arrives: a person has to know.
function follow(count) {
  const now = performance.now();
  // A new connection begins at nothing, which is no sign that anything comes.
  if (count && count !== packets.count) {
    packets = { count, at: now };
    if (state === "reconnecting") show("listening");
  } else if (now - packets.at > LOST_AFTER_MS) lost(client);
  else if (now - packets.at > AWAY_AFTER_MS && state !== "reconnecting") show("reconnecting");
}

// What lies between the server and the ear: half a round trip, the jitter buffer as it was since the last look, the loudspeaker.
function reportDelay(sound, pair) {
  const { jitterBufferDelay: delay, jitterBufferEmittedCount: count } = sound ?? {};
  const emitted = count - played.count;
  const buffer = (delay - played.delay) / emitted;
  if (count) played = { delay, count };
  if (!(emitted > 0)) return;
  const ms = Math.round(1000 * ((pair?.currentRoundTripTime ?? 0) / 2 + buffer + level.outputSecs));
  if (Math.abs(ms - toldDelayMs) < TELL_DELAY_MS) return;
  toldDelayMs = ms;
  client.sendClientMessage("delay", { ms });
}

function take(message) {
  if (message?.type !== "captions") return;
  document.body.classList.add("has-talk");
  if (message.kind === "interim") $("interim").textContent = message.text;
  else if (message.kind === "latency") showLatency(message.ms);
  else transcript.take(message);
}

function showLatency(ms) {
  const secs = (value) => (value / 1000).toFixed(2);
  const stages = Object.entries(ms).map(([stage, value]) => `${words().stages[stage]} ${secs(value)}`);
  $("latency").textContent = words().answered(secs(ms.heard));
  $("latency").title = stages.join(", ");
}

function lost(which) {
  if (which !== client || ending) return;
  complain("lost");
  stop();
}

async function stop() {
  const leaving = client;
  ending = true;
  client = null;
  clearInterval(lookTimer);
  level.stop();
  $("loudspeaker").srcObject = null;
  $("interim").textContent = "";
  $("mute").setAttribute("aria-pressed", "false");
  show("idle");
  await leaving?.disconnect().catch(() => {});
  await microphone?.disconnect();
}

function draw() {
  if (!client) return void ($("level").value = 0);
  $("level").value = microphone.isMicEnabled ? level.read() : 0;
  requestAnimationFrame(draw);
}

function mute() {
  const muted = $("mute").getAttribute("aria-pressed") !== "true";
  $("mute").setAttribute("aria-pressed", String(muted));
  client?.enableMic(!muted);
  show(state);
}

function toggleSettings(open = $("settings").hidden) {
  $("settings").hidden = !open;
  $("settings-button").setAttribute("aria-expanded", String(open));
}

$("start").addEventListener("click", () => (client ? stop() : start()));
$("mute").addEventListener("click", mute);
$("settings-button").addEventListener("click", () => toggleSettings());
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("language").addEventListener("change", ({ target }) => save({ language: target.value }));
$("voice").addEventListener("change", ({ target }) => save({ voice: target.value }));
$("microphone").addEventListener("change", ({ target }) => {
  save({ microphone: target.value });
  microphone?.updateMic(target.value).then(() => level.follow(microphone.stream), () => complain("missing"));
});
$("page-language").addEventListener("change", ({ target }) => {
  pageLanguage = target.value;
  save({ pageLanguage });
  translate();
});
$("typing").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !client) return;
  client.sendText(text);
  $("text").value = "";
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|BUTTON|TEXTAREA)$/.test(event.target.tagName)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const action = { " ": () => $("start").click(), m: () => $("mute").click(), "/": () => $("text").focus() }[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action();
});
// A page that is closed or reloaded leaves at once, instead of when the server notices.
addEventListener("pagehide", () => client?.disconnect().catch(() => {}));

$("page-language").value = pageLanguage;
translate();
fetch("api/config")
  .then((answer) => answer.json())
  .then((answer) => {
    config = answer;
    fillChoices();
    if (!config.webrtc) complain("other");
  })
  .catch(() => complain("server"));
