// A poll: https://docs.discord.com/developers/resources/poll
import { element } from "./dom.js";

const HOUR = 3_600_000;

function left(expiry) {
  const hours = (new Date(expiry) - Date.now()) / HOUR;
  if (hours <= 0) return "Poll closed";
  return hours < 1 ? `${Math.ceil(hours * 60)}m left` : hours <= 72 ? `${Math.ceil(hours)}h left` : `${Math.ceil(hours / 24)}d left`;
}

function answer({ answer_id: id, poll_media: { text, emoji } }, counts, votes) {
  const count = counts.find((each) => each.id === id)?.count ?? 0;
  const symbol = emoji ? [element("span", "symbol", emoji.id ? `:${emoji.name}:` : emoji.name)] : [];
  const share = votes ? [element("span", "share", `${count} ${count === 1 ? "vote" : "votes"}, ${Math.round(count / votes * 100)}%`)] : [];
  return element("li", "", ...symbol, element("span", "", text ?? ""), ...share);
}

export function poll({ question, answers, expiry, allow_multiselect: several, results }) {
  const counts = results?.answer_counts ?? [];
  const votes = counts.reduce((total, { count }) => total + count, 0);
  return element("section", "poll",
    element("h3", "", question.text),
    element("p", "", several ? "Select one or more answers" : "Select one answer"),
    element("ul", several ? "several" : "", ...answers.map((each) => answer(each, counts, votes))),
    element("p", "", [`${votes} ${votes === 1 ? "vote" : "votes"}`, ...(expiry ? [left(expiry)] : [])].join(" • ")));
}
