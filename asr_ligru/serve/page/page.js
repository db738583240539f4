// The page: a recording goes to the server, its text comes back. All text is inserted as text, never as markup.
import { Recorder } from "./recorder.js";
import { Transcript } from "./transcript.js";
import { Wave } from "./wave.js";

const byId = (id) => document.getElementById(id);
const player = byId("player");
const wave = new Wave(byId("wave"), player);
const transcript = new Transcript(byId("words"), byId("rows"), player);
let about = { max_bytes: Infinity, max_seconds: Infinity };
let running = null; // what aborts the request under way
let recorder = null;

// minutes:seconds
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function fail(what, fix = "") {
  byId("error-what").textContent = what;
  byId("error-fix").textContent = fix;
  byId("error").hidden = false;
  byId("status").textContent = "";
}

function setBusy(isBusy) {
  byId("busy").hidden = !isBusy;
  byId("record").disabled = isBusy;
  byId("file").disabled = isBusy;
}

async function answerTo(blob, name) {
  running = new AbortController();
  const url = `api/transcribe?name=${encodeURIComponent(name)}`;
  const response = await fetch(url, { method: "POST", body: blob, signal: running.signal });
  const answer = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(answer.error), { fix: answer.fix });
  return answer;
}

async function transcribe(blob, name) {
  if (running || recorder) return;
  byId("error").hidden = true;
  byId("result").hidden = true;
  if (blob.size > about.max_bytes) {
    fail(`${name} is too large: ${Math.ceil(blob.size / 1e6)} MB, at most ${about.max_bytes / 1e6} MB are accepted`);
    return;
  }
  byId("status").textContent = `Transcribing ${name} …`;
  setBusy(true);
  const started = performance.now();
  try {
    const answer = await answerTo(blob, name);
    show(blob, name, answer, (performance.now() - started) / 1000);
  } catch (error) {
    if (error.name === "AbortError") byId("status").textContent = "Cancelled.";
    else if (error instanceof TypeError) fail("The server cannot be reached.", "Is asr-ligru serve still running?");
    else fail(`${name}: ${error.message}`, error.fix);
  } finally {
    running = null;
    setBusy(false);
  }
}

function show(blob, name, answer, took) {
  const seconds = answer.transcript.duration_s;
  if (player.src) URL.revokeObjectURL(player.src);
  byId("unplayable").hidden = true;
  byId("hint").hidden = !answer.transcript.text;
  player.hidden = false;
  player.src = URL.createObjectURL(blob);
  byId("title").textContent = name;
  byId("result").hidden = false;
  wave.show(answer.peaks, seconds);
  transcript.show(answer.transcript.segments);
  byId("legend").hidden = !byId("words").querySelector(".doubtful, .unsure");
  offerDownloads(name, answer);
  byId("status").textContent = `${clock(seconds)} of audio, transcribed in ${took.toFixed(1)} s.`;
  byId("title").focus();
}

function offerDownloads(name, answer) {
  const stem = name.replace(/\.[^.]*$/, "") || "transcript";
  const files = { ...answer.files, json: `${JSON.stringify(answer.transcript, null, 1)}\n` };
  byId("downloads").replaceChildren("Download", ...["srt", "vtt", "txt", "json"].map((kind) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `.${kind}`;
    button.setAttribute("aria-label", `Download ${kind}`);
    button.onclick = () => save(new Blob([files[kind]], { type: "text/plain;charset=utf-8" }), `${stem}.${kind}`);
    return button;
  }));
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function toggleRecording() {
  if (recorder) {
    const finished = recorder;
    recorder = null;
    byId("record").classList.remove("recording");
    byId("record-text").textContent = "Record";
    byId("file").disabled = false;
    const blob = await finished.stop();
    await transcribe(blob, `recording ${new Date().toTimeString().slice(0, 8).replaceAll(":", ".")}.wav`);
    return;
  }
  byId("error").hidden = true;
  byId("record").disabled = true;
  try {
    recorder = await Recorder.start(onRecorded);
  } catch (error) {
    fail(`Cannot record: ${error.message}`, error.fix);
    return;
  } finally {
    byId("record").disabled = false;
  }
  byId("record").classList.add("recording");
  byId("file").disabled = true;
  byId("status").textContent = "Recording. Press Stop when you are done.";
  onRecorded(0, 0);
}

function onRecorded(seconds, bytes) {
  if (!recorder) return;
  byId("record-text").textContent = `Stop ${clock(seconds)}`;
  if (seconds > about.max_seconds - 1 || bytes > about.max_bytes - 1e5) toggleRecording();
}

function takeFile(file) {
  if (file) transcribe(file, file.name);
}

byId("file").onchange = (event) => {
  takeFile(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
};
byId("record").onclick = toggleRecording;
byId("cancel").onclick = () => running?.abort();
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
}
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  takeFile(event.dataTransfer.files[0]);
});
function follow() {
  wave.draw();
  transcript.mark(player.currentTime);
  if (!player.paused) requestAnimationFrame(follow);
}

player.onplay = follow;
player.onseeked = follow;
player.onerror = () => {
  player.hidden = true;
  byId("unplayable").hidden = false;
  byId("hint").hidden = true;
};

const response = await fetch("api/about");
if (response.ok) {
  about = await response.json();
  byId("about").textContent = `with ${about.model}${about.is_local ? " · recordings stay on this computer" : ""}`;
  const seconds = about.max_seconds;
  const long = seconds < 120 ? `${seconds} seconds` : `${Math.floor(seconds / 60)} minutes`;
  const media = about.has_media ? "" : " m4a, mp4 and webm need the extra media on the server.";
  byId("limits").textContent = `Up to ${about.max_bytes / 1e6} MB, ${long}.${media}`;
}
