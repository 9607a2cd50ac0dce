// Components.
import { cover, element, emojiText, hex, link } from "./dom.js";
import { attachment, picture } from "./file.js";
import { markdown } from "./markdown.js";

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
      const made = link(data.disabled ? "" : data.url, [emojiText(data.emoji), data.label].filter(Boolean).join(" "));
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
