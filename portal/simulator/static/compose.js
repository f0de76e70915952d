// The field that texts and chats are typed into: Enter sends, a chip fills.

/** Make `form` call `send(text)` with what is typed in `typed`, which is empty afterwards. */
export function compose(form, typed, send) {
  const fill = (text) => {
    typed.value = text;
    typed.focus({ preventScroll: true });
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = typed.value.trim();
    if (text && send(text) !== false) typed.value = "";
  });
  typed.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  for (const chip of form.querySelectorAll("[data-text]")) chip.addEventListener("click", () => fill(chip.dataset.text));
  return fill;
}
