// The traffic, the use of the limits, the refused requests, and buttons that make trouble.
import { code } from "./code.js";
import { button, element, part, svg, time } from "./dom.js";

const SECONDS = 120;
const MOST_REFUSED = 100;
const TROUBLES = [
  ["rate_limited", "429", "The webhook's limit: wait 2 s"],
  ["channel_limited", "429 channel", "The channel's limit: wait 5 s"],
  ["server_error", "500", "An error of Discord's own"],
  ["slow", "Slow", "5 s of silence before the answer"],
  ["drop", "Drop", "The connection closes without an answer"],
  ["edge_block", "Edge block", "Cloudflare refuses the address"],
];
const now = () => Math.floor(Date.now() / 1000);
const KINDS = { refused: "bad", limited: "warn", accepted: "good" };
const traffic = new Map(); // for each second, the numbers of requests by kind
let peak = 0; // requests in a second, since the start
const LONGEST_LATE = 3600; // an embed that is older tells of another time, not of a delay
const arrivals = []; // [second, seconds since the message before, seconds after the oldest embed]
const arrived = new Map(); // when the newest message of a channel came
const histories = new Map();
let requests = 0;

// ---- charts

function chart(label) {
  return svg("svg", { viewBox: `0 0 ${SECONDS} 32`, preserveAspectRatio: "none", class: "chart", role: "img", "aria-label": label });
}

const rate = chart("Requests a second in the last two minutes");
const most = element("span", "most");
part("rate").append(element("div", "caption", "requests a second", most), rate);

const total = (kinds) => Object.values(kinds ?? {}).reduce((sum, count) => sum + count, 0);

function learnTraffic(news) {
  for (const [second, kind, count] of news) {
    const kinds = { ...traffic.get(second) };
    kinds[kind] = (kinds[kind] ?? 0) + count;
    traffic.set(second, kinds);
    peak = Math.max(peak, total(kinds));
  }
}

function drawTraffic() {
  const start = now() - SECONDS + 1;
  for (const second of traffic.keys()) if (second < start) traffic.delete(second);
  const top = Math.max(4, ...[...traffic.values()].map(total));
  most.textContent = `${total(traffic.get(now()) ?? traffic.get(now() - 1))} now, ${peak} at most`;
  rate.replaceChildren(...[...traffic].flatMap(([second, kinds]) => {
    let height = 0;
    return Object.keys(KINDS).filter((kind) => kinds[kind]).map((kind) => {
      const tall = kinds[kind] / top * 30;
      height += tall;
      return svg("rect", { x: second - start, y: 32 - height, width: 0.8, height: tall, class: KINDS[kind] });
    });
  }));
}

// ---- pace

const PACE = [
  ["apart", "Seconds from one message to the next", SECONDS],
  ["late", "Seconds from the oldest record of a message to its arrival", LONGEST_LATE],
].map(([words, title, most], index) => {
  const value = element("span", "most");
  const made = chart(`${title}, in the last two minutes`);
  part("pace").append(element("div", "", element("div", "caption", `seconds ${words}`, value), made));
  return { made, value, most, index: index + 1 };
});

export function learnPace(messages) {
  for (const { channel_id: channel, timestamp, edited, embeds } of messages) {
    if (edited) continue;
    const second = Date.parse(timestamp) / 1000;
    const late = Math.max(...embeds.map((embed) => second - Date.parse(embed.timestamp) / 1000).filter((seconds) => seconds < LONGEST_LATE));
    arrivals.push([second, second - (arrived.get(channel) ?? -Infinity), late]);
    arrived.set(channel, second);
  }
}

function drawPace() {
  const start = Date.now() / 1000 - SECONDS;
  while (arrivals.length && arrivals[0][0] < start) arrivals.shift();
  for (const { made, value, most, index } of PACE) {
    const entries = arrivals.filter((entry) => entry[index] >= 0 && entry[index] < most).map((entry) => [entry[0], entry[index]]);
    const top = Math.max(5, ...entries.map(([, seconds]) => seconds));
    value.textContent = entries.length ? `${entries.at(-1)[1].toFixed(1)} now, ${Math.max(...entries.map(([, seconds]) => seconds)).toFixed(1)} at most` : "";
    made.replaceChildren(...entries.map(([second, seconds]) => {
      const height = Math.max(1, seconds / top * 30);
      return svg("rect", { x: (second - start).toFixed(1), y: 32 - height, width: 0.8, height, class: "good" });
    }));
  }
}

function drawHistory(made, history, limit) {
  const end = Date.now() / 1000;
  while (history.length > 1 && history[1][0] < end - SECONDS) history.shift();
  const points = history.map(([second, used]) => [Math.max(0, second - end + SECONDS).toFixed(1), (31 - used / limit * 29).toFixed(1)]);
  const path = points.map(([x, y], index) => (index ? `H${x}V${y}` : `M${x} ${y}`)).join("") + `H${SECONDS}`;
  made.replaceChildren(
    svg("path", { class: "area", d: `${path}V32H${points[0][0]}Z` }),
    svg("path", { class: "curve", d: path, "vector-effect": "non-scaling-stroke" }),
  );
}

// ---- limits

function seconds(value) {
  return value < 60 ? `${value.toFixed(value < 10 ? 1 : 0)} s` : `${Math.ceil(value / 60)} min`;
}

