"""browser_check.py PROGRAM GRAPH: the report in a headless Chromium: what is shown, what the pointer
and the keys do, at the widths of a desktop and a phone, in light and dark, without a word from the
console or a request. Skipped (77) where there is no Chromium."""
import os
import subprocess
import sys
import tempfile

import browser
import page_check

SIZES = [(1280, 900, False), (1280, 900, True), (390, 844, False), (390, 844, True)]


def check_quiet(b, what):
    assert not b.said, f'{what}: {b.said}'
    assert b.run('document.title') != 'evil', what
    assert '[object' not in b.run('document.body.innerText'), what
    assert b.run('document.querySelectorAll("[role=alert]").length') == 0, \
        b.run('document.querySelector("[role=alert]").textContent')


def check_width(b, width, what):
    """Nothing is wider than the window but what scrolls by itself."""
    b.settle()
    wide = b.run('document.documentElement.scrollWidth')
    assert wide <= width, f'{what}: {wide} of {width} px'


def ink(b, at):
    """Colours of the viewer's canvas, which nobody sees without drawing."""
    return b.run(f'''(() => {{
        const c = document.querySelectorAll('.stage canvas')[{at}];
        const p = new OffscreenCanvas(1, 1).getContext('2d', {{willReadFrequently: true}});
        p.drawImage(c, -Math.floor(c.width / 2), -Math.floor(c.height / 2));
        return [...p.getImageData(0, 0, 1, 1).data];
    }})()''')


def check_slices(b):
    b.until('''document.querySelector('.viewer').viewer.volume.layers.every(
        l => !l.url || sheets.get(l.url) && sheets.get(l.url).decoded)''')
    b.settle()
    first = ink(b, 0)
    b.run("document.querySelector('.overlay input[type=checkbox]').click()")
    second = ink(b, 0)
    assert second[3] == 255 and second[0] < first[0], f'the mask was not over it: {first}, {second}'
    b.run("document.querySelector('.through').focus()")
    b.key('ArrowRight')
    assert 'slice 3 of 3' in b.run("document.querySelector('.place').textContent")
    assert b.run("document.querySelector('.through').getAttribute('aria-valuetext')") == 'slice 3 of 3'
    b.run("document.querySelectorAll('.segmented input')[1].click()")
    assert b.run("document.querySelectorAll('.stage canvas').length") == 3
    assert 'shown/gone.png is not there' in b.run("document.querySelector('.controls').textContent")


def check_table(b):
    column = '''[...document.querySelectorAll('.wide table')].find(
        t => t.textContent.includes('c10')).querySelectorAll('%s')'''
    cells = f"[...{column % 'tbody tr'}].map(r => r.cells[0].textContent.slice(0, 4))"
    heads = column % 'thead button'
    assert b.run(cells) == ['c10', 'c9', '</sc']
    b.run(f'{heads}[1].click()')
    assert b.run(cells) == ['</sc', 'c10', 'c9'], 'by number, the largest first, nothing last'
    b.run(f'{heads}[1].click()')
    assert b.run(cells) == ['c10', '</sc', 'c9']
    b.run(f'{heads}[0].focus()')
    b.key('Enter')
    assert b.run(cells) == ['</sc', 'c9', 'c10'], 'by name, numbers in it as numbers'
    assert b.run(f"{column % 'thead th'}[0].getAttribute('aria-sort')") == 'ascending'
    more = "document.querySelector('.more')"
    shown = "[...document.querySelector('table').rows[0].cells].filter(c => !c.hidden).length"
    assert b.run(shown) == 6
    b.run(f'{more}.click()')
    assert b.run(shown) == 8


def check_curves(b):
    readout = "document.querySelector('.readout').textContent"
    b.run("document.querySelector('.curve svg').focus()")
    b.key('ArrowLeft')
    b.key('ArrowLeft')
    assert 'step 2' in b.run(readout) and 'training 2' in b.run(readout), b.run(readout)
    labels = "[...document.querySelectorAll('.curve text')].map(t => t.textContent).join(' ')"
    before = b.run(labels)
    b.run("document.querySelector('.switch input').click()")
    assert b.run(labels) != before
    box = b.run("(r => [r.left, r.top, r.width])(document.querySelector('.curve').getBoundingClientRect())")
    b.run("document.querySelector('.curve').scrollIntoView({block: 'center'})")
    box = b.run("(r => [r.left, r.top, r.width])(document.querySelector('.curve').getBoundingClientRect())")
    b.move(box[0] + 60, box[1] + 100)
    assert 'step 1' in b.run(readout), b.run(readout)


