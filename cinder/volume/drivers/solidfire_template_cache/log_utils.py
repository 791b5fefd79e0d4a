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

"""Errors and ids in a form that is fit for one line of the log.

oslo.log appends the exception that is being handled to every line of level
WARNING and above, unescaped and at any length. Callers therefore leave the
``except`` block before they log, and put :func:`format_error` in the line.
"""

from typing import Any
from typing import Optional

_MAX_ID_LENGTH = 64
_MAX_ERROR_LENGTH = 1000
_OMITTED = ' ... '


def format_error(exc: BaseException) -> str:
    """Return an error in one printable line of at most 1000 characters.

    The notes (PEP 678) of the error and of its causes are included.
    """
    parts = ['%s: %s' % (type(exc).__name__, exc)]
    cause: Optional[BaseException] = exc
    while cause is not None:
        parts.extend(getattr(cause, '__notes__', ()))
        cause = cause.__cause__
    return printable(' '.join('; '.join(parts).split()), _MAX_ERROR_LENGTH)


def image_id(image_meta: Any) -> Optional[str]:
    """Return the id of an image for the log, however its metadata look."""
    if not isinstance(image_meta, dict):
        return None
    return printable(str(image_meta.get('id')), _MAX_ID_LENGTH)


def printable(text: str, max_length: int) -> str:
    """Return text in ASCII, escaped, and at most max_length characters long.

    Text that is too long loses its middle, because the last part of a chain
    of errors names the cause.
    """
    text = text.encode('unicode_escape').decode()
    if len(text) > max_length:
        kept = max_length - len(_OMITTED)
        text = text[:kept - kept // 2] + _OMITTED + text[-(kept // 2):]
    return text
