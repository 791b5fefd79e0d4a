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

"""Many requests at the same time."""

import threading
import time


class StormError(Exception):
    """A request of a storm has failed."""


def run(requests, start=None):
    """Carry out requests at the same time.

    :param requests: callables without arguments
    :param start: reading of ``time.monotonic()`` at which they begin; as soon
                  as the threads are ready if None
    :returns: sorted list of the seconds after which each was done
    :raises: StormError if one has failed, when all have ended
    """
    ends, errors = [], []
    began = [start]
    ready = threading.Barrier(len(requests) + 1)

    def carry_out(request):
        ready.wait()
        if start is not None:
            time.sleep(max(start - time.monotonic(), 0))
        try:
            request()
            ends.append(time.monotonic() - began[0])
        except Exception as exc:
            errors.append(f'{type(exc).__name__}: {exc}')

    # An interrupted run does not wait for them.
    threads = [threading.Thread(target=carry_out, args=(request,), daemon=True)
               for request in requests]
    for thread in threads:
        thread.start()
    if start is None:
        began[0] = time.monotonic()
    ready.wait()
    for thread in threads:
        thread.join()
    if errors:
        raise StormError(f'{len(errors)} of {len(requests)} failed: '
                         f'{errors[0]}')
    return sorted(ends)
