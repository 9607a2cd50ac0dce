// Runs before the page is drawn, so that it never flashes in the wrong theme.
"use strict";
{
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* no storage: the system's theme it is */ }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => { document.documentElement.dataset.theme = kept ?? (dark.matches ? "dark" : "light"); };
  apply();
  dark.addEventListener("change", apply);
  window.switchTheme = () => {
    kept = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", kept); } catch { /* it holds until the page is closed */ }
    apply();
  };
}
