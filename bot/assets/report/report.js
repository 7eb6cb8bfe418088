"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name === "style") element.style.cssText = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  // Lines in the language of whoever made the page; values are put in for {names}.
  const tr = (line, values = {}) => (data.lines[line] ?? line).replace(/\{(\w+)\}/g, (_, name) => values[name]);
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = tr(element.textContent);
  const clock = (t) => `${Math.floor(t / 60)}:${(t % 60).toFixed(1).padStart(4, "0")}`;
  const seconds = (ms) => (ms === null || ms === undefined ? "–" : `${(ms / 1000).toFixed(2)} s`);
  const dollars = (usd) => usd === null || usd === undefined ? tr("no price known") : usd && Math.abs(usd) < 0.01 ? `$${usd.toFixed(4)}` : `$${usd.toFixed(usd >= 1 ? 2 : 3)}`;
  const count = (n) => Math.round(n || 0).toLocaleString("en");

  const KINDS = { interruption: ["#cf222e", tr("interruption")], backchannel: ["#8250df", tr("backchannel")], device: ["#bc4c00", tr("device")], error: ["#cf222e", tr("error")], tool: ["#0969da", tr("tool")], reopened: ["#9a6700", tr("turn goes on")], budget: ["#9a6700", tr("budget")] };
  const STAGE_NAMES = { final: tr("understood"), turn_ended: tr("turn over"), turn_sent: tr("sent"), first_text: tr("first text"), first_audio: tr("first sound"), speaking_started: tr("handed to the loudspeaker"), heard: tr("heard") };
  const STAGE_COLORS = { final: "#54aeff", turn_ended: "#0969da", turn_sent: "#0a3069", first_text: "#d4a72c", first_audio: "#4ac26b", speaking_started: "#1a7f37", heard: "#116329" };

  const METERS = { stt_seconds: [tr("speech recognition"), "stt_audio_seconds", ` ${tr("s")}`], tts_characters: [tr("the voice"), "tts_characters", ` ${tr("characters")}`], llm_text_in: [tr("text to the model"), null, ""], llm_audio_in: [tr("audio to the model"), "llm_input_audio_tokens", ` ${tr("tokens")}`], llm_text_out: [tr("the model's text"), null, ""], llm_audio_out: [tr("the model's audio, thrown away"), "llm_output_audio_tokens", ` ${tr("tokens")}`] };

  // Head
  const title = data.title || {};
  document.title = `${tr("Talk")} ${data.started || data.folder}`;
  $("title").textContent = tr("Talk of {when}", { when: (data.started || data.folder).replace("T", " ").replace(/[+-]\d\d:\d\d$/, "") });
  $("subtitle").textContent = Object.entries(title).map(([name, value]) => `${name} ${value}`).join(" · ") + (data.reason ? ` · ${tr("ended")}: ${data.reason}` : "");
  for (const problem of data.problems) $("problems").append(make("li", {}, problem));
  const money = data.money || {};
  const figures = [
    [tr("length"), clock(data.seconds)],
    [tr("turns"), data.turns.length],
    [tr("last word to first sound, median"), seconds(data.latency_ms.median)],
    [tr("90 % within"), seconds(data.latency_ms.p90)],
    [tr("interruptions"), data.interruptions.length],
    [tr("errors"), data.errors],
  ];
  if (money.usd !== undefined) figures.push([money.emulated ? tr("would have cost") : tr("list price"), dollars(money.usd)]);
  if (money.discarded_audio_usd) figures.push([tr("of it discarded audio"), dollars(money.discarded_audio_usd)]);
  if ((money.unknown || []).length) figures.push([tr("not counted, no price known"), money.unknown.map((meter) => (METERS[meter] || [meter])[0]).join(", ")]);
  for (const [name, value] of figures) $("figures").append(make("div", {}, make("dt", {}, name), make("dd", {}, String(value))));

  // Sound
  let player = null;
  const seek = (t) => { if (player) { player.setTime(Math.min(t, player.getDuration())); if (!player.isPlaying()) player.play(); } };
  const spans = [];

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const startPlayer = () => {
    const encoded = $("audio").textContent.trim();
    if (!encoded && !data.sound_file) return;
    $("player").hidden = false;
    const url = encoded ? URL.createObjectURL(new Blob([bytes(encoded)], { type: "audio/mpeg" })) : data.sound_file;
    const media = new Audio(url);
    media.preload = "auto";
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const peaks = data.peaks.map((text) => Float32Array.from(bytes(text), (value) => value / 255));
    const marks = WaveSurfer.Regions.create();
    const words = WaveSurfer.Regions.create();
    const dim = color("--dim");
    player = WaveSurfer.create({
      container: "#wave", media, peaks, duration: data.sound_seconds, minPxPerSec: 110, cursorColor: color("--bad"), autoScroll: true, autoCenter: true, dragToSeek: true,
      splitChannels: [{ height: 84, waveColor: color("--user"), progressColor: color("--user"), maxPeak: 1.35 }, { height: 84, waveColor: color("--bot"), progressColor: color("--bot"), maxPeak: 1.35 }],
      plugins: [
        marks, words,
        WaveSurfer.Timeline.create({ height: 16, formatTimeCallback: (t) => clock(t).replace(/\.0$/, ""), style: { color: dim } }),
        WaveSurfer.Minimap.create({ container: "#overview", height: 26, waveColor: dim, progressColor: dim, splitChannels: undefined, peaks: [Float32Array.from(peaks[0], (value, i) => Math.max(value, peaks[1][i] || 0))], duration: data.sound_seconds }),
      ],
    });
    window.talkPlayer = player;

    const drawMarks = () => {
      for (const mark of data.marks) {
        const [tint, name] = KINDS[mark.kind];
        const flag = make("span", { title: `${name} ${mark.label}`, style: `color:${tint};font:11px system-ui;white-space:nowrap;position:absolute;top:0;left:3px` }, name);
        marks.addRegion({ start: Math.min(mark.t, data.sound_seconds), content: flag, color: tint, drag: false, resize: false });
      }
    };
    // Words are drawn where they are looked at, and only as far in as they can be read.
    let drawn = "";
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = "12px system-ui";
    const drawWords = () => {
      const scale = Number($("zoom").value);
      const from = player.getScroll() / scale - 5, to = from + player.getWidth() / scale + 10;
      const key = scale < 55 ? "none" : `${Math.floor(from / 5)}:${scale}`;
      if (key === drawn) return;
      drawn = key;
      words.clearRegions();
      if (key === "none") return;
      // A word that was said before the last one's letters end stands behind them.
      const ends = { user: 0, bot: 0 };
      for (const entry of data.entries) {
        for (const [t, text] of entry.words) {
          if (t < from || t > to || !text.trim()) continue;
          const bot = entry.who === "bot";
          const left = Math.max(t * scale, ends[entry.who] ?? 0);
          ends[entry.who] = left + pen.measureText(`${text.trim()} `).width;
          const label = make("span", { style: `position:absolute;bottom:1px;left:${left - t * scale}px;font:12px system-ui;white-space:nowrap;color:${color("--ink")}` }, text.trim());
          words.addRegion({ start: t, end: t + 0.01, content: label, color: "transparent", drag: false, resize: false, channelIdx: bot ? 1 : 0 });
        }
      }
    };
    let spansAt = -1;
    const follow = (t) => {
      $("clock").textContent = `${clock(t)} / ${clock(data.sound_seconds)}`;
      let at = -1;
      for (let low = 0, high = spans.length - 1; low <= high; ) {
        const middle = (low + high) >> 1;
        if (spans[middle][0] <= t) { at = middle; low = middle + 1; } else high = middle - 1;
      }
      if (at === spansAt) return;
      if (spansAt >= 0) spans[spansAt][1].classList.remove("now");
      if (at >= 0 && t - spans[at][0] < 1.2) spans[at][1].classList.add("now");
      spansAt = at;
    };
    player.on("ready", () => { drawMarks(); drawWords(); follow(0); document.body.dataset.ready = "yes"; });
    player.on("scroll", drawWords);
    player.on("timeupdate", follow);
    player.on("play", () => { $("play").textContent = `❚❚ ${tr("Pause")}`; });
    player.on("pause", () => { $("play").textContent = `▶ ${tr("Play")}`; });
    $("play").textContent = `▶ ${tr("Play")}`;
    $("play").addEventListener("click", () => player.playPause());
    $("speed").addEventListener("change", (event) => player.setPlaybackRate(Number(event.target.value)));
    $("zoom").addEventListener("input", (event) => { player.zoom(Number(event.target.value)); drawn = ""; drawWords(); });
    const used = new Set(data.marks.map((mark) => mark.kind));
    for (const kind of used) $("legend").append(make("span", {}, make("i", { class: "swatch", style: `background:${KINDS[kind][0]}` }), KINDS[kind][1]));
    document.addEventListener("keydown", (event) => { if (event.code === "Space" && event.target === document.body) { event.preventDefault(); player.playPause(); } });
  };

  // Transcript
  for (const entry of data.entries) {
    const what = make("div", { class: "what" });
    const word = (t, text, kind) => {
      const span = make("span", { class: kind, onclick: () => seek(t) }, text);
      spans.push([t, span]);
      return span;
    };
    if (entry.who === "bot") {
      for (const { text, heard, words } of entry.pieces) {
        if (!heard) what.append(make("span", { class: "unheard" }, ` ${text}`));
        else if (words.length) for (const [t, spoken] of words) what.append(word(t, spoken, "w"));
        else what.append(` ${text}`);
      }
      if (entry.interrupted) what.append(make("span", { class: "badge cut" }, tr("interrupted")));
    } else if (entry.who === "user" && entry.words.length && entry.words.map(([, text]) => text.trim()).join(" ") === entry.text.trim().split(/\s+/).join(" ")) {
      for (const [t, text] of entry.words) what.append(word(t, text, "w"));
    } else what.append(entry.text);
    for (const text of entry.shown ?? []) what.append(make("pre", { class: "shown" }, text));
    if (entry.backchannel) what.append(make("span", { class: "badge" }, tr("in passing")));
    const who = { user: tr("you"), bot: tr("bot"), tool: tr("tool"), prompt: tr("told"), error: tr("error") }[entry.who];
    if (entry.who === "bot" && !entry.pieces.length) continue;
    $("entries").append(make("div", { class: `entry ${entry.who}` }, make("time", { onclick: () => seek(entry.t) }, clock(entry.t)), make("span", { class: "who" }, who), what));
  }
  spans.sort((a, b) => a[0] - b[0]);

  // Waterfall
  const drawn = data.stages.filter((stage) => STAGE_NAMES[stage]);
  for (const stage of drawn) $("stage-legend").append(make("span", {}, make("i", { class: "swatch", style: `background:${STAGE_COLORS[stage]}` }), STAGE_NAMES[stage]));
  const longest = Math.max(1, ...data.turns.map((turn) => Math.max(0, ...Object.values(turn.stages_ms))));
  const scale = Math.min(longest, 3 * (data.latency_ms.median || longest));
  const bars = (stages) => {
    const bar = make("div", { class: "bar" });
    let from = 0;
    for (const stage of drawn) {
      const until = stages[stage];
      if (until === undefined || until <= from) continue;
      const place = (ms) => Math.min(100, (100 * Math.max(0, ms)) / scale);
      bar.append(make("i", { style: `left:${place(from)}%;width:${place(until) - place(from)}%;background:${STAGE_COLORS[stage]}`, title: `${STAGE_NAMES[stage]}: ${until} ms (+${until - Math.round(from)} ms)` }));
      from = until;
    }
    return bar;
  };
  $("waterfall-hint").textContent = tr("From your last sound, to {secs} s; slow turns in red.", { secs: (scale / 1000).toFixed(1) });
  const head = [tr("turn"), tr("you said"), tr("stages"), tr("latency"), tr("tokens in / out"), tr("characters"), tr("cost")];
  $("turns").append(make("tr", {}, ...head.map((name, index) => make("th", { class: index > 2 ? "n" : "" }, name))));
  const medians = Object.fromEntries(Object.entries(data.stages_ms).filter(([, each]) => each.median !== undefined).map(([stage, each]) => [stage, each.median]));
  if (data.turns.length > 1) $("turns").append(make("tr", { class: "median" }, make("td", {}, ""), make("td", {}, tr("median")), make("td", { class: "bars" }, bars(medians)), make("td", { class: "n latency" }, seconds(data.latency_ms.median)), make("td"), make("td"), make("td")));
  for (const turn of data.turns) {
    const usage = turn.usage;
    $("turns").append(make("tr", { class: turn.slow ? "slow" : "" },
      make("td", {}, String(turn.turn)), make("td", { class: "said", title: turn.text, onclick: () => seek(Math.max(0, turn.at - 2)) }, turn.text),
      make("td", { class: "bars" }, bars(turn.stages_ms)), make("td", { class: "n latency" }, seconds(turn.latency_ms)),
      make("td", { class: "n" }, `${count(usage.llm_prompt_tokens)} / ${count(usage.llm_completion_tokens)}`), make("td", { class: "n" }, count(usage.tts_characters)),
      make("td", { class: "n" }, turn.money.usd === undefined ? "" : dollars(turn.money.usd))));
  }

  // Money
  const usage = data.usage || {};
  const textTokens = { llm_text_in: (usage.llm_prompt_tokens || 0) - (usage.llm_input_audio_tokens || 0), llm_text_out: (usage.llm_completion_tokens || 0) - (usage.llm_output_audio_tokens || 0) };
  $("costs").append(make("tr", {}, make("th", {}, tr("what")), make("th", { class: "n" }, tr("used")), make("th", { class: "n" }, tr("list price"))));
  for (const [meter, [name, counter, unit]] of Object.entries(METERS)) {
    const used = counter ? usage[counter] : textTokens[meter];
    if (!used) continue;
    const price = money.items ? money.items[meter] : undefined;
    $("costs").append(make("tr", {}, make("td", {}, name), make("td", { class: "n" }, count(used) + (unit || ` ${tr("tokens")}`)), make("td", { class: "n" }, price === undefined ? "" : dollars(price))));
  }
  const day = { day: money.prices_of || "?" };
  if (money.usd !== undefined) $("costs").append(make("tr", { class: "median" }, make("td", {}, money.emulated ? tr("in all, prices of {day}, had it been Google", day) : tr("in all, prices of {day}", day)), make("td"), make("td", { class: "n" }, dollars(money.usd))));

  // Marks and settings
  for (const mark of data.marks) $("marks").append(make("tr", {}, make("td", { style: "cursor:pointer", onclick: () => seek(mark.t) }, clock(mark.t)), make("td", { style: `color:${KINDS[mark.kind][0]}` }, KINDS[mark.kind][1]), make("td", {}, mark.label)));
  if (!data.marks.length) $("marks").append(make("tr", {}, make("td", {}, tr("Nothing."))));
  const settings = { ...title, ...data.settings, ...Object.fromEntries(Object.entries(data.transport || {}).map(([name, value]) => [`transport: ${name}`, value])) };
  for (const [name, value] of Object.entries(settings)) $("settings").append(make("tr", {}, make("td", {}, name), make("td", {}, typeof value === "object" ? JSON.stringify(value) : String(value))));

  startPlayer();
  if (!player) document.body.dataset.ready = "yes";
})();
