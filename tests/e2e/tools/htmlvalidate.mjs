// What html-validate asks of the email's HTML part: everything that it recommends for a document, but for what mail
// programs still need and a web page no longer does.

// Outlook for Windows draws with Word, which takes widths, alignment and colours of page and tables from attributes only.
const drawnByWord = { deprecated: false };
const tableAttributes = Object.fromEntries(
  ["align", "bgcolor", "border", "cellpadding", "cellspacing", "height", "valign", "width"].map((name) => [
    name,
    drawnByWord,
  ]),
);

export default {
  root: true,
  extends: ["html-validate:recommended", "html-validate:document"],
  elements: [
    "html5",
    { body: { attributes: { bgcolor: drawnByWord } }, table: { attributes: tableAttributes }, td: { attributes: tableAttributes } },
  ],
  rules: {
    // Gmail drops a style sheet that is long or that it cannot read whole; only attributes are sure to stay.
    "no-inline-style": "off",
    // The fixed width for Outlook, which knows no max-width, stands in such comments.
    "no-conditional-comment": "off",
    // A title's length matters to search engines, which see no email.
    "long-title": "off",
    // Parsers add tbody themselves; a hundred of them would only take room below Gmail's limit.
    "prefer-tbody": "off",
  },
};
