// The list of channels, and the one that the reader has chosen.
import { element, icon } from "./dom.js";

const part = (id) => document.getElementById(id);
const channels = new Map(); // id: { name, parent, forum, item }
let shownChannel = ""; // "" stands for all

export const channelName = (id) => channels.get(id)?.name ?? "unknown";

export function learnChannel({ id, parent, forum, thread_name: name }) {
  if (channels.has(id)) return;
  if (parent !== id) learnChannel({ id: parent, parent, forum });
  const thread = parent !== id;
  const others = [...channels.values()].filter((known) => known.parent === parent || !thread).length;
  const made = { parent, forum, name: name ?? (thread ? `thread ${id.slice(-4)}` : forum ? "forum" : others ? `channel-${others + 1}` : "local-discord") };
  channels.set(id, made);
  const choose = element("button", thread ? "thread" : "", icon(thread ? "thread" : "hash"), element("span", "", made.name));
  choose.type = "button";
  choose.dataset.channel = id;
  made.item = element("li", "", choose);
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

const all = element("button", "", icon("all"), element("span", "", "all messages"));
all.type = "button";
all.dataset.channel = "";
part("channel-list").append(Object.assign(element("li", "", all), { id: "all", hidden: true }));

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
