// Shows new calls every two seconds. Without it, the page shows those of its loading.
const rows = document.getElementById("rows");
const pause = document.getElementById("pause");
let paused = false;
pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = paused ? "Go on" : "Pause";
  pause.setAttribute("aria-pressed", String(paused));
});
setInterval(async () => {
  if (paused || document.hidden) return;
  try {
    const reply = await fetch("/calls");
    if (reply.ok) rows.innerHTML = await reply.text();
  } catch {
    // The gateway was stopped; the next one answers.
  }
}, 2000);
