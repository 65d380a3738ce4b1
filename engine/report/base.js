/* base.js - what the other scripts of the page share. Texts of the data become text nodes and
 * attributes only, never markup. */
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {}))
        if (name.startsWith('on'))
            element.addEventListener(name.slice(2), value);
        else if (value === true)
            element.setAttribute(name, '');
        else if (value !== false && value !== null && value !== undefined)
            element.setAttribute(name, value);
    for (const child of children.flat())
        if (child !== null && child !== undefined && child !== false)
            element.append(child);
    return element;
}

/* el('p', {class: 'soft', onclick: f}, 'text', el('b', {}, 'more')) */
function el(tag, attributes, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
    return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

let ids = 0;
function newId(word) {
    return `${word}-${++ids}`;
}

/* ---- numbers ---- */

function isNumber(v) {
    return typeof v === 'number' && isFinite(v);
}

/* With so many digits behind the point, else four that count. */
function showNumber(v, digits) {
    if (!isNumber(v))
        return '–';
    if (digits !== undefined && digits !== null)
        return v.toFixed(digits).replace('-', '−');
    if (Number.isInteger(v) && Math.abs(v) < 1e9)
        return String(v).replace('-', '−');
    const a = Math.abs(v);
    return (a !== 0 && (a < 1e-3 || a >= 1e6) ? v.toExponential(2) : String(Number(v.toPrecision(4))))
        .replace('-', '−');
}

function showSeconds(s) {
    if (!isNumber(s))
        return '–';
    if (s < 9.95)
        return `${s.toFixed(1)} s`;
    const whole = Math.round(s), minutes = Math.floor(whole / 60);
    if (whole < 60)
        return `${whole} s`;
    return whole < 3600 ? `${minutes} min ${whole % 60} s`
                        : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function showBytes(b) {
    if (!isNumber(b))
        return '–';
    const unit = b < 1e9 ? [1e6, 'MB'] : [1e9, 'GB'];
    return `${Number((b / unit[0]).toPrecision(3))} ${unit[1]}`;
}

function plural(n, word) {
    return `${n} ${word}${n === 1 ? '' : 's'}`;
}

/* ---- colours ---- */

/* Far apart from each other, the i-th of any number. */
function colourOf(i) {
    return `hsl(${(205 + 137.508 * i) % 360} var(--job-vivid) var(--job-light))`;
}

/* ---- sections ---- */

/* A section of the page, with its place in the navigation; `soft`: whose it is. */
function addSection(title, soft, ...children) {
    const id = newId('s');
    const section = el('section', {id, 'aria-labelledby': `${id}-h`},
        el('h2', {id: `${id}-h`}, title, soft ? el('small', {}, soft) : null), children);
    document.getElementById('main').append(section);
    document.getElementById('nav').append(el('a', {href: `#${id}`}, title));
    return section;
}

/* One part that cannot be shown must not take the rest of the page with it. */
function guarded(what, make) {
    try {
        make();
    } catch (error) {
        document.getElementById('main').append(
            el('p', {class: 'bad', role: 'alert'}, `${what} cannot be shown: ${error.message}`));
    }
}

/* Calls `draw(width)` soon and whenever the element has another width; not from the observer itself,
 * in which a change of sizes is an error. */
function whenSized(element, draw) {
    let width = 0;
    new ResizeObserver(() => requestAnimationFrame(() => {
        const now = Math.floor(element.clientWidth);
        if (now > 0 && now !== width)
            draw(width = now);
    })).observe(element);
}
