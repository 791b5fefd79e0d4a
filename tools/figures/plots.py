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

"""Plots of a page: SVG for light and dark pages, short as text."""

import matplotlib
from matplotlib import figure as mpl_figure
from matplotlib import ticker

# Readable on white and on black.
GREY = '#888888'
COLOURS = ('#2f9e77', '#c2703d', '#8f7fd0', '#3f8fc4')

_STYLE = {
    'svg.hashsalt': 'figures', 'savefig.transparent': True,
    'text.color': GREY, 'axes.labelcolor': GREY, 'axes.edgecolor': GREY,
    'xtick.color': GREY, 'ytick.color': GREY, 'grid.color': GREY,
    'grid.alpha': 0.3, 'axes.grid': True, 'legend.frameon': False,
    # Text instead of outlines, and lines of the grid instead of ticks too.
    'svg.fonttype': 'none', 'font.sans-serif': ['DejaVu Sans', 'sans-serif'],
    'xtick.bottom': False, 'ytick.left': False}


def write(drawings, found, directory):
    """Draw plots into a directory.

    :param drawings: by name, a function that draws results into a figure
    :param found: the results
    """
    with matplotlib.rc_context(_STYLE):
        for name, draw in drawings.items():
            # Without a date, equal results give equal files.
            drawn(draw, found).savefig(
                directory / f'{name}.svg', metadata=dict.fromkeys(
                    ('Creator', 'Date', 'Format', 'Type')))


def drawn(draw, found):
    """Return a figure with the results."""
    figure = mpl_figure.Figure(figsize=(7, 4))
    draw(found, figure)
    for axes in figure.axes:
        for axis in axes.xaxis, axes.yaxis:
            if axis.get_scale() == 'log':
                axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
                # A power would be three pieces of text.
                axis.set_major_formatter('{x:,g}')
        axes.minorticks_off()
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    figure.tight_layout()
    return figure
