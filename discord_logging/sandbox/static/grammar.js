// Discord's Markdown, after the rules of its own client: a text becomes a tree of texts and nodes. It needs no browser.
import EMOJI from "./vendor/emoji.js";

const DEEPEST = 12;

// The rules that do not hold in a place. The title of an embed with an address is a link itself.
const TITLE = ["heading", "subtext", "list", "codeBlock", "mention", "masked"];
const LEFT_OUT = { text: [], field: ["heading"], title: TITLE, linkedTitle: [...TITLE, "address", "bare"] };

const emoji = new Map(EMOJI.trim().split("\n").flatMap((line) => {
  const [character, ...names] = line.split(" ");
  return names.map((name) => [name, character]);
}));

const at = (pattern) => (text, position) => {
  pattern.lastIndex = position;
  return pattern.exec(text);
};

// Each rule is tried, in this order, where it may begin; `line` ones only at the beginning of a line. Bold text and its like
// begin a line where they stand at the beginning of one, and lists do not stand in them.
const RULES = [
  { name: "quote", line: true, find: at(/(?: *>>> +([^]*))|(?: *>(?!>>) [^\n]*(?:\n *>(?!>>) [^\n]*)*\n?)/y), build: quote },
  { name: "heading", line: true, find: at(/ *(#{1,3}) +(?!#)(\S[^\n]*?)#* *(?:\n|$)/y), build: ([, marks, text], state) => ({ type: "heading", level: marks.length, content: inline(text.trim(), state) }) },
  { name: "subtext", line: true, find: at(/ *-# +(?!-#)(\S[^\n]*)(?:\n|$)/y), build: ([, text], state) => ({ type: "subtext", content: inline(text.trim(), state) }) },
  { name: "list", line: true, find: at(/( *)(?:[-*]|\d{1,9}\.) +\S[^\n]*(?:\n(?: {2,}\S| ?(?:[-*]|\d{1,9}\.) +\S)[^\n]*)*(?:\n|$)/y), build: ([text], state) => list(text.trimEnd().split("\n"), state) },
  { name: "shrug", find: at(/¯\\_\(ツ\)_\/¯/y), build: ([text]) => text },
  { name: "escape", find: at(/\\([^0-9A-Za-z\s])/y), build: ([, character]) => character },
  { name: "codeBlock", find: at(/```(?:([a-z0-9_+\-.#]+)\n)?\n*([^\n][^]*?)```\n?/iy), build: ([, language, text]) => ({ type: "codeBlock", language, text: withoutLastLines(text) }) },
  { name: "code", find: at(/(`+)([^]*?[^`])\1(?!`)/y), build: ([, , text]) => ({ type: "code", text: text.replace(/^ (?= *`)|(?<=` *) $/g, "") }) },
  { name: "timestamp", find: at(/<t:(-?\d{1,15})(?::([tTdDfFsSR]))?>/y), build: ([, seconds, style]) => ({ type: "timestamp", seconds, style }) },
  { name: "mention", find: at(/@(everyone|here)|<(@[!&]?)(\d{1,20})>/y), build: ([raw, all, kind, id]) => ({ type: "mention", raw, all, kind, id }) },
  { name: "channel", find: at(/<#(\d{1,20})>/y), build: ([, id]) => ({ type: "channel", id }) },
  { name: "command", find: at(/<\/([\w -]{1,64}):\d+>/y), build: ([, name]) => ({ type: "command", name }) },
  { name: "customEmoji", find: at(/<a?:(\w{2,32}):\d+>/y), build: ([, name]) => ({ type: "customEmoji", name }) },
  { name: "emoji", find: knownEmoji, build: ([, character]) => character },
  { name: "address", find: at(/<(https?:\/\/[^ >]+)>/iy), build: ([, url]) => ({ type: "link", url, content: [url] }) },
  { name: "masked", find: at(/\[((?:\\.|\[[^[\]\n]*\]|[^[\]\\\n])+)\]\(<?(https?:\/\/(?:[^\s()<>]|\([^\s()<>]*\))+)>?(?: +"([^"\n]*)")?\)/iy), build: ([, label, url, title], state) => ({ type: "link", url, title, content: oneLine(label, state) }) },
  { name: "bare", find: bareAddress, build: ([url]) => ({ type: "link", url, content: [url] }) },
  { name: "emphasis", find: emphasis, build: ([, text], state, type) => ({ type, content: inline(text, state) }) },
  { name: "strike", find: at(/~~([^]+?)~~(?!_)/y), build: ([, text], state) => ({ type: "strike", content: inline(text, state) }) },
  { name: "spoiler", find: at(/\|\|([^]+?)\|\|/y), build: ([, text], state) => ({ type: "spoiler", content: inline(text, state) }) },
];
const MAY_BEGIN = /[\\`<@:[h*_~|¯]/i;

// The longest one wins, and the first of equally long ones. A star may follow one or two spaces when it closes.
const EMPHASIS = Object.entries({
  emphasis: at(/_((?:__|\\[^]|[^\\_])+?)_\b|\*(?=\S)((?:\*\*|\\[^]|\s+(?:\\[^]|[^\s*\\]|\*\*)|[^\s*\\])+?) {0,2}\*(?!\*)/y),
  strong: at(/\*\*((?:\\[^]|[^\\])+?)\*\*(?!\*)/y),
  underline: at(/__((?:\\[^]|[^\\])+?)__(?!_)/y),
});

function emphasis(text, position) {
  let longest = null;
  for (const [type, find] of EMPHASIS) {
    const groups = find(text, position);
    if (groups && !(groups[0].length <= longest?.[0].length)) longest = [groups[0], groups[1] ?? groups[2], type];
  }
  return longest;
}

const emojiName = at(/:([^\s:]+?)(?:::skin-tone-([1-5]))?:/y);

function knownEmoji(text, position) {
  const [whole, name, tone] = emojiName(text, position) ?? [];
  if (!emoji.has(name)) return null;
  return [whole, emoji.get(name) + (tone ? String.fromCodePoint(0x1f3fa + Number(tone)) : "")];
}

const address = at(/https?:\/\/[^\s<]+[^\s<.,:;"'\]]/iy);

function bareAddress(text, position) {
  const [url] = address(text, position) ?? [];
  if (!url) return null;
  // a bracket that closes what the address did not open belongs to the text
  let unopened = url.split(")").length - url.split("(").length;
  let end = url.length;
  for (; url[end - 1] === ")" && unopened > 0; unopened -= 1) end -= 1;
  return [url.slice(0, end)];
}

function read(text, state) {
  if (state.depth > DEEPEST) return [text];
  const nodes = [];
  let plain = 0;
  let position = 0;
  while (position < text.length) {
    const lineStart = state.lines && (position === 0 ? state.lineStart : text[position - 1] === "\n");
    const found = (lineStart || MAY_BEGIN.test(text[position])) && match(text, position, lineStart, state);
    if (!found) {
      position += 1;
      continue;
    }
    const [rule, groups] = found;
    nodes.push(text.slice(plain, position), rule.build(groups, { ...state, lineStart, depth: state.depth + 1 }, groups[2]));
    position = plain = position + groups[0].length;
  }
  return joined([...nodes, text.slice(plain)]);
}

function match(text, position, lineStart, state) {
  for (const rule of RULES) {
    if ((rule.line && !lineStart) || (rule.name === "list" && state.inline) || state.leftOut.includes(rule.name)) continue;
    const groups = rule.find(text, position);
    if (groups) return [rule, groups];
  }
  return null;
}

function joined(nodes) {
  const made = [];
  for (const node of nodes.flat()) {
    if (typeof node === "string" && typeof made.at(-1) === "string") made.push(made.pop() + node);
    else if (node) made.push(node);
  }
  return made;
}

const inline = (text, state) => read(text, { ...state, inline: true });

// Return a text in which nothing begins a line.
const oneLine = (text, state) => inline(text, { ...state, lines: false });

function quote([text, rest], state) {
  const inner = rest ?? text.replace(/\n$/, "").replace(/^ *> /gm, "");
  return { type: "quote", content: read(inner, { ...state, leftOut: [...state.leftOut, "quote"] }) };
}

function withoutLastLines(text) {
  let end = text.length;
  while (text[end - 1] === "\n") end -= 1;
  return text.slice(0, end);
}

function list(lines, state) {
  const items = [];
  for (const line of lines) {
    const found = line.match(/^( *)([-*]|\d{1,9}\.) +(?! )([^]*)$/);
    if (found) items.push({ indent: found[1].length, mark: found[2], text: found[3] });
    else items.at(-1).text += `\n${line.trim()}`;
  }
  return nest(items, state);
}

function nest(items, state) {
  const lists = [];
  for (let index = 0; index < items.length;) {
    const { mark, text } = items[index];
    const type = /\d/.test(mark) ? "numbered" : "bullets";
    if (lists.at(-1)?.type !== type) lists.push({ type, start: parseInt(mark, 10), items: [] });
    let next = index + 1;
    while (next < items.length && items[next].indent > items[0].indent) next += 1;
    const children = items.slice(index + 1, next);
    const inner = state.depth >= DEEPEST ? [] : nest(children, { ...state, depth: state.depth + 1 });
    lists.at(-1).items.push([...oneLine(text, state), ...inner]);
    index = next;
  }
  return lists;
}

// Return a tree: a list of texts and nodes, which have their `type` and mostly a `content`, a list again. The place is
// "text", "field", "title" or "linkedTitle".
export function parse(text, place = "text") {
  return read(text, { leftOut: LEFT_OUT[place], lines: true, lineStart: true, depth: 0 });
}
