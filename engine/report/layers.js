/* layers.js - lays a graph without cycles out in layers, from top to bottom, with few crossings. */
'use strict';

/* Every node below all it takes from; one that takes from nobody, right above the first that takes. */
function rankNodes(nodes) {
    const rank = nodes.map(() => 0);
    nodes.forEach((node, i) => {
        for (const from of node.above)
            rank[i] = Math.max(rank[i], rank[from] + 1);
    });
    nodes.forEach((node, i) => {
        const below = nodes.flatMap((other, k) => other.above.includes(i) ? [rank[k]] : []);
        if (node.above.length === 0 && below.length > 0)
            rank[i] = Math.min(...below) - 1;
    });
    return rank;
}

/* Edges over several layers pass through points of their own in those between. */
function makeItems(nodes, rank) {
    const items = nodes.map((node, i) => ({node: i, rank: rank[i], width: node.width, up: [], down: []}));
    const routes = [];
    const join = (a, b) => {
        items[a].down.push(b);
        items[b].up.push(a);
    };
    nodes.forEach((node, to) => {
        for (const from of node.above) {
            const route = [from];
            for (let r = rank[from] + 1; r < rank[to]; r++) {
                items.push({node: -1, rank: r, width: 10, up: [], down: []});
                join(route[route.length - 1], items.length - 1);
                route.push(items.length - 1);
            }
            join(route[route.length - 1], to);
            routes.push({from, to, items: [...route, to]});
        }
    });
    return {items, routes};
}

function countCrossings(layers, items) {
    let crossings = 0;
    for (const layer of layers) {
        const ends = layer.flatMap(i => items[i].down.map(k => items[k].place).sort((a, b) => a - b));
        for (let i = 0; i < ends.length; i++)
            for (let k = i + 1; k < ends.length; k++)
                crossings += ends[i] > ends[k];
    }
    return crossings;
}

/* Sorts layers by where their neighbours are, down and up again, and keeps the best. */
function orderLayers(layers, items) {
    const settle = () => layers.forEach(layer => layer.forEach((i, k) => {
        items[i].place = k;
    }));
    const mean = list => list.reduce((sum, i) => sum + items[i].place, 0) / list.length;
    settle();
    let best = layers.map(layer => layer.slice()), least = countCrossings(layers, items);
    for (let pass = 0; pass < 24 && least > 0; pass++) {
        const down = pass % 2 === 0;
        for (const layer of down ? layers : layers.slice().reverse()) {
            const wish = new Map(layer.map(i => {
                const list = down ? items[i].up : items[i].down;
                return [i, list.length ? mean(list) : items[i].place];
            }));
            layer.sort((a, b) => wish.get(a) - wish.get(b));
            layer.forEach((i, k) => {
                items[i].place = k;
            });
        }
        const now = countCrossings(layers, items);
        if (now < least) {
            least = now;
            best = layers.map(layer => layer.slice());
        }
    }
    layers.forEach((layer, k) => layer.splice(0, layer.length, ...best[k]));
    settle();
}

/* Puts a layer as near to where its items would be as their order and widths allow: the mean of the
 * wishes of those that push against each other. */
function spreadLayer(layer, items, wish, gap) {
    const groups = [];
    let offset = 0;
    const offsets = layer.map((i, k) => {
        if (k > 0)
            offset += (items[layer[k - 1]].width + items[i].width) / 2 + gap;
        return offset;
    });
    layer.forEach((i, k) => {
        let group = {sum: wish[k] - offsets[k], count: 1};
        while (groups.length && groups[groups.length - 1].sum / groups[groups.length - 1].count >
               group.sum / group.count) {
            const left = groups.pop();
            group = {sum: left.sum + group.sum, count: left.count + group.count};
        }
        groups.push(group);
    });
    let k = 0;
    for (const group of groups)
        for (let n = 0; n < group.count; n++, k++)
            items[layer[k]].x = group.sum / group.count + offsets[k];
}

function placeItems(layers, items, gap) {
    for (const layer of layers)
        spreadLayer(layer, items, layer.map(() => 0), gap);
    for (let pass = 0; pass < 30; pass++)
        for (const layer of pass % 2 === 0 ? layers : layers.slice().reverse())
            spreadLayer(layer, items, layer.map(i => {
                const near = pass < 28 && pass % 2 === 0 ? items[i].up : items[i].down;
                const list = near.length ? near : [...items[i].up, ...items[i].down];
                return list.length ? list.reduce((sum, k) => sum + items[k].x, 0) / list.length : items[i].x;
            }), gap);
}

/*
 * Nodes {width, above: [indices]}, each behind those above it in the list. Returns for each its x
 * (of the middle) and rank, routes {from, to, points: [[x, rank]]}, and the width and number of ranks.
 */
function layOut(nodes, gap) {
    const rank = rankNodes(nodes);
    const {items, routes} = makeItems(nodes, rank);
    const layers = Array.from({length: Math.max(0, ...rank) + 1}, () => []);
    items.forEach((item, i) => layers[item.rank].push(i));
    orderLayers(layers, items);
    placeItems(layers, items, gap);
    const left = Math.min(...items.map(i => i.x - i.width / 2));
    for (const item of items)
        item.x -= left;
    return {
        nodes: nodes.map((node, i) => ({x: items[i].x, rank: rank[i], place: items[i].place})),
        routes: routes.map(r => ({from: r.from, to: r.to, points: r.items.map(i => [items[i].x, items[i].rank])})),
        width: Math.max(...items.map(i => i.x + i.width / 2)),
        ranks: layers.length,
    };
}
