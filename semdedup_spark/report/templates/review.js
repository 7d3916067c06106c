// Shows one removal after the other, keeps what a person says of it, and saves that as a file.
"use strict";

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const cards = [...document.querySelectorAll("article")];
const STORE = `semdedup-audit-${data.page}`;
const NAME = "semdedup-audit-reviewer";
const WORDS = { duplicate: "duplicate", not: "not a duplicate", skip: "skipped" };

let own = {}; // by pair: [judgement, reviewer, judged_at], as judged in this browser
let here = 0; // position of the removal that is shown
let past = []; // what to undo: [position, the verdict before]
let keeps = true; // whether the browser keeps `own`
let unsaved = false;
let asked = false; // whether Save has asked for a name

const pairKey = (i) => JSON.stringify(data.pairs[i]);
const verdict = (i) => own[pairKey(i)] ?? data.known[i];
const reviewer = () => $("reviewer").value.trim();
const count = (n) => n.toLocaleString("en-US");

// What the browser keeps

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify({ own, here }));
    localStorage.setItem(NAME, reviewer());
  } catch {
    keeps = false;
    $("forgets").hidden = false;
  }
}

function load() {
  try {
    $("reviewer").value = localStorage.getItem(NAME) ?? "";
    const kept = JSON.parse(localStorage.getItem(STORE)) ?? {};
    own = kept.own ?? {};
    return kept.here;
  } catch {
    return undefined; // there is nothing of ours; keep() tells whether there can be
  }
}

// What is shown

function show(i) {
  document.querySelector("article.now")?.classList.remove("now");
  here = i;
  cards[here]?.classList.add("now");
  const said = cards.length ? verdict(here)?.[0] : undefined;
  for (const button of document.querySelectorAll("[data-judgement]")) {
    button.setAttribute("aria-pressed", String(button.dataset.judgement === said));
  }
  const judgements = data.pairs.map((_, i) => verdict(i)?.[0]);
  const skipped = judgements.filter((each) => each === "skip").length;
  const judged = judgements.filter(Boolean).length - skipped;
  $("bar").value = judged + skipped;
  $("progress").textContent =
    `${count(judged)} of ${count(cards.length)} judged, ${count(skipped)} skipped`;
  $("verdicts").textContent = judged + skipped ? `(${count(judged + skipped)})` : "";
}

function note(i) {
  const [judgement, who, when] = verdict(i) ?? [];
  const place = cards[i].querySelector(".said");
  place.hidden = !judgement;
  place.dataset.said = judgement ?? "";
  place.textContent = judgement ? WORDS[judgement] + (who && ` · ${who}`) : "";
  place.title = when ?? "";
}

function all() {
  data.pairs.forEach((_, i) => note(i));
  show(cards[here] ? here : 0);
}

const tell = (text) => ($("told").textContent = text);

// What a person does

function go(i) {
  show(i);
  $("question").scrollIntoView();
  if (keeps) keep();
}

function find(wanted) {
  const order = [...cards.keys()].map((n) => (here + 1 + n) % cards.length);
  return order.find((i) => wanted(verdict(i)?.[0]));
}

function judge(judgement) {
  if (!cards.length) return;
  const i = here;
  past.push([i, own[pairKey(i)]]);
  own[pairKey(i)] = [judgement, reviewer(), new Date().toISOString()];
  unsaved = true;
  note(i);
  const open = find((said) => !said);
  const done = open === undefined ? " All have a verdict now: save the file." : "";
  tell(`${data.noun} ${count(i + 1)}: ${WORDS[judgement]}.${done}`);
  go(open ?? i);
  if (done) window.scrollTo(0, 0); // there is Save
}

function undo() {
  if (!past.length) return tell("There is nothing to undo.");
  const [i, before] = past.pop();
  if (before) own[pairKey(i)] = before;
  else delete own[pairKey(i)];
  unsaved = true;
  note(i);
  tell(`${data.noun} ${count(i + 1)}: undone.`);
  go(i);
}

function move(by) {
  const i = here + by;
  if (i < 0 || i >= cards.length) return tell(by < 0 ? "This is the first." : "This is the last.");
  tell(`${data.noun} ${count(i + 1)}.`);
  go(i);
}

function nextOpen() {
  const i = find((said) => !said) ?? find((said) => said === "skip");
  if (i === undefined) return tell("Nothing is open.");
  tell(`${data.noun} ${count(i + 1)}.`);
  go(i);
}

function csv() {
  const rows = [["id", "survivor_id", "judgement", "reviewer", "judged_at"]];
  data.pairs.forEach((pair, i) => {
    const [judgement, who, when] = verdict(i) ?? [];
    const name = own[pairKey(i)] ? who || reviewer() : who;
    if (judgement) rows.push([...pair, judgement, name, when]);
  });
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  return rows.map((row) => row.map(quoted).join(",") + "\r\n");
}

function save() {
  const lines = csv();
  if (lines.length === 1) return tell("There is nothing to save: none has a verdict.");
  if (!reviewer() && !asked) {
    asked = true;
    $("reviewer").focus();
    return tell("Who judged? Enter a name, or press Save again to save without one.");
  }
  const link = document.createElement("a");
  const who = reviewer().replace(/[^\p{L}\p{N}]+/gu, "-");
  link.download = `verdicts-${data.page.slice(0, 8)}${who && "-" + who}.csv`;
  link.href = URL.createObjectURL(new Blob(lines, { type: "text/csv;charset=utf-8" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  unsaved = false;
  tell(`Saved ${count(lines.length - 1)} verdicts as ${link.download}.`);
}

function help() {
  if ($("help").open) $("help").close();
  else $("help").showModal();
}

const ACTIONS = {
  d: () => judge("duplicate"), n: () => judge("not"), s: () => judge("skip"), u: undo, o: nextOpen,
  j: () => move(1), k: () => move(-1), ArrowRight: () => move(1), ArrowLeft: () => move(-1),
  "?": help, save,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target === $("reviewer")) return event.key === "Enter" && event.target.blur();
  // Where the keyboard has no Latin letters, the place of the key counts.
  const letter = event.key > "~" ? event.code.replace("Key", "") : event.key;
  const key = letter.length === 1 ? letter.toLowerCase() : letter;
  if (!Object.hasOwn(ACTIONS, key) || ($("help").open && key !== "?")) return;
  event.preventDefault();
  if (!event.repeat || key === "j" || key === "k" || key.startsWith("Arrow")) ACTIONS[key]();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-key]");
  if (button) ACTIONS[button.dataset.key]();
});
$("reviewer").addEventListener("change", () => keeps && keep());
window.addEventListener("storage", (event) => {
  if (event.key !== STORE) return;
  load(); // another window of the same page
  all();
});
window.addEventListener("beforeunload", (event) => {
  if (!keeps && unsaved) event.returnValue = "unsaved";
});

here = load() ?? Math.max(data.pairs.findIndex((_, i) => !verdict(i)), 0);
all();
keep();
