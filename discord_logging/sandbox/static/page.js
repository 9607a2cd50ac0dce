// Shows the messages of the local Discord. Posted text only ever becomes text nodes.

const POLL_MILLISECONDS = 1000;
const list = document.getElementById("messages");
const empty = document.getElementById("empty");

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function link(url, ...children) {
  if (!/^https?:\/\//i.test(url)) return element("span", "", ...children);
  const made = element("a", "", ...children);
  made.href = url;
  made.target = "_blank";
  made.rel = "noopener noreferrer";
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

function relative(moment) {
  const seconds = Math.round((moment - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(Math.trunc(seconds / size), unit);
}

function time(moment, style) {
  if (isNaN(moment)) return element("span", "", "Invalid Date");
  const made = element("time", "", style === "R" ? relative(moment) : STYLES[style].format(moment));
  made.dateTime = moment.toISOString();
  made.title = STYLES.F.format(moment);
  return made;
}

// ---- Discord's markdown

const INLINE = new RegExp([
  /\\(?<escaped>[^0-9A-Za-z\s])/,
  /(?<ticks>`+)(?<code>[^]*?[^`])\k<ticks>(?!`)/,
  /<t:(?<stamp>-?\d{1,15})(?::(?<style>[tTdDfFsSR]))?>/,
  /(?<mention>@everyone|@here|<@[!&]?\d+>|<#\d+>)/,
  /\[(?<label>[^\]\n]+)\]\((?<target>https?:\/\/[^\s)]+)\)/,
  /<(?<quiet>https?:\/\/[^\s>]+)>/,
  /(?<url>https?:\/\/[^\s<]+[^\s<.,:;"')\]*_~|])/,
  /\*\*(?<bold>[^]+?)\*\*(?!\*)/,
  /__(?<underline>[^]+?)__(?!_)/,
  /~~(?<strike>[^]+?)~~/,
  /\|\|(?<spoiler>[^]+?)\|\|/,
  /\*(?=\S)(?<star>[^*]+?)\*(?!\*)|\b_(?<italic>[^_]+?)_\b/,
].map((part) => part.source).join("|"), "g");

function inlinePart(found) {
  const { groups } = found;
  if (groups.escaped) return groups.escaped;
  if (groups.code) return element("code", "", groups.code.trim() || groups.code);
  if (groups.stamp) {
    const made = time(new Date(groups.stamp * 1000), groups.style ?? "f");
    made.className = "stamp";
    return made;
  }
  if (groups.mention) return element("span", "mention", groups.mention.replace(/^<(.*)>$/, "$1"));
  if (groups.label) return link(groups.target, inline(groups.label));
  if (groups.quiet || groups.url) return link(groups.quiet ?? groups.url, groups.quiet ?? groups.url);
  const wrappers = { bold: "strong", underline: "u", strike: "s", star: "em", italic: "em" };
  for (const [name, tag] of Object.entries(wrappers)) {
    if (groups[name]) return element(tag, "", inline(groups[name]));
  }
  return element("span", "spoiler", inline(groups.spoiler));
}

function inline(text) {
  const made = document.createDocumentFragment();
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    made.append(text.slice(end, found.index), inlinePart(found));
    end = found.index + found[0].length;
  }
  made.append(text.slice(end));
  return made;
}

const LINES = [
  [/^(#{1,3}) +(.+)/, (found) => element(`h${found[1].length + 1}`, "", inline(found[2]))],
  [/^-# +(.+)/, (found) => element("small", "", inline(found[1]))],
  [/^> (.*)/, (found) => element("blockquote", "", inline(found[1]))],
  [/^ *[-*] +(.+)/, (found) => element("span", "item", inline(found[1]))],
];

function paragraphs(text) {
  const made = document.createDocumentFragment();
  let plain = [];
  const flush = () => { if (plain.length) made.append(inline(plain.join("\n"))); plain = []; };
  for (const line of text.split("\n")) {
    const [pattern, build] = LINES.find(([pattern]) => pattern.test(line)) ?? [];
    if (!pattern) { plain.push(line); continue; }
    flush();
    made.append(build(line.match(pattern)));
  }
  flush();
  return made;
}

function ansi(text) {
  const made = document.createDocumentFragment();
  let codes = new Set();
  for (const [index, part] of text.split(/\x1b\[([\d;]*)m/).entries()) {
    if (index % 2 === 0) { if (part) made.append(element("span", [...codes].map((code) => `ansi-${code}`).join(" "), part)); continue; }
    for (const code of (part || "0").split(";").map(Number)) {
      if (code === 0) codes = new Set();
      else {
        // a colour replaces the one before it: 3x of 3x, 4x of 4x
        if (code >= 30) codes = new Set([...codes].filter((old) => old < 30 || Math.floor(old / 10) !== Math.floor(code / 10)));
        codes.add(code);
      }
    }
  }
  return made;
}

const BLOCK = /```(?:([a-z0-9_+.#-]+?)\n+)?\n*([^]+?)\n*```\n?/gi;

function markdown(text) {
  const made = element("div", "text");
  let end = 0;
  for (const found of text.matchAll(BLOCK)) {
    const before = text.slice(end, found.index);
    if (before.trim()) made.append(paragraphs(before.replace(/\n$/, "")));
    made.append(element("pre", "", found[1]?.toLowerCase() === "ansi" ? ansi(found[2]) : found[2]));
    end = found.index + found[0].length;
  }
  if (end < text.length) made.append(paragraphs(text.slice(end)));
  return made;
}

// ---- messages

function picture(url, className, files) {
  const file = files.find((file) => url === `attachment://${file.filename}`);
  if (!file) return link(url, url);
  const made = element("img", className);
  made.src = file.url;
  made.alt = file.title;
  return made;
}

function embed(data, files) {
  const made = element("article", "embed");
  if (data.color) made.style.borderLeftColor = `#${data.color.toString(16).padStart(6, "0")}`;
  if (data.thumbnail) made.append(picture(data.thumbnail.url, "thumbnail", files));
  if (data.author) made.append(element("div", "author", data.author.url ? link(data.author.url, data.author.name) : data.author.name));
  if (data.title) made.append(element("div", "title", data.url ? link(data.url, inline(data.title)) : inline(data.title)));
  if (data.description) made.append(markdown(data.description));
  if (data.fields) made.append(element("div", "fields", ...data.fields.map((field) =>
    element("div", field.inline ? "field inline" : "field", element("b", "", inline(field.name)), markdown(field.value)))));
  if (data.image) made.append(picture(data.image.url, "image", files));
  if (data.footer || data.timestamp) {
    const foot = element("div", "foot", data.footer?.text ?? "");
    if (data.timestamp) foot.append(data.footer ? " • " : "", time(new Date(data.timestamp), "s"));
    made.append(foot);
  }
  return made;
}

function component(data, files) {
  const inside = (data.components ?? []).map((child) => component(child, files));
  switch (data.type) {
    case 2: return link(data.url, data.label ?? data.url);
    case 10: return markdown(data.content);
    case 11: return picture(data.media.url, "thumbnail", files);
    case 12: return element("div", "", ...data.items.map((item) => picture(item.media.url, "image", files)));
    case 13: return element("div", "", element("code", "", data.file.url.replace("attachment://", "")));
    case 14: return element("hr");
    case 9: return element("div", "", ...(data.accessory ? [component(data.accessory, files)] : []), ...inside);
    default: {
      const made = element("div", data.type === 17 ? "box" : "", ...inside);
      if (data.accent_color) made.style.borderLeftColor = `#${data.accent_color.toString(16).padStart(6, "0")}`;
      return made;
    }
  }
}

function size(bytes) {
  return bytes < 1024 ? `${bytes} bytes` : bytes < 1048576 ? `${(bytes / 1024).toFixed(2)} KB` : `${(bytes / 1048576).toFixed(2)} MB`;
}

function file(data) {
  const name = element("a", "", data.title);
  name.href = data.url;
  name.download = data.filename;
  return element("div", "file", name, element("span", "", size(data.size)));
}

function avatar(name) {
  const sum = [...name].reduce((total, letter) => total + letter.codePointAt(0), 0);
  const made = element("div", `avatar c${sum % 5}`, [...name][0]?.toUpperCase() ?? "?");
  made.setAttribute("aria-hidden", "true");
  return made;
}

function message(data) {
  const by = element("div", "by", element("b", "", data.username), element("span", "app", "APP"), time(new Date(data.timestamp), "s"));
  const body = element("div", "body", by);
  if (data.content) body.append(markdown(data.content));
  if (data.edited) body.append(element("span", "edited", "(edited)"));
  body.append(...data.embeds.map((item) => embed(item, data.files)), ...data.components.map((item) => component(item, data.files)), ...data.files.map(file));
  const made = element("article", data.pings.length ? "message pinged" : "message", avatar(data.username), body);
  made.id = `m${data.id}`;
  return made;
}

// ---- what is new

function show(news) {
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 50;
  const standing = new Set(news.ids.map((id) => `m${id}`));
  for (const old of [...list.children]) if (!standing.has(old.id)) old.remove();
  for (const data of news.messages) {
    const old = document.getElementById(`m${data.id}`);
    if (old) old.replaceWith(message(data)); else list.append(message(data));
  }
  for (const [name, count] of Object.entries(news.counts)) document.querySelector(`[data-count="${name}"]`).textContent = count;
  empty.hidden = news.ids.length > 0;
  if (atEnd && news.messages.length) scrollTo(0, document.documentElement.scrollHeight);
}

async function poll(after) {
  let revision = after;
  try {
    const news = await (await fetch(`/messages?after=${after}`)).json();
    show(news);
    revision = news.revision;
  } catch (error) {
    console.info("the local Discord does not answer", error);
  }
  setTimeout(poll, POLL_MILLISECONDS, revision);
}

poll(0);
