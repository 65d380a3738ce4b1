/* curves.js - curves over steps: the values under the pointer or the arrow keys, and a log scale. */
'use strict';

const CURVE = {height: 250, left: 58, right: 14, top: 12, bottom: 30};

/* Round numbers from about `low` to `high`, `count` of them or a few less. */
function ticks(low, high, count) {
    const rough = (high - low) / count, ten = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(k => k * ten).find(s => s >= rough * 0.999);
    const ret = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++)
        ret.push(Number((k * step).toPrecision(12)));
    return ret;
}

function logTicks(low, high) {
    const ret = [], decades = Math.log10(high / low);
    const parts = decades > 3 ? [1] : decades > 1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8];
    for (let d = Math.floor(Math.log10(low)); d <= Math.log10(high); d++)
        for (const k of parts)
            ret.push(Number((k * 10 ** d).toPrecision(6)));
    return ret.filter(v => v >= low && v <= high);
}

/* The scale of an axis: from values to pixels. */
function makeScale(low, high, from, to, log) {
    const f = log ? Math.log10 : v => v, a = f(low), b = f(high);
    return v => from + (to - from) * (b > a ? (f(v) - a) / (b - a) : 0.5);
}

function curveRange(series, log) {
    const values = series.flatMap(s => s.points.map(p => p[1])).filter(v => isNumber(v) && (!log || v > 0));
    let low = Math.min(...values), high = Math.max(...values);
    if (log)
        return high > low ? [low / (high / low) ** 0.04, high * (high / low) ** 0.04]
                          : [low / 2, high * 2];
    const room = Math.max(0.05 * (high - low), 0.005 * Math.abs(high), 1e-9);
    return [low - room, high + room];
}

function linePath(points, x, y) {
    let path = '', pen = 'M';
    for (const [px, py] of points) {
        if (!isNumber(py)) {
            pen = 'M';
            continue;
        }
        path += `${pen}${x(px).toFixed(1)} ${y(py).toFixed(1)}`;
        pen = 'L';
    }
    return path;
}

function drawSeries(s, k, x, y, log) {
    const points = log ? s.points.filter(p => p[1] > 0) : s.points;
    const group = svg('g', {class: `series c${k % 6}`});
    if (points.length > 1)
        group.append(svg('path', {d: linePath(points, x, y), class: s.marks ? 'thin' : null}));
    if (s.marks || points.length === 1)
        for (const p of points.filter(p => isNumber(p[1])))
            group.append(svg('circle', {cx: x(p[0]), cy: y(p[1]), r: points.length > 80 ? 2 : 3}));
    return group;
}

function drawAxes(chart, spec, x, y, xs, range, width, log) {
    const {height, left, right, top, bottom} = CURVE;
    const across = log ? logTicks(...range) : ticks(range[0], range[1], 5);
    for (const v of across)
        chart.append(svg('line', {class: 'grid', x1: left, x2: width - right, y1: y(v), y2: y(v)}),
            svg('text', {x: left - 8, y: y(v) + 4, 'text-anchor': 'end'}, showNumber(v)));
    for (const v of ticks(xs[0], Math.max(xs[1], xs[0] + 1), Math.max(2, Math.floor(width / 110)))
            .filter(v => Number.isInteger(v) && x(v) < width - right - 36))
        chart.append(svg('text', {x: x(v), y: height - 10, 'text-anchor': 'middle'}, showNumber(v)));
    chart.append(svg('text', {x: width - right, y: height - 10, 'text-anchor': 'end'}, spec.x || ''));
    for (const line of spec.lines || [])
        if (isNumber(line.x)) {
            const late = x(line.x) > width / 2;
            chart.append(svg('line', {class: 'mark', x1: x(line.x), x2: x(line.x), y1: top, y2: height - bottom}),
                svg('text', {class: 'mark', x: x(line.x) + (late ? -5 : 5), y: top + 10,
                    'text-anchor': late ? 'end' : 'start'}, line.name || ''));
        }
}

