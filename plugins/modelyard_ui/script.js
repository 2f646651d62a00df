// Follow Airflow's switch between light and dark; outside of its frame, what was chosen there last.
const root = document.documentElement;
if (parent !== window) {
  const airflow = parent.document.documentElement;
  const follow = () => { root.className = airflow.classList.contains("dark") ? "dark" : "light"; };
  follow();
  new MutationObserver(follow).observe(airflow, { attributeFilter: ["class"] });
} else {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") root.className = chosen;
}

// Airflow's frame keeps its pages inside; a link to Airflow itself is followed by the window around it.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-airflow]");
  if (link === null || parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const outer = parent.document.createElement("a");
  outer.href = link.href;
  parent.document.body.append(outer);
  outer.click();
  outer.remove();
});

// Where the strip of verdicts is wider than the window, the newest are shown first.
document.addEventListener("DOMContentLoaded", () => {
  const strip = document.querySelector("table.strip");
  if (strip !== null) strip.parentElement.scrollLeft = strip.scrollWidth;
});

// An action is asked for once, and says that it is at work.
document.addEventListener("submit", (event) => {
  const button = event.target.querySelector("button[data-busy]");
  if (button === null) return;
  button.textContent = button.dataset.busy;
  setTimeout(() => { button.disabled = true; });
});
