// How the page is seen: with which drawers open, and whether as on a phone, which stands in the address of the page.
import { part } from "./dom.js";

// ---- drawers

const NARROW = { channels: "(max-width: 760px)", panel: "(max-width: 1180px)" };

export function toggle(id, open = !isOpen(id)) {
  const narrow = matchMedia(NARROW[id]).matches;
  part("app").classList.toggle(narrow ? `open-${id}` : `hide-${id}`, narrow ? open : !open);
  showDrawers();
}

function isOpen(id) {
  const { classList } = part("app");
  return matchMedia(NARROW[id]).matches ? classList.contains(`open-${id}`) : !classList.contains(`hide-${id}`);
}

// Close what lies over the messages on a narrow screen, and say whether anything did.
export function closeDrawers() {
  const open = ["channels", "panel"].filter((id) => matchMedia(NARROW[id]).matches && isOpen(id));
  for (const id of open) toggle(id, false);
  return open.length > 0;
}

function showDrawers() {
  for (const id of ["channels", "panel"]) part(`show-${id}`).setAttribute("aria-expanded", isOpen(id));
}

for (const id of ["channels", "panel"]) {
  part(`show-${id}`).addEventListener("click", () => toggle(id));
  matchMedia(NARROW[id]).addEventListener("change", showDrawers);
}
showDrawers();

// ---- as on a phone

export const isPhone = () => new URLSearchParams(location.search).has("phone");

function apply() {
  part("app").classList.toggle("as-phone", isPhone());
  part("phone").setAttribute("aria-pressed", isPhone());
}

// Call a function after each change.
export function onSwitch(act) {
  part("phone").addEventListener("click", () => {
    history.replaceState(null, "", isPhone() ? "/" : "/?phone");
    apply();
    act();
  });
  apply();
}
