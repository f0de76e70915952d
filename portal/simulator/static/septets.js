// How much of a screen a text fills: GSM 03.38 septets, or UCS-2 units as soon as one character is outside that
// alphabet. Source: 3GPP TS 23.038 §6.2.1 (default alphabet and its extension table).

const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENSION = new Set("\f^{}\\[~]|€");

/** The size of `text`: `{unit: "septets" | "UCS-2 units", used}`. */
export function measure(text) {
  let septets = 0;
  for (const character of text) {
    if (BASIC.has(character)) septets += 1;
    else if (EXTENSION.has(character)) septets += 2;
    else return { unit: "UCS-2 units", used: text.length };
  }
  return { unit: "septets", used: septets };
}
