// The terms that the reader searches for, and their marks.
import { part } from "./dom.js";

export const search = part("search");

let termsOf = ["", []];
export function terms() {
  if (termsOf[0] !== search.value) termsOf = [search.value, search.value.toLowerCase().split(/\s+/).filter(Boolean)];
  return termsOf[1];
}

// Mark the terms in the messages that are drawn near the screen.
let marking = 0;
export function mark(messages) {
  if (!CSS.highlights || marking) return;
  marking = requestAnimationFrame(() => {
    marking = 0;
    const drawn = terms().length ? messages.filter((data) => data.filled && !data.made.hidden && data.near) : [];
    CSS.highlights.set("search", new Highlight(...drawn.flatMap((data) => [...rangesIn(data.made)])));
  });
}

function* rangesIn(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.toLowerCase();
    if (text.length !== node.data.length) continue;
    for (const term of terms()) {
      for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + term.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + term.length);
        yield range;
      }
    }
  }
}
