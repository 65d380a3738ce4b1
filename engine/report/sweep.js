/* sweep.js - the arms of a sweep: their scores, and how far each is from the baseline. */
'use strict';

/* A report of an arm; the page lies in the sweep's folder, or tells where that is. */
function armLink(sweep, arm, seed) {
    const path = `${arm.folder}/seed-${seed}/report.html`.split('/').map(encodeURIComponent).join('/');
    const base = sweep.base ? sweep.base.split('/').map(encodeURIComponent).join('/') : '.';
    return el('a', {href: `${base}/${path}`}, seed);
}

/* Values are YAML, of which the quotes are no part. */
function showSet(value) {
    return value.replace(/^"([^"\\]*)"$/, '$1');
}

function sweepScores(sweep) {
    const scores = new Map();
    for (const arm of sweep.arms)
        for (const [score, metrics] of Object.entries(arm.scores || {}))
            for (const metric of Object.keys(metrics)) {
                if (!scores.has(score))
                    scores.set(score, []);
                if (!scores.get(score).includes(metric))
                    scores.get(score).push(metric);
            }
    return scores;
}

function valueOf(arm, score, metric) {
    return ((arm.scores || {})[score] || {})[metric] || {};
}

function withSign(v) {
    return isNumber(v) ? (v > 0 ? '+' : '') + showNumber(v, Math.abs(v) >= 100 ? 1 : 3) : '–';
}

/* A dot for each arm's difference to the baseline, on the line of its interval. */
function makeDifferences(sweep, score, metric) {
    const arms = sweep.arms.map(arm => ({arm, value: valueOf(arm, score, metric)}));
    const ends = arms.flatMap(({value: v}) => [v.difference, v.low, v.high]).filter(isNumber);
    if (ends.length === 0)
        return el('p', {class: 'soft'}, 'No arm can be compared with the baseline by this score.');
    const low = Math.min(0, ...ends), high = Math.max(0, ...ends), room = 0.06 * (high - low) || 1;
    const at = makeScale(low - room, high + room, 0, 100, false);
    const marks = ticks(low - room, high + room, 5);
    const rows = arms.flatMap(({arm, value: v}) => {
        const base = arm.name === sweep.baseline, far = isNumber(v.low) && (v.low > 0 || v.high < 0);
        const inside = marks.map(m => el('i', {class: m === 0 ? 'zero' : 'tick', style: `left:${at(m)}%`}));
        if (isNumber(v.low))
            inside.push(el('i', {class: 'interval', style: `left:${at(v.low)}%;width:${at(v.high) - at(v.low)}%`}));
        if (isNumber(v.difference) || base)
            inside.push(el('i', {class: 'dot', style: `left:${at(base ? 0 : v.difference)}%`}));
        const text = base ? 'baseline' : isNumber(v.low)
            ? `${withSign(v.difference)} [${withSign(v.low)}, ${withSign(v.high)}]` : withSign(v.difference);
        return [el('span', {class: 'name'}, arm.name),
            el('span', {class: `lane${far ? ' far' : ''}${base ? ' base' : ''}`, 'aria-hidden': 'true'}, inside),
            el('span', {class: 'value'}, text)];
    });
    return el('div', {class: 'differences card'}, rows,
        el('span', {class: 'name soft'}, `${metric}, difference`),
        el('span', {class: 'lane axis', 'aria-hidden': 'true'},
            marks.map(m => el('i', {style: `left:${at(m)}%`}, showNumber(m)))),
        el('span', {}));
}

function makeArms(sweep, score, metric) {
    const axes = sweep.axes.map(a => a.name);
    const digits = 4;
    return makeTable({
        label: `Arms by ${metric}`,
        columns: [{name: 'arm'}, ...axes.map(name => ({name})), {name: 'state'},
            {name: 'n', help: 'Cases and seeds that are compared'}, {name: 'mean', digits}, {name: 'sd', digits},
            {name: 'difference', digits, help: 'Paired, to the baseline'},
            {name: 'low', digits, help: 'Of the interval of the difference'}, {name: 'high', digits},
            {name: 'reports, by seed'}],
        rows: sweep.arms.map(arm => {
            const v = valueOf(arm, score, metric), links = sweep.seeds.flatMap(s => [armLink(sweep, arm, s), ' ']);
            return [arm.name, ...axes.map(a => (arm.set || {})[a] === undefined ? null : showSet(arm.set[a])), arm.state,
                isNumber(v.n) ? v.n : null, v.mean, v.sd, v.difference, v.low, v.high,
                {value: arm.name, node: el('span', {}, links)}].map(c => c === undefined ? null : c);
        }),
    });
}

function makeMeans(sweep, scores) {
    const columns = [...scores].flatMap(([score, metrics]) => metrics.map(metric => ({score, metric})));
    return makeTable({
        label: 'All means', few: 6,
        columns: [{name: 'arm'}, ...columns.map(c => ({name: scores.size > 1 ? `${c.score}: ${c.metric}` : c.metric}))],
        rows: sweep.arms.map(arm => [arm.name, ...columns.map(c => {
            const mean = valueOf(arm, c.score, c.metric).mean;
            return isNumber(mean) ? mean : null;
        })]),
    });
}

function addSweep(sweep) {
    const scores = sweepScores(sweep), failed = sweep.arms.filter(a => a.error);
    document.querySelector('#head .facts').append(el('li', {}, plural(sweep.arms.length, 'arm')),
        el('li', {}, plural(sweep.seeds.length, 'seed')), el('li', {}, `baseline ${sweep.baseline}`));
    if (failed.length)
        addSection('What failed', null, makeTable({label: 'What failed',
            columns: [{name: 'arm'}, {name: 'error'}], rows: failed.map(a => [a.name, a.error])}));
    const holder = el('div');
    const choice = [...scores].flatMap(([score, metrics]) => metrics.map(metric => ({score, metric})));
    if (choice.length === 0) {
        addSection('Arms', null, makeArms(sweep, '', ''));
        return;
    }
    const first = Math.max(0, choice.findIndex(c => c.metric === 'dice'));
    const show = ({score, metric}) => holder.replaceChildren(makeDifferences(sweep, score, metric),
        makeArms(sweep, score, metric));
    const chooser = el('select', {onchange: () => show(choice[chooser.value])}, [...scores].map(([score, metrics]) =>
        el('optgroup', {label: score}, metrics.map(metric => {
            const k = choice.findIndex(c => c.score === score && c.metric === metric);
            return el('option', {value: k, selected: k === first}, `${score}: ${metric}`);
        }))));
    addSection('Arms', null,
        el('p', {class: 'soft'}, 'Each arm against the baseline, case by case; the line is the 95 % interval of the ' +
            'difference over cases. Where it does not touch zero, it is in colour.'),
        el('label', {class: 'case'}, 'Score ', chooser), holder);
    show(choice[first]);
    addSection('All means', null, makeMeans(sweep, scores));
}
