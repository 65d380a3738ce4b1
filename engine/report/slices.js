/* slices.js - volumes slice by slice, their fields laid over each other or side by side. */
'use strict';

const LOOK_OPACITY = {mask: 1, labels: 0.4, heat: 0.75, difference: 0.8};

/* ---- sheets ---- */

const sheets = new Map();

/* The picture of a layer, decoded once; `ready` is called when it can be drawn. */
function sheetOf(layer, ready) {
    if (!layer.url)
        return null;
    let sheet = sheets.get(layer.url);
    if (!sheet) {
        const image = new Image();
        sheet = {image, decoded: false, failed: false};
        sheets.set(layer.url, sheet);
        image.src = layer.url;
        sheet.loading = image.decode().then(() => {
            sheet.decoded = true;
        }, () => {
            sheet.failed = true;
        });
    }
    if (!sheet.decoded && !sheet.failed)
        sheet.loading.then(ready);
    return sheet.decoded ? sheet.image : null;
}

function sheetPlace(volume, at) {
    return [at % volume.columns * volume.width, Math.floor(at / volume.columns) * volume.height];
}

const scratch = document.createElement('canvas');

/* The edges between the voxels of a mask and others, as a path `w` by `h` pixels large. */
function outlineOf(image, volume, at, w, h) {
    const {width, height} = volume, [sx, sy] = sheetPlace(volume, at);
    scratch.width = width;
    scratch.height = height;
    const pen = scratch.getContext('2d', {willReadFrequently: true});
    pen.drawImage(image, sx, sy, width, height, 0, 0, width, height);
    const pixels = pen.getImageData(0, 0, width, height).data;
    const set = (x, y) => x >= 0 && y >= 0 && x < width && y < height && pixels[4 * (y * width + x) + 3] > 127;
    const path = new Path2D(), kx = w / width, ky = h / height;
    for (let y = 0; y <= height; y++)
        for (let x = 0; x < width; x++) {
            const from = x;
            while (x < width && set(x, y) !== set(x, y - 1))
                x++;
            if (x > from) {
                path.moveTo(from * kx, y * ky);
                path.lineTo(x * kx, y * ky);
            }
        }
    for (let x = 0; x <= width; x++)
        for (let y = 0; y < height; y++) {
            const from = y;
            while (y < height && set(x, y) !== set(x - 1, y))
                y++;
            if (y > from) {
                path.moveTo(x * kx, from * ky);
                path.lineTo(x * kx, y * ky);
            }
        }
    return path;
}

/* Draws one layer over what the canvas holds. */
function drawLayer(canvas, volume, layer, at, opacity, ready) {
    const image = sheetOf(layer, ready);
    if (!image)
        return;
    const pen = canvas.getContext('2d'), {width: w, height: h} = canvas, [sx, sy] = sheetPlace(volume, at);
    pen.save();
    pen.imageSmoothingEnabled = layer.look !== 'mask' && layer.look !== 'labels';
    pen.imageSmoothingQuality = 'high';
    pen.globalAlpha = layer.look === 'mask' ? 0.16 * opacity : opacity;
    pen.drawImage(image, sx, sy, volume.width, volume.height, 0, 0, w, h);
    if (layer.look === 'mask') {
        pen.globalAlpha = opacity;
        pen.strokeStyle = layer.colour;
        pen.lineWidth = 1.5 * (window.devicePixelRatio || 1);
        pen.lineCap = 'square';
        pen.stroke(outlineOf(image, volume, at, w, h));
    }
    pen.restore();
}

/* ---- the viewer ---- */

function swatchOf(layer) {
    const style = layer.look === 'mask' ? `background:${layer.colour}`
        : layer.look === 'heat' ? 'background:linear-gradient(90deg,#ffd914,#ff4014)'
            : layer.look === 'difference' ? 'background:linear-gradient(90deg,#3c6eff,#2226,#ff3c28)'
                : 'background:linear-gradient(90deg,#e63c3c,#f0e13c,#28beb4,#3c78e6,#e65abe)';
    return el('i', {class: 'swatch', style, 'aria-hidden': 'true'});
}

const LOOK_HELP = {
    labels: 'Couinaud segments, a colour each',
    heat: 'Values from 0 to 1: the larger, the more opaque and the redder',
    difference: 'Red is brighter than inpainted, blue darker',
};

/* What is on is remembered by field, so that another case is looked at in the same way. */
function makeSettings(cases) {
    const settings = new Map();
    for (const volume of cases)
        for (const layer of volume.layers)
            if (!settings.has(layer.field))
                settings.set(layer.field, {on: !!layer.on, opacity: LOOK_OPACITY[layer.look] || 1});
    return settings;
}

class Viewer {
    constructor(spec, title) {
        this.cases = spec.cases.filter(c => c.layers.length > 0 && c.slices.length > 0);
        this.title = title;
        this.settings = makeSettings(this.cases);
        this.redraw = () => this.draw();
        this.panels = [];
        this.beside = false;
        this.stage = el('div', {class: 'stage'});
        this.caption = el('p', {class: 'place', 'aria-live': 'off'});
        this.slider = el('input', {type: 'range', min: 0, step: 1, class: 'through',
            'aria-label': 'Slice', oninput: () => this.goTo(Number(this.slider.value))});
        this.strip = el('div', {class: 'strip', 'aria-hidden': 'true'});
        this.controls = el('div', {class: 'controls'});
        this.root = el('div', {class: 'viewer card'},
            el('div', {class: 'screen'}, this.stage, this.caption, this.strip, this.slider), this.controls);
        this.select(0);
        whenSized(this.stage, this.redraw);
    }

