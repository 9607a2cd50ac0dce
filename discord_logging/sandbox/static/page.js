// The messages: asks for what is new, keeps the list, searches and filters it.
import { channelName, isInShownChannel, learnChannel, onChoice, showChannels } from "./channels.js";
import { element, icon, part } from "./dom.js";
import { fill, groups, searchText } from "./message.js";
import { learnPace, showPanel } from "./panel.js";
import { mark, search, terms } from "./search.js";
import { LEVELS, levels } from "./severity.js";
import { closeDrawers, isPhone, onSwitch, toggle } from "./view.js";

const POLL_MILLISECONDS = 250;
const MOST_SHOWN = 5000;
const READER_MILLISECONDS = 1000;
const [list, scroller, newer] = ["messages", "scroller", "newer"].map(part);
const messages = []; // in order; each has `made`, its element, empty until it comes near the screen
const byId = new Map();
const chosen = new Set();
let unseen = 0;
let atEnd = true; // whether the newest message is kept in sight

for (const holder of document.querySelectorAll("[data-icon]")) holder.append(icon(holder.dataset.icon));

// ---- what is shown

function wanted(data) {
  if (!isInShownChannel(data) || (chosen.size && ![...data.levels].some((name) => chosen.has(name)))) return false;
  return terms().every((term) => data.searchText.includes(term));
}

function place(data, before) {
  const first = !before || before.moment.toDateString() !== data.moment.toDateString();
  data.made.classList.toggle("new-day", first);
  data.made.classList.toggle("grouped", groups(data, before));
}

function filter() {
  let before = null;
  let shown = 0;
  for (const data of messages) {
    const show = wanted(data);
    data.made.hidden = !show;
    if (!show) continue;
    place(data, before);
    before = data;
    shown += 1;
  }
  const narrowed = terms().length > 0 || chosen.size > 0;
  part("found").textContent = narrowed ? `${shown.toLocaleString()} found` : "";
  part("nothing").hidden = shown > 0 || messages.length === 0;
  part("empty").hidden = messages.length > 0;
  mark(messages);
}

const chips = new Map(LEVELS.map((name) => {
  const count = element("span", "count", "0");
  const chip = element("button", `chip is-${name}`, element("i"), element("span", "name", name === "debug" ? "other" : name), count);
  chip.type = "button";
  chip.dataset.level = name;
  chip.setAttribute("aria-pressed", "false");
  chip.addEventListener("click", () => {
    if (!chosen.delete(name)) chosen.add(name);
    showChips();
    filter();
    toEnd();
  });
  part("levels").append(chip);
  return [name, { chip, count, total: 0 }];
}));

function showChips() {
  for (const [name, { chip, count, total }] of chips) {
    chip.setAttribute("aria-pressed", chosen.has(name));
    count.textContent = total.toLocaleString();
    chip.classList.toggle("none", total === 0);
  }
}

let searching = 0;
search.addEventListener("input", () => {
  clearTimeout(searching);
  searching = setTimeout(() => { filter(); toEnd(); }, 80);
});

// ---- the list: a message is built when it comes near the screen

function draw(data) {
  const focused = document.activeElement;
  const held = data.made.contains(focused);
  fill(data.made, data, { channel: channelName, phone: isPhone(), inPlace });
  if (held) (focused.isConnected ? focused : data.made).focus({ preventScroll: true });
}

const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const data = byId.get(target.dataset.id);
    if (!data) continue;
    data.near = isIntersecting;
    if (isIntersecting && !data.filled) {
      data.filled = true;
      draw(data);
    }
  }
  if (terms().length) mark(messages);
}, { root: scroller, rootMargin: "1500px 0px" });

const later = (one, other) => one.length - other.length || (one > other ? 1 : one < other ? -1 : 0);

function add(data) {
  data.moment = new Date(data.timestamp);
  data.levels = levels(data);
  data.searchText = searchText(data);
  learnChannel(data.channel);
  const old = byId.get(data.id);
  for (const name of data.levels) chips.get(name).total += 1;
  byId.set(data.id, data);
  if (old) {
    for (const name of old.levels) chips.get(name).total -= 1;
    data.made = old.made;
    data.history = old.history;
    messages[messages.indexOf(old)] = data;
    data.filled = old.filled;
    if (data.filled) draw(data);
    return false;
  }
  data.made = element("article", "message");
  data.made.dataset.id = data.id;
  data.made.id = `m${data.id}`;
  data.made.tabIndex = -1;
  // about how tall it will be, so that the scroll bar tells the truth before it is built
  const tall = 30 + Math.ceil(data.content.length / 90) * 22 + data.embeds.length * 150 + data.files.length * 90;
  data.made.style.containIntrinsicBlockSize = `auto ${Math.min(tall, 2000)}px`;
  let index = messages.length;
  while (index && later(messages[index - 1].id, data.id) > 0) index -= 1;
  const next = messages[index];
  messages.splice(index, 0, data);
  list.insertBefore(data.made, next?.made ?? null);
  near.observe(data.made);
  return true;
}

function remove(data) {
  near.unobserve(data.made);
  data.made.remove();
  byId.delete(data.id);
  for (const name of data.levels) chips.get(name).total -= 1;
}