/* The point of a series that is nearest to `at`; points lie in the order of x. */
function nearestPoint(points, at) {
    let low = 0, high = points.length - 1;
    while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (points[middle][0] < at)
            low = middle;
        else
            high = middle;
    }
    return Math.abs(points[low][0] - at) <= Math.abs(points[high][0] - at) ? points[low] : points[high];
}

/* {x, y, series: [{name, points: [[x, y]], marks}], lines: [{x, name}], note} */
function makeCurves(spec, title) {
    const series = spec.series.filter(s => s.points.some(p => isNumber(p[1])));
    if (series.length === 0)
        return el('p', {class: 'soft'}, 'No values.');
    const all = [...new Set(series.flatMap(s => s.points.map(p => p[0])))].sort((a, b) => a - b);
    const xs = [Math.min(0, all[0]), all[all.length - 1]];
    const positive = series.some(s => s.points.some(p => p[1] > 0));
    const readout = el('output', {class: 'readout', 'aria-live': 'polite'});
    const frame = el('div', {class: 'curve'});
    let log = false, width = 0, chosen = null, x, y;

    function showAt(at) {
        const chart = frame.firstChild;
        chart.querySelectorAll('.cursor').forEach(e => e.remove());
        chosen = at;
        const texts = [];
        if (at !== null) {
            chart.append(svg('line', {class: 'cursor', x1: x(at), x2: x(at), y1: CURVE.top,
                y2: CURVE.height - CURVE.bottom}));
            texts.push(el('span', {class: 'soft'}, `${spec.x || 'x'} ${showNumber(at)}`));
        }
        series.forEach((s, k) => {
            const p = at === null ? s.points[s.points.length - 1] : nearestPoint(s.points, at);
            const other = at !== null && p[0] !== at ? ` (${spec.x || 'x'} ${showNumber(p[0])})` : '';
            texts.push(el('span', {class: `key c${k % 6}${s.marks ? ' marks' : ''}`}, s.name,
                el('b', {}, ` ${showNumber(p[1])}`), other));
            if (at !== null && isNumber(p[1]) && (!log || p[1] > 0))
                chart.append(svg('circle', {class: `cursor c${k % 6}`, cx: x(p[0]), cy: y(p[1]), r: 4.5}));
        });
        readout.replaceChildren(...texts);
    }
    function draw(now) {
        width = now;
        const range = curveRange(series, log), {height, left, right, top, bottom} = CURVE;
        x = makeScale(xs[0], xs[1], left, width - right, false);
        y = makeScale(range[0], range[1], height - bottom, top, log);
        const chart = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, tabindex: '0', role: 'img',
            'aria-label': `${title}: ${spec.y || 'values'} by ${spec.x || 'x'}; arrow keys tell the values`,
            onpointermove: event => {
                const at = event.clientX - chart.getBoundingClientRect().left;
                const value = xs[0] + (at - left) / Math.max(1, width - left - right) * (xs[1] - xs[0]);
                showAt(nearestPoint(all.map(v => [v]), value)[0]);
            },
            onpointerleave: () => showAt(null),
            onkeydown: onKey});
        drawAxes(chart, spec, x, y, xs, range, width, log);
        series.forEach((s, k) => chart.append(drawSeries(s, k, x, y, log)));
        frame.replaceChildren(chart);
        showAt(chosen);
    }
    function onKey(event) {
        const here = chosen === null ? all.length - 1 : all.indexOf(chosen);
        const step = {ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -all.length,
            End: all.length}[event.key];
        if (event.key === 'Escape')
            showAt(null);
        if (step === undefined)
            return;
        event.preventDefault();
        showAt(all[Math.min(all.length - 1, Math.max(0, here + step))]);
    }
    whenSized(frame, draw);
    const box = el('input', {type: 'checkbox', disabled: !positive, onchange: () => {
        log = box.checked;
        draw(width);
    }});
    return el('figure', {class: 'card'},
        el('figcaption', {}, el('h3', {}, title), el('label', {class: 'switch'}, box, ' log scale')),
        frame, readout, spec.note ? el('p', {class: 'soft note'}, spec.note) : null);
}
