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

"""The child processes of the demo: started, watched and ended here."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import time

import psutil

# from <linux/prctl.h>
PR_SET_CHILD_SUBREAPER = 36
# Should the demo itself be killed outright, its children get a SIGTERM.
DIE_WITH_PARENT = ('setpriv', '--pdeathsig', 'TERM', '--')
TAIL_LINES = 25


class DemoError(Exception):
    """The demo cannot go on, or found something it did not expect."""


def tail(path, lines=TAIL_LINES):
    """Return the last lines of a text file, '' when it is not there."""
    with contextlib.suppress(FileNotFoundError):
        text = path.read_text(errors='replace')
        return '\n'.join(text.splitlines()[-lines:])
    return ''


def wait_until(what, condition, timeout, interval=0.1):
    """Call ``condition`` until it returns something true, and return that.

    :param what: words for the error
    :param timeout: seconds
    :raises DemoError: when the time is over
    """
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise DemoError(f'{what}: not within {timeout} s')
        time.sleep(interval)


class Children:
    """Every process the demo starts, and what those start.

    Use it as a context manager: on leaving, nothing of it runs any more.
    """

    def __init__(self, log_dir):
        """Remember where logs go.

        :param log_dir: directory of the log files, a ``pathlib.Path``
        """
        self._log_dir = log_dir
        self._services = {}

    def __enter__(self):
        # Cinder's privileged helpers detach from it. As their reaper this
        # process becomes their parent, and finds them when it ends them.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def __exit__(self, *exc_info):
        self.stop_all()

    def log_file(self, name):
        """Return the path of a child's log."""
        return self._log_dir / f'{name}.log'

    def start(self, name, argv, **env):
        """Start a service whose output goes to ``<name>.log``.

        :param env: variables added to the environment
        :returns: the ``subprocess.Popen``
        """
        with open(self.log_file(name), 'a') as log:
            self._services[name] = self._popen(
                argv, env, stdout=log, stderr=subprocess.STDOUT)
        return self._services[name]

    def run(self, *commands, **env):
        """Run commands to their ends, all at the same time.

        :param commands: argument lists, the name of the program first
        :param env: variables added to the environment
        :raises DemoError: with the end of the log, when one fails
        """
        running = []
        for argv in commands:
            log = self.log_file(pathlib.Path(argv[0]).name)
            with open(log, 'a') as out:
                running.append((argv, log, self._popen(
                    argv, env, stdout=out, stderr=subprocess.STDOUT)))
        for argv, log, child in running:
            if child.wait():
                raise DemoError(f'{" ".join(map(str, argv))} failed:\n'
                                f'{tail(log)}')

    def check(self):
        """Make sure that every service still runs.

        :raises DemoError: with the end of its log, when one has ended
        """
        for name, child in self._services.items():
            if child.poll() is not None:
                raise DemoError(f'{name} ended with {child.returncode}:\n'
                                f'{tail(self.log_file(name))}')

    def wait_ready(self, name, condition, timeout=90):
        """Wait until a service is ready, or fail with the end of its log.

        :param condition: callable without arguments, true when ready
        :param timeout: seconds
        :raises DemoError: when it ended or the time is over
        """
        def ready():
            self.check()
            return condition()

        try:
            return wait_until(f'{name} to be ready', ready, timeout)
        except DemoError as exc:
            raise DemoError(f'{exc}\n{tail(self.log_file(name))}') from None

    def stop_all(self, timeout=3):
        """End the services and all that they left.

        :param timeout: seconds until those that do not listen are killed
        """
        # A second interruption must not leave half of them running.
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        me = psutil.Process()
        for stop in ('terminate', 'kill'):
            # Twice each: ending a parent hands its children over to us.
            for _ in range(2):
                children = me.children(recursive=True)
                for child in children:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        getattr(child, stop)()
                psutil.wait_procs(children, timeout=timeout)
        self._services.clear()

    def _popen(self, argv, env, **kwargs):
        return subprocess.Popen(
            [*DIE_WITH_PARENT, *map(str, argv)],
            env={**os.environ, **{k: str(v) for k, v in env.items()}},
            stdin=subprocess.DEVNULL,
            # Ctrl-C is for the demo alone, which then ends its children.
            start_new_session=True,
            **kwargs)