function showGauges(gauges) {
  const box = part("gauges");
  if (!gauges.length) box.replaceChildren(element("p", "", "All limits are off."));
  else if (!histories.size) box.replaceChildren();
  const standing = new Set(gauges.map((gauge) => gauge.name));
  for (const [name, { made }] of histories) if (!standing.has(name)) { made.remove(); histories.delete(name); }
  for (const [index, { name, limit, used, reset_after: wait }] of gauges.entries()) {
    if (!histories.has(name)) {
      const value = element("span", "value");
      const note = element("span", "note");
      const bar = element("div", "level", element("i"));
      bar.setAttribute("role", "meter");
      bar.setAttribute("aria-label", name);
      bar.setAttribute("aria-valuemin", 0);
      const curve = chart(`${name} in the last two minutes`);
      const made = element("div", "gauge", element("div", "caption", element("b", "", name), note, value), bar, curve);
      histories.set(name, { made, value, note, bar, curve, points: [] });
    }
    const { made, value, note, bar, curve, points } = histories.get(name);
    if (box.children[index] !== made) box.insertBefore(made, box.children[index] ?? null);
    value.textContent = `${used.toLocaleString()} / ${limit.toLocaleString()}`;
    note.textContent = used ? `frees in ${seconds(wait)}` : "";
    bar.setAttribute("aria-valuemax", limit);
    bar.setAttribute("aria-valuenow", used);
    bar.firstChild.style.width = `${Math.min(100, used / limit * 100)}%`;
    made.dataset.state = used >= limit ? "bad" : used >= limit * 0.7 ? "warn" : "good";
    if (points.at(-1)?.[1] !== used) points.push([Date.now() / 1000, used]);
    drawHistory(curve, points, limit);
    curve.classList.toggle("flat", points.every(([, was]) => was === 0));
  }
}

// ---- trouble

async function trouble(kind, times) {
  await fetch("/trouble", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ kind, times }) });
}

const times = element("select", "", ...[1, 3, 10, 100].map((count) => {
  const made = element("option", "", count === 1 ? "the next post" : `the next ${count} posts`);
  made.value = count;
  return made;
}));
times.id = "times";
const label = element("label", "", "Let ", times, " meet");
label.htmlFor = "times";

function troubleButton([kind, text, title]) {
  const made = button(text, "", () => trouble(kind, Number(times.value)));
  made.dataset.trouble = kind;
  made.title = title;
  return made;
}

const remove = button("Delete the webhook", "danger", () => trouble("delete_webhook", 1));
remove.dataset.trouble = "delete_webhook";
remove.title = "Every webhook answers 404 until it is restored";
const restore = button("Restore", "primary", () => trouble("restore", 1));
restore.dataset.trouble = "restore";
restore.title = "No trouble any more, and the webhooks are back";
part("trouble").append(label, element("div", "buttons", ...TROUBLES.map(troubleButton)), element("div", "buttons wide", remove, restore));

function showTrouble({ waiting, deleted }) {
  const words = [];
  if (deleted) words.push(deleted === 1 ? "The webhook is deleted." : `${deleted} webhooks are deleted.`);
  if (waiting) words.push(`${waiting} ${waiting === 1 ? "post" : "posts"} will meet trouble.`);
  part("waiting").textContent = words.join(" ") || "Everything works.";
  part("waiting").classList.toggle("on", words.length > 0);
}

// ---- refused requests

function pretty(text) {
  try { return code("json", JSON.stringify(JSON.parse(text), null, 2)); } catch { return text; }
}

function block(name, text) {
  if (!text) return [];
  const made = element("pre", "", pretty(text));
  made.tabIndex = 0;
  return [element("h4", "", name), made];
}

function reason({ status, answer }) {
  if (status === null) return "no answer";
  try {
    const body = JSON.parse(answer);
    return body.retry_after === undefined ? `${body.message ?? "refused"}${body.code ? ` (${body.code})` : ""}` : `${body.message} ${body.retry_after} s`;
  } catch {
    return answer.replace(/<[^<>]*>/g, " ").trim().slice(0, 80) || "refused";
  }
}

function refusal(request) {
  const moment = new Date(Date.now() - request.ago * 1000);
  const summary = element("summary", "",
    element("span", `status ${request.status === 429 ? "warn" : "bad"}`, request.status ?? "lost"),
    element("span", "reason", reason(request)), time(moment, "T"));
  const made = element("details", "", summary, element("p", "path", `${request.method} ${request.path}`));
  made.addEventListener("toggle", () => {
    if (made.open && made.children.length === 2) made.append(...block("Discord's answer", request.answer), ...block("Payload", request.payload));
  });
  return made;
}

// ---- all of it

export function showPanel(news) {
  const { counts } = news;
  if (counts.requests < requests) {
    part("refused").replaceChildren();
    traffic.clear();
    peak = 0;
  }
  requests = counts.requests;
  for (const [name, count] of Object.entries(counts)) {
    const shown = document.querySelector(`[data-count="${name}"]`);
    if (shown) shown.textContent = count.toLocaleString();
  }
  learnTraffic(news.traffic);
  drawTraffic();
  drawPace();
  showGauges(news.gauges);
  showTrouble(news.trouble);
  part("refused").prepend(...news.refused.map(refusal).reverse());
  while (part("refused").children.length > MOST_REFUSED) part("refused").lastChild.remove();
  part("all-well").hidden = part("refused").children.length > 0;
}
