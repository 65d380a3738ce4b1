/* tables.js - tables that sort by any column. */
'use strict';

/* Cells are texts, numbers, null, or {value, node}: what it sorts by and what is shown. */
function cellValue(cell) {
    return cell !== null && typeof cell === 'object' ? cell.value : cell;
}

function isNumeric(rows, k) {
    const values = rows.map(row => cellValue(row[k])).filter(v => v !== null && v !== undefined);
    return values.length > 0 && values.every(v => typeof v === 'number');
}

/* As many digits behind the point as tell the numbers of a column apart. */
function digitsOf(rows, k) {
    const values = rows.map(row => cellValue(row[k])).filter(isNumber);
    const most = Math.max(0, ...values.map(Math.abs));
    if (values.every(Number.isInteger) || most >= 1e6 || (most > 0 && most < 0.01))
        return null;
    return most < 10 ? 3 : most < 1000 ? 1 : 0;
}

/* What has no value comes last, whichever way. */
function compareCells(a, b, way) {
    const x = cellValue(a), y = cellValue(b);
    const none = v => v === null || v === undefined || v === '' || Number.isNaN(v);
    if (none(x) || none(y))
        return none(x) - none(y);
    if (typeof x === 'number' && typeof y === 'number')
        return way * (x - y);
    return way * String(x).localeCompare(String(y), 'en', {numeric: true});
}

function showCell(cell, column, numeric, tag) {
    const inner = cell !== null && typeof cell === 'object' ? cell.node
        : typeof cell === 'number' || cell === null || cell === undefined
            ? showNumber(cell, column.digits)
            : String(cell);
    return el(tag || 'td', {class: numeric ? 'number' : null}, inner);
}

/*
 * {columns: [{name, digits, help}], rows: [[cell]], foot: [cell], few, caption}: `few` columns are
 * there at first, and a button brings the others.
 */
function makeTable(spec) {
    const columns = spec.columns.map((c, k) => ({...c, digits: c.digits ?? digitsOf(spec.rows, k)}));
    const few = spec.few || columns.length;
    const numeric = columns.map((c, k) => isNumeric(spec.rows, k));
    const heads = columns.map((column, k) => el('th', {scope: 'col', class: numeric[k] ? 'number' : null},
        el('button', {type: 'button', title: column.help, onclick: () => sort(k)}, column.name)));
    const body = el('tbody');
    const table = el('table', {}, spec.caption ? el('caption', {}, spec.caption) : null,
        el('thead', {}, el('tr', {}, heads)), body);
    let sorted = -1, way = 1;

    function showRows(rows) {
        body.replaceChildren(...rows.map(row => el('tr', {}, columns.map((column, k) =>
            k === 0 ? fill(showCell(row[0], column, numeric[0], 'th'), {scope: 'row'}, [])
                    : showCell(row[k], column, numeric[k])))));
        hideMore();
    }
    function sort(k) {
        /* Of numbers the largest come first, which is what one looks for. */
        way = sorted === k ? -way : numeric[k] ? -1 : 1;
        sorted = k;
        heads.forEach((head, i) => {
            if (i === k)
                head.setAttribute('aria-sort', way > 0 ? 'ascending' : 'descending');
            else
                head.removeAttribute('aria-sort');
        });
        showRows(spec.rows.slice().sort((a, b) => compareCells(a[k], b[k], way)));
    }
    let all = few >= columns.length;
    function hideMore() {
        for (const row of table.rows)
            [...row.cells].forEach((cell, k) => {
                cell.hidden = !all && k >= few;
            });
    }
    if (spec.foot)
        table.append(el('tfoot', {}, el('tr', {}, columns.map((column, k) =>
            k === 0 ? fill(showCell(spec.foot[0], column, numeric[0], 'th'), {scope: 'row'}, [])
                    : showCell(spec.foot[k], column, numeric[k])))));
    showRows(spec.rows);
    const more = all ? null : el('button', {type: 'button', class: 'more', 'aria-expanded': 'false',
        onclick: event => {
            all = !all;
            event.currentTarget.textContent = all ? `First ${few} columns` : `All ${columns.length} columns`;
            event.currentTarget.setAttribute('aria-expanded', String(all));
            hideMore();
        }}, `All ${columns.length} columns`);
    const label = spec.label || spec.caption || 'Table';
    return el('div', {}, el('div', {class: 'wide', role: 'region', 'aria-label': label, tabindex: '0'}, table),
        more);
}
