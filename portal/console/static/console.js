// A form that was sent is not sent again by a second click. The server would not do it twice either.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
// A page that the browser had kept and shows again is asked for anew: what it follows has gone on, or is over.
addEventListener("pageshow", (event) => event.persisted && location.reload());

// "/" leads to the search box, as in other tools.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select")) return;
  const box = document.querySelector("#find");
  if (!box) return;
  event.preventDefault();
  box.focus();
});

// On a small screen the pages stand in one row that scrolls: the one that is open is where it can be seen.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Parts of a page that follow what happens: an element with data-live names a stream of server-sent events (WHATWG HTML
// §9.2); what comes there is its new content, made and escaped by our own server. Without script the page shows what
// was true when it was asked for.
for (const part of document.querySelectorAll("[data-live]")) {
  const stream = new EventSource(part.dataset.live);
  stream.addEventListener("part", (event) => {
    // What somebody is at, or has opened, is not taken from under their hands.
    if (part.contains(document.activeElement) && document.activeElement !== part) return;
    part.innerHTML = event.data;
    part.dataset.moved = String(Number(part.dataset.moved ?? 0) + 1);
  });
  addEventListener("pagehide", () => stream.close());
}