function keepOnly(ids) {
  const standing = new Set(ids);
  const kept = messages.filter((data) => standing.has(data.id) || remove(data));
  messages.splice(0, messages.length, ...kept);
}

// How to begin, while nothing has been posted.
function showBeginning(url) {
  part("begin").hidden = !url;
  if (!url || part("webhook-url").textContent === url) return;
  part("webhook-url").textContent = url;
  // handlers refuse plain http for any machine but their own
  const allow = /^(?:localhost|127\..+|\[::1\])$/.test(location.hostname) ? "" : "DISCORD_ALLOW_HTTP=true ";
  part("first-card").textContent = `${allow}DISCORD_WEBHOOK_URL=${url} discord-logging send "It works"`;
}

function show(news) {
  if (news.ids) keepOnly(news.ids);
  const added = news.messages.filter(add);
  learnPace(news.messages);
  for (const data of messages.splice(0, Math.max(0, messages.length - MOST_SHOWN))) remove(data);
  if (news.ids || news.messages.length) {
    showChannels();
    showChips();
    filter();
    if (!atEnd) unseen += added.filter((data) => !data.made.hidden).length;
    showNewer();
  }
  if (!news.more) {
    showPanel(news);
    showBeginning(news.webhook_url);
  }
}

// ---- scrolling

function follow(end) {
  atEnd = end;
  if (end) unseen = 0;
  // the browser's own anchor holds the reader's place, and would take the end for one
  scroller.classList.toggle("at-end", end);
  showNewer();
}

const gap = () => scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;

// Change the height of the list where the reader looks, and follow the end only if it is still in sight.
function inPlace(change) {
  follow(false);
  change();
  follow(gap() < 40);
}

function toEnd() {
  follow(true);
  scroller.scrollTop = scroller.scrollHeight;
}

function showNewer() {
  newer.hidden = atEnd || unseen === 0;
  newer.textContent = `${unseen.toLocaleString()} new ${unseen === 1 ? "message" : "messages"} ↓`;
}

// Only the reader leaves the end: messages that take their real height move the list too.
let lastTop = 0;
let readerMoved = -Infinity;
const noteReader = (event) => {
  const onBar = event.type !== "pointerdown" || event.target === scroller;
  const byKey = event.type !== "keydown" || ["PageUp", "Home", "ArrowUp", "k"].includes(event.key);
  if (onBar && byKey) readerMoved = performance.now();
};
for (const type of ["wheel", "touchmove", "pointerdown"]) scroller.addEventListener(type, noteReader, { passive: true });
document.addEventListener("keydown", noteReader, { capture: true });
scroller.addEventListener("scroll", () => {
  if (scroller.scrollTop < lastTop && performance.now() - readerMoved < READER_MILLISECONDS) follow(false);
  else if (gap() < 40) follow(true);
  lastTop = scroller.scrollTop;
}, { passive: true });
new ResizeObserver(() => { if (atEnd) scroller.scrollTop = scroller.scrollHeight; }).observe(list);
newer.addEventListener("click", toEnd);

// ---- keys

part("theme").addEventListener("click", () => window.switchTheme());
onChoice(() => {
  closeDrawers();
  filter();
  toEnd();
});
onSwitch(() => {
  for (const data of messages) if (data.filled) draw(data);
  mark(messages);
  toEnd();
});
scroller.addEventListener("click", closeDrawers);

function step(by) {
  const shown = messages.filter((data) => !data.made.hidden);
  const at = shown.findIndex((data) => data.made.contains(document.activeElement));
  const to = at < 0 ? shown.length - 1 : Math.min(shown.length - 1, Math.max(0, at + by));
  if (shown[to]) {
    shown[to].made.focus({ preventScroll: true });
    shown[to].made.scrollIntoView({ block: "nearest" });
  }
}

function escape() {
  if (closeDrawers()) return;
  search.value = "";
  chosen.clear();
  showChips();
  filter();
  toEnd();
  document.activeElement?.blur();
}

const KEYS = {
  "/": () => { search.focus(); search.select(); },
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  End: toEnd, p: () => toggle("panel"), t: () => window.switchTheme(), m: () => part("phone").click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Escape") { event.preventDefault(); escape(); return; }
  if (event.target.closest("input, select, textarea, summary, pre, .history, #panel")) return;
  if (!Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});

// ---- what is new

let epoch = null;

async function poll(after, seen) {
  let next = [after, seen];
  let wait = POLL_MILLISECONDS;
  try {
    const answer = await fetch(`/messages?after=${after}&seen=${seen}`);
    const news = await answer.json();
    // another server has taken the place of the one that this page knows
    if (epoch !== null && epoch !== news.epoch) return location.reload();
    epoch = news.epoch;
    show(news);
    next = [news.revision, news.seen];
    if (news.more) wait = 0;
    part("offline").hidden = true;
  } catch (error) {
    console.info("the local Discord does not answer", error);
    part("offline").hidden = false;
  }
  setTimeout(poll, wait, ...next);
}

follow(true);
showChips();
poll(0, 0);
