#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Serve Keystone's or Glance's WSGI application on loopback, in cheroot.

Usage: ``python -m demo.wsgi_server keystone|glance PORT``

Counts the bytes of image data that leave it; ``GET /demo/bytes`` returns them.
"""

import importlib
import json
import re
import sys
import threading

from cheroot import wsgi as cheroot_wsgi
from werkzeug import wsgi as werkzeug_wsgi

IMAGE_DATA = re.compile(r'^/v2/images/[^/]+/file$')
COUNTER_PATH = '/demo/bytes'
THREADS = 8


class ByteCounter:
    """WSGI middleware: count the image data that clients download."""

    def __init__(self, application):
        self._application = application
        self._lock = threading.Lock()
        self._total = 0

    def __call__(self, environ, start_response):
        path = environ['PATH_INFO']
        if path == COUNTER_PATH:
            return self._answer(start_response)
        body = self._application(environ, start_response)
        if environ['REQUEST_METHOD'] == 'GET' and IMAGE_DATA.match(path):
            close = getattr(body, 'close', None)
            return werkzeug_wsgi.ClosingIterator(self._counted(body), close)
        return body

    def _counted(self, body):
        for chunk in body:
            with self._lock:
                self._total += len(chunk)
            yield chunk

    def _answer(self, start_response):
        with self._lock:
            answer = json.dumps({'bytes': self._total}).encode()
        start_response('200 OK', [('Content-Type', 'application/json'),
                                  ('Content-Length', str(len(answer)))])
        return [answer]


def main():
    """Serve until SIGTERM."""
    service, port = sys.argv[1:]
    # The application reads the command line as its own when it is imported.
    del sys.argv[1:]
    module = importlib.import_module(f'{service}.wsgi.api')
    server = cheroot_wsgi.Server(('127.0.0.1', int(port)),
                                 ByteCounter(module.application),
                                 numthreads=THREADS)
    server.safe_start()


if __name__ == '__main__':
    main()
