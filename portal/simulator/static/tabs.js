// What the phone shows: it dials, texts or chats, one at a time.

export class Tabs {
  /** `onTurn(tab)` is told which of `dial`, `text` and `chat` is shown. */
  constructor(root, { onTurn }) {
    this.root = root;
    this.onTurn = onTurn;
    this.tabs = [...root.querySelectorAll("[data-tab]")];
    for (const tab of this.tabs) tab.addEventListener("change", () => this.turn(tab.value));
    this.turn(this.tabs.find((tab) => tab.checked)?.value ?? "dial");
  }

  /** Show a tab. */
  turn(wanted) {
    for (const tab of this.tabs) tab.checked = tab.value === wanted;
    for (const part of this.root.querySelectorAll("[data-pane]")) part.hidden = part.dataset.pane !== wanted;
    this.onTurn(wanted);
  }
}
