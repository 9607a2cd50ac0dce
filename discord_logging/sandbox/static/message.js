// One message: content, embeds, components and files.
import { code } from "./code.js";
import { button, day, element, icon, link, time } from "./dom.js";
import { line, markdown } from "./markdown.js";

const SUPPRESS_EMBEDS = 1 << 2;
const SILENT = 1 << 12;
const GROUPED_MILLISECONDS = 7 * 60 * 1000;
const MOST_TEXT = 200_000;

// ---- severity

const NAMED = { 0x95a5a6: "debug", 0x3498db: "info", 0xf1c40f: "warning", 0xed4245: "error", 0x9b1c31: "critical" };
export const LEVELS = ["critical", "error", "warning", "info", "debug"];

export function level(color) {
  if (!color) return "debug";
  if (NAMED[color]) return NAMED[color];
  const [red, green, blue] = [color >> 16, (color >> 8) & 255, color & 255];
  const most = Math.max(red, green, blue);
  const range = most - Math.min(red, green, blue);
  if (range < 0.25 * most || range < 24) return "debug";
  const hue = most === red ? ((green - blue) / range + 6) % 6 : most === green ? (blue - red) / range + 2 : (red - green) / range + 4;
  if (hue < 0.35 || hue > 5.3) return most < 190 ? "critical" : "error";
  return hue < 1.2 ? "warning" : "info";
}

