// Discord's Markdown, after the rules of its own client.
import { code } from "./code.js";
import { element, icon, link, time } from "./dom.js";

const DEEPEST = 12;

// Each rule is tried, in this order, where it may begin; `line` ones only at the beginning of a line. `reads` ones say
// themselves how much they took.
const RULES = [
  { line: true, quotes: true, pattern: /(?: *>>> +([^]*))|(?: *>(?!>>) [^\n]*(?:\n *>(?!>>) [^\n]*)*\n?)/y, build: quote },
  { line: true, pattern: /(#{1,3}) [^\S\n]*(\S[^\n]*)(?:\n|$)/y, build: ([, marks, text], at) => element(`h${marks.length + 2}`, "", inline(text, at)) },
  { line: true, pattern: /-# [^\S\n]*(\S[^\n]*)(?:\n|$)/y, build: ([, text], at) => element("small", "", inline(text, at)) },
  { line: true, pattern: /( *)(?:[-*]|\d{1,9}\.) +\S[^\n]*(?:\n(?: {2,}\S| ?(?:[-*]|\d{1,9}\.) +\S)[^\n]*)*(?:\n|$)/y, build: ([text], at) => list(text.trimEnd().split("\n"), at) },
  { pattern: /\\([^0-9A-Za-z\s])/y, build: ([, character]) => character },
  { pattern: /```(?:([a-z0-9_+\-.#]+)\n)?\n*([^\n][^]*?)```\n?/iy, build: ([, language, text]) => block(language, withoutLastLines(text)) },
  { pattern: /(`+)([^]*?[^`])\1(?!`)/y, build: ([, , text]) => element("code", "", text.replace(/^ (?=`)|(?<=`) $/g, "")) },
  { pattern: /<t:(-?\d{1,15})(?::([tTdDfFsSR]))?>/y, build: stamp },
  { pattern: /@(everyone|here)|<(@[!&]?|#)(\d{1,20})>|<\/([\w -]{1,64}):\d+>/y, build: mention },
  { pattern: /<a?:(\w{2,32}):\d+>/y, build: ([, name]) => element("span", "emoji", `:${name}:`) },
  { pattern: /<(https?:\/\/[^\s<>]+)>/iy, build: ([, url]) => link(url, url) },
  { pattern: /\[((?:\\.|\[[^[\]\n]*\]|[^[\]\\\n])+)\]\(<?(https?:\/\/(?:[^\s()<>]|\([^\s()<>]*\))+)>?(?: +"([^"\n]*)")?\)/iy, build: masked },
  { pattern: /https?:\/\/[^\s<]+[^\s<.,:;"'\]*_~|]/iy, build: bare, reads: true },
  { pattern: /\*\*((?:\\[^]|[^\\])+?)\*\*(?!\*)/y, build: wrap("strong") },
  { pattern: /__((?:\\[^]|[^\\])+?)__(?!_)/y, build: wrap("u") },
  { pattern: /~~([^]+?)~~(?!_)/y, build: wrap("s") },
  { pattern: /\|\|([^]+?)\|\|/y, build: spoiler },
  { pattern: /_((?:__|\\[^]|[^\\_])+?)_\b/y, build: wrap("em") },
  { pattern: /\*(?=\S)((?:\*\*|\s+(?:[^*\s]|\*\*)|[^\s*])+?)\*(?!\*)/y, build: wrap("em") },
];
const MAY_BEGIN = /[\\`<@[h*_~|]/i;

function parse(text, at) {
  const made = document.createDocumentFragment();
  if (at.depth > DEEPEST) {
    made.append(text);
    return made;
  }
  const inside = { ...at, depth: at.depth + 1 };
  let plain = 0;
  let position = 0;
  while (position < text.length) {
    const lineStart = at.lines && (position === 0 || text[position - 1] === "\n");
    const found = (lineStart || MAY_BEGIN.test(text[position])) && match(text, position, lineStart, at);
    if (!found) {
      position += 1;
      continue;
    }
    const [rule, groups] = found;
    made.append(text.slice(plain, position));
    const { node, read } = rule.reads ? rule.build(groups, inside) : { node: rule.build(groups, inside), read: groups[0].length };
    made.append(node);
    position = plain = position + read;
  }
  made.append(text.slice(plain));
  return made;
}

function match(text, position, lineStart, at) {
  for (const rule of RULES) {
    if ((rule.line && !lineStart) || (rule.quotes && at.quoted)) continue;
    rule.pattern.lastIndex = position;
    const groups = rule.pattern.exec(text);
    if (groups) return [rule, groups];
  }
  return null;
}

const inline = (text, at) => parse(text, { ...at, lines: false });

function wrap(tag) {
  return ([, text], at) => element(tag, "", inline(text, at));
}

function quote([text, rest], at) {
  const inner = rest ?? text.replace(/\n$/, "").replace(/^ *> /gm, "");
  return element("blockquote", "", parse(inner, { ...at, quoted: true }));
}

function withoutLastLines(text) {
  let end = text.length;
  while (text[end - 1] === "\n") end -= 1;
  return text.slice(0, end);
}

function block(language, text) {
  const inner = element("code", language ? `language-${language.toLowerCase()}` : "", code(language, text));
  const made = element("pre", "", inner);
  made.tabIndex = 0;
  return made;
}

function list(lines, at) {
  const items = [];
  for (const line of lines) {
    const found = line.match(/^( *)([-*]|\d{1,9}\.) +(?! )([^]*)$/);
    if (found) items.push({ indent: found[1].length, mark: found[2], text: found[3] });
    else items.at(-1).text += `\n${line.trim()}`;
  }
  return nest(items, at);
}

function nest(items, at) {
  const made = document.createDocumentFragment();
  const [first] = items;
  let standing = null;
  for (let index = 0; index < items.length;) {
    const item = items[index];
    const numbered = /\d/.test(item.mark);
    if (standing?.tagName !== (numbered ? "OL" : "UL")) {
      standing = element(numbered ? "ol" : "ul", "");
      if (numbered) standing.start = parseInt(item.mark, 10);
      made.append(standing);
    }
    let next = index + 1;
    while (next < items.length && items[next].indent > first.indent) next += 1;
    const children = items.slice(index + 1, next);
    const inner = !children.length || at.depth >= DEEPEST ? [] : [nest(children, { ...at, depth: at.depth + 1 })];
    standing.append(element("li", "", inline(item.text, at), ...inner));
    index = next;
  }
  return made;
}

function stamp([, seconds, style]) {
  const made = time(new Date(seconds * 1000), style ?? "f");
  made.className = "stamp";
  return made;
}

function mention([raw, all, kind, id, command], at) {
  if (command) return element("span", "mention", `/${command}`);
  if (kind === "#") {
    const made = element("span", "mention", icon("hash"), at.channel?.(id) ?? "unknown");
    made.title = `channel ${id}`;
    return made;
  }
  const name = all ? `@${all}` : `@${kind === "@&" ? "role" : "user"} ${id.slice(-4)}`;
  const rings = at.pings?.includes(raw.replace("!", ""));
  const made = element("span", rings ? "mention rings" : "mention mute", ...(rings ? [icon("bell")] : []), name);
  made.title = `${raw} ${rings ? "notifies" : "notifies nobody"}`;
  return made;
}

function masked([, label, url, title], at) {
  const made = link(url, inline(label, at));
  made.title = title ? `${title}\n${url}` : url;
  return made;
}

function bare([url]) {
  let end = url.length;
  // a bracket that closes what the address did not open belongs to the text
  let unopened = url.split(")").length - url.split("(").length;
  for (; url[end - 1] === ")" && unopened > 0; unopened -= 1) end -= 1;
  const address = url.slice(0, end);
  return { node: link(address, address), read: end };
}

function spoiler([, text], at) {
  const made = element("span", "spoiler", element("span", "", inline(text, at)));
  made.tabIndex = 0;
  made.setAttribute("role", "button");
  made.setAttribute("aria-label", "Spoiler");
  const open = (event) => {
    if (made.classList.contains("open") || (event.key && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    made.classList.add("open");
    made.removeAttribute("role");
    made.removeAttribute("aria-label");
  };
  made.addEventListener("click", open);
  made.addEventListener("keydown", open);
  return made;
}

// `at` may have `pings`, the mentions that notify, and `channel`, a channel's name by its id.
export function markdown(text, at = {}) {
  const made = element("div", "text", parse(text, { ...at, depth: 0, lines: true }));
  if (/^(?:\p{Extended_Pictographic}[\u200d\ufe0f\p{Emoji_Modifier}]*\s*){1,27}$/u.test(text)) made.classList.add("jumbo");
  return made;
}

export function line(text, at = {}) {
  return parse(text, { ...at, depth: 0, lines: false });
}
