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

"""Errors and ids in a form that is fit for a line of the log."""

_LONGEST_ID = 64
_LONGEST_ERROR = 1000


def tell(exc):
    """Return an error with its causes' notes, in one line."""
    parts = ['%s: %s' % (type(exc).__name__, exc)]
    while exc is not None:
        parts.extend(getattr(exc, '__notes__', ()))
        exc = exc.__cause__
    return printable(' '.join('; '.join(parts).split()), _LONGEST_ERROR)


def id_of(image_meta):
    """Return the id of an image, whatever its metadata are."""
    if not isinstance(image_meta, dict):
        return None
    return printable(str(image_meta.get('id')), _LONGEST_ID)


def printable(text, longest):
    """Make text printable and short, whoever has written it.

    What is too long loses its middle: a chain of errors ends in the last.
    """
    text = text.encode('unicode_escape').decode()
    if len(text) > longest:
        text = '%s ... %s' % (text[:longest // 2], text[-longest // 2:])
    return text
