// Draws the tree of a text in Discord's Markdown.
import { code } from "./code.js";
import { cover, element, icon, link, time } from "./dom.js";
import { parse } from "./grammar.js";

const wrap = (tag) => ({ content }, at) => element(tag, "", ...draw(content, at));

// How a node of each type is drawn. `at` may have `pings`, the mentions that notify, `channel`, a channel's name by its
// id, and `phone`.
const DRAWN = {
  emphasis: wrap("em"), strong: wrap("strong"), underline: wrap("u"), strike: wrap("s"), quote: wrap("blockquote"), subtext: wrap("small"),
  heading: ({ level, content }, at) => element(`h${level + 2}`, "", ...draw(content, at)),
  bullets: ({ items }, at) => element("ul", "", ...items.map((item) => element("li", "", ...draw(item, at)))),
  numbered: ({ start, items }, at) => Object.assign(element("ol", "", ...items.map((item) => element("li", "", ...draw(item, at)))), { start }),
  code: ({ text }) => element("code", "", text),
  codeBlock,
  timestamp: ({ seconds, style }) => Object.assign(time(new Date(seconds * 1000), style ?? "f"), { className: "stamp" }),
  mention,
  channel: ({ id }, at) => pill(`channel ${id}`, icon("hash"), at.channel?.(id) ?? "unknown"),
  command: ({ name }) => pill("", `/${name}`),
  customEmoji: ({ name }) => element("span", "emoji", `:${name}:`),
  link: ({ url, title, content }, at) => Object.assign(link(url, ...draw(content, at)), { title: title ? `${title}\n${url}` : url }),
  spoiler: ({ content }, at) => cover(element("span", "spoiler", element("span", "", ...draw(content, at)))),
};

const draw = (nodes, at) => nodes.map((node) => (typeof node === "string" ? node : DRAWN[node.type](node, at)));

function codeBlock({ language, text }, at) {
  const inner = element("code", language ? `language-${language.toLowerCase()}` : "", at.phone ? text : code(language, text));
  const made = element("pre", "", inner);
  made.tabIndex = 0;
  return made;
}

function pill(title, ...children) {
  return Object.assign(element("span", "mention", ...children), { title });
}

function mention({ raw, all, kind, id }, at) {
  const name = all ? `@${all}` : `@${kind === "@&" ? "role" : "user"} ${id.slice(-4)}`;
  const rings = at.pings?.includes(raw.replace("!", ""));
  const made = pill(`${raw} ${rings ? "notifies" : "notifies nobody"}`, ...(rings ? [icon("bell")] : []), name);
  made.classList.add(rings ? "rings" : "mute");
  return made;
}

export function markdown(text, at = {}, place = "text") {
  const made = element("div", "text", ...draw(parse(text, place), at));
  const alone = made.childElementCount === 0 && /^(?:\p{Extended_Pictographic}[\u200d\ufe0f\p{Emoji_Modifier}]*\s*){1,27}$/u.test(made.textContent);
  if (alone) made.classList.add("jumbo");
  return made;
}

export function title(text, at, linked = false) {
  return element("span", "text", ...draw(parse(text, linked ? "linkedTitle" : "title"), at));
}
