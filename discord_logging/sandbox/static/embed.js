// Embeds.
import { element, hex, link, time } from "./dom.js";
import { picture } from "./file.js";
import { markdown, title } from "./markdown.js";
import { hasColor, level } from "./severity.js";

const MOST_IMAGES = 4;

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
    const foot = data.footer ? named("foot", data.footer, files) : element("div", "foot");
    if (data.timestamp) foot.append(...(data.footer ? [element("span", "dot", "•")] : []), time(new Date(data.timestamp), "s"));
    made.append(foot);
  }
  return made;
}

export const embeds = (items, files, at) => merged(items).map((data) => embed(data, files, at));
