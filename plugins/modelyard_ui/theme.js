// Follow Airflow's switch between light and dark; outside of its frame, the system's.
const airflow = parent.document.documentElement;
const follow = () => { document.documentElement.className = airflow.classList.contains("dark") ? "dark" : "light"; };
if (parent !== window) {
  follow();
  new MutationObserver(follow).observe(airflow, { attributeFilter: ["class"] });
}
