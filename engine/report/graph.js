/* graph.js - the picture of the graph: stages in layers, their jobs in colour, their options at hand. */
'use strict';

const GRAPH = {height: 44, apart: 84, gap: 18, margin: 14};

/* The stages of each job: all upstream of its sinks; a finished model is not worked on again. */
function jobStages(plan) {
    const index = new Map(plan.stages.map((s, i) => [s.name, i]));
    return plan.jobs.map(job => {
        const seen = new Set(), todo = job.sinks.map(name => index.get(name));
        while (todo.length) {
            const i = todo.pop();
            if (seen.has(i))
                continue;
            seen.add(i);
            todo.push(...plan.stages[i].from.map(name => index.get(name)));
        }
        return seen;
    });
}

function graphNodes(plan) {
    const index = new Map(plan.stages.map((s, i) => [s.name, i]));
    return plan.stages.map(s => ({
        width: Math.max(84, 7.3 * Math.max(s.name.length, s.use.length) + 26),
        above: [...new Set([...s.from, ...(s.model ? [s.model] : [])].map(name => index.get(name)))],
    }));
}

function routePath(points, y, from, to) {
    const list = points.map(([x, rank]) => [x, y(rank)]);
    list[0][1] = from;
    list[list.length - 1][1] = to;
    let path = `M${list[0].map(v => v.toFixed(1)).join(' ')}`;
    for (let i = 1; i < list.length; i++) {
        const [x0, y0] = list[i - 1], [x1, y1] = list[i], middle = (y0 + y1) / 2;
        path += `C${x0.toFixed(1)} ${middle.toFixed(1)} ${x1.toFixed(1)} ${middle.toFixed(1)} ` +
            `${x1.toFixed(1)} ${y1.toFixed(1)}`;
    }
    return path;
}

function showOption(value) {
    if (value === null)
        return '~';
    if (Array.isArray(value))
        return `[${value.map(showOption).join(', ')}]`;
    if (typeof value === 'object')
        return Object.entries(value).map(([k, v]) => typeof v === 'object' && v !== null
            ? `${k} {${showOption(v)}}` : `${k}: ${showOption(v)}`).join(', ');
    return String(value);
}

/* What the card beside the pointer says of a stage. */
function stageCard(plan, stage, jobs) {
    const facts = [];
    if (stage.from.length)
        facts.push(['from', stage.from.join(', ')]);
    if (stage.model)
        facts.push(['model', stage.model]);
    facts.push([jobs.length > 1 ? 'jobs' : 'job', jobs.map(j => plan.jobs[j].name).join(', ')]);
    if (stage.kind !== 'sink' && stage.fields.length)
        facts.push(['fields', stage.fields.map(f => f.name).join(', ')]);
    const options = Object.entries(stage.options || {});
    return [el('h3', {}, stage.name, el('small', {}, `${stage.use}, ${stage.kind}`)),
        el('dl', {}, facts.flatMap(([k, v]) => [el('dt', {}, k), el('dd', {}, v)])),
        options.length ? el('dl', {class: 'options'}, options.flatMap(([k, v]) =>
            [el('dt', {}, k), el('dd', {}, showOption(v))])) : null];
}

class Graph {
    constructor(plan) {
        this.plan = plan;
        this.jobs = jobStages(plan);
        this.of = plan.stages.map((s, i) => this.jobs.flatMap((set, j) => set.has(i) ? [j] : []));
        this.card = el('div', {class: 'tip', role: 'status', hidden: true});
        this.frame = el('div', {class: 'wide graph', role: 'region', 'aria-label': 'The graph'});
        this.draw();
        this.legend = el('div', {class: 'chips jobs'}, plan.jobs.map((job, j) =>
            el('button', {type: 'button', 'aria-pressed': 'false', style: `--job:${colourOf(j)}`,
                onclick: event => this.pick(j, event.currentTarget)}, job.name)));
        this.root = el('div', {class: 'graphbox'},
            el('p', {class: 'soft'}, 'Solid lines are streams, dashed ones trained models. A stage that several ' +
                'jobs run has the colours of all of them. Point at a stage, or go through them with the arrow ' +
                'keys, for its options; pick a job to see what it runs.'),
            this.legend, el('div', {class: 'holder'}, this.frame, this.card));
        this.root.addEventListener('keydown', event => {
            if (event.key === 'Escape')
                this.hide();
        });
    }

    y(rank) {
        return GRAPH.margin + rank * GRAPH.apart;
    }

