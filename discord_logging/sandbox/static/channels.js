// The list of channels, and the one that the reader has chosen.
import { element, icon, part } from "./dom.js";

const channels = new Map(); // id: { name, parent, forum, item }
let shownChannel = ""; // "" stands for all

export const channelName = (id) => channels.get(id)?.name ?? "unknown";

function item(id, iconName, name) {
  const choose = element("button", "", icon(iconName), element("span", "", name));
  choose.type = "button";
  choose.dataset.channel = id;
  return element("li", "", choose);
}

export function learnChannel({ id, parent, forum, thread_name: name }) {
  if (channels.has(id)) return;
  if (parent !== id) learnChannel({ id: parent, parent, forum });
  const thread = parent !== id;
  const others = [...channels].filter(([known, { parent: above }]) => known === above).length;
  const usual = thread ? `thread ${id.slice(-4)}` : forum ? "forum" : others ? `channel-${others + 1}` : "local-discord";
  const made = { parent, forum, name: name ?? usual };
  channels.set(id, made);
  made.item = item(id, thread ? "thread" : "hash", made.name);
  if (thread) made.item.className = "thread";
  const last = [...channels.values()].filter((known) => known !== made && (known.parent === parent || channels.get(parent) === known)).at(-1);
  if (thread && last) last.item.after(made.item);
  else part("channel-list").append(made.item);
}

export function showChannels() {
  const several = channels.size > 1;
  part("app").classList.toggle("several", several && !shownChannel);
  part("all").hidden = !several;
  for (const choose of part("channel-list").querySelectorAll("button")) {
    const current = several ? choose.dataset.channel === shownChannel : true;
    if (current) choose.setAttribute("aria-current", "page");
    else choose.removeAttribute("aria-current");
  }
  const name = shownChannel ? channelName(shownChannel) : several ? "all messages" : [...channels.values()][0]?.name ?? "local-discord";
  part("title").lastChild.textContent = name;
}

part("channel-list").append(Object.assign(item("", "all", "all messages"), { id: "all", hidden: true }));

export const isInShownChannel = ({ channel_id: id }) => !shownChannel || id === shownChannel || channels.get(id)?.parent === shownChannel;

// Call a function after each choice of a channel.
export function onChoice(act) {
  part("channel-list").addEventListener("click", (event) => {
    const choose = event.target.closest("button");
    if (!choose) return;
    shownChannel = choose.dataset.channel;
    showChannels();
    act();
  });
}