def check_graph(b):
    assert b.run("document.querySelectorAll('.node').length") == 3
    b.run("document.querySelector('.node').focus()")
    tip = "document.querySelector('.tip')"
    assert b.run(f'{tip}.hidden') is False and 'dataset' in b.run(f'{tip}.textContent')
    b.key('ArrowDown')
    assert 'train, model' in b.run(f'{tip}.textContent'), b.run(f'{tip}.textContent')
    b.key('Escape')
    assert b.run(f'{tip}.hidden') is True
    b.run("document.querySelector('.jobs button').click()")
    assert b.run("document.querySelectorAll('.node.dim').length") == 1
    assert b.run("document.querySelectorAll('.edge.model').length") == 1


def check_run(b, folder):
    for width, height, dark in SIZES:
        what = f'{width} px, {"dark" if dark else "light"}'
        b.open(f'{folder}/report.html', width, height, dark, touch=width < 600)
        check_quiet(b, what)
        check_width(b, width, what)
        light = b.run('getComputedStyle(document.body).backgroundColor') == 'rgb(255, 255, 255)'
        assert light != dark, what
        check_slices(b)
        check_table(b)
        check_curves(b)
        check_graph(b)
        b.run("document.querySelector('details').open = true")
        check_width(b, width, what + ', all open')
        check_quiet(b, what + ', used')


def check_sweep(b, folder):
    for width, height, dark in SIZES:
        b.open(f'{folder}/report.html', width, height, dark, touch=width < 600)
        check_quiet(b, 'sweep')
        check_width(b, width, 'sweep')
        assert b.run("document.querySelectorAll('.differences .far').length") == 1
        links = b.run("[...document.querySelectorAll('table a')].map(a => a.getAttribute('href'))")
        assert links[0] == './value%3D1/seed-3/report.html', links
        assert all(link.startswith('./') and '<' not in link for link in links)
        b.run("""(s => { s.value = 1; s.dispatchEvent(new Event('change')); })
                 (document.querySelector('.case select'))""")
        assert 'No arm can be compared' in b.run("document.querySelector('main').textContent")


def check_real(b, program, graph, where):
    """What stages do say, from phantoms to the page."""
    def run(*args):
        subprocess.run([program, *args], check=True, stdout=subprocess.DEVNULL)
    run('phantom', f'{where}/data', '--cases', '3', '--seed', '5')
    run('run', graph, '--set', f'vars.data={where}/data/cases.csv', '--out', f'{where}/real')
    data = page_check.read_page(f'{where}/real/report.html')
    kinds = sorted(s['data']['kind'] for s in data['sections'])
    assert kinds == ['slices', 'table'], kinds
    for volume in data['sections'][-1]['data']['cases']:
        for layer in volume['layers']:
            rows = -(-len(volume['slices']) // volume['columns'])
            assert page_check.decode(layer['url']) == (
                volume['columns'] * volume['width'], rows * volume['height']), layer['field']
    assert os.path.getsize(f'{where}/real/report.html') < 2e6
    if not b:
        return
    b.open(f'{where}/real/report.html', 1280, 900)
    check_quiet(b, 'a real run')
    b.until("[...sheets.values()].some(s => s.decoded)")
    b.settle()
    assert max(ink(b, 0)[:3]) > 30, 'the liver is not in the middle'


def main():
    program, graph = os.path.abspath(sys.argv[1]), sys.argv[2]
    path = browser.find()
    with tempfile.TemporaryDirectory() as where:
        if not path:
            check_real(None, program, graph, where)
            print('no Chromium was found (set HEPAFLOW_CHROMIUM): the page was not opened')
            return 77
        page_check.write_run(f'{where}/run')
        page_check.write_sweep(f'{where}/sweep')
        for folder in ('run', 'sweep'):
            subprocess.run([program, 'report', f'{where}/{folder}'], check=True,
                           stdout=subprocess.DEVNULL)
        with browser.Browser(path) as b:
            check_run(b, f'{where}/run')
            check_sweep(b, f'{where}/sweep')
            check_real(b, program, graph, where)
    return 0


if __name__ == '__main__':
    sys.exit(main())
