/* page.js - puts the page together. */
'use strict';

const SECTION_ORDER = ['slices', 'pictures', 'curves', 'table', 'text'];

function addHead() {
    const broken = (data.arms || []).some(arm => arm.state !== 'done');
    const state = data.state || (broken ? 'failed' : 'done'), ended = data.ended ? new Date(data.ended) : null;
    const facts = [el('span', {class: `state ${state}`}, state)];
    if (isNumber(data.seconds))
        facts.push(showSeconds(data.seconds));
    if (ended)
        facts.push(ended.toLocaleString('en-GB', {dateStyle: 'medium', timeStyle: 'short'}));
    if (data.seed !== undefined)
        facts.push(`seed ${data.seed}`);
    if (isNumber(data.workers))
        facts.push(plural(data.workers, 'worker'));
    if (data.device)
        facts.push(data.device.replace(/^device /, ''));
    if (data.hepaflow)
        facts.push(`hepaflow ${data.hepaflow}`);
    document.getElementById('head').append(
        el('h1', {}, data.graph || 'hepaflow'),
        el('ul', {class: 'facts'}, facts.map(f => el('li', {}, f))));
    if (data.error)
        document.getElementById('head').append(el('p', {class: 'callout bad', role: 'alert'}, data.error));
    if (data.bottleneck) {
        const [, word, rest] = data.bottleneck.match(/^(bottleneck): (.*)$/) || [null, 'bottleneck', data.bottleneck];
        document.getElementById('head').append(
            el('p', {class: 'callout'}, el('b', {}, word[0].toUpperCase() + word.slice(1)), rest));
    }
}

function addScores(scores) {
    const names = [];
    for (const one of Object.values(scores))
        for (const [name, value] of Object.entries(one))
            if (isNumber(value) && !names.includes(name))
                names.push(name);
    if (names.length)
        addSection('Scores', null, makeTable({
            label: 'Scores', few: 6, columns: [{name: 'score'}, ...names.map(name => ({name}))],
            rows: Object.entries(scores).map(([of, one]) =>
                [of, ...names.map(name => isNumber(one[name]) ? one[name] : null)])}));
}

function makePictures(spec) {
    return el('div', {class: 'pictures'}, spec.pictures.map(p => el('figure', {},
        p.url ? el('img', {src: p.url, alt: p.caption || ''}) : el('p', {class: 'bad'}, `${p.file} is not there`),
        p.caption ? el('figcaption', {}, p.caption) : null)));
}

function makeSection(spec, title) {
    switch (spec.kind) {
    case 'slices':
        return makeSlices(spec, title);
    case 'pictures':
        return makePictures(spec);
    case 'table':
        return el('div', {}, spec.note ? el('p', {}, spec.note) : null,
            makeTable({label: title, columns: spec.columns || [], rows: spec.rows, foot: spec.foot}));
    case 'text':
        return el('div', {}, spec.text.split(/\n\s*\n/).map(part => el('p', {}, part)));
    default:
        return el('p', {class: 'bad'}, `A section of a kind that this page does not know: ${spec.kind}`);
    }
}

/* Slices first, which one looks at first; all curves in one section, all tables in another. */
function addSections(sections) {
    for (const kind of SECTION_ORDER) {
        const these = sections.filter(s => s.data && s.data.kind === kind);
        if (kind === 'curves' && these.length)
            guarded('Training', () => addSection('Training', null, el('div', {class: 'curves'},
                these.map(s => makeCurves(s.data, s.title)))));
        else if (kind === 'table' && these.length > 1)
            addSection('Tables', null, ...these.map(s => el('div', {class: 'part'}, el('h3', {}, s.title,
                s.title.includes(s.stage) ? null : el('small', {}, s.stage)), makeSection(s.data, s.title))));
        else
            these.forEach(s => guarded(`'${s.title}' of '${s.stage}'`, () =>
                addSection(s.title, s.title.includes(s.stage) ? null : s.stage, makeSection(s.data, s.title))));
    }
}

function addLedger(ledger) {
    if (!ledger || !ledger.lines || ledger.lines.length === 0)
        return;
    const columns = ['stage', 'job', 'case', 'sample', 'epoch', 'attempts', 'outcome', 'error'];
    const more = ledger.count - ledger.lines.length;
    addSection('What failed', null,
        el('p', {}, `${ledger.recovered} recovered, ${ledger.skipped} skipped, ${ledger.failed} failed.`,
            more > 0 ? ` ${more} more are in ledger.csv.` : ''),
        makeTable({label: 'What failed', columns: columns.map(name => ({name})),
            rows: ledger.lines.map(line => columns.map(name => line[name]))}));
}

async function copyText(text, pre) {
    try {
        await navigator.clipboard.writeText(text);
    } catch {
        const range = document.createRange();
        range.selectNodeContents(pre);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        return document.execCommand('copy');
    }
    return true;
}

/* What stands behind '#' tells where a value came from: it is to be read past. */
function addYaml(yaml) {
    const pre = el('pre', {tabindex: '0'}, el('code', {}, yaml.split('\n').flatMap(line => {
        const at = line.lastIndexOf('  # ');
        return at < 0 ? [line, '\n'] : [line.slice(0, at), el('span', {class: 'from'}, line.slice(at)), '\n'];
    })));
    const button = el('button', {type: 'button', class: 'copy', onclick: async () => {
        const good = await copyText(yaml, pre);
        button.textContent = good ? 'Copied' : 'Could not copy';
        setTimeout(() => {
            button.textContent = 'Copy';
        }, 2000);
    }}, 'Copy');
    addSection('Resolved YAML', null, el('details', {}, el('summary', {},
        'The graph with everything worked out, and where each value comes from'), button, pre));
}

function start() {
    document.getElementById('main').replaceChildren();
    guarded('The head', addHead);
    if (data.kind === 'sweep') {
        guarded('The sweep', () => addSweep(data));
    } else {
        guarded('Scores', () => addScores(data.scores || {}));
        addSections(data.sections || []);
        if (data.plan && data.plan.stages.length)
            guarded('The graph', () => addSection('Graph', null, new Graph(data.plan).root));
        if (data.jobs && data.jobs.length)
            guarded('Times', () => addSection('Times', null, makeTimes(data.jobs, data.seconds)));
        guarded('What failed', () => addLedger(data.ledger));
    }
    if (data.yaml)
        guarded('Resolved YAML', () => addYaml(data.yaml));
}

start();
