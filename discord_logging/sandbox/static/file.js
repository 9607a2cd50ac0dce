// Attached files: pictures, texts with a preview, and others.
import { code } from "./code.js";
import { button, cover, element, icon, link } from "./dom.js";

const EXPANDED_LINES = 100;
const PREVIEW_BYTES = 50_000;
const MOST_TEXT = 200_000;

export function picture(media, className, files) {
  const file = files.find((each) => each.url === media.url);
  // The page loads nothing from elsewhere, so a picture on the web stays an address.
  if (!file) return element("div", `${className} elsewhere`, link(media.url, `picture: ${media.url}`));
  const made = element("img", className);
  made.src = file.url;
  made.alt = media.description ?? file.description ?? file.title;
  return made;
}

function size(bytes) {
  return bytes < 1024 ? `${bytes} bytes` : bytes < 1048576 ? `${(bytes / 1024).toFixed(2)} KB` : `${(bytes / 1048576).toFixed(2)} MB`;
}

function download(data, ...children) {
  const made = element("a", "", ...children);
  made.href = data.url;
  made.download = data.filename;
  return made;
}

export function attachment(data, at) {
  const made = data.picture ? download(data, picture({ url: data.url }, "", [data])) : file(data, at);
  if (data.picture) made.className = "picture";
  return data.spoiler ? cover(made) : made;
}

function file(data, at) {
  const save = download(data, icon("download"));
  save.setAttribute("aria-label", `Download ${data.title}`);
  const bar = element("div", "bar", icon("file"), download(data, data.title), element("span", "size", size(data.size)), save);
  if (data.preview === null || at.phone) return element("div", "file", bar);
  const text = element("pre", "preview");
  text.tabIndex = 0;
  const made = element("div", "file with-preview", text, bar);
  bar.prepend(...expanders(data, text, made));
  return made;
}

// Return the buttons that show more of a text file: up to 100 lines, and then the rest.
function expanders(data, text, made) {
  const language = data.filename.split(".").at(-1);
  const show = (shown, ...notes) => text.replaceChildren(code(language, shown), ...notes);
  show(data.preview);
  const rest = button("Whole file", "expand", async () => {
    const whole = await (await fetch(data.url)).text();
    show(whole.slice(0, MOST_TEXT), whole.length > MOST_TEXT ? "\n… the rest is in the download" : "");
    rest.hidden = true;
  });
  rest.hidden = true;
  const more = button("Expand", "expand", async () => {
    const open = made.classList.toggle("open");
    more.textContent = open ? "Collapse" : "Expand";
    more.setAttribute("aria-expanded", open);
    rest.hidden = true;
    if (!open) return show(data.preview);
    const whole = new Uint8Array(await (await fetch(data.url)).arrayBuffer());
    const lines = new TextDecoder().decode(whole.subarray(0, PREVIEW_BYTES)).split("\n");
    const left = Math.max(0, lines.length - EXPANDED_LINES);
    show(lines.slice(0, EXPANDED_LINES).join("\n"), left ? `\n… (${left} lines left)` : "");
    rest.hidden = !left && whole.length <= PREVIEW_BYTES;
  });
  more.setAttribute("aria-expanded", "false");
  return new Blob([data.preview]).size < data.size ? [more, rest] : [];
}
