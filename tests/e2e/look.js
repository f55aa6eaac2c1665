// Looks at an email in a window and tells what a reader would stumble over. `look(frame)` gives a list of complaints and
// how much was looked at; tests/e2e/test_mail_in_chromium.py puts it into a page around the emails.

const LEAST = 4.5; // WCAG 2.2, 1.4.3; asked of large letters as well

function colour(text) {
  const found = /^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/.exec(text);
  if (!found) throw new Error(`not a colour that this script knows: ${text}`);
  return [found[1], found[2], found[3], found[4] ?? 1].map(Number);
}

function over(upper, lower) {
  const alpha = upper[3];
  return [0, 1, 2].map((i) => upper[i] * alpha + lower[i] * (1 - alpha)).concat(lower[3]);
}

function luminance(rgb) {
  const [r, g, b] = rgb.slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

// What is behind an element: its own background and those around it, down to the first that lets nothing through.
function background(element, view) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const style = view.getComputedStyle(at);
    if (style.backgroundImage !== "none") throw new Error(`a picture is behind the words of ${at.className}`);
    layers.push(colour(style.backgroundColor));
    if (layers.at(-1)[3] === 1) return layers.reduceRight((lower, upper) => over(upper, lower));
  }
  throw new Error(`nothing is behind the words of ${element.className}`);
}

function texts(page, view, complain) {
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  let least = Infinity;
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({ opacityProperty: true })) continue;
    const behind = background(element, view);
    const ratio = contrast(over(colour(view.getComputedStyle(element).color), behind), behind);
    if (ratio < LEAST) {
      complain(`contrast ${ratio.toFixed(2)} of .${element.className}: ${walker.currentNode.data.trim().slice(0, 40)}`);
    }
    least = Math.min(least, ratio);
    seen += 1;
  }
  return { seen, least };
}

function headings(page, complain) {
  let before = 0;
  const found = [...page.querySelectorAll("h1, h2, h3, h4, h5, h6")];
  for (const heading of found) {
    const level = Number(heading.tagName[1]);
    if (level > before + 1) complain(`h${level} after h${before}: ${heading.textContent.slice(0, 40)}`);
    if (!heading.textContent.trim()) complain(`h${level} without words`);
    before = level;
  }
  if (page.querySelectorAll("h1").length !== 1) complain("not one h1");
  return found.length;
}

function look(frame) {
  const complaints = [];
  const complain = (what) => complaints.push(what);
  const [page, view] = [frame.contentDocument, frame.contentWindow];
  const wide = page.scrollingElement.scrollWidth;
  if (wide > view.innerWidth) complain(`${wide} pixels wide in ${view.innerWidth}`);
  for (const image of page.images) {
    if (!image.getAttribute("alt")?.trim()) complain(`no alt: ${image.outerHTML.slice(0, 80)}`);
  }
  for (const link of page.links) {
    const words = link.textContent + [...link.querySelectorAll("img")].map((image) => image.alt).join(" ");
    if (!words.trim()) complain(`a link without words: ${link.href.slice(0, 80)}`);
  }
  const { seen, least } = texts(page, view, complain);
  return {
    name: frame.title,
    width: view.innerWidth,
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    complaints,
    headings: headings(page, complain),
    images: page.images.length,
    links: page.links.length,
    texts: seen,
    least,
  };
}
