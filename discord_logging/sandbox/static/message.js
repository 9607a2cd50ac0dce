// One message: text, poll, files, embeds and components, in this order.
import { component } from "./component.js";
import { day, element, icon, time } from "./dom.js";
import { embeds } from "./embed.js";
import { attachment } from "./file.js";
import { editedMark } from "./history.js";
import { markdown } from "./markdown.js";
import { poll } from "./poll.js";

const SUPPRESS_EMBEDS = 1 << 2;
const SILENT = 1 << 12;
const GROUPED_MILLISECONDS = 7 * 60 * 1000;

// ---- the text of a message, for the search

function componentText(items) {
  return items.flatMap((item) => [item.content ?? item.label ?? "", ...componentText(item.components ?? [])]);
}

function pollText({ question, answers }) {
  return [question.text, ...answers.map((each) => each.poll_media.text)];
}

export function searchText(data) {
  const parts = data.embeds.flatMap((item) => [
    item.author?.name, item.title, item.description, item.footer?.text,
    ...(item.fields ?? []).flatMap((field) => [field.name, field.value]),
  ]);
  const files = data.files.flatMap((file) => [file.title, file.preview]);
  const texts = [...(data.poll ? pollText(data.poll) : []), ...parts, ...componentText(data.components), ...files];
  return [data.username, data.content, ...texts].filter(Boolean).join("\n").toLowerCase();
}

// ---- the look of a message

function avatar(data) {
  const sum = [...data.username].reduce((total, letter) => total + letter.codePointAt(0), 0);
  const made = element("div", `avatar c${sum % 6}`, [...data.username][0]?.toUpperCase() ?? "?");
  made.setAttribute("aria-hidden", "true");
  if (data.avatar_url) made.title = data.avatar_url;
  return made;
}

export function groups(data, before) {
  return Boolean(before) && before.username === data.username && before.avatar_url === data.avatar_url
    && before.channel_id === data.channel_id && before.moment.toDateString() === data.moment.toDateString()
    && data.moment - before.moment < GROUPED_MILLISECONDS;
}

function author(data, channel) {
  const made = element("div", "by", element("b", "", data.username), element("span", "app", "APP"), time(data.moment, "s"));
  if (data.flags & SILENT) {
    const bell = element("span", "silent", icon("silent"));
    bell.title = "@silent: notifies nobody's phone";
    made.append(bell);
  }
  made.append(element("span", "where", icon("hash"), channel(data.channel_id)));
  return made;
}

function content(data, place) {
  const at = { ...place, pings: data.pings };
  return [
    ...(data.content ? [markdown(data.content, at)] : []),
    ...(data.poll ? [poll(data.poll)] : []),
    ...data.files.filter((file) => file.attached).map((file) => attachment(file, at)),
    ...embeds(data.embeds, data.files, { ...at, pings: [] }),
    ...data.components.map((item) => component(item, data.files, at)),
  ];
}

function edited(parts, mark) {
  const isText = parts.length === 1 && parts[0].matches(".text") && !parts[0].querySelector(":scope > :is(pre, ul, ol, blockquote):last-child");
  if (!isText) return [...parts, mark];
  parts[0].append(" ", mark);
  return parts;
}

// Fill the element of a message. `at` has `channel`, a channel's name by its id, `phone`, and `inPlace`, which changes the
// list without moving it.
export function fill(made, data, at) {
  const parts = content(data, at);
  const by = author(data, at.channel);
  const body = element("div", "body", by, ...(data.edited ? edited(parts, editedMark(made, data, at, (version) => content(version, at))) : parts));
  if (data.flags & SUPPRESS_EMBEDS) body.append(element("span", "edited", "embeds are suppressed"));
  const short = time(data.moment, "t");
  short.className = "short";
  const divider = element("div", "divider", element("span", "", day(data.moment)));
  // the history, which may follow, stays where it is, with what the reader has opened and scrolled there
  for (const old of made.querySelectorAll(":scope > :not(.history)")) old.remove();
  made.prepend(divider, element("div", "row-of", short, avatar(data), body));
  made.classList.toggle("pinged", data.pings.length > 0);
  made.setAttribute("aria-label", `${data.username}, ${by.querySelector("time").textContent}`);
}
