// A poll (https://docs.discord.com/developers/resources/poll), in which nobody votes on the local Discord.
import { element, emojiText } from "./dom.js";

const HOUR = 3_600_000;

function left(expiry) {
  const hours = (new Date(expiry) - Date.now()) / HOUR;
  if (hours <= 0) return "Poll closed";
  return hours < 1 ? `${Math.ceil(hours * 60)}m left` : hours <= 72 ? `${Math.ceil(hours)}h left` : `${Math.ceil(hours / 24)}d left`;
}

function answer({ text, emoji }) {
  return element("li", "", ...(emoji ? [element("span", "", emojiText(emoji))] : []), element("span", "", text));
}

export function poll({ question, answers, expiry, allow_multiselect: several }) {
  return element("section", "poll",
    element("h3", "", question.text),
    element("p", "", several ? "Select one or more answers" : "Select one answer"),
    element("ul", several ? "several" : "", ...answers.map((each) => answer(each.poll_media))),
    element("p", "", `0 votes • ${left(expiry)}`));
}
