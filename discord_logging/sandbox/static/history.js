// The earlier versions of a message, which Discord does not show.
import { button, element, time } from "./dom.js";

function version(data, parts) {
  const about = element("p", "about", `Version ${data.edits + 1} · `, time(new Date(data.edited ?? data.timestamp), "S"));
  return element("article", "version", about, ...parts);
}

// Return the versions, with a note in the place of those that are not kept.
function withGaps(data, versions, content) {
  const shown = [];
  let after = data.edits;
  for (const each of [...versions, null]) {
    const missing = after - (each ? each.edits : -1) - 1;
    if (missing > 0) shown.push(element("p", "about", missing === 1 ? "One version is not kept." : `${missing} versions are not kept.`));
    if (each) shown.push(version(each, content(each)));
    after = each?.edits;
  }
  return shown;
}

class History {
  constructor() {
    this.mark = button("(edited)", "edited", () => (this.box ? this.close() : this.open()));
    this.mark.setAttribute("aria-expanded", "false");
    this.box = null;
  }

  open() {
    this.box = element("section", "history");
    this.box.tabIndex = 0;
    this.box.setAttribute("aria-label", "Earlier versions");
    this.mark.setAttribute("aria-expanded", "true");
    this.load(this.at.inPlace);
  }

  close() {
    this.at.inPlace(() => this.box.remove());
    this.box = null;
    this.mark.setAttribute("aria-expanded", "false");
  }

  // Ask for the versions, and show them unless the message has changed or the box is closed by then.
  async load(inPlace) {
    const { box, data } = this;
    try {
      const answer = await fetch(`/messages/${data.id}/versions`);
      const versions = await answer.json();
      if (box === this.box && data === this.data) inPlace(() => this.draw(versions));
    } catch (error) {
      console.info("the earlier versions cannot be loaded", error);
    }
  }

  draw(versions) {
    const { box, data, content, made } = this;
    const held = box.contains(document.activeElement);
    const aid = element("p", "aid", element("b", "", "Earlier versions"), " Discord shows none: this is an aid of the sandbox.");
    box.replaceChildren(aid, ...withGaps(data, versions, content));
    if (!box.isConnected) {
      made.append(box);
      box.scrollIntoView({ block: "nearest" });
    } else if (held && !box.contains(document.activeElement)) box.focus({ preventScroll: true });
  }
}

// Return the button "(edited)", which shows the versions below the message. `content` draws the parts of a version.
export function editedMark(made, data, at, content) {
  const history = data.history ??= new History();
  Object.assign(history, { made, data, at, content });
  history.mark.title = time(new Date(data.edited), "F").textContent;
  if (history.box) history.load((draw) => draw());
  return history.mark;
}
