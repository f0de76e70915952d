// Parts of a page that follow the books: an element with data-live names a stream of server-sent events (WHATWG HTML
// §9.2); what comes there is the element's new content, made and escaped by our own server. Without script the page
// shows what was true when it was asked for.
for (const part of document.querySelectorAll("[data-live]")) {
  const stream = new EventSource(part.dataset.live);
  stream.addEventListener("part", (event) => {
    part.innerHTML = event.data;
    part.dataset.moved = String(Number(part.dataset.moved ?? 0) + 1);
  });
  stream.addEventListener("done", () => stream.close());
  addEventListener("pagehide", () => stream.close());
}

// A form that was sent is not sent again by a second tap. The server would not do it twice either.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
// A page that the browser had kept and shows again is asked for anew: what it follows has gone on, or is over.
addEventListener("pageshow", (event) => event.persisted && location.reload());
