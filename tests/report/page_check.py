"""page_check.py PROGRAM: pages that `hepaflow report` makes of folders written here, whose names are
as bad as can be: well-formed, with nothing to load from elsewhere, and all of the data in them."""
import base64
import html.parser
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

EVIL = '</script><img src=x onerror="document.title=\'evil\'"><!--<script>'


def png(width, height, value):
    """A grey picture, made and checked without the program's own library."""
    def chunk(kind, body):
        return (struct.pack('>I', len(body)) + kind + body +
                struct.pack('>I', zlib.crc32(kind + body)))
    rows = b''.join(b'\0' + bytes(value(x, y) for x in range(width)) for y in range(height))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)) +
            chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def decode(url):
    """The size of an embedded picture, whose every part is checked."""
    head, _, body = url.partition(',')
    assert head == 'data:image/png;base64', head
    bytes_ = base64.b64decode(body, validate=True)
    assert bytes_[:8] == b'\x89PNG\r\n\x1a\n'
    at, pixels = 8, b''
    while at < len(bytes_):
        size, = struct.unpack('>I', bytes_[at:at + 4])
        kind, part = bytes_[at + 4:at + 8], bytes_[at + 8:at + 8 + size]
        check, = struct.unpack('>I', bytes_[at + 8 + size:at + 12 + size])
        assert zlib.crc32(kind + part) == check
        if kind == b'IHDR':
            shape = struct.unpack('>II', part[:8])
        elif kind == b'IDAT':
            pixels += part
        at += 12 + size
    assert kind == b'IEND' and len(zlib.decompress(pixels)) >= shape[1]
    return shape


class Page(html.parser.HTMLParser):
    """Elements that are open, texts of scripts, and all attributes that could load something."""
    VOID = {'meta', 'link', 'img', 'br', 'input', 'hr'}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.scripts, self.links, self.title, self.tags = [], [], [], '', []
        self.feed(text)
        self.close()
        assert not self.open, f'not closed: {self.open}'

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ('src', 'href', 'data', 'action', 'srcset')]
        assert not any(k.startswith('on') for k, _ in attrs), attrs
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == 'script':
            self.scripts.append([dict(attrs).get('type'), ''])

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f'{tag} ends in {self.open}'
        self.open.pop()

    def handle_data(self, text):
        if self.open and self.open[-1] == 'script':
            self.scripts[-1][1] += text
        elif self.open and self.open[-1] == 'title':
            self.title += text


def read_page(path):
    """Checks a page by itself; what is in it as data."""
    text = open(path, encoding='utf-8').read()
    page = Page(text)
    assert [kind for kind, _ in page.scripts] == ['application/json', None], page.scripts
    assert 'img' not in page.tags
    assert all(link.startswith('#') or link == 'data:,' for link in page.links), page.links
    assert not re.search(r'@import|url\(', text.split('</style>')[0])
    for address in re.findall(r'https?://[^\s"\'\\<]+', text.replace(page.scripts[0][1], '')):
        assert address == 'http://www.w3.org/2000/svg', address
    assert "default-src 'none'" in text
    data = json.loads(page.scripts[0][1])
    assert page.title == data['graph']
    return data


def stage(name, use, kind, above=(), model=None, **options):
    return {'name': name, 'use': use, 'kind': kind, 'from': list(above), 'options': options,
            'fields': [{'name': 'image'}], **({'model': model} if model else {})}


