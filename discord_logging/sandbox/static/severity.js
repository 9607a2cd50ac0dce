// The levels of a message, which its colours tell.

const WHITE = 0xffffff;
const NAMED = { 0x95a5a6: "debug", 0x3498db: "info", 0xf1c40f: "warning", 0xed4245: "error", 0x9b1c31: "critical" };
export const LEVELS = ["critical", "error", "warning", "info", "debug"];
const ANSI_LEVELS = [[/\x1b\[[\d;]*(?:31|41)/, "error"], [/\x1b\[[\d;]*33/, "warning"], [/\x1b\[[\d;]*34/, "info"]];

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

export function levels(data) {
  const found = new Set(data.embeds.filter(hasColor).map((item) => level(item.color)));
  for (const item of [...data.embeds, { description: data.content }]) {
    if (hasColor(item) || !item.description?.includes("```ansi")) continue;
    for (const [pattern, name] of ANSI_LEVELS) if (pattern.test(item.description)) found.add(name);
  }
  return found.size ? found : new Set(["debug"]);
}