    select(index) {
        this.index = index;
        this.volume = this.cases[index];
        const greys = this.volume.layers.filter(l => l.look === 'grey');
        this.base = greys.find(l => this.base && l.field === this.base.field) || greys[0] || null;
        this.at = this.volume.start || 0;
        this.slider.max = this.volume.slices.length - 1;
        this.makeControls();
        this.arrange();
    }

    goTo(at) {
        this.at = Math.min(this.volume.slices.length - 1, Math.max(0, at));
        this.draw();
    }

    makeControls() {
        const name = newId('base'), greys = this.volume.layers.filter(l => l.look === 'grey');
        const chooser = el('select', {onchange: () => this.select(Number(chooser.value))},
            this.cases.map((c, i) => el('option', {value: i, selected: i === this.index}, c.case)));
        const over = this.volume.layers.filter(l => l.look !== 'grey');
        const ways = ['Overlaid', 'Side by side'].map((text, k) => el('label', {},
            el('input', {type: 'radio', name: `${name}-way`, checked: this.beside === (k === 1),
                onchange: () => {
                    this.beside = k === 1;
                    this.arrange();
                }}), text));
        this.controls.replaceChildren(
            el('label', {class: 'case'}, 'Case ', chooser),
            el('fieldset', {class: 'segmented'}, el('legend', {class: 'hidden'}, 'View'), ways),
            ...(greys.length > 1 ? [el('fieldset', {class: 'chips'}, el('legend', {}, 'Image'),
                greys.map(l => el('label', {}, el('input', {type: 'radio', name, checked: l === this.base,
                    onchange: () => {
                        this.base = l;
                        this.draw();
                    }}), l.field)))] : []),
            el('fieldset', {class: 'overlays'}, el('legend', {}, 'Overlays'),
                over.map(l => this.makeSwitch(l))),
            el('p', {class: 'soft note'}, 'Seen from below: the patient’s right is on the left.'));
    }

    makeSwitch(layer) {
        const set = this.settings.get(layer.field);
        const box = el('input', {type: 'checkbox', checked: set.on && !!layer.url, disabled: !layer.url,
            onchange: () => {
                set.on = box.checked;
                this.draw();
            }});
        const range = el('input', {type: 'range', min: 0, max: 1, step: 0.05, value: set.opacity,
            disabled: !layer.url, 'aria-label': `Opacity of ${layer.field}`, oninput: () => {
                set.opacity = Number(range.value);
                this.draw();
            }});
        const lost = layer.url ? null : el('small', {class: 'bad'}, ` ${layer.file} is not there`);
        return el('div', {class: 'overlay'}, el('label', {title: LOOK_HELP[layer.look]}, box, swatchOf(layer),
            el('span', {}, layer.field), lost), range);
    }

    /* The canvases: one, or one for each field. */
    arrange() {
        const layers = this.beside ? this.volume.layers : [null];
        this.panels = layers.map(layer => ({layer, canvas: el('canvas', {role: 'img'})}));
        this.stage.className = this.beside ? 'stage beside' : 'stage';
        this.stage.replaceChildren(...this.panels.map(p => p.layer
            ? el('figure', {}, p.canvas, el('figcaption', {}, p.layer.field)) : p.canvas));
        this.draw();
    }

    fit(canvas) {
        const shape = this.volume.shape, scale = window.devicePixelRatio || 1;
        const room = canvas.parentElement.clientWidth;
        const most = this.beside ? room : Math.min(room, 0.72 * window.innerHeight * shape);
        const w = Math.max(1, Math.round(most)), h = Math.max(1, Math.round(most / shape));
        canvas.style.width = `${w}px`;
        canvas.style.height = `${h}px`;
        canvas.width = Math.round(w * scale);
        canvas.height = Math.round(h * scale);
    }

    draw() {
        const v = this.volume, place = `slice ${v.slices[this.at]} of ${v.depth}`;
        for (const {layer, canvas} of this.panels) {
            this.fit(canvas);
            const base = layer && layer.look === 'grey' ? layer : this.base;
            if (base)
                drawLayer(canvas, v, base, this.at, 1, this.redraw);
            const over = layer ? [layer] : v.layers;
            for (const l of over.filter(l => l.look !== 'grey')) {
                const set = this.settings.get(l.field);
                if (layer || set.on)
                    drawLayer(canvas, v, l, this.at, set.opacity, this.redraw);
            }
            canvas.setAttribute('aria-label', `${v.case}, ${place}${layer ? `, ${layer.field}` : ''}`);
        }
        this.slider.value = this.at;
        this.slider.setAttribute('aria-valuetext', place);
        this.caption.replaceChildren(el('b', {}, v.case), ` · ${place}`);
        this.drawStrip();
    }

    /* Above the slider: in which slices there is something of the masks that are on. */
    drawStrip() {
        const n = this.volume.slices.length;
        this.strip.replaceChildren(...this.volume.layers
            .filter(l => l.area && this.settings.get(l.field).on)
            .map(l => {
                const most = Math.max(...l.area, 1);
                return svg('svg', {viewBox: `0 0 ${Math.max(1, n)} 10`, preserveAspectRatio: 'none'},
                    l.area.map((a, i) => a > 0 ? svg('rect', {x: i + 0.1, width: 0.8, fill: l.colour,
                        y: 10 - 2 - 8 * a / most, height: 2 + 8 * a / most}) : null));
            }));
    }
}

function makeSlices(spec, title) {
    const viewer = new Viewer(spec, title);
    viewer.root.viewer = viewer;
    return viewer.root;
}