def write_run(folder):
    """The folder of a run with all there can be; returns its data."""
    os.makedirs(f'{folder}/shown')
    for name, value in (('image', lambda x, y: 4 * (x + y)), ('mask', lambda x, y: 255)):
        with open(f'{folder}/shown/{name}.png', 'wb') as f:
            f.write(png(24, 16, value))
    with open(f'{folder}/secret.png', 'wb') as f:
        f.write(b'no picture')
    layers = [{'field': 'image', 'look': 'grey', 'on': False, 'file': 'shown/image.png'},
              {'field': 'tumor', 'look': 'mask', 'colour': '#28e65a', 'on': True,
               'file': 'shown/mask.png', 'area': [0, 5, 9]},
              {'field': EVIL, 'look': 'heat', 'on': False, 'file': 'shown/gone.png'}]
    volume = {'case': EVIL, 'depth': 3, 'start': 1, 'width': 12, 'height': 8, 'columns': 2,
              'shape': 1.5, 'slices': [1, 2, 3], 'layers': layers}
    data = {
        'hepaflow': '0', 'graph': EVIL, 'seed': 7, 'device': 'device cpu', 'workers': 2,
        'state': 'done', 'ended': '2026-01-31T08:59:00Z', 'seconds': 75,
        'bottleneck': "bottleneck: 'a' kept 'b' waiting",
        'jobs': [{'name': 'learn', 'state': 'done', 'start': 0, 'seconds': 50, 'memory_cpu': 2e8},
                 {'name': EVIL, 'state': 'done', 'start': 50, 'seconds': 25}],
        'scores': {'one': {'dice': 0.5, 'n': 3, 'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5},
                   EVIL: {'dice': 0.25}},
        'ledger': {'recovered': 0, 'skipped': 1, 'failed': 0, 'count': 1, 'lines': [
            {'job': 'learn', 'stage': 'source', 'case': EVIL, 'sample': 's', 'epoch': 0,
             'attempts': 1, 'outcome': 'skipped', 'error': 'bad'}]},
        'yaml': 'name: "x"  # graph.yaml:1:1\nstages: {}\n' + EVIL,
        'plan': {'stages': [stage('source', 'load', 'source', dataset='x'),
                            stage('learn', 'train', 'model', ['source'], loss={'l1': 1}),
                            stage(EVIL, 'evaluate', 'sink', ['source'], 'learn')],
                 'jobs': [{'name': 'learn', 'sinks': ['learn']}, {'name': EVIL, 'sinks': [EVIL]}]},
        'sections': [
            {'stage': 'shown', 'title': 'shown', 'data': {'kind': 'slices', 'cases': [volume]}},
            {'stage': 'learn', 'title': 'Training of learn', 'data': {
                'kind': 'curves', 'x': 'step', 'y': 'loss', 'lines': [{'x': 2, 'name': 'kept'}],
                'series': [{'name': 'training', 'points': [[1, 4], [2, 2], [3, None], [4, 1]]},
                           {'name': 'validation', 'marks': True, 'points': [[2, 3]]}]}},
            {'stage': EVIL, 'title': EVIL, 'data': {
                'kind': 'table', 'note': EVIL, 'columns': [{'name': 'case'}, {'name': 'Dice'}],
                'rows': [['c10', 0.5], ['c9', None], [EVIL, 0.75]], 'foot': ['mean', 0.6]}},
            {'stage': 'a', 'title': 'Words', 'data': {'kind': 'text', 'text': f'{EVIL}\n\nmore'}},
            {'stage': 'a', 'title': 'Seen', 'data': {'kind': 'pictures', 'pictures': [
                {'file': 'shown/image.png', 'caption': EVIL}, {'file': '../outside.png'},
                {'file': '/etc/passwd'}, {'file': 'secret.png'}]}}]}
    with open(f'{folder}/report.json', 'w', encoding='utf-8') as f:
        json.dump(data, f)
    return data


def write_sweep(folder):
    os.makedirs(folder)
    value = {'mean': 0.5, 'sd': 0.1, 'n': 6, 'difference': 0.2, 'low': 0.1, 'high': 0.3}
    base = {**value, 'difference': None, 'low': None, 'high': None}
    data = {'graph': 'swept', 'axes': [{'name': 'cut.value', 'values': ['1', '2']}], 'seeds': [3, 4],
            'baseline': 'value=1', 'arms': [
                {'name': 'value=1', 'set': {'cut.value': '1'}, 'state': 'done', 'error': None,
                 'folder': 'value=1', 'scores': {'weak': {'dice': base, 'voe': base}}},
                {'name': EVIL, 'set': {'cut.value': '2'}, 'state': 'done', 'error': None,
                 'folder': EVIL, 'scores': {'weak': {'dice': value}}},
                {'name': 'lost', 'set': {}, 'state': 'failed', 'error': EVIL, 'folder': 'lost',
                 'scores': {}}]}
    with open(f'{folder}/sweep.json', 'w', encoding='utf-8') as f:
        json.dump(data, f)
    return data


def report(program, *args):
    return subprocess.run([program, 'report', *args], capture_output=True, text=True)


def check_run(program, where):
    with open(f'{where}/outside.png', 'wb') as f:
        f.write(png(1, 1, lambda x, y: 0))
    wrote = write_run(f'{where}/run')
    said = report(program, f'{where}/run/')
    assert said.returncode == 0 and said.stdout == f'{where}/run/report.html\n', said
    read = read_page(f'{where}/run/report.html')
    assert read.pop('kind') == 'run'
    layers = read['sections'][0]['data']['cases'][0]['layers']
    assert decode(layers[0].pop('url')) == (24, 16) and decode(layers[1].pop('url')) == (24, 16)
    pictures = read['sections'][4]['data']['pictures']
    assert decode(pictures[0].pop('url')) == (24, 16)
    assert read == wrote  # and no picture that is none, is gone, or lies elsewhere


def check_sweep(program, where):
    wrote = write_sweep(f'{where}/sweep')
    said = report(program, f'{where}/sweep', '-o', f'{where}/else.html')
    assert said.returncode == 0 and said.stdout == f'{where}/else.html\n', said
    assert not os.path.exists(f'{where}/sweep/report.html')
    read = read_page(f'{where}/else.html')
    assert read.pop('kind') == 'sweep' and read.pop('base') == os.path.realpath(f'{where}/sweep')
    assert read == wrote


def check_refusals(program, where):
    said = report(program, where)
    assert said.returncode == 1 and 'has neither report.json nor sweep.json' in said.stderr, said
    assert report(program).returncode == 2
    os.makedirs(f'{where}/bad')
    for text in ('', '{"graph": ', '[1]', 'null'):
        with open(f'{where}/bad/report.json', 'w', encoding='utf-8') as f:
            f.write(text)
        said = report(program, f'{where}/bad')
        assert said.returncode == 1 and 'report.json: is no JSON object' in said.stderr, said
    assert os.listdir(f'{where}/bad') == ['report.json']


def main():
    with tempfile.TemporaryDirectory() as where:
        check_run(sys.argv[1], where)
        check_sweep(sys.argv[1], where)
        check_refusals(sys.argv[1], where)


if __name__ == '__main__':
    main()
