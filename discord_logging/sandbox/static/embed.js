// Embeds and components.
import { cover, element, emojiText, link, time } from "./dom.js";
import { attachment, picture } from "./file.js";
import { markdown, title } from "./markdown.js";

const WHITE = 0xffffff;
const MOST_IMAGES = 4;

// ---- severity

const NAMED = { 0x95a5a6: "debug", 0x3498db: "info", 0xf1c40f: "warning", 0xed4245: "error", 0x9b1c31: "critical" };
export const LEVELS = ["critical", "error", "warning", "info", "debug"];

// To Discord black and white are no colours.
export const hasColor = ({ color }) => Boolean(color) && color !== WHITE;

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

// ---- embeds

const hex = (color) => `#${color.toString(16).padStart(6, "0")}`;

// Embeds with one address are one embed: the first, with the images of all.
function merged(embeds) {
  const byAddress = new Map();
  const made = [];
  for (const data of embeds) {
    const first = data.url && byAddress.get(data.url);
    if (first) {
      if (data.image) first.images.push(data.image);
      continue;
    }
    made.push({ ...data, images: data.image ? [data.image] : [] });
    if (data.url) byAddress.set(data.url, made.at(-1));
  }
  return made;
}

function fields(items, at) {
  const made = element("div", "fields");
  for (let index = 0; index < items.length;) {
    let end = index + 1;
    if (items[index].inline) while (end < items.length && end - index < 3 && items[end].inline) end += 1;
    for (const { name, value } of items.slice(index, end)) {
      made.append(element("div", `field of-${end - index}`, element("div", "name", title(name, at)), markdown(value, at, "field")));
    }
    index = end;
  }
  return made;
}

function named(className, part, files) {
  const icons = files.some((file) => file.url === part.icon_url) ? [picture({ url: part.icon_url }, "mark", files)] : [];
  const text = part.name ?? part.text;
  return element("div", className, ...icons, part.url ? link(part.url, text) : element("span", "", text));
}

function images(found, files) {
  if (found.length === 1) return picture(found[0], "image", files);
  return element("div", `images of-${Math.min(found.length, MOST_IMAGES)}`, ...found.slice(0, MOST_IMAGES).map((image) => picture(image, "image", files)));
}

function embed(data, files, at) {
  const inside = element("div", "inside");
  if (data.author) inside.append(named("author", data.author, files));
  if (data.title) inside.append(element("div", "title", data.url ? link(data.url, title(data.title, at, true)) : title(data.title, at)));
  if (data.description) inside.append(markdown(data.description, at));
  if (data.fields?.length) inside.append(fields(data.fields, at));
  const made = element("article", `embed is-${hasColor(data) ? level(data.color) : "debug"}`, inside);
  if (hasColor(data)) made.style.borderLeftColor = hex(data.color);
  if (data.thumbnail) made.append(picture(data.thumbnail, "thumbnail", files));
  if (data.images.length) made.append(images(data.images, files));
  if (data.footer || data.timestamp) {
    const foot = named("foot", data.footer ?? { text: "" }, files);
    if (data.timestamp) foot.append(...(data.footer ? [element("span", "dot", "•")] : []), time(new Date(data.timestamp), "s"));
    made.append(foot);
  }
  return made;
}

export const embeds = (items, files, at) => merged(items).map((data) => embed(data, files, at));

// ---- components

const [ROW, BUTTON, SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR] = [1, 2, 9, 10, 11, 12, 13, 14];

export function component(data, files, at) {
  const made = drawn(data, files, at);
  return data.spoiler ? cover(made) : made;
}

function drawn(data, files, at) {
  const inside = (data.components ?? []).map((child) => component(child, files, at));
  switch (data.type) {
    case ROW: return element("div", "row", ...inside);
    case BUTTON: {
      const made = link(data.url, [emojiText(data.emoji), data.label].filter(Boolean).join(" "));
      made.className = "link-button";
      return made;
    }
    case SECTION: return element("div", "section", element("div", "", ...inside), ...(data.accessory ? [component(data.accessory, files, at)] : []));
    case TEXT: return markdown(data.content, at);
    case THUMBNAIL: return element("div", "frame", picture({ ...data, url: data.media.url }, "thumbnail", files));
    case GALLERY: return element("div", "gallery", ...data.items.map((item) => galleryItem(item, files)));
    case FILE: {
      const found = files.find((file) => file.url === data.file.url);
      return found ? attachment(found, at) : element("code", "", data.file.url);
    }
    case SEPARATOR: return element("hr", data.divider === false ? "gap" : "");
    default: { // a container
      const made = element("div", "box", ...inside);
      if (data.accent_color) made.style.borderLeftColor = hex(data.accent_color);
      return made;
    }
  }
}

function galleryItem(item, files) {
  const made = element("div", "frame", picture({ ...item, url: item.media.url }, "image", files));
  return item.spoiler ? cover(made) : made;
}
