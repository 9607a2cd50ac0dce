// The inside of code blocks: colours of a terminal, and of the languages that highlight.js knows.
import { element } from "./dom.js";
import hljs from "./vendor/highlight.min.js";

const MOST_COLOURED = 5000; // characters; some of the languages' patterns take a time that grows with the square
hljs.unregisterLanguage("markdown"); // the time of its patterns grows with the cube of the text

// The codes that change the look here: bold, underlined, and colours, 39 and 49 among them, which end a colour.
const isShown = (code) => code <= 1 || code === 4 || (code >= 30 && code <= 49);

function ansi(text) {
  const made = document.createDocumentFragment();
  let codes = new Set();
  for (const [index, part] of text.split(/\x1b\[([\d;]*)m/).entries()) {
    if (index % 2 === 0) {
      if (part) made.append(codes.size ? element("span", [...codes].map((code) => `ansi-${code}`).join(" "), part) : part);
      continue;
    }
    for (const code of (part || "0").split(";").map(Number).filter(isShown)) {
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

// The tree of highlight.js is taken instead of its markup, so that text only ever becomes text nodes.
const draw = ({ scope, children }) => {
  const nodes = children.map((child) => (typeof child === "string" ? child : draw(child)));
  return element("span", scope ? `hljs-${scope.split(".")[0]}` : "", ...nodes);
};

export function code(language, text) {
  const name = language?.toLowerCase();
  if (name === "ansi") return ansi(text);
  if (!hljs.getLanguage(name ?? "") || text.length > MOST_COLOURED) return text;
  return draw(hljs.highlight(text, { language: name, ignoreIllegals: true })._emitter.rootNode);
}
