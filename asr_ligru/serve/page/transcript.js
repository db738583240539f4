// The text: every word a button that plays from its time. One tab stop; arrow keys go from word to word.
const SURE = 0.8;
const HALF = 0.5;

const stamp = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const percent = (share) => `${Math.round(100 * share)} %`;

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

export class Transcript {
  constructor(box, rows, player) {
    this.box = box;
    this.rows = rows;
    this.player = player;
    this.words = []; // [start in seconds, button]
    this.now = null;
    box.addEventListener("keydown", (event) => this.onKey(event));
    box.addEventListener("click", (event) => this.onClick(event));
    rows.closest("details").addEventListener("toggle", (event) => event.target.open && this.fillTable());
  }

  show(segments) {
    this.words = [];
    this.now = null;
    this.segments = segments;
    this.rows.replaceChildren();
    this.rows.closest("details").open = false;
    const spoken = segments.filter((segment) => segment.text);
    this.box.replaceChildren(...spoken.map((segment) => this.paragraph(segment)));
    if (!spoken.length) this.box.replaceChildren(element("p", "quiet", "No words were recognised."));
    if (this.words.length) this.words[0][1].tabIndex = 0;
  }

  paragraph(segment) {
    const said = element("span", "said", segment.words.length ? "" : segment.text);
    said.dir = "auto"; // right-to-left scripts
    for (const word of segment.words) {
      said.append(this.button(word), " ");
    }
    const line = element("p", "segment", "");
    line.append(element("span", "time", stamp(segment.start_s)), said);
    return line;
  }

  button(word) {
    const sureness = word.confidence < HALF ? "unsure" : word.confidence < SURE ? "doubtful" : "";
    const button = element("button", `word ${sureness}`, word.text);
    button.type = "button";
    button.tabIndex = -1;
    button.title = `${word.start_s.toFixed(2)} to ${word.end_s.toFixed(2)} s, ${percent(word.confidence)} sure`;
    button.dataset.number = this.words.length;
    this.words.push([word.start_s, button]);
    return button;
  }

  onClick(event) {
    const number = event.target.dataset?.number;
    if (number === undefined) return;
    this.moveTo(Number(number));
    if (this.player.hidden) return;
    this.player.currentTime = this.words[number][0];
    this.player.play();
  }

  onKey(event) {
    const here = Number(event.target.dataset?.number ?? NaN);
    const last = this.words.length - 1;
    const next = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: last }[event.key];
    if (next === undefined || Number.isNaN(here)) return;
    event.preventDefault();
    this.moveTo(Math.min(Math.max(next, 0), last));
  }

  moveTo(number) {
    this.box.querySelector(".word[tabindex='0']").tabIndex = -1;
    const button = this.words[number][1];
    button.tabIndex = 0;
    button.focus();
  }

  // Shows which word is heard.
  mark(seconds) {
    const found = this.words.findLast(([start]) => start <= seconds)?.[1];
    if (found === this.now) return;
    this.now?.classList.remove("now");
    found?.classList.add("now");
    this.now = found;
  }

  fillTable() {
    if (this.rows.childElementCount) return;
    const words = (this.segments ?? []).flatMap((segment) => segment.words);
    this.rows.replaceChildren(...words.map((word) => {
      const row = document.createElement("tr");
      const cells = [word.text, word.start_s.toFixed(2), word.end_s.toFixed(2), percent(word.confidence)];
      row.append(...cells.map((text) => element("td", "", text)));
      return row;
    }));
  }
}
