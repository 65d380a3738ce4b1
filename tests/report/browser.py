"""browser.py - drives a headless Chromium over its DevTools protocol, with nothing but the standard
library: opens pages, evaluates JavaScript, presses keys, and keeps what the console says."""
import base64
import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time


def find():
    """The browser's path, or None."""
    wanted = os.environ.get('HEPAFLOW_CHROMIUM')
    names = [wanted] if wanted else ['chromium', 'chromium-browser', 'google-chrome']
    return next((path for path in map(shutil.which, names) if path), None)


class Socket:
    """A WebSocket to 127.0.0.1, as a client."""

    def __init__(self, port, path):
        self.s = socket.create_connection(('127.0.0.1', port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.s.sendall((f'GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n'
                        f'Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n'
                        'Sec-WebSocket-Version: 13\r\n\r\n').encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += self.take(1)
        assert b' 101 ' in head, head

    def take(self, size):
        got = b''
        while len(got) < size:
            part = self.s.recv(size - len(got))
            if not part:
                raise ConnectionError('the browser went away')
            got += part
        return got

    def send(self, text):
        body, mask = text.encode(), os.urandom(4)
        size = len(body)
        head = (bytes([0x81, 0x80 | size]) if size < 126
                else bytes([0x81, 0xFE]) + struct.pack('>H', size) if size < 65536
                else bytes([0x81, 0xFF]) + struct.pack('>Q', size))
        repeated = mask * (size // 4 + 1)
        self.s.sendall(head + mask + bytes(a ^ b for a, b in zip(body, repeated)))

    def receive(self):
        whole = b''
        while True:
            first, second = self.take(2)
            size = second & 0x7F
            if size == 126:
                size, = struct.unpack('>H', self.take(2))
            elif size == 127:
                size, = struct.unpack('>Q', self.take(8))
            body = self.take(size)
            if first & 0x0F in (0, 1):
                whole += body
                if first & 0x80:
                    return whole.decode()

    def ready(self, seconds):
        return bool(select.select([self.s], [], [], seconds)[0])


class Browser:
    """A context: `with Browser(path) as b: b.open(file, 1280, 900)`."""

    def __init__(self, path):
        self.folder = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [path, '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
             '--no-first-run', '--remote-debugging-port=0', f'--user-data-dir={self.folder}',
             'about:blank'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said = []
        self.number = 0
        try:
            port = self.find_port()
            self.socket = Socket(port, '/devtools/browser/' + self.token)
            target = self.call('Target.createTarget', url='about:blank')['targetId']
            self.session = self.call('Target.attachToTarget', targetId=target,
                                     flatten=True)['sessionId']
            for domain in ('Page', 'Runtime', 'Log', 'Network'):
                self.call(domain + '.enable')
        except BaseException:
            self.close()
            raise

    session = None

    def find_port(self):
        for line in self.process.stderr:
            found = re.search(r'ws://[^:]+:(\d+)/devtools/browser/(\S+)', line)
            if found:
                self.token = found[2]
                return int(found[1])
        raise RuntimeError('the browser did not start')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def hear(self, message):
        """Keeps what a page should not say, and every request that leaves it."""
        method, p = message.get('method'), message.get('params', {})
        if method == 'Runtime.exceptionThrown':
            detail = p['exceptionDetails']
            self.said.append(detail.get('exception', {}).get('description') or detail['text'])
        elif method == 'Runtime.consoleAPICalled' and p['type'] in ('error', 'warning', 'assert'):
            self.said.append(' '.join(str(a.get('value', a)) for a in p['args']))
        elif method == 'Log.entryAdded' and p['entry']['level'] in ('error', 'warning'):
            self.said.append(p['entry']['text'])
        elif method == 'Network.requestWillBeSent' and \
                not p['request']['url'].startswith(('file:', 'data:')):
            self.said.append('asks for ' + p['request']['url'])

    def call(self, method, **params):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': params}
        if self.session:
            message['sessionId'] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.receive())
            if answer.get('id') == self.number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]["message"]}')
                return answer['result']
            self.hear(answer)

    def open(self, path, width, height, dark=False, touch=False):
        self.said.clear()
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=2 if touch else 1, mobile=touch)
        self.call('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])
        self.call('Page.navigate', url='file://' + os.path.abspath(path))
        self.until('document.readyState === "complete"')
        self.settle()

    def settle(self):
        """Lets two frames be drawn."""
        self.run('new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))'
                 '.then(() => new Promise(f => setTimeout(f, 100)))')

    def run(self, script):
        answer = self.call('Runtime.evaluate', expression=script, returnByValue=True,
                           awaitPromise=True, userGesture=True)
        if 'exceptionDetails' in answer:
            detail = answer['exceptionDetails']
            raise RuntimeError(detail.get('exception', {}).get('description') or detail['text'])
        return answer['result'].get('value')

    def until(self, script, seconds=20):
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                raise TimeoutError(script)
            time.sleep(0.05)

    def key(self, name):
        codes = {'ArrowLeft': 37, 'ArrowUp': 38, 'ArrowRight': 39, 'ArrowDown': 40, 'Tab': 9,
                 'Escape': 27, 'Enter': 13, 'End': 35, 'Home': 36}
        text = {'text': '\r'} if name == 'Enter' else {}
        for kind in ('keyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=name, code=name,
                      windowsVirtualKeyCode=codes[name], **(text if kind == 'keyDown' else {}))

    def move(self, x, y):
        self.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def click(self, x, y):
        for kind in ('mousePressed', 'mouseReleased'):
            self.call('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def picture(self, path, whole=False):
        """A screenshot, of the window or of the whole page."""
        png = self.call('Page.captureScreenshot', captureBeyondViewport=whole)['data']
        with open(path, 'wb') as f:
            f.write(base64.b64decode(png))
