// Finds and builds nodes. Posted text only ever becomes text nodes, and only http(s) addresses become links.

export const part = (id) => document.getElementById(id);

export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const ICONS = {
  menu: "M3 6h18v2H3zm0 5h18v2H3zm0 5h18v2H3z",
  phone: "M7 1h10a2 2 0 0 1 2 2v18a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2zm0 3v14h10V4zm4 15.500v2h2v-2z",
  theme: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 2v16a8 8 0 0 1 0-16z",
  pulse: "M2 13v-2h5l2-6h2l3 11 2-5h6v2h-5l-2 6h-2L10 8.500 8.500 13z",
  bell: "M12 2a7 7 0 0 0-7 7v5l-2 3v1h18v-1l-2-3V9a7 7 0 0 0-7-7zm-2 18a2 2 0 0 0 4 0z",
  silent: "M12 2a7 7 0 0 1 7 7v5l2 3v1h-2.600L7.300 3.900A7 7 0 0 1 12 2zM5 9v5l-2 3v1h11.500L5.200 7.500zm5 11a2 2 0 0 0 4 0zM3.400 2 2 3.400 20.600 22 22 20.600z",
  file: "M6 2h8l6 6v12a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zm7 1.500V9h5.500z",
  download: "M11 3h2v9l3.500-3.500 1.400 1.400L12 15.800l-5.900-5.900 1.400-1.400L11 12zM4 18h16v2H4z",
  hash: "M9.500 3 9 7H5v2h3.700l-.7 6H4v2h3.700l-.5 4h2l.5-4h5.500l-.5 4h2l.5-4H21v-2h-3.600l.7-6H22V7h-3.700l.5-4h-2l-.5 4h-5.500l.5-4zm1.200 6h5.500l-.7 6H10z",
  thread: "M4 3h2v7a3 3 0 0 0 3 3h8l-3.500-3.500L15 8l6 6-6 6-1.500-1.500L17 15H9a5 5 0 0 1-5-5z",
  all: "M4 4h16v3H4zm0 6.500h16v3H4zM4 17h16v3H4z",
};

export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: `icon-${name}`, "aria-hidden": "true" }, svg("path", { d: ICONS[name], "fill-rule": "evenodd" }));
}

export function link(url, ...children) {
  if (!/^https?:\/\//i.test(url)) return element("span", "", ...children);
  const made = element("a", "", ...children);
  made.href = url;
  made.target = "_blank";
  made.rel = "noopener noreferrer";
  return made;
}

export function button(text, className, act) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

// Return a colour as CSS has it.
export const hex = (color) => `#${color.toString(16).padStart(6, "0")}`;

// Return the text of an emoji object of a button or of a poll's answer.
export const emojiText = (emoji) => (emoji?.id ? `:${emoji.name ?? emoji.id}:` : emoji?.name ?? "");

// Hide an element until the reader clicks on it.
export function cover(made) {
  made.classList.add("covered");
  made.tabIndex = 0;
  made.setAttribute("role", "button");
  made.setAttribute("aria-label", "Spoiler");
  const open = (event) => {
    if (!made.classList.contains("covered") || (event.key && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    event.stopPropagation();
    made.classList.remove("covered");
    made.removeAttribute("role");
    made.removeAttribute("aria-label");
  };
  made.addEventListener("click", open, { capture: true });
  made.addEventListener("keydown", open, { capture: true });
  return made;
}

// ---- times

const date = (options) => new Intl.DateTimeFormat(undefined, options);
const STYLES = {
  t: date({ timeStyle: "short" }), T: date({ timeStyle: "medium" }), d: date({ dateStyle: "short" }),
  D: date({ dateStyle: "long" }), f: date({ dateStyle: "long", timeStyle: "short" }),
  F: date({ dateStyle: "full", timeStyle: "short" }),
  s: date({ dateStyle: "short", timeStyle: "short" }), S: date({ dateStyle: "short", timeStyle: "medium" }),
};
const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "always" });

function relative(moment) {
  const seconds = Math.round((moment - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return RELATIVE.format(Math.trunc(seconds / size), unit);
}

export const day = (moment) => STYLES.D.format(moment);

export function time(moment, style) {
  if (isNaN(moment)) return element("span", "", "Invalid Date");
  const made = element("time", "", style === "R" ? relative(moment) : STYLES[style].format(moment));
  made.dateTime = moment.toISOString();
  made.title = STYLES.F.format(moment);
  if (style === "R") made.dataset.relative = "";
  return made;
}

setInterval(() => {
  for (const made of document.querySelectorAll("[data-relative]")) made.textContent = relative(new Date(made.dateTime));
}, 5000);