    draw() {
        const nodes = graphNodes(this.plan), plan = this.plan;
        this.layout = layOut(nodes, GRAPH.gap);
        const width = this.layout.width + 2 * GRAPH.margin;
        const height = this.y(this.layout.ranks - 1) + GRAPH.height + GRAPH.margin;
        const arrow = newId('arrow');
        const picture = svg('svg', {viewBox: `0 0 ${width.toFixed(0)} ${height}`, class: 'stages',
            style: `width:max(100%, ${(0.72 * width).toFixed(0)}px);max-width:${width.toFixed(0)}px`,
            role: 'group', 'aria-label': `Graph of ${plural(plan.stages.length, 'stage')}`},
            svg('defs', {}, svg('marker', {id: arrow, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7,
                markerHeight: 7, orient: 'auto'}, svg('path', {d: 'M0 0.8L7 4L0 7.2z'}))));
        const inner = svg('g', {transform: `translate(${GRAPH.margin} 0)`});
        this.edges = this.layout.routes.map(r => {
            const to = plan.stages[r.to];
            const model = to.model === plan.stages[r.from].name && !to.from.includes(to.model);
            const path = svg('path', {class: model ? 'edge model' : 'edge', 'marker-end': `url(#${arrow})`,
                d: routePath(r.points, rank => this.y(rank) + GRAPH.height / 2,
                    this.y(this.layout.nodes[r.from].rank) + GRAPH.height,
                    this.y(this.layout.nodes[r.to].rank) - 1)});
            inner.append(path);
            return {path, from: r.from, to: r.to};
        });
        this.nodes = plan.stages.map((stage, i) => {
            const group = this.drawNode(stage, i, nodes[i].width);
            inner.append(group);
            return group;
        });
        picture.append(inner);
        this.frame.replaceChildren(picture);
        if (this.nodes.length)
            this.nodes[0].setAttribute('tabindex', '0');
    }

    drawNode(stage, i, width) {
        const place = this.layout.nodes[i], jobs = this.of[i], x = place.x - width / 2, y = this.y(place.rank);
        const bar = (width - 12) / Math.max(1, jobs.length);
        return svg('g', {class: `node ${stage.kind}`, tabindex: '-1', role: 'button',
            'aria-label': `${stage.name}: ${stage.use}`,
            onpointerenter: event => event.pointerType === 'mouse' && this.show(i),
            onpointerleave: event => event.pointerType === 'mouse' && this.hide(),
            onclick: () => this.nodes[i].focus(), onfocus: () => this.show(i), onblur: () => this.hide(),
            onkeydown: event => this.step(event, i)},
            svg('rect', {x, y, width, height: GRAPH.height, rx: 7}),
            jobs.map((j, k) => svg('rect', {class: 'job', x: x + 6 + k * bar, y: y + GRAPH.height - 6,
                width: Math.max(1, bar - 1), height: 3, rx: 1.5, style: `fill:${colourOf(j)}`})),
            svg('text', {x: place.x, y: y + 17, class: 'name'}, stage.name),
            svg('text', {x: place.x, y: y + 32, class: 'use'}, stage.use));
    }

    /* Beside the stage, or (by the style) at the lower edge of a small screen. */
    show(i) {
        const holder = this.frame.parentElement, box = this.nodes[i].getBoundingClientRect();
        const around = holder.getBoundingClientRect();
        this.card.replaceChildren(...stageCard(this.plan, this.plan.stages[i], this.of[i]).filter(Boolean));
        this.card.hidden = false;
        const right = box.left - around.left > around.width / 2;
        this.card.style.left = right ? 'auto' : `${Math.max(0, box.right - around.left + 8)}px`;
        this.card.style.right = right ? `${Math.max(0, around.right - box.left + 8)}px` : 'auto';
        const below = window.innerHeight - box.top - this.card.offsetHeight - 8;
        this.card.style.top = `${box.top - around.top + Math.min(0, Math.max(below, 8 - box.top))}px`;
        const near = new Set([i]);
        for (const edge of this.edges) {
            const mine = edge.from === i || edge.to === i;
            edge.path.classList.toggle('lit', mine);
            if (mine)
                near.add(edge.from).add(edge.to);
        }
        this.nodes.forEach((node, k) => node.classList.toggle('lit', near.has(k)));
    }

    hide() {
        this.card.hidden = true;
        for (const lit of this.frame.querySelectorAll('.lit'))
            lit.classList.remove('lit');
    }

    pick(job, button) {
        const on = button.getAttribute('aria-pressed') !== 'true';
        for (const other of this.legend.children)
            other.setAttribute('aria-pressed', String(on && other === button));
        const set = on ? this.jobs[job] : null;
        this.nodes.forEach((node, i) => node.classList.toggle('dim', !!set && !set.has(i)));
        for (const edge of this.edges)
            edge.path.classList.toggle('dim', !!set && !(set.has(edge.to) &&
                (set.has(edge.from) || edge.path.classList.contains('model'))));
    }

    /* The arrow keys go to the nearest stage of the layer above or below, or along the layer. */
    step(event, i) {
        const [dx, dy] = {ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0],
            ArrowRight: [1, 0]}[event.key] || [0, 0];
        if (!dx && !dy)
            return;
        event.preventDefault();
        const here = this.layout.nodes[i];
        let best = -1, least = Infinity;
        this.layout.nodes.forEach((there, k) => {
            const across = there.x - here.x, down = there.rank - here.rank;
            const fits = dx ? down === 0 && across * dx > 0 : down * dy > 0;
            const far = Math.abs(across) + 1e4 * Math.abs(down);
            if (fits && far < least) {
                least = far;
                best = k;
            }
        });
        if (best < 0)
            return;
        this.nodes[i].setAttribute('tabindex', '-1');
        this.nodes[best].setAttribute('tabindex', '0');
        this.nodes[best].focus();
    }
}