const ANSI_LEVELS = [[/\x1b\[[\d;]*(?:31|41)/, "error"], [/\x1b\[[\d;]*33/, "warning"], [/\x1b\[[\d;]*34/, "info"]];

export function levels(data) {
  const found = new Set(data.embeds.filter((item) => item.color).map((item) => level(item.color)));
  for (const item of [...data.embeds, { description: data.content }]) {
    if (item.color || !item.description?.includes("```ansi")) continue;
    for (const [pattern, name] of ANSI_LEVELS) if (pattern.test(item.description)) found.add(name);
  }
  return found.size ? found : new Set(["debug"]);
}

function componentText(items) {
  return items.flatMap((item) => [item.content ?? item.label ?? "", ...componentText(item.components ?? [])]);
}

export function words(data) {
  const parts = data.embeds.flatMap((item) => [
    item.author?.name, item.title, item.description, item.footer?.text,
    ...(item.fields ?? []).flatMap((field) => [field.name, field.value]),
  ]);
  const files = data.files.flatMap((file) => [file.title, file.preview]);
  return [data.username, data.content, ...parts, ...componentText(data.components), ...files].filter(Boolean).join("\n").toLowerCase();
}

// ---- embeds and components

const hex = (color) => `#${color.toString(16).padStart(6, "0")}`;

function picture(media, className, files) {
  const file = files.find((file) => media.url === `attachment://${file.filename}`);
  // The page loads nothing from elsewhere, so a picture on the web stays an address.
  if (!file) return element("div", `${className} elsewhere`, link(media.url, `picture: ${media.url}`));
  const made = element("img", className);
  made.src = file.url;
  made.alt = media.description ?? file.description ?? file.title;
  return made;
}

function fields(items, at) {
  const made = element("div", "fields");
  for (let index = 0; index < items.length;) {
    let end = index + 1;
    if (items[index].inline) while (end < items.length && end - index < 3 && items[end].inline) end += 1;
    for (const item of items.slice(index, end)) {
      made.append(element("div", `field of-${end - index}`, element("div", "name", line(item.name, at)), markdown(item.value, at)));
    }
    index = end;
  }
  return made;
}

function named(className, part, files) {
  const icons = part.icon_url?.startsWith("attachment://") ? [picture({ url: part.icon_url }, "mark", files)] : [];
  const text = part.name ?? part.text;
  return element("div", className, ...icons, part.url ? link(part.url, text) : element("span", "", text));
}

function embed(data, files, at) {
  const inside = element("div", "inside");
  if (data.author) inside.append(named("author", data.author, files));
  if (data.title) inside.append(element("div", "title", data.url ? link(data.url, line(data.title, at)) : line(data.title, at)));
  if (data.description) inside.append(markdown(data.description, at));
  if (data.fields?.length) inside.append(fields(data.fields, at));
  const made = element("article", `embed is-${level(data.color)}`, inside);
  if (data.color) made.style.borderLeftColor = hex(data.color);
  if (data.thumbnail) made.append(picture(data.thumbnail, "thumbnail", files));
  if (data.image) made.append(picture(data.image, "image", files));
  if (data.footer || data.timestamp) {
    const foot = named("foot", data.footer ?? { text: "" }, files);
    if (data.timestamp) foot.append(...(data.footer ? [element("span", "dot", "•")] : []), time(new Date(data.timestamp), "s"));
    made.append(foot);
  }
  return made;
}

function component(data, files, at) {
  const inside = (data.components ?? []).map((child) => component(child, files, at));
  switch (data.type) {
    case 1: return element("div", "row", ...inside);
    case 2: {
      const made = link(data.url, data.label ?? data.url);
      made.className = "link-button";
      return made;
    }
    case 9: return element("div", "section", element("div", "", ...inside), ...(data.accessory ? [component(data.accessory, files, at)] : []));
    case 10: return markdown(data.content, at);
    case 11: return picture(data.media, "thumbnail", files);
    case 12: return element("div", "gallery", ...data.items.map((item) => picture(item.media, "image", files)));
    case 13: {
      const found = files.find((file) => data.file.url === `attachment://${file.filename}`);
      return found ? attachment(found) : element("code", "", data.file.url);
    }
    case 14: return element("hr", data.divider === false ? "gap" : "");
    default: {
      const made = element("div", "box", ...inside);
      if (data.accent_color) made.style.borderLeftColor = hex(data.accent_color);
      return made;
    }
  }
}

// ---- files

function size(bytes) {
  return bytes < 1024 ? `${bytes} bytes` : bytes < 1048576 ? `${(bytes / 1024).toFixed(2)} KB` : `${(bytes / 1048576).toFixed(2)} MB`;
}

function download(data, ...children) {
  const made = element("a", "", ...children);
  made.href = data.url;
  made.download = data.filename;
  return made;
}

function attachment(data) {
  if (data.picture) {
    const made = element("a", data.filename.startsWith("SPOILER_") ? "picture hidden-picture" : "picture", picture({ url: `attachment://${data.filename}` }, "", [data]));
    made.href = data.url;
    made.download = data.filename;
    return made;
  }
  const save = download(data, icon("download"));
  save.setAttribute("aria-label", `Download ${data.title}`);
  const bar = element("div", "bar", icon("file"), download(data, data.title), element("span", "size", size(data.size)), save);
  if (data.preview === null) return element("div", "file", bar);
  const language = data.filename.split(".").at(-1);
  const text = element("pre", "preview", code(language, data.preview));
  text.tabIndex = 0;
  const made = element("div", "file with-preview", text, bar);
  const more = button("Expand", "expand", async () => {
    const open = made.classList.toggle("open");
    more.textContent = open ? "Collapse" : "Expand";
    more.setAttribute("aria-expanded", open);
    if (open && data.size > data.preview.length) {
      const whole = await (await fetch(data.url)).text();
      text.replaceChildren(code(language, whole.slice(0, MOST_TEXT)), whole.length > MOST_TEXT ? "\n… the rest is in the download" : "");
    }
  });
  more.setAttribute("aria-expanded", "false");
  bar.prepend(more);
  return made;
}

// ---- messages

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

const referenced = (data) => JSON.stringify([data.embeds, data.components]);

// Fill the empty element of a message.
export function fill(made, data, channel) {
  const at = { pings: data.pings, channel };
  const quiet = { channel };
  const by = element("div", "by", element("b", "", data.username), element("span", "app", "APP"), time(data.moment, "s"));
  if (data.flags & SILENT) {
    const bell = element("span", "silent", icon("silent"));
    bell.title = "@silent: notifies nobody's phone";
    by.append(bell);
  }
  const where = element("span", "where", icon("hash"), channel(data.channel_id));
  by.append(where);
  const body = element("div", "body", by);
  if (data.content) body.append(markdown(data.content, at));
  body.append(...data.embeds.map((item) => embed(item, data.files, quiet)), ...data.components.map((item) => component(item, data.files, at)));
  const used = referenced(data);
  body.append(...data.files.filter((file) => !used.includes(`"attachment://${file.filename}"`)).map(attachment));
  if (data.edited) {
    const edited = element("span", "edited", "(edited)");
    edited.title = time(new Date(data.edited), "F").textContent;
    const text = body.querySelector(":scope > .text");
    if (text && !text.querySelector(":scope > :is(pre, ul, ol, blockquote):last-child")) text.append(" ", edited);
    else body.append(edited);
  }
  if (data.flags & SUPPRESS_EMBEDS) body.append(element("span", "edited", "embeds are suppressed"));
  const short = time(data.moment, "t");
  short.className = "short";
  const divider = element("div", "divider", element("span", "", day(data.moment)));
  made.replaceChildren(divider, element("div", "row-of", short, avatar(data), body));
  made.classList.toggle("pinged", data.pings.length > 0);
  made.setAttribute("aria-label", `${data.username}, ${by.querySelector("time").textContent}`);
}
