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

"""Look-ups that several threads need at the same time are made once."""

import threading
from typing import Callable
from typing import Generic
from typing import Hashable
from typing import Optional
from typing import TypeVar

_T = TypeVar('_T')


class _LookUp(object):
    """A look-up that is in progress.

    :ivar ended: set when it has ended
    :ivar succeeded: whether it did so without an error
    """

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.succeeded = False


class SingleFlight(Generic[_T]):
    """Has one of the threads that need the same look it up for all of them.

    What is found is kept by the caller, so that the others take it from
    there. An error is one of the thread that met it: the others look up
    themselves, all at the same time. None of them waits twice, since each
    look-up may take as long as the retries of a call.
    """

    def __init__(self) -> None:
        # Guards the look-ups in progress, by their keys.
        self._lock = threading.Lock()
        self._in_progress: dict[Hashable, _LookUp] = {}

    def run(self, key: Hashable, take_cached: Callable[[], Optional[_T]],
            look_up: Callable[[], _T]) -> Optional[_T]:
        """Return what is cached, or look it up.

        :param key: the same for all that need the same
        :param take_cached: returns what is cached, or None. It is called
            with a lock held, so it must neither block nor call this method.
        :param look_up: finds it, and caches it
        :returns: None when another thread has looked up without an error
            meanwhile, and nothing is cached for this one
        :raises Exception: whatever the callables raise
        """
        with self._lock:
            cached = take_cached()
            if cached is not None:
                return cached
            other = self._in_progress.get(key)
            if other is None:
                ours = self._in_progress[key] = _LookUp()
        if other is None:
            return self._lead(key, ours, look_up)
        other.ended.wait()
        cached = take_cached()
        if cached is None and not other.succeeded:
            return look_up()
        return cached

    def _lead(self, key: Hashable, ours: _LookUp,
              look_up: Callable[[], _T]) -> _T:
        try:
            found = look_up()
            ours.succeeded = True
            return found
        finally:
            with self._lock:
                del self._in_progress[key]
            ours.ended.set()
